"""Odd recipes end in one clear line, before anything runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqarena.cli import app
from seqarena.engine import recipe as recipes

GOOD = """
verb = "compare"
about = "two that learn nothing"
[options]
task = "copying"
models = "gru,lstm"
settings = ["max_distance=4", "evaluation_examples=16"]
width = 8
depth = 1
steps = 2
rates = 1e-3
seeds = 1
repeats = 0
measure = false
jobs = 1
[expect.gru]
accuracy = { at_least = 0 }
"""
OPTIONS = 'verb = "train"\n[options]\ntask = "copying"\nmodel = "gru"\n'
ODD = {
    "empty": ("", "verb must be train or compare, not None"),
    "a list as verb": ('verb = ["train"]', "verb must be train or compare"),
    "a table as verb": ("[verb]\na = 1", "verb must be train or compare"),
    "unknown verb": ('verb = "bake"', "not 'bake'"),
    "unknown verb of the command line": ('verb = "report"', "not 'report'"),
    "a long verb": (f'verb = "{"x" * 10_000}"', "verb must be"),
    "unknown key": ('verb = "train"\noption = 1', "unknown key 'option': did you mean options?"),
    "about is a number": ('verb = "train"\nabout = 3', "about must be a text"),
    "options is a list": ('verb = "train"\noptions = [1, 2]', "options must be a table"),
    "unknown option": (OPTIONS + "stepz = 3", "unknown option 'stepz': did you mean steps"),
    "batch of nothing": (OPTIONS + "batch = 0", "--batch 0"),
    "no steps": (OPTIONS + "steps = 0", "must be positive"),
    "negative steps": (OPTIONS + "steps = -5", "must be positive"),
    "steps as a text": (OPTIONS + 'steps = "many"', "is not a number"),
    "steps as a list": (OPTIONS + "steps = [2]", "--steps"),
    "steps as a table": (OPTIONS + "steps = { a = 1 }", "--steps"),
    "steps is true": (OPTIONS + "steps = true", "is not a yes or no"),
    "steps is a date": (OPTIONS + "steps = 1979-05-27", "--steps"),
    "a rate that is no number": (OPTIONS + "rate = nan", "must be positive"),
    "an endless rate": (OPTIONS + "rate = inf", "must be positive"),
    "a negative rate": (OPTIONS + "rate = -1.0", "must be positive"),
    "dropout of all": (OPTIONS + "dropout = 1", "--dropout"),
    "dropout that is no number": (OPTIONS + "dropout = nan", "--dropout"),
    "a huge width": (OPTIONS + "width = 9223372036854775807", "--width"),
    "a width of 5,000 digits": (OPTIONS + f"width = {'9' * 5000}", "is not TOML"),
    "a huge depth": (OPTIONS + "width = 8\ndepth = 99999999", "--depth"),
    "huge seeds": ('verb = "compare"\n[options]\nseeds = 10000000000', "--seeds"),
    "a huge seed": (OPTIONS + "seed = 99999999999999999999999", "--seed"),
    "two budgets": (OPTIONS + "steps = 2\ntokens = 100", "exactly one budget"),
    "two sizes": (OPTIONS + "width = 8\nparams = 100", "either --params or --width"),
    "unknown model": ('verb = "train"\n[options]\nmodel = "lstn"', "did you mean lstm"),
    "model as a number": ('verb = "train"\n[options]\nmodel = 7', "--model"),
    "unknown task": ('verb = "train"\n[options]\ntask = "cooking"', "unknown task 'cooking'"),
    "task as a list": ('verb = "train"\n[options]\ntask = ["copying"]', "--task"),
    "unknown setting": (OPTIONS + 'settings = ["size=3"]', "setting of task copying 'size'"),
    "settings without =": (OPTIONS + 'settings = ["size"]', "write it as key=value"),
    "settings as numbers": (OPTIONS + "settings = [3]", "--set"),
    "missing data": ('verb = "train"\n[options]\ndata = "no/such/file.txt"', "no/such/file.txt"),
    "NUL in data": ('verb = "train"\n[options]\ndata = "a\\u0000b"', "a"),
    "outside of runs": (OPTIONS + 'name = "../../outside"', "a folder inside of runs"),
    "an absolute name": (OPTIONS + 'name = "/tmp/outside"', "a folder inside of runs"),
    "no name": (OPTIONS + 'name = ""', "a folder inside of runs"),
    "a name of 300": (OPTIONS + f'name = "{"a" * 300}"', "longer than 200 bytes"),
    "NUL in the name": (OPTIONS + 'name = "a\\u0000b"', "a folder inside of runs"),
    "name as a number": (OPTIONS + "name = 3", "--name"),
    "device": (OPTIONS + 'device = "tpu"', "unknown device 'tpu'"),
    "broken TOML": ('verb = "train', "is not TOML"),
    "a key twice": ('verb = "train"\nverb = "train"', "is not TOML"),
    "not UTF-8": ('verb = "träin"'.encode("latin-1"), "is not UTF-8"),
    "UTF-16": ('verb = "train"'.encode("utf-16"), "is not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbfverb = "train"', "is not TOML"),
    "binary": (bytes(range(256)), "is not"),
    "NUL": ('verb = "train"\n\0', "is not TOML"),
    "deep arrays": ("a = " + "[" * 5000, "is not TOML"),
    "deep tables": (f"[{'.'.join('a' * 3000)}]\nb = 1", ""),
    "expect is a number": ('verb = "train"\nexpect = 3', "expect must be a table"),
    "a bound that is no table": (GOOD + "loss = 3", "loss must be a table"),
    "unknown bound": (GOOD + "loss = { at_last = 3 }", "unknown bound 'at_last'"),
    "a bound that is a text": (GOOD + 'loss = { at_least = "3" }', "must be a number"),
    "a bound that is no number": (GOOD + "loss = { at_least = nan }", "must be a number"),
    "above a number": (GOOD + "loss = { above = 3 }", "the name of an architecture"),
    "an option of the mixer": (OPTIONS + "width = 8\noption = { hidden = -3 }", "hidden"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")


def call(text: str | bytes, name: str = "odd.toml") -> Result:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return CliRunner().invoke(app, ["recipe", name])


@pytest.mark.parametrize("name", ODD)
def test_an_odd_recipe_is_one_line(name: str, tmp_path: Path) -> None:
    text, words = ODD[name]
    done = call(text)
    assert done.exit_code == 2, (done.output, done.exception)
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("seqarena: ")
    assert "odd.toml" in line
    assert words in line
    assert [path.name for path in tmp_path.iterdir()] == ["odd.toml"]  # nothing was written
    assert not (tmp_path.parent / "outside").exists()


def test_numbers_need_no_quotes_and_a_good_one_runs() -> None:
    done = call(GOOD)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "accuracy" in done.output
    assert Path("runs/recipe-odd/plan.json").exists()


@pytest.mark.parametrize("name", ["con.toml", f"{'x' * 240}.toml", "a:b.toml"])
def test_the_folder_of_a_recipe_of_any_name(name: str) -> None:
    Path(name).write_text(OPTIONS, encoding="utf-8")
    found = recipes.read_recipe(Path(name))
    assert found.request.run.name


@pytest.mark.parametrize("name", ["", ".", "nothing.toml", "folder", "x" * 400])
def test_what_is_no_file_is_one_line(name: str) -> None:
    Path("folder").mkdir()
    done = CliRunner().invoke(app, ["recipe", name])
    assert done.exit_code == 2, (done.output, done.exception)
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_recipe_of_the_project_is_read() -> None:
    for path in sorted((Path(__file__).parents[2] / "recipes").glob("*.toml")):
        assert recipes.read_recipe(path).about
