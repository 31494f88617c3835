"""The training loop: a generator of step records. It logs nothing and saves nothing itself.

A step is a function of (seed, step): the batch, the dropout masks and the learning rate follow
from them, so that a run resumed from a checkpoint goes on exactly as if it had never stopped.

A step that would write a number that is not finite is skipped: weights and optimizer stay as they
were, and the next batch is taken. MOST_SKIPPED such steps in a row end the training; what it leaves
is the last good state.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, asked, map_batch, num_tokens
from seqarena.core.errors import UserError, is_out_of_memory
from seqarena.core.results.records import StepRecord
from seqarena.core.runtime import (
    COMPILATION,
    autocast,
    flush_denormals,
    free_memory,
    seed_generators,
)
from seqarena.core.shapes import map_state
from seqarena.models.model import Model
from seqarena.models.search import greedy
from seqarena.tasks.base import Task
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.optimizer import (
    add_gradient_noise,
    build_optimizer,
    clip_gradients,
    learning_rate_at,
)

MOST_SKIPPED = 3
_LARGEST_STEP = 1e4  # of a parameter, in learning rates: beyond what AdamW and AdaMax can do


@dataclass
class TrainingProgress:
    """Where training is; with the weights and the optimizer it is all of the state."""

    step: int = 0
    tokens: int = 0
    training_seconds: float = 0.0
    skipped: int = 0  # steps that would have written a number that is not finite
    skipped_in_a_row: int = 0  # up to now
    pieces: int = 1  # that a batch is computed in: more than `accumulation` once memory ran out
    evaluation_due: bool = False  # the evaluation after this step was broken off


class Trainer:
    """A model, its optimizer and its progress. Its process flushes denormals."""

    def __init__(
        self, model: Model, task: Task, config: TrainConfig, *, may_split: bool = False
    ) -> None:
        """`may_split`: where memory runs out, a batch is computed in twice as many pieces, with the
        same loss; else that is an error, as it must be where a step is measured."""
        flush_denormals()
        self.may_split = may_split
        self.model = model
        self.task = task
        self.config = config
        self.optimizer = build_optimizer(model, config.optimizer)
        self.progress = TrainingProgress(pieces=config.accumulation)
        length = max(1, round(task.mean_length))  # of an example, for the budget
        self.flops_per_step = config.batch_size * model.training_flops(length)
        self.total_steps = config.budget.total_steps(
            config.batch_size * max(1, round(task.mean_tokens)),
            self.flops_per_step,
            task.steps_per_epoch(config.batch_size),
        )
        self.carried: Any = (
            None  # state at the end of the last batch, where the task goes on from it
        )
        self.criterion = partial(task.loss, label_smoothing=config.label_smoothing)
        # found once: to walk through the modules takes a twentieth of a small model's step
        self._parameters = list(model.parameters())
        self._weights = WeightBound(self._parameters, config.optimizer)

    @property
    def share_done(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        if self.total_steps is not None:
            return min(1.0, self.progress.step / self.total_steps)
        assert self.config.budget.seconds is not None
        return min(1.0, self.progress.training_seconds / self.config.budget.seconds)

    @property
    def diverged(self) -> bool:
        """Whether so many steps in a row were skipped that training has ended."""
        return self.progress.skipped_in_a_row >= MOST_SKIPPED

    def steps(self) -> Iterator[StepRecord]:
        """One record a step until the budget is spent or training has diverged."""
        while self.share_done < 1.0 and not self.diverged:
            start, compiling = time.perf_counter(), COMPILATION.seconds
            record = self._step()
            compiling = COMPILATION.seconds - compiling
            self.progress.training_seconds += time.perf_counter() - start - compiling
            yield record.model_copy(update={"training_seconds": self.progress.training_seconds})

    def predict(self, batch: Batch) -> Tensor:
        """What a task evaluates: logits for a batch, or what the model writes, without gradients
        and in evaluation mode (see Task.evaluate)."""
        self.model.eval()
        batch = to_device(batch, self.config.device)
        with torch.inference_mode(), autocast(self.config.device, self.config.dtype):
            if self.task.generates:
                return greedy(self.model, batch, self.task.sequence_length).cpu()
            return self.model.answer(batch).cpu()

    def _step(self) -> StepRecord:
        progress, config = self.progress, self.config
        rate = learning_rate_at(self._share_at_step_end(), config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self.model.training:
            self.model.train()
        self.model.at_progress(self.share_done)
        batch = self.task.training_batch(progress.step, config.batch_size, seed=config.seed)
        batch = to_device(batch, config.device)
        carried = self.carried
        loss = self._gradients(batch)
        norm = clip_gradients(self._parameters, config.optimizer.clip_norm or math.inf)
        taken = math.isfinite(loss) and self._weights.allow(norm, rate)
        if taken:
            add_gradient_noise(self.model, progress.step, config.optimizer)
            self.optimizer.step()
            self.model.learn(batch)
        else:
            self.carried = carried
        progress.step += 1
        progress.tokens += num_tokens(batch)
        progress.skipped += not taken
        progress.skipped_in_a_row = 0 if taken else progress.skipped_in_a_row + 1
        return StepRecord(
            step=progress.step,
            tokens=progress.tokens,
            loss_nats=loss,
            gradient_norm=norm,
            learning_rate=rate,
            training_seconds=progress.training_seconds,
            skipped=not taken,
            pieces=progress.pieces,
        )

    def _gradients(self, batch: Batch) -> float:
        """The batch's gradients, in as many pieces as memory asks for; returns its loss.

        Raises UserError where memory is too small for the smallest pieces.
        """
        carried = self.carried
        while True:
            seed_generators(self.config.seed * 1_000_003 + self.progress.step, self.config.device)
            for parameter in self._parameters:
                parameter.grad = None
            self.carried = carried
            if not self.task.continues(self.progress.step, self.config.batch_size):
                self.carried = None
            try:
                return self._accumulate(batch)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                self._split_further(batch.inputs_BT.shape[0])
            free_memory()  # here: inside the handler the error still holds the failed step

    def _split_further(self, batch_size: int) -> None:
        """Twice as many pieces. Raises UserError where that cannot be."""
        size = math.ceil(batch_size / self.progress.pieces)
        carries = self.carried is not None or self.task.continues(
            self.progress.step + 1, self.config.batch_size
        )
        if not self.may_split or size == 1 or carries:
            self.optimizer.zero_grad(set_to_none=True)
            sequences = "one sequence" if size == 1 else f"{size} sequences"
            raise UserError(
                f"memory ran out in a training step of {sequences}: choose a smaller --params, "
                f"--length{'' if size == 1 else ' or --batch'}"
            )
        self.progress.pieces = math.ceil(batch_size / math.ceil(size / 2))

    def _accumulate(self, batch: Batch) -> float:
        """Backward over the batch in pieces; returns the batch's loss. A loss is a mean over what
        is asked, so that each piece weighs as much as it asks."""
        rows = batch.inputs_BT.shape[0]
        size = math.ceil(rows / self.progress.pieces)
        all_asked = int(asked(batch.targets_BT).sum()) if size < rows else 0
        total = 0.0
        for first in range(0, rows, size):
            piece = map_batch(lambda x, first=first: x[first : first + size], batch)
            weight = int(asked(piece.targets_BT).sum()) / all_asked if all_asked else 1.0
            if weight == 0:
                continue
            with autocast(self.config.device, self.config.dtype):
                loss = self._loss(piece) * weight
            loss.backward()
            total += float(loss.detach())
        return total

    def _loss(self, batch: Batch) -> Tensor:
        following = self.progress.step + 1
        if not (self.carried or self.task.continues(following, self.config.batch_size)):
            return self.model.loss(batch, self.criterion)
        if self.progress.pieces > 1:
            raise UserError("a state is carried over whole batches: use --accumulation 1")
        if not self.model.carries:
            reason = "grows with every token" if self.model.writes else "does not exist"
            raise UserError(
                f"the state of this architecture {reason}: it cannot be carried over a whole "
                "text; leave carry_state off"
            )
        logits_BTV, state = self.model.resume(batch, self.carried)
        self.carried = map_state(torch.detach, state)
        return self.criterion(logits_BTV, batch)

    def _share_at_step_end(self) -> float:
        if self.total_steps is not None:
            return (self.progress.step + 1) / self.total_steps
        return self.share_done


class WeightBound:
    """Whether the next step leaves finite numbers, from a bound on the weights: looking at them all
    took a tenth of a step. A weight moves by no more than its decay and _LARGEST_STEP learning
    rates; the weights are looked at when the bound, moved so far, could leave the range."""

    def __init__(self, weights: Sequence[nn.Parameter], config: OptimizerConfig) -> None:
        self._weights = [p.detach() for p in weights if p.requires_grad]
        self._config = config
        self._bound: float | None = None  # on the largest weight now; None: not looked at yet

    def allow(self, norm: float, rate: float) -> bool:
        """`norm` is that of all gradients before clipping; clipped, its square must be a number
        too, as the second moment is. A step that is allowed has to be taken."""
        if not self._weights or not math.isfinite(norm):
            return math.isfinite(norm)
        most = torch.finfo(self._weights[0].dtype).max
        if self._bound is None or not self._moved(self._bound, rate) < most:
            self._bound = float(torch.nn.utils.get_total_norm(self._weights, math.inf))
        moved = self._moved(self._bound, rate)
        if not (min(norm, self._config.clip_norm or math.inf) < math.sqrt(most) and moved < most):
            return False
        self._bound = moved
        return True

    def _moved(self, largest: float, rate: float) -> float:
        return largest * (1 + rate * self._config.weight_decay) + rate * _LARGEST_STEP


def to_device(batch: Batch, device: str) -> Batch:
    """The batch on a device; a batch on the CPU is returned as it is."""
    if device == "cpu":
        return batch
    return map_batch(lambda x: x.to(device, non_blocking=True), batch)
