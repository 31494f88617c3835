"""Which tests `make test` runs, and which it leaves to `make check`. The rules are here alone.

A plain `pytest` runs the short suite. `--whole` runs every test, `--rest` those that the short
suite leaves out. A test that is named with `::` always runs. The short suite leaves out

- what is marked `slow`: it takes more than ten seconds, or opens a browser;
- of a test over the whole catalog, all but one architecture of each family (`representatives`).

A rule looks at a test's marks and at the values of its parameters, never at its file or its place.
`tests/test_thinning.py` tests the rules, and `python -m benchmarks.mutants` plants faults that the
short suite must catch.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from seqarena.core.architecture import Architecture
from seqarena.models.catalog import CATALOG
from seqarena.models.model import load_system

_GRID = 20  # a test of so many architectures goes over the whole catalog
_COUNT = pytest.StashKey[int]()


def representatives(catalog: Mapping[str, Architecture] = CATALOG) -> set[str]:
    """The first architecture of each family. A stack is in another family than a system, and so
    are systems with other forms, and what sees the future."""
    first: dict[tuple[object, ...], str] = {}
    for row in catalog.values():
        forms = () if row.system is None else load_system(row.system).forms
        first.setdefault((row.family, row.causal, row.system is None, *forms), row.name)
    return set(first.values())


def left_out(items: Iterable[pytest.Item]) -> set[str]:
    """The node ids of the tests that the short suite leaves out."""
    functions: dict[str, list[pytest.Item]] = defaultdict(list)
    left = set()
    for item in items:
        functions[item.nodeid.split("[")[0]].append(item)
        if item.get_closest_marker("slow") is not None:
            left.add(item.nodeid)
    families = representatives()
    for group in functions.values():
        named = {item.nodeid: _architectures(item) for item in group}
        if len(set().union(*named.values())) >= _GRID:
            left |= {test for test, names in named.items() if names and not names & families}
    return left


def _architectures(item: pytest.Item) -> set[str]:
    """The architectures among the values of a test's parameters."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return {value for value in parameters.values() if isinstance(value, str) and value in CATALOG}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("thinning", "short suite and whole suite (tests/thinning.py)")
    group.addoption("--whole", action="store_true", help="run every test")
    group.addoption("--rest", action="store_true", help="run what the short suite leaves out")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.whole and config.option.rest:
        raise pytest.UsageError("--whole runs the rest as well: choose one of --whole and --rest")


@pytest.hookimpl(trylast=True)  # after -k and -m, so that only what they chose is counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.whole or any("::" in argument for argument in config.args):
        return
    left = left_out(items)
    chosen = [item for item in items if (item.nodeid in left) == config.option.rest]
    not_chosen = [item for item in items if (item.nodeid in left) != config.option.rest]
    config.hook.pytest_deselected(items=not_chosen)
    config.stash[_COUNT] = len(not_chosen)
    items[:] = chosen


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its count to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = session.config.stash.get(_COUNT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every worker of pytest-xdist collects the same tests."""
    node.config.stash[_COUNT] = getattr(node, "workeroutput", {}).get("left", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    count = config.stash.get(_COUNT, 0)
    if count == 0:
        return
    tests = f"{count:,} test{'s are' if count > 1 else ' is'}"
    reason = "in the short suite" if config.option.rest else "left to make check (--whole)"
    terminalreporter.write_line(f"{tests} {reason}")
