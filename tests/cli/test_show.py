"""`seqarena models` and `tasks` in a pipe: 80 columns, whole words, no escape codes."""

import re

import pytest
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.models.catalog import CATALOG
from seqarena.tasks.registry import TASKS


def piped(*command: str) -> str:
    result = CliRunner().invoke(app, list(command), env={"COLUMNS": None, "FORCE_COLOR": None})
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert max(len(line) for line in result.output.splitlines()) <= 80
    return result.output


def test_models() -> None:
    text = piped("models")
    words = set(re.findall(r"\w+", text))
    assert set(CATALOG) <= words
    for row in CATALOG.values():
        assert set(re.findall(r"\w+", row.idea)) <= words


def test_tasks() -> None:
    text = piped("tasks")
    words = set(re.findall(r"\w+", text))
    assert set(TASKS) <= words
    assert {word for idea in TASKS.values() for word in re.findall(r"\w+", idea)} <= words


@pytest.mark.parametrize("name", TASKS)
def test_the_settings_of_a_task(name: str) -> None:
    first, *rest = piped("tasks", name).splitlines()
    assert first.startswith(f"{name} ")
    assert any(line.startswith(("setting ", "  default ")) for line in rest)  # wide, or stacked
