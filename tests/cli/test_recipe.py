"""`seqarena recipe`: what is expected is held against what the run's records say."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqarena import api
from seqarena.cli import app

RECIPE = """
verb = "compare"
about = "two that learn nothing in two steps"
[options]
task = "copying"
models = "gru,lstm"
settings = ["max_distance=4", "evaluation_examples=16"]
width = 8
depth = 1
steps = "2"
rates = "1e-3"
seeds = 2
repeats = 0
measure = false
runs = "{runs}"
name = "tiny"
"""
# a guesser among eight symbols is right in an eighth of the cases
CASES = [
    ("[expect.gru]\naccuracy = { at_most = 0.9 }", 0, "(2 of 2 seeds; at most 0.9): holds"),
    ("[expect.gru]\naccuracy = { at_least = 0.9 }", 1, "(0 of 2 seeds; at least 0.9): MISSED"),
    ("[expect.gru]\naccuracy = { above = 'gru' }", 1, "above gru): MISSED"),
    ("[expect.elman]\naccuracy = { at_most = 0.9 }", 1, "elman: not measured"),
    ("[expect.gru]\naccuracy = { above = 'elman' }", 1, "elman: not measured"),
    ("[expect.gru]\nbleu = { at_least = 0 }", 2, "recipe expects 'bleu', which gru has not"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all cases: the first trains, the others read."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize(("expect", "code", "words"), CASES)
def test_expectations(runs: Path, tmp_path: Path, expect: str, code: int, words: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(RECIPE.format(runs=runs) + expect)
    result = CliRunner().invoke(app, ["recipe", str(file)])
    assert words in result.output
    assert result.exit_code == code


@pytest.mark.parametrize(
    ("text", "words"),
    [("verb = 'bake'", "verb must be train or compare, not 'bake'"), ("verb =", "recipe.toml")],
)
def test_recipes_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    result = CliRunner().invoke(app, ["recipe", str(file)])
    assert result.exit_code == 2
    assert words in result.output


def test_nothing_is_printed_where_nothing_is_to_be(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(RECIPE.format(runs=runs) + "[expect.gru]\naccuracy = { at_most = 0.9 }")
    assert api.recipe(file, verbose=False)
    assert capsys.readouterr().out == ""
    assert api.recipe(file)
    assert "accuracy" in capsys.readouterr().out
