"""One architecture on the bench: built at any length, trained and decoded on random inputs."""

from typing import NamedTuple, cast

from seqarena.core.batch import Batch, Problem, random_batch
from seqarena.core.runtime import parameter_dtype
from seqarena.measure.costs.costs import STEPS, RandomTask
from seqarena.measure.costs.speed import Decoder
from seqarena.measure.subject import Subject
from seqarena.models.model import Model
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.config import TrainConfig
from seqarena.train.loop import Trainer, to_device


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

    def trainer(self, model: Model, length: int) -> Trainer:
        """A training with AdamW that never leaves the first steps of its warm-up."""
        config = TrainConfig(
            budget=Budget(steps=STEPS),
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )
        task = RandomTask(self.problem(length), length)
        return Trainer(model, cast("Task", task), config)

    def decoder(self, model: Model, length: int) -> Decoder:
        """What takes the step that brings one sequence to `length` tokens."""
        return Decoder(model, self.batch(length, 1), self.device, self.dtype)

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

    def why_no_decoding(self, length: int) -> str | None:
        """Why the model cannot write a token at a time, if it cannot."""
        if self.subject.build(length).writes:
            return None
        if self.problem(length).form == "label":
            return "it gives one label for the whole input, and writes no tokens"
        if self.problem(length).form == "span":
            return "it points at a part of the input, and writes no tokens"
        return "it sees the whole input at once, and continues nothing"
