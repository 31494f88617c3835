"""One trial: build, resume, train, evaluate, record. The same in this process or in a worker."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from seqarena.arena.folder import last_result
from seqarena.arena.plan import Trial
from seqarena.core import runtime
from seqarena.core.malloc import keep_freed_memory
from seqarena.core.results.records import (
    EvaluationRecord,
    Provenance,
    ResultRecord,
    StepRecord,
    read_records,
)
from seqarena.jobs.files import locked, write_atomically
from seqarena.jobs.job import Stopped
from seqarena.models.any import build_model
from seqarena.tasks.base import Split, Task
from seqarena.tasks.prepared import load_prepared
from seqarena.tasks.registry import parse_task
from seqarena.train import checkpoint
from seqarena.train.loop import Trainer
from seqarena.train.start import begin

CHECKPOINT_SECONDS = 20.0
EVALUATION_TOKENS = 8_192  # tokens that one evaluation batch holds at most
VALIDATION_BATCHES = 1  # of a point of the curve; the last one uses the whole split


class TrialProgress(NamedTuple):
    """What a trial says of itself after a step."""

    share: float
    loss_nats: float
    tokens_per_second: float
    validation_value: float | None

    @property
    def words(self) -> str:
        """For a display."""
        return f"loss {self.loss_nats:.3f}  {self.tokens_per_second:,.0f} tokens/s"


def run_trial_job(
    trial: dict[str, Any], folder: str, prepared: str, watch: Callable[[TrialProgress], bool]
) -> ResultRecord:
    """`run_trial` with JSON arguments, as a job calls it."""
    return run_trial(
        Trial.model_validate(trial), Path(folder), prepared=Path(prepared), watch=watch
    )


def run_trial(
    trial: Trial,
    folder: Path,
    *,
    prepared: Path | None = None,
    watch: Callable[[TrialProgress], bool] = lambda progress: True,
) -> ResultRecord:
    """Runs the trial in its folder to the end, from its checkpoint where there is one.

    `prepared` is where the task's data may lie (tasks/prepared.py). `watch` is called after every
    step and answers whether to go on; when it says no, the state is saved and Stopped is raised. A
    finished trial returns its result and computes nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        locked(folder / ".lock", wait=True),  # for an orphan of a killed run to let go
        runtime.limited_threads(trial.threads),
    ):
        records_path = folder / "records.jsonl"
        finished = last_result(records_path)
        if finished is not None:
            return finished
        write_atomically(folder / "trial.json", trial.model_dump_json(indent=1))
        runtime.flush_denormals()
        task = load_prepared(parse_task(trial.task), trial.task_digest, prepared)
        trainer = build_trainer(trial, task)
        if not checkpoint.resume(trainer, folder / "checkpoint") and trial.start is not None:
            begin(trainer.model, trial.start)
        _rewind(records_path, trainer.progress.step)
        with records_path.open("a", encoding="utf-8") as file:
            return _train(trial, trainer, folder, file, watch)


def about(trial: Trial, task: Task) -> dict[str, object]:
    """What a checkpoint tells `use` beside the model."""
    return {
        "architecture": trial.architecture,
        "parameters": trial.parameters,
        "task": trial.task,
        "task_digest": trial.task_digest,
        "artifacts": task.artifacts(),
        "code": trial.code,
        "start": None if trial.start is None else trial.start.model_dump(mode="json"),
    }


