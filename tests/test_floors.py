"""The shape of the house (docs/architecture.md): who may import whom, sizes, and names."""

import ast
import collections
import functools
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqarena

SOURCE = Path(seqarena.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = Path(__file__).parent

# A room is a folder of the package, or api.py. The table names every room that it may import from.
MAY_IMPORT = {
    "core": set(),
    "data": {"core"},
    "ops": {"core"},
    "jobs": {"core"},
    "tasks": {"data", "ops", "core"},
    "mixers": {"ops", "core"},
    "models": {"mixers", "ops", "core"},
    "train": {"models", "tasks", "core"},
    "measure": {"jobs", "train", "models", "tasks", "core"},
    "arena": {"measure", "train", "models", "tasks", "jobs", "core"},
    "claims": {"arena", "measure", "train", "models", "tasks", "jobs", "core"},
    "forecast": {"arena", "measure", "train", "models", "tasks", "jobs", "core"},
    "report": {"core"},
    "use": {"models", "train", "data", "tasks", "ops", "core"},
}
MAY_IMPORT["engine"] = set(MAY_IMPORT)
MAY_IMPORT["serve"] = set(MAY_IMPORT)
MAY_IMPORT["api"] = set(MAY_IMPORT)
MAY_IMPORT["cli"] = set(MAY_IMPORT)
NOT_BUILT_YET = {"claims"}
DOORS = {"__init__.py": {"api", "core"}, "__main__.py": {"cli"}}

# What still breaks a law, by name. An entry whose fault is gone fails the test: shorten the list.
UPWARDS: set[str] = set()
CROWDED: set[str] = set()
DOUBLED: set[str] = set()


def label(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first if first in DOORS else first.removesuffix(".py")


def module_of(path: Path) -> str:
    parts = ("seqarena", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in FILES}


def runs_later(node: ast.AST) -> bool:
    """Whether importing the module does not run it: a function, or lines for a type checker."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def import_nodes(node: ast.AST, *, at_import: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements below a node; `at_import`: those that run when the module is imported,
    not those inside functions or for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (at_import and runs_later(child)):
            yield from import_nodes(child, at_import=at_import)


def imported(tree: ast.AST, *, at_import: bool = False) -> set[str]:
    """The modules of the package that a file imports. `seqarena` itself is the package root."""
    found = set()
    for node in import_nodes(tree, at_import=at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        assert node.level == 0, f"line {node.lineno}: a relative import"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            found.add(name if name in MODULES else str(node.module))
    return {name for name in found if name.split(".")[0] == "seqarena"}


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A closed walk in the graph, its first name again at the end; empty where there is none."""
    finished: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return []
        for other in sorted(graph[name]):
            if found := walk(other, [*path, name]):
                return found
        finished.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def rooms_imported(path: Path) -> set[str]:
    """Wherever the import stands, inside functions too."""
    names = (name.split(".") for name in imported(parsed(path)))
    return {parts[1] for parts in names if len(parts) > 1}


def test_a_file_imports_only_from_floors_below() -> None:
    upwards = set()
    for path in FILES:
        room = room_of(path)
        allowed = DOORS[room] if room in DOORS else MAY_IMPORT[room] | {room}
        upwards |= {f"{label(path)} imports {other}" for other in rooms_imported(path) - allowed}
    assert (upwards - UPWARDS, UPWARDS - upwards) == (set(), set())  # the new ones, the cured ones


def test_the_table_names_every_room_and_no_other() -> None:
    rooms = {room_of(path) for path in FILES} - set(DOORS)
    unknown, absent = rooms - set(MAY_IMPORT), set(MAY_IMPORT) - rooms
    assert (unknown, absent - NOT_BUILT_YET) == (set(), set())


def test_the_rooms_form_no_circle() -> None:
    assert circle(MAY_IMPORT) == []


def test_the_modules_form_no_circle() -> None:
    """Of imports that run when a module is imported. A package is its `__init__` module."""
    graph = {module_of(path): imported(parsed(path), at_import=True) & MODULES for path in FILES}
    assert circle({name: others - {name} for name, others in graph.items()}) == []


def test_nothing_below_imports_the_package_root() -> None:
    inside = [path for path in FILES if room_of(path) not in {*DOORS, "cli"}]
    assert [label(path) for path in inside if "seqarena" in imported(parsed(path))] == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import seqarena", {"seqarena"}),
        ("from seqarena import core", {"seqarena.core"}),
        ("from seqarena import build", {"seqarena"}),
        ("from seqarena.core import errors", {"seqarena.core.errors"}),
        ("def f():\n    from seqarena.core.errors import UserError", {"seqarena.core.errors"}),
        ("import torch", set()),
    ],
)
def test_imports_are_read_right(source: str, modules: set[str]) -> None:
    assert imported(ast.parse(source)) == modules
    assert imported(ast.parse(source), at_import=True) == (set() if "def" in source else modules)


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_folder_holds_more_than_15_files() -> None:
    counts = collections.Counter(path.parent for path in FILES if path.name != "__init__.py")
    crowded = {label(folder) for folder, count in counts.items() if count > 15}
    assert (crowded - CROWDED, CROWDED - crowded) == (set(), set())  # the new ones, the cured ones


def test_no_public_class_name_is_doubled() -> None:
    names = collections.Counter(
        node.name
        for path in FILES
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    doubled = {name for name, count in names.items() if count > 1}
    assert (doubled - DOUBLED, DOUBLED - doubled) == (set(), set())  # the new ones, the cured ones


@pytest.mark.filterwarnings("default")
def test_long_files_are_warned_of() -> None:
    """Over 600 lines a file probably holds two ideas: the tests print a warning and go on."""
    for path in FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > 600:
            warnings.warn(f"{label(path)} has {lines} lines, over 600: split it", stacklevel=1)


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports a test file by its name: the second of two would not be run."""
    names = collections.Counter(path.name for path in TESTS.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} <= {"conftest.py"}
