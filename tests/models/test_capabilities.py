"""What a model can do is asked of the model: no caller looks at its type or for its attributes."""

import ast
import importlib
from pathlib import Path

import pytest

import seqarena
from seqarena.models.catalog import CATALOG
from seqarena.models.model import Model, load_system

SOURCE = Path(seqarena.__file__).parent
FILES = sorted(p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] != "models")


def model_classes() -> set[str]:
    importlib.import_module("seqarena.models.any")  # the models over stacks
    for row in CATALOG.values():
        if row.system is not None:
            load_system(row.system)
    found, waiting = set(), [Model]
    while waiting:
        found.add(waiting.pop())
        waiting = [sub for one in found for sub in one.__subclasses__() if sub not in found]
    return {one.__name__ for one in found}


def asked_types(source: str) -> set[str]:
    """The names in the second argument of every call of isinstance and issubclass, and "hasattr
    model" for a model that is asked for an attribute."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass"):
                inner = ast.walk(node.args[1])
                names |= {x.id for x in inner if isinstance(x, ast.Name)}
            elif node.func.id == "hasattr" and ast.unparse(node.args[0]).endswith("model"):
                names.add("hasattr model")
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_no_caller_asks_for_the_type_of_a_model(path: Path) -> None:
    forbidden = model_classes() | {"Stack", "hasattr model"}
    assert not asked_types(path.read_text(encoding="utf-8")) & forbidden


def test_the_search_finds_what_it_forbids() -> None:
    planted = "isinstance(a.model, int | LanguageModel) or hasattr(self.model, 'stack')"
    assert asked_types(planted) == {"int", "LanguageModel", "hasattr model"}
    assert {"LanguageModel", "CausalSystem", "WaveNet", "PrefixModel"} <= model_classes()