def evaluation_batch_size(task: Task) -> int:
    """Examples of one evaluation batch."""
    return max(1, EVALUATION_TOKENS // task.sequence_length)


def build_trainer(trial: Trial, task: Task) -> Trainer:
    """The trial's model and its training, before the first step."""
    torch.manual_seed(trial.training.seed)
    model = build_model(trial.model)
    model = model.to(trial.training.device, runtime.parameter_dtype(trial.training.dtype))
    return Trainer(model, task, trial.training)


def _train(
    trial: Trial,
    trainer: Trainer,
    folder: Path,
    file: IO[str],
    watch: Callable[[TrialProgress], bool],
) -> ResultRecord:
    facts = runtime.provenance(
        trial.training.device,
        trial.training.dtype,
        keep_freed_memory().name,
        trainer.model.algorithms,
    )
    if trial.start is not None:
        facts = facts.model_copy(update={"started_from": trial.start.sha256})
    _write(file, facts)
    evaluator = _Evaluator(trial, trainer)
    saved_at = time.monotonic()
    value: float | None = None
    before = trainer.share_done
    for record in trainer.steps():
        _write(file, record)
        if not math.isfinite(record.loss_nats):
            return _finish(trial, trainer, folder, file, None, None)
        if evaluator.is_due(before, trainer.share_done):
            evaluation = evaluator.validation(whole=trainer.share_done >= 1.0)
            value = evaluation.value
            _write(file, evaluation)
        before = trainer.share_done
        speed = trainer.progress.tokens / trainer.progress.training_seconds
        go_on = watch(TrialProgress(trainer.share_done, record.loss_nats, speed, value))
        if not go_on or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            checkpoint.save(folder / "checkpoint", trainer, about(trial, trainer.task))
            saved_at = time.monotonic()
            if not go_on:
                raise Stopped
    last = evaluator.validation(whole=True)
    test = evaluator.evaluate("test")
    _write(file, last)
    _write(file, test)
    return _finish(trial, trainer, folder, file, last.value, test.value)


def _finish(
    trial: Trial,
    trainer: Trainer,
    folder: Path,
    file: IO[str],
    validation_value: float | None,
    test_value: float | None,
) -> ResultRecord:
    checkpoint.save(folder / "checkpoint", trainer, about(trial, trainer.task))
    progress = trainer.progress
    result = ResultRecord(
        status="finished" if test_value is not None else "diverged",
        steps=progress.step,
        tokens=progress.tokens,
        training_seconds=progress.training_seconds,
        training_flops=progress.step * float(trainer.flops_per_step),
        parameters=trial.parameters,
        state_bytes=trainer.model.state_bytes(trainer.task.sequence_length),
        validation_value=validation_value,
        test_value=test_value,
    )
    _write(file, result)
    return result


class _Evaluator:
    """When and how a trial is evaluated."""

    def __init__(self, trial: Trial, trainer: Trainer) -> None:
        self.trainer = trainer
        self.count = trial.training.evaluations
        self.batch_size = evaluation_batch_size(trainer.task)

    def is_due(self, before: float, after: float) -> bool:
        """Whether training has just crossed one of the evenly spaced points, the end left out."""
        return after < 1.0 and int(after * self.count) > int(before * self.count)

    def validation(self, *, whole: bool) -> EvaluationRecord:
        return self.evaluate("validation", None if whole else VALIDATION_BATCHES)

    def evaluate(self, split: Split, max_batches: int | None = None) -> EvaluationRecord:
        trainer, task = self.trainer, self.trainer.task
        scores = task.evaluate(trainer.predict, split, self.batch_size, max_batches)
        return EvaluationRecord(
            step=trainer.progress.step,
            tokens=trainer.progress.tokens,
            split=split,
            metric=task.metric,
            value=scores.value,
            chunk_values=scores.chunk_values if max_batches is None else (),
            num_scored=scores.num_scored,
            slices=scores.slices if max_batches is None else {},
        )


def _rewind(path: Path, step: int) -> None:
    """Drops what was recorded after the checkpoint: those steps are taken again."""
    if not path.exists():
        return
    kept = [
        record
        for record in read_records(path)
        if isinstance(record, Provenance)
        or (isinstance(record, StepRecord | EvaluationRecord) and record.step <= step)
    ]
    write_atomically(path, "".join(record.model_dump_json() + "\n" for record in kept))


def _write(file: IO[str], record: object) -> None:
    file.write(record.model_dump_json() + "\n")  # pyright: ignore[reportAttributeAccessIssue]
    file.flush()
