"""The training loop: a generator of step records. It logs nothing and saves nothing itself.

A step is a function of (seed, step): the batch, the dropout masks and the learning rate follow
from them, so that a run resumed from a checkpoint goes on exactly as if it had never stopped.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqarena.core.batch import Batch, map_batch, num_tokens
from seqarena.core.errors import UserError
from seqarena.core.records import StepRecord
from seqarena.core.runtime import autocast, flush_denormals, seed_generators
from seqarena.core.shapes import map_state
from seqarena.models.model import Model
from seqarena.models.search import greedy
from seqarena.tasks.base import Task
from seqarena.train.config import TrainConfig
from seqarena.train.optimizer import add_gradient_noise, build_optimizer, learning_rate_at


@dataclass
class TrainingProgress:
    """Where training stands; with the weights and the optimizer it is all of the state."""

    step: int = 0
    tokens: int = 0
    training_seconds: float = 0.0


class Trainer:
    """A model, its optimizer and its progress. Its process flushes denormals."""

    def __init__(self, model: Model, task: Task, config: TrainConfig) -> None:
        flush_denormals()
        self.model = model
        self.task = task
        self.config = config
        self.optimizer = build_optimizer(model, config.optimizer)
        self.progress = TrainingProgress()
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

    @property
    def share_done(self) -> float:
        """How much of the budget is spent, from 0 to 1."""
        if self.total_steps is not None:
            return min(1.0, self.progress.step / self.total_steps)
        assert self.config.budget.seconds is not None
        return min(1.0, self.progress.training_seconds / self.config.budget.seconds)

    def steps(self) -> Iterator[StepRecord]:
        """One record a step until the budget is spent. A loss that is not finite ends it."""
        while self.share_done < 1.0:
            start = time.perf_counter()
            record = self._step()
            self.progress.training_seconds += time.perf_counter() - start
            yield record.model_copy(update={"training_seconds": self.progress.training_seconds})
            if not math.isfinite(record.loss_nats):
                return

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
        seed_generators(config.seed * 1_000_003 + progress.step, config.device)
        rate = learning_rate_at(self._share_at_step_end(), config.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.model.at_progress(self.share_done)
        self.optimizer.zero_grad(set_to_none=True)
        if not self.task.continues(progress.step, config.batch_size):
            self.carried = None
        batch = self.task.training_batch(progress.step, config.batch_size, seed=config.seed)
        loss = self._accumulate(to_device(batch, config.device))
        limit = config.optimizer.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        add_gradient_noise(self.model, progress.step, config.optimizer)
        if math.isfinite(loss):
            self.optimizer.step()
        progress.step += 1
        progress.tokens += num_tokens(batch)
        return StepRecord(
            step=progress.step,
            tokens=progress.tokens,
            loss_nats=loss,
            gradient_norm=float(norm),
            learning_rate=rate,
            training_seconds=progress.training_seconds,
        )

    def _accumulate(self, batch: Batch) -> float:
        """Backward over the batch in pieces; returns the mean loss, weighted by piece."""
        size = math.ceil(batch.inputs_BT.shape[0] / self.config.accumulation)
        total = 0.0
        for first in range(0, batch.inputs_BT.shape[0], size):
            piece = map_batch(lambda x, first=first: x[first : first + size], batch)
            weight = piece.inputs_BT.shape[0] / batch.inputs_BT.shape[0]
            with autocast(self.config.device, self.config.dtype):
                loss = self._loss(piece) * weight
            loss.backward()
            total += float(loss.detach())
        return total

    def _loss(self, batch: Batch) -> Tensor:
        following = self.progress.step + 1
        if not (self.carried or self.task.continues(following, self.config.batch_size)):
            return self.model.loss(batch, self.criterion)
        if self.config.accumulation > 1:
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


def to_device(batch: Batch, device: str) -> Batch:
    """The batch on a device; a batch on the CPU is returned as it is."""
    if device == "cpu":
        return batch
    return map_batch(lambda x: x.to(device, non_blocking=True), batch)
