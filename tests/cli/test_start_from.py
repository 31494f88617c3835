"""Fine-tuning: a masked-language BERT and a language LSTM go on as classifiers."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from typer.testing import CliRunner, Result

from seqarena.arena.plan import Trial, search_trials
from seqarena.arena.prepare import Prepared, prepare
from seqarena.arena.requests import CompareRequest
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.options import build
from seqarena.models.any import build_model
from seqarena.models.catalog import architecture
from seqarena.models.model import Model
from seqarena.tasks import parse_task
from seqarena.tasks.registry import load_codec
from seqarena.tasks.text.classification import ClassificationTask
from seqarena.train import checkpoint
from seqarena.train.loop import Trainer
from seqarena.train.start import begin, divide

TEXT = "the good film was seen by a good few\nnobody has seen the bad film twice\n" * 40
SENTENCES = "pos a good film\nneg a bad film\npos good, good\nneg never a film\n"


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one step, and labelled sentences."""
    place = tmp_path_factory.mktemp("tuning")
    (place / "text.txt").write_text(TEXT)
    (place / "sentences").mkdir()
    for name in ("train", "dev", "test"):
        (place / "sentences" / f"{name}.txt").write_text(SENTENCES)
    common = f"train {place}/text.txt --steps 1 --width 16 --length 24 --runs {place}".split()
    for task, model in (("masked_language", "bert"), ("language", "lstm")):
        result = call(*common, "--task", task, "--tokenizer", "byte", "--model", model,
                      "--name", model)  # fmt: skip
        assert result.exit_code == 0, result.output
    return place


def trainer_of(model: Model) -> Trainer:
    """As far as a start reads one."""
    return cast(Trainer, SimpleNamespace(model=model))


def checkpoint_of(run: Path) -> Path:
    (found,) = run.glob("trials/*/checkpoint")
    return found


def prepared(place: Path, model: str, *, tuned: bool = True) -> Prepared:
    source = checkpoint_of(place / model)
    config = parse_task(
        {"kind": "classification", "data": str(place / "sentences"), "reads_like": str(source)}
    )
    request = build(
        CompareRequest, {"steps": 1, "width": 16, "rates": (1e-3,), "seeds": 1, "runs": place}
    )
    start_from = source if tuned else None
    return prepare(request, config, [architecture(model)], start_from=start_from)


@pytest.mark.parametrize(("model", "head"), [("bert", "classifier"), ("lstm", "head")])
def test_the_body_is_taken_and_the_head_is_fresh(place: Path, model: str, head: str) -> None:
    plan = prepared(place, model).plan
    assert plan.start is not None
    source = checkpoint.load(checkpoint_of(place / model))
    torch.manual_seed(0)
    drawn, started = build_model(plan.entries[0].model), build_model(plan.entries[0].model)
    heads = {name: p.clone() for name, p in started.named_parameters() if name.startswith(head)}
    begin(trainer_of(started), plan.start)
    for name in plan.start.taken:
        assert torch.equal(started.get_parameter(name), source.tensors[name])
    assert heads
    for name, before in heads.items():
        assert name in plan.start.fresh
        assert torch.equal(started.get_parameter(name), before)
        assert started.get_parameter(name).shape[0] == 2  # classes
    assert {*plan.start.taken, *plan.start.fresh} == {name for name, _ in drawn.named_parameters()}
    # the body was trained for a step, so that it is not what is drawn
    assert not torch.equal(
        drawn.get_parameter(plan.start.taken[0]), source.tensors[plan.start.taken[0]]
    )


def test_the_text_is_read_as_the_language_model_read_it(place: Path) -> None:
    task = prepared(place, "bert").task
    assert isinstance(task, ClassificationTask)
    (batch,) = task.evaluation_batches("test", 8)
    assert batch.inputs_BT[0].tolist()[:11] == list(b"a good film")
    assert task.problem.vocab_size == 257  # the bytes and the mask
    codec = load_codec(task.config, task.artifacts())
    assert torch.equal(codec.encode(["a good film"]).inputs_BT[0], batch.inputs_BT[0, :11])


def test_the_hash_knows_the_weights(place: Path) -> None:
    tuned, plain = prepared(place, "bert").plan, prepared(place, "bert", tuned=False).plan
    (first,), (second,) = (search_trials(p, p.entries[0], {}, True) for p in (tuned, plain))
    assert first.hash != second.hash
    assert first.start is not None
    fields = first.model_dump(mode="json")
    moved, changed = (
        Trial(**{**fields, "start": {**fields["start"], **update}})
        for update in ({"checkpoint": "elsewhere"}, {"sha256": "0" * 64})
    )
    assert moved.hash == first.hash
    assert changed.hash != first.hash


def test_train_says_and_records_what_it_starts_from(place: Path) -> None:
    words = ("train", place / "sentences", "--task", "classification", "--steps", 1, "--runs",
             place, "--start-from", place / "bert", "--name", "tuned")  # fmt: skip
    result = call(*words)
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "tensors are its (tokens, positions, segments, norm, stack)" in output
    assert "4 are fresh (pooler, classifier)" in output
    (records,) = (place / "tuned").glob("trials/*/records.jsonl")
    first = json.loads(records.read_text().splitlines()[0])
    manifest = json.loads((checkpoint_of(place / "bert") / "manifest.json").read_text())
    assert first["started_from"] == manifest["model.safetensors"]
    answer = call("predict", place / "tuned", "a good film")
    assert answer.output.split("\t")[0] in ("pos", "neg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--task classification --width 32", "--width is that of the run that --start-from names"),
        ("--task classification --model lstm", "holds a model named bert: leave --model lstm out"),
        ("--task question_answering", "does not read its inputs by the same vocabulary"),
    ],
)
def test_what_cannot_start(place: Path, words: str, message: str) -> None:
    data = [place / "sentences"] if "classification" in words else []
    result = call("train", *data, *words.split(), "--start-from", place / "bert", "--steps", 1)
    assert result.exit_code == 2, result.output
    assert message in str(result.exception or "") + " ".join(result.output.split())


def test_another_width_is_one_line(place: Path) -> None:
    source = checkpoint.load(checkpoint_of(place / "bert"))
    config = prepared(place, "bert").plan.entries[0].model
    wider = build_model(config.model_copy(update={"width": 32}))
    with pytest.raises(UserError, match=r"'tokens\.weight' is 257 x 16 there and 257 x 32 here"):
        divide(wider, source)


def test_inputs_beyond_the_learnt_positions(place: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(SENTENCES + "pos " + 30 * "x" + "\n")
    result = call("train", tmp_path, "--task", "classification", "--steps", 1,
                  "--start-from", place / "bert")  # fmt: skip
    assert result.exit_code == 2
    assert (
        "the model to start from knows 24 positions, and this task's longest input has 30"
        in " ".join(result.output.split())
    )


def test_changed_weights_are_found(place: Path) -> None:
    plan = prepared(place, "lstm").plan
    assert plan.start is not None
    model = build_model(plan.entries[0].model)
    with pytest.raises(UserError, match="have changed since this training was planned"):
        begin(trainer_of(model), plan.start.model_copy(update={"sha256": "0" * 64}))
