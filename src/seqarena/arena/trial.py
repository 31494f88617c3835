"""One trial: build, resume, train, evaluate, record. The same in this process or in a worker."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch
from torch import Tensor

from seqarena.arena.folder import last_result
from seqarena.arena.plan import Trial
from seqarena.core import runtime
from seqarena.core.batch import Batch
from seqarena.core.config import Config
from seqarena.core.errors import UserError, is_out_of_memory, naming
from seqarena.core.malloc import keep_freed_memory
from seqarena.core.products import library, multiplying
from seqarena.core.results.lines import signed
from seqarena.core.results.records import (
    EvaluationRecord,
    Provenance,
    ResultRecord,
    StepRecord,
    read_records,
)
from seqarena.core.user_code import allow, own_digests, own_places
from seqarena.jobs.files import locked, sweep, write_atomically, write_signed
from seqarena.jobs.job import Stopped
from seqarena.models.any import build_model
from seqarena.tasks.base import Scores, Split, Task
from seqarena.tasks.prepared import load_prepared
from seqarena.tasks.registry import parse_task
from seqarena.train import checkpoint
from seqarena.train.loop import Trainer
from seqarena.train.start import begin, prepare_model, resume_training

CHECKPOINT_SECONDS = 20.0
EVALUATION_TOKENS = 8_192  # tokens that one evaluation batch holds at most
VALIDATION_BATCHES = 1  # of a point of the curve; the last one uses the whole split


class TrialProgress(NamedTuple):
    """What a trial says of itself after a step, and while it evaluates."""

    share: float
    loss_nats: float | None  # of the last step; None before the first
    tokens_per_second: float
    validation_value: float | None

    @property
    def words(self) -> str:
        """For a display."""
        if self.loss_nats is None:
            return "evaluating"
        return f"loss {self.loss_nats:.3f}  {self.tokens_per_second:,.0f} tokens/s"


def run_trial_job(
    trial: dict[str, Any], folder: str, prepared: str, watch: Callable[[TrialProgress], bool]
) -> ResultRecord:
    """`run_trial` with JSON arguments, as a job calls it."""
    for place, digest in own_places([trial["model"], trial["task"]]):
        allow(place, digest)  # the process that sent this job was allowed to run it
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
    step and every evaluated batch and answers whether to go on; when it says no, the state is saved
    and Stopped is raised. A finished trial returns its result and computes nothing.

    Raises UserError for damaged records or a damaged checkpoint, and where memory runs out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        locked(folder / ".lock", wait=True),  # for an orphan of a killed run to let go
        runtime.limited_threads(trial.threads),
        multiplying(trial.products),
    ):
        sweep(folder)
        finished = last_result(folder / "records.jsonl")
        if finished is not None:
            return finished
        write_signed(folder / "trial.json", trial.model_dump_json(indent=1))
        runtime.flush_denormals()
        try:
            return _run_unfinished(trial, folder, prepared, watch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(
                f"memory ran out: choose a smaller --params, --length or --batch ({error})"
            ) from error


def _run_unfinished(
    trial: Trial, folder: Path, prepared: Path | None, watch: Callable[[TrialProgress], bool]
) -> ResultRecord:
    task = load_prepared(parse_task(trial.task), trial.task_digest, prepared)
    trainer = build_trainer(trial, task)
    resumed = resume_training(trainer, folder / "checkpoint", trial.start)
    if not resumed and trial.start is not None:
        begin(trainer, trial.start)
    path = folder / "records.jsonl"
    _rewind(path, trainer)
    with naming(path), path.open("a", encoding="utf-8", newline="\n") as file:
        return _Training(trial, trainer, folder, file, watch).run()


def about(trial: Trial, task: Task) -> dict[str, object]:
    """What a checkpoint tells `use` beside the model."""
    return {
        "architecture": trial.architecture,
        "parameters": trial.parameters,
        "task": trial.task,
        "task_digest": trial.task_digest,
        "artifacts": task.artifacts(),
        "code": trial.code,
        "products": trial.products,
        "own_code": own_digests(trial.model.model_dump(mode="json"), trial.task),
        "start": None if trial.start is None else trial.start.model_dump(mode="json"),
    }


def evaluation_batch_size(task: Task) -> int:
    """Examples of one evaluation batch."""
    return max(1, EVALUATION_TOKENS // task.sequence_length)


def build_trainer(trial: Trial, task: Task) -> Trainer:
    """The trial's model and its training, before the first step."""
    torch.manual_seed(trial.training.seed)
    model = build_model(trial.model)
    prepare_model(model, trial.start)
    model = model.to(trial.training.device, runtime.parameter_dtype(trial.training.dtype))
    return Trainer(model, task, trial.training, may_split=True)


