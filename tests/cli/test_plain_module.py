"""`--mixer` with a plain torch module: planned, trained, used, and what is lost is said."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqarena.api import build as build_model
from seqarena.arena.folder import RunFolder
from seqarena.cli import app
from seqarena.core.results.records import ResultRecord, read_records
from tests.mixers import plain_modules

FILE = plain_modules.__file__
SENTENCES = "pos a good film indeed\nneg a bad film\npos good, good\nneg never a film\n" * 3
SMALL = ("--steps", "3", "--batch", "2", "--rates", "5e-3", "--widen", "0", "--seeds", "1")
LESS = ("--repeats", "0", "--no-baselines")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of language models, and the page."""
    runs = tmp_path_factory.mktemp("plain")
    mixers = [word for name in ("WrappedGRU", "RunningMean", "encoder", "Wider")
              for word in ("--mixer", f"{FILE}:{name}")]  # fmt: skip
    result = call("compare", *mixers, *SMALL, *LESS, "--width", "16", "--length", "16", "--runs",
                  runs, "--name", "text")  # fmt: skip
    assert result.exit_code == 0, result.output
    (runs / "said.txt").write_text(result.output)
    return runs


def test_what_is_lost_is_said_before_training_and_on_the_page(runs: Path) -> None:
    said, page = (runs / "said.txt").read_text(), (runs / "text" / "report.html").read_text()
    assert "WrappedGRU, a plain torch module: It is causal, as measured" in said
    assert "reads the whole prefix again for each token" in said
    assert "It returns 2 things: the first is taken" in said
    assert (
        "encoder cannot enter: it sees the future, which this task forbids: its output at" in said
    )
    assert "wider cannot enter: Wider returns shape (3, 16, 17) for inputs (3, 16, 16)" in said
    assert "a plain torch module of your own. It is causal, as measured" in page
    assert page.count("not known") > 5


def test_what_is_not_known_is_recorded_as_such(runs: Path) -> None:
    folder = RunFolder(runs / "text")
    flops = {}
    for path in folder.path.glob("trials/*"):
        trial = json.loads((path / "trial.json").read_text())
        result = list(read_records(path / "records.jsonl"))[-1]
        assert isinstance(result, ResultRecord)
        assert result.state_bytes is None
        flops[trial["architecture"]] = result.training_flops
    assert flops["runningmean"] is None
    assert (flops["wrappedgru"] or 0) > 0
    costs = {(one.architecture, one.quantity) for one in folder.costs()}
    assert ("wrappedgru", "decode_seconds_per_token") in costs
    assert ("wrappedgru", "state_bytes") not in costs


def test_it_writes(runs: Path) -> None:
    words = ("generate", runs / "text", "--model", "wrappedgru", "--count", "5")
    assert call(*words, "--mixer", f"{FILE}:WrappedGRU").exit_code == 0
    refused = call("export", runs / "text", "--model", "wrappedgru", "--trust-code", "--out",
                   runs / "x.onnx")  # fmt: skip
    assert refused.exit_code == 2
    assert "wrappedgru to onnx: LanguageModel cannot be traced" in refused.output
    assert len(refused.output.strip().splitlines()) == 1


def test_an_encoder_labels_texts(runs: Path) -> None:
    (runs / "sentences").mkdir()
    for name in ("train", "dev", "test"):
        (runs / "sentences" / f"{name}.txt").write_text(SENTENCES)
    result = call("compare", runs / "sentences", "--task", "classification", "--mixer",
                  f"{FILE}:encoder", *SMALL, *LESS, "--no-measure", "--width", "16", "--runs",
                  runs, "--name", "labels", "--yes")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "It sees the future, as measured: its output at position 0" in result.output
    assert "rows of a padded batch run by their length" in result.output
    (entry,) = RunFolder(runs / "labels").load_plan().entries
    assert entry.model.stack.layers[0].options == {"sees_future": True}
    answer = call("predict", runs / "labels", "a good film", "--trust-code")
    assert answer.exit_code == 0, answer.output


def test_a_budget_in_operations_needs_them(runs: Path) -> None:
    result = call("train", "--mixer", f"{FILE}:RunningMean", "--flops", "1e9", "--width", "16",
                  "--runs", runs, "--name", "operations")  # fmt: skip
    assert result.exit_code == 2
    assert "--flops needs the operations of every architecture" in result.output


def test_its_options_are_those_of_its_constructor(runs: Path) -> None:
    words = ("train", "--mixer", f"{FILE}:CausalConv", "--option", "taps=2", "--steps", "1")
    more = ("--width", "16", "--length", "16", "--no-baselines", "--runs", runs, "--name", "taps")
    assert call(*words, *more).exit_code == 0
    (entry,) = RunFolder(runs / "taps").load_plan().entries
    assert entry.model.stack.layers[0].options == {"taps": 2}


def test_python_builds_one() -> None:
    model = build_model("mine", mixer=f"{FILE}:WrappedGRU", vocab_size=20, width=16)
    assert model.flops(8) > 0
    assert model.reach() is None
