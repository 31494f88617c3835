"""The tables of docs name tests: each exists, in the file that is named."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = re.compile(r"`(?:(tests/[\w/]+\.py)|(test_\w+\.py))?(?:::(test_\w+))?`")


def named_tests(page: str) -> list[tuple[str, str]]:
    """(file, function or "") of every test that the page names; a name without a file is of the
    file before it, a file without a folder is in tests/faults."""
    found, file = [], ""
    for whole, short, function in NAMED.findall((ROOT / "docs" / page).read_text("utf-8")):
        file = whole or (f"tests/faults/{short}" if short else file)
        found.append((file, function))
    return found


@pytest.mark.parametrize("page", ["field.md", "reliability.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    tests = named_tests(page)
    assert len(tests) > 20
    for file, function in tests:
        path = ROOT / file
        assert path.is_file(), file
        functions = {
            node.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert not function or function in functions, f"{file}::{function}"


def test_all_thirty_cases_have_a_row() -> None:
    rows = [line for line in (ROOT / "docs/field.md").read_text("utf-8").split("\n")
            if re.match(r"\| \d\d ", line)]  # fmt: skip
    assert len(rows) == 30
