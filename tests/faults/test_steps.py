"""Steps that would write a number that is not finite, and steps for which memory is too small."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqarena.arena.plan import Trial
from seqarena.arena.trial import run_trial
from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.results.records import StepRecord, read_records
from seqarena.models.build import build, model_config
from seqarena.models.catalog import architecture
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import MOST_SKIPPED, Trainer, WeightBound

ALLOCATORS = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    MemoryError(),
)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "text.txt"
    path.write_text("Some foxes jump over some lazy dogs. " * 100)
    return path


@pytest.fixture(scope="module")
def task(text: Path) -> Task:
    return build_task(parse_task({"kind": "language", "data": str(text), "sequence_length": 16}))


def trainer(task: Task, *, may_split: bool = False, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    fields = {"budget": Budget(steps=8), "batch_size": 4, **settings}
    model = build("gru", vocab_size=task.vocab_size, width=16)
    return Trainer(model, task, TrainConfig(**fields), may_split=may_split)


def state(training: Trainer) -> list[Tensor]:
    """Weights and moments, as they are."""
    moments = [value for one in training.optimizer.state.values() for value in one.values()]
    return [x.detach().clone() for x in (*training.model.parameters(), *moments)]


def spoil(training: Trainer, value: float, steps: set[int]) -> None:
    """Makes one gradient `value` in these steps, from 0; the loss stays what it is."""

    def hook(gradient: Tensor) -> Tensor:
        if training.progress.step in steps:
            gradient = gradient.clone()
            gradient.view(-1)[0] = value
        return gradient

    next(training.model.parameters()).register_hook(hook)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_step_whose_gradient_is_not_finite_is_skipped(value: float, task: Task) -> None:
    training = trainer(task)
    spoil(training, value, {2, 3, 5})
    for step in range(8):
        before = state(training)
        record = next(training.steps())
        assert math.isfinite(record.loss_nats)
        assert record.skipped == (step in {2, 3, 5})
        same = all(torch.equal(a, b) for a, b in zip(before, state(training)))
        assert same == record.skipped
    assert training.progress.skipped == 3
    assert not training.diverged


def test_steps_beside_a_skipped_one_are_what_they_were(task: Task) -> None:
    whole, spoiled = trainer(task), trainer(task)
    spoil(spoiled, math.inf, {7})
    pairs = list(zip(whole.steps(), spoiled.steps(), strict=True))
    assert all(a.loss_nats == b.loss_nats for a, b in pairs)


def test_three_in_a_row_end_it_with_the_last_good_weights(task: Task, tmp_path: Path) -> None:
    training = trainer(task)
    spoil(training, math.inf, {3, 4, 5})
    good: list[Tensor] = []
    records = []
    for record in training.steps():
        records.append(record)
        if record.step == 3:
            good = state(training)
    assert [record.skipped for record in records] == [False] * 3 + [True] * MOST_SKIPPED
    assert training.diverged
    assert all(torch.equal(a, b) for a, b in zip(good, state(training), strict=True))
    checkpoint.save(tmp_path / "checkpoint", training, {})
    again = trainer(task)
    checkpoint.resume(again, tmp_path / "checkpoint")
    assert again.diverged
    assert again.progress.skipped == MOST_SKIPPED
    assert list(again.steps()) == []


@pytest.mark.parametrize(
    ("weight", "norm", "rate", "finite"),
    [
        (1.0, 1.0, 1e-3, True),
        (1.0, math.inf, 1e-3, False),
        (1.0, 2e19, 1e-3, False),  # its square is no float32
        (1.0, 1e18, 1e-3, True),
        (1e38, 1.0, 1e-3, True),
        (1e38, 1.0, 1e2, False),  # the weight decay alone takes it out of the range
        (1.0, 1.0, 1e35, False),
        (math.nan, 1.0, 1e-3, False),
    ],
)
def test_a_value_that_could_leave_the_range_is_seen(
    weight: float, norm: float, rate: float, finite: bool
) -> None:
    model: Any = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.fill_(weight)
    model.weight.grad = torch.ones_like(model.weight)
    unclipped = OptimizerConfig(clip_norm=0.0)
    bound = WeightBound(list(model.parameters()), unclipped)
    assert bound.allow(norm, rate) == finite


def test_the_bound_on_the_weights_follows_them_and_is_renewed() -> None:
    model = nn.Linear(2, 2)
    bound = WeightBound(list(model.parameters()), OptimizerConfig(weight_decay=0.1))
    assert bound.allow(1.0, 1e30)  # the bound is 1e34 from now on
    with torch.no_grad():
        model.weight.fill_(1e30)  # more than a step can do
    assert bound.allow(1.0, 1e-3)  # it is not looked at: the bound holds
    assert not bound.allow(1.0, 1e10)  # now it is, and 1e30 decays by more than the range
    with torch.no_grad():
        model.weight.fill_(1.0)
    assert bound.allow(1.0, 1e10)


def test_gradients_without_bound_never_reach_the_moments(task: Task) -> None:
    training = trainer(task, optimizer=OptimizerConfig(clip_norm=0.0))
    spoil(training, 3e19, {1, 4})
    list(training.steps())
    assert training.progress.skipped == 2
    assert all(torch.isfinite(x).all() for x in state(training))


def test_a_trial_that_diverges_says_so_and_keeps_good_weights(text: Path, tmp_path: Path) -> None:
    config = parse_task({"kind": "language", "data": str(text), "sequence_length": 16})
    built = build_task(config)
    model = model_config(architecture("gru"), built.problem, params=None, width=16, depth=None)
    training = TrainConfig(
        budget=Budget(steps=40), batch_size=4,
        optimizer=OptimizerConfig(learning_rate=1e30, warmup_fraction=0.0),
    )  # fmt: skip
    trial = Trial(
        architecture="gru", model=model, parameters=1, task=config.model_dump(mode="json"),
        task_digest=built.digest(), training=training, threads=1, code="",
    )  # fmt: skip
    result = run_trial(trial, tmp_path / "trial")
    assert (result.status, result.test_value) == ("diverged", None)
    assert result.skipped_steps >= MOST_SKIPPED
    steps = [r for r in read_records(tmp_path / "trial/records.jsonl") if isinstance(r, StepRecord)]
    assert sum(step.skipped for step in steps) == result.skipped_steps
    weights = checkpoint.load(tmp_path / "trial" / "checkpoint").tensors.values()
    assert all(torch.isfinite(weight).all() for weight in weights)
    assert run_trial(trial, tmp_path / "trial") == result


def scarce(training: Trainer, room: int, error: Exception) -> list[int]:
    """Memory for `room` sequences at a time; the sizes that were tried."""
    tried: list[int] = []
    loss = training._loss

    def limited(batch: Batch) -> Tensor:
        tried.append(len(batch.inputs_BT))
        if len(batch.inputs_BT) > room:
            raise error
        return loss(batch)

    training._loss = limited
    return tried


@pytest.mark.parametrize("error", ALLOCATORS, ids=["cuda", "linux", "windows", "python"])
def test_out_of_memory_halves_the_pieces_and_changes_no_loss(error: Exception, task: Task) -> None:
    training = trainer(task, may_split=True, batch_size=8)
    tried = scarce(training, 2, error)
    found = list(training.steps())
    expected = list(trainer(task, batch_size=8).steps())
    assert tried[:3] == [8, 4, 2]
    assert {record.pieces for record in found} == {4}
    assert [r.loss_nats for r in found] == pytest.approx([r.loss_nats for r in expected], abs=2e-6)


def test_pieces_are_those_of_the_run_that_goes_on(task: Task, tmp_path: Path) -> None:
    first = trainer(task, may_split=True, batch_size=8)
    scarce(first, 2, ALLOCATORS[0])
    steps = first.steps()
    next(steps)
    checkpoint.save(tmp_path / "checkpoint", first, {})
    again = trainer(task, may_split=True, batch_size=8)
    checkpoint.resume(again, tmp_path / "checkpoint")
    rest = list(again.steps())
    assert [r.loss_nats for r in rest] == [r.loss_nats for r in steps]
    assert {record.pieces for record in rest} == {4}


def test_pieces_weigh_by_what_they_ask(task: Task) -> None:
    """Rows that ask for unlike numbers of targets, one of them for none: the gradient is that of
    the whole batch."""
    gradients = []
    for pieces in (1, 2, 3, 4):
        training = trainer(task, batch_size=4)
        training.progress.pieces = pieces
        batch = task.training_batch(0, 4, seed=0)
        for row, asked in enumerate((16, 0, 3, 1)):
            batch.targets_BT[row, asked:] = -100
        loss = training._gradients(batch)
        gradients.append([loss, *(p.grad.double() for p in training.model.parameters())])
    for found in gradients[1:]:
        assert found[0] == pytest.approx(gradients[0][0], abs=1e-6)
        for a, b in zip(found[1:], gradients[0][1:], strict=True):
            assert torch.allclose(a, b, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "room", "words"),
    [
        (lambda task: trainer(task, may_split=True), 0, "of one sequence: choose a smaller"),
        (lambda task: trainer(task), 2, "of 4 sequences: .* --length or --batch"),
    ],
    ids=["one sequence", "a measured step"],
)
def test_memory_for_nothing_is_one_line(
    make: Callable[[Task], Trainer], room: int, words: str, task: Task
) -> None:
    training = make(task)
    scarce(training, room, ALLOCATORS[1])
    with pytest.raises(UserError, match=f"memory ran out in a training step {words}"):
        next(training.steps())


def test_other_errors_are_no_want_of_memory(task: Task) -> None:
    training = trainer(task, may_split=True)
    scarce(training, 2, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        next(training.steps())


def test_an_evaluation_in_smaller_batches_scores_the_same(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parse_task({"kind": "language", "data": str(text), "sequence_length": 16})
    built = build_task(config)
    model = model_config(architecture("gru"), built.problem, params=None, width=16, depth=None)
    trial = Trial(
        architecture="gru", model=model, parameters=1, task=config.model_dump(mode="json"),
        task_digest=built.digest(), training=TrainConfig(budget=Budget(steps=4), batch_size=4),
        threads=1, code="",
    )  # fmt: skip
    whole = run_trial(trial, tmp_path / "whole")
    predict = Trainer.predict

    def limited(self: Trainer, batch: Batch) -> Tensor:
        if len(batch.inputs_BT) > 40:
            raise ALLOCATORS[0]
        return predict(self, batch)

    monkeypatch.setattr(Trainer, "predict", limited)
    pieces = run_trial(trial, tmp_path / "pieces")
    assert pieces.test_value == pytest.approx(whole.test_value, abs=1e-6)
    assert pieces.validation_value == pytest.approx(whole.validation_value, abs=1e-6)


def test_the_model_of_a_damaged_checkpoint_is_refused(task: Task, tmp_path: Path) -> None:
    """Files that are no safetensors or describe nothing, with the right sums in the manifest."""
    place = tmp_path / "checkpoint"
    for name, content in (
        ("model.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"),
        ("model.safetensors", b""),
        ("optimizer.safetensors", b"version https://git-lfs.github.com/spec/v1"),
        ("about.json", b"[]"),
        ("about.json", b'{"format":1,"model":{"width":"x"},"progress":{}}'),
    ):
        training = trainer(task)
        next(training.steps())
        checkpoint.save(place, training, {})
        (place / name).write_bytes(content)
        sums = {file: checkpoint._sha256(place / file) for file in checkpoint._FILES}
        (place / "manifest.json").write_text(str(sums).replace("'", '"'))
        with pytest.raises(UserError, match=name):
            checkpoint.resume(trainer(task), place)
