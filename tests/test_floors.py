"""The floors: who may import whom (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest

import seqarena

SOURCE = Path(seqarena.__file__).parent
EVERYTHING = {
    *("core", "jobs", "data", "tasks", "ops", "mixers", "models"),
    *("train", "measure", "arena", "report", "use"),
}
MAY_IMPORT = {
    "core": set(),
    "jobs": {"core"},
    "data": {"core"},
    "ops": {"core"},
    "tasks": {"data", "core"},
    "mixers": {"ops", "core"},
    "models": {"mixers", "ops", "core"},
    "train": {"models", "tasks", "core"},
    "measure": {"jobs", "train", "models", "tasks", "core"},
    "arena": {"jobs", "measure", "train", "models", "tasks", "core"},
    "report": {"core"},
    "use": {"models", "train", "data", "tasks", "core"},
    "cli": EVERYTHING,
}
FILES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The rooms of the package that a file imports from, wherever the import stands."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            modules = [node.module or ""]
            if node.module == "seqarena":
                modules = [f"seqarena.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {m.split(".")[1] for m in modules if m.startswith("seqarena.") and "__" not in m}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_only_from_floors_below(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    if room in ("__init__.py", "__main__.py"):
        return  # the package's own doors
    assert imports(path) - {room} <= MAY_IMPORT[room]


def test_the_table_names_every_room() -> None:
    rooms = {p.name for p in SOURCE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_no_file_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