class _Training:
    """What is left of a trial, from where its trainer is."""

    def __init__(
        self,
        trial: Trial,
        trainer: Trainer,
        folder: Path,
        file: IO[str],
        watch: Callable[[TrialProgress], bool],
    ) -> None:
        self.trial, self.trainer, self.folder, self.file = trial, trainer, folder, file
        self.watch = watch
        self.batch_size = evaluation_batch_size(trainer.task)
        self.loss_nats: float | None = None  # of the last step
        self.value: float | None = None  # of the last evaluation on validation
        self.saved_at = time.monotonic()

    def run(self) -> ResultRecord:
        trainer, progress = self.trainer, self.trainer.progress
        self._write(_provenance(self.trial, trainer))
        if progress.evaluation_due:
            self._validate()
        before = trainer.share_done
        for record in trainer.steps():
            self._write(record)
            self.loss_nats = record.loss_nats
            if not trainer.diverged and self._is_due(before, trainer.share_done):
                self._validate()
            before = trainer.share_done
            self._go_on()
            if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
                self._save()
        self._save()
        if trainer.diverged:
            return self._finish(None, None)
        validation, test = self._evaluate("validation"), self._evaluate("test")
        self._write(validation)
        self._write(test)
        for record in trainer.task.shown(self._predict):
            self._write(record)
        return self._finish(validation.value, test.value)

    def _go_on(self) -> None:
        """Says how far it is. Raises Stopped, with the state saved, when that is asked for."""
        seconds = self.trainer.progress.training_seconds
        speed = self.trainer.progress.tokens / seconds if seconds else 0.0
        share = self.trainer.share_done
        if not self.watch(TrialProgress(share, self.loss_nats, speed, self.value)):
            self._save()
            raise Stopped

    def _save(self) -> None:
        checkpoint.save(
            self.folder / "checkpoint", self.trainer, about(self.trial, self.trainer.task)
        )
        self.saved_at = time.monotonic()

    def _is_due(self, before: float, after: float) -> bool:
        """Whether training has just crossed one of the evenly spaced points, the end left out."""
        count = self.trial.training.evaluations
        return after < 1.0 and int(after * count) > int(before * count)

    def _validate(self) -> None:
        """A point of the curve. Broken off, it is due again when the trial goes on."""
        self.trainer.progress.evaluation_due = True
        evaluation = self._evaluate("validation", VALIDATION_BATCHES)
        self.trainer.progress.evaluation_due = False
        self.value = evaluation.value
        self._write(evaluation)

    def _evaluate(self, split: Split, max_batches: int | None = None) -> EvaluationRecord:
        scores = self._scores(split, max_batches)
        return EvaluationRecord(
            step=self.trainer.progress.step,
            tokens=self.trainer.progress.tokens,
            split=split,
            metric=self.trainer.task.metric,
            value=scores.value,
            chunk_values=scores.chunk_values if max_batches is None else (),
            num_scored=scores.num_scored,
            slices=scores.slices if max_batches is None else {},
        )

    def _scores(self, split: Split, max_batches: int | None) -> Scores:
        """The metric, in smaller batches where memory runs out: it does not depend on them, and
        the number of examples stays what it was."""
        size = self.batch_size
        while True:
            batches = None if max_batches is None else max_batches * self.batch_size // size
            try:
                return self.trainer.task.evaluate(self._predict, split, size, batches)
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
            size = next(part for part in range(size // 2, 0, -1) if self.batch_size % part == 0)
            runtime.free_memory()

    def _predict(self, batch: Batch) -> Tensor:
        self._go_on()
        return self.trainer.predict(batch)

    def _finish(self, validation_value: float | None, test_value: float | None) -> ResultRecord:
        trainer, progress = self.trainer, self.trainer.progress
        unknown = trainer.model.unknown_costs
        result = ResultRecord(
            status="diverged" if test_value is None else "finished",
            steps=progress.step,
            tokens=progress.tokens,
            training_seconds=progress.training_seconds,
            training_flops=None
            if "flops" in unknown
            else progress.step * float(trainer.flops_per_step),
            parameters=self.trial.parameters,
            state_bytes=None
            if "state_bytes" in unknown
            else trainer.model.state_bytes(trainer.task.sequence_length),
            validation_value=validation_value,
            test_value=test_value,
            skipped_steps=progress.skipped,
            pieces=progress.pieces,
        )
        self._write(result)
        return result

    def _write(self, record: Config) -> None:
        self.file.write(signed(record.model_dump_json()) + "\n")
        self.file.flush()


def _provenance(trial: Trial, trainer: Trainer) -> Provenance:
    facts = runtime.provenance(
        trial.training.device,
        trial.training.dtype,
        keep_freed_memory().name,
        library(),
        trainer.model.algorithms,
    )
    if trial.start is not None:
        facts = facts.model_copy(update={"started_from": trial.start.sha256})
    return facts


def _rewind(path: Path, trainer: Trainer) -> None:
    """Drops what was recorded after the checkpoint: those steps are taken again, and so are the
    last evaluations."""
    if not path.exists():
        return
    step = trainer.progress.step
    last_evaluated = step - 1 if trainer.share_done >= 1.0 else step

    def stays(record: object) -> bool:
        if isinstance(record, EvaluationRecord):
            return record.step <= last_evaluated
        return isinstance(record, Provenance) or (
            isinstance(record, StepRecord) and record.step <= step
        )

    kept = [record for record in read_records(path) if stays(record)]
    write_atomically(path, "".join(signed(one.model_dump_json()) + "\n" for one in kept))
