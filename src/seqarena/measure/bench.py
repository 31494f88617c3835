"""One architecture on the bench: built at any length, trained on random inputs, and what of it
would take too long or too much memory, predicted before it runs.

    T  length      a, b, c  bytes saved for the backward pass: a + b T + c T^2
"""

import os
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from seqarena.core.batch import Batch, Problem, random_batch
from seqarena.core.errors import UserError
from seqarena.core.runtime import autocast, parameter_dtype
from seqarena.measure.costs import STEPS, RandomTask
from seqarena.measure.speed import Decoder, PairsDecoder
from seqarena.measure.subject import Subject
from seqarena.models.causal_system import CausalSystem
from seqarena.models.language_model import LanguageModel
from seqarena.models.model import Model
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.loop import TrainConfig, Trainer, to_device


class Bench(NamedTuple):
    """What is measured and how. Device and dtype are resolved names."""

    subject: Subject
    batch_size: int = 1
    device: str = "cpu"
    dtype: str = "float32"

    def problem(self, length: int) -> Problem:
        """Inputs of this length, and sources of the same where there are any."""
        problem = self.subject.problem(length)
        if problem.form != "pairs":
            return problem
        return problem.model_copy(update={"max_source_length": length})

    def model(self, length: int) -> Model:
        model = self.subject.build(length)
        return model.to(self.device, parameter_dtype(self.dtype))

    def batch(self, length: int, batch_size: int | None = None) -> Batch:
        """Random inputs, on the device."""
        batch = random_batch(self.problem(length), batch_size or self.batch_size, length=length,
                             seed=0)  # fmt: skip
        return to_device(batch, self.device)

    def trainer(self, length: int) -> Trainer:
        """A training with AdamW that never leaves the first steps of its warm-up."""
        config = TrainConfig(
            budget=Budget(steps=STEPS),
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )
        task = RandomTask(self.problem(length), length)
        return Trainer(self.model(length), cast("Task", task), config)

    def decoder(self, model: Model, length: int) -> Decoder | PairsDecoder:
        """What takes the step that brings one sequence to `length` tokens."""
        if self.problem(length).form == "pairs":
            return PairsDecoder(model, self.batch(length, 1), length, self.device, self.dtype)
        return Decoder(cast("LanguageModel", model), length, self.device, self.dtype)

    def why_no_length(self, length: int) -> str | None:
        """Why the model cannot read inputs of this length, if it cannot."""
        problem = self.subject.problem(length)
        if problem.image is not None:
            height, width = problem.image
            if length != height * width:
                return f"it reads pictures of {height} x {width} pixels: length {height * width}"
        elif length > problem.max_length:
            return f"it was built for at most {problem.max_length:,} positions"
        return None

    def why_no_decoding(self, model: Model, length: int) -> str | None:
        """Why the model cannot write a token at a time, if it cannot."""
        form = self.problem(length).form
        if form == "label":
            return "it gives one label for the whole input, and writes no tokens"
        if form == "pairs" or isinstance(model, LanguageModel | CausalSystem):
            return None
        return "it sees the whole input at once, and continues nothing"


class TrainingBytes(NamedTuple):
    """Peak bytes of a training step as they are predicted: what AdamW holds for every parameter,
    and what the forward pass saves for the backward pass."""

    parameters: float  # weights, gradients and two moments
    saved: tuple[float, float, float]  # a, b, c
    counted_at: tuple[int, ...]  # lengths that a, b and c were found at

    def at(self, length: int) -> float:
        a, b, c = self.saved
        return self.parameters + a + b * length + c * length**2


def predict_training_bytes(bench: Bench, lengths: Sequence[int]) -> TrainingBytes:
    """The prediction for all `lengths`, from counting what is saved at three short ones."""
    places = _short_lengths(bench, lengths)
    counts = [saved_bytes(bench, length) for length in places]
    model = bench.model(places[0])
    held = 4 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    if len(places) < 3:
        return TrainingBytes(held, (counts[0], 0.0, 0.0), places)
    h, (one, two, three) = places[0], counts
    # where blocks are rounded up the bytes are no polynomial, and the bend may seem negative
    c = max(0.0, (three - 2 * two + one) / (2 * h**2))
    b = (three - two) / h - c * 5 * h
    return TrainingBytes(held, (three - b * 3 * h - c * 9 * h**2, b, c), places)


def saved_bytes(bench: Bench, length: int) -> int:
    """Bytes that one forward pass keeps for its backward pass: each storage once, without the
    parameters themselves."""
    trainer = bench.trainer(length)
    trainer.model.train()
    own = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself could hold its own graph alive

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, autocast(bench.device, bench.dtype):
        # held until the counting is done, so that no storage is given out twice
        loss = trainer.model.loss(bench.batch(length), trainer.criterion)
    del loss
    return sum(size for place, size in found.items() if place not in own)


def free_bytes(device: str) -> int:
    """Memory that could still be given out."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    if not hasattr(os, "sysconf"):
        raise UserError("this system does not tell its free memory: give limit_bytes")
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _short_lengths(bench: Bench, lengths: Sequence[int]) -> tuple[int, ...]:
    """Three evenly spaced ones, a sixteenth of the longest and on; what reads one length alone is
    counted there."""
    problem = bench.subject.problem(max(lengths))
    if problem.image is not None:
        return (problem.image[0] * problem.image[1],)
    longest = min(problem.max_length, max(lengths))
    first = max(1, min(64, longest // 16 if longest >= 128 else longest // 3))
    return (first, 2 * first, 3 * first) if 3 * first <= problem.max_length else (longest,)
