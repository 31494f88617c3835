"""The costs of one architecture on random inputs, while no trial runs on the machine.

What is asked of a model does not change what it costs, so that no task is needed. What is counted
is exact. A timing is taken once and with a fresh model; who calls takes turns between
architectures, so that what disturbs the machine hits all alike (arena/costs.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch

from seqarena.core.batch import Batch, Problem, num_tokens, random_batch
from seqarena.core.cores import LoadWatch
from seqarena.core.errors import UserError
from seqarena.core.products import multiplying
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.core.results.quantities import COSTS, quantity
from seqarena.core.runtime import autocast, limited_threads, parameter_dtype
from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.costs.memory import peak_bytes
from seqarena.measure.costs.speed import Decoder, repeat, time_decoding, time_training
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.model import Model
from seqarena.tasks.base import Task
from seqarena.tasks.transcript_loss import criterion_of
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer, to_device

# So long that no measurement leaves the first steps of the warm-up: weights hardly move, and no
# learning rate makes them diverge.
STEPS = 10_000_000


class RandomTask(NamedTuple):
    """As much of a task as training needs: random examples of a problem."""

    problem: Problem
    mean_length: int
    generates: bool = False

    @property
    def mean_tokens(self) -> int:
        return self.mean_length

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        return random_batch(self.problem, batch_size, length=self.mean_length, seed=seed + index)

    def steps_per_epoch(self, batch_size: int) -> int | None:
        return None

    def continues(self, index: int, batch_size: int) -> bool:
        return False

    def loss(self, outputs: torch.Tensor, batch: Batch, label_smoothing: float = 0.0) -> Any:
        return criterion_of(self.problem)(outputs.float(), batch, label_smoothing)


class CostSubject(NamedTuple):
    """One architecture whose costs are measured, and how. `device` and `dtype` are resolved names;
    `sequence_length` is that of the task."""

    architecture: str
    config: AnyConfig
    problem: Problem
    batch_size: int
    sequence_length: int
    device: str
    dtype: str
    threads: int
    optimizer: OptimizerConfig
    products: str = "blas"

    @property
    def training(self) -> TrainConfig:
        return TrainConfig(
            budget=Budget(steps=STEPS),
            optimizer=self.optimizer,
            batch_size=self.batch_size,
            device=self.device,
            dtype=self.dtype,
        )

    @property
    def task(self) -> RandomTask:
        return RandomTask(self.problem, self.sequence_length)

    def build(self) -> Any:
        return build_model(self.config).to(self.device, parameter_dtype(self.dtype))

    def trainer(self) -> Trainer:
        return Trainer(self.build(), cast("Task", self.task), self.training)

    def written(self) -> Batch:
        """What is decoded: a whole sequence; of pairs, half a target after a whole source."""
        pairs = self.problem.form == "pairs"
        length = max(1, self.problem.max_length // 2) if pairs else self.sequence_length
        return to_device(random_batch(self.problem, 1, length=length, seed=0), self.device)

    def decoder(self, model: Model) -> Decoder:
        """What writes its last token."""
        room = self.problem.max_length if self.problem.form == "pairs" else 0
        return Decoder(model, self.written(), self.device, self.dtype, max_length=room)


def exact_costs(subject: CostSubject) -> list[Series]:
    """What is counted and the same each time, one series of one point a cost: bytes of training,
    and of the state of what writes tokens.

    Raises UserError where a mixer misstates its state's bytes.
    """
    with _measuring(subject):
        peak = peak_bytes(subject.trainer, lambda made: next(made.steps()), subject.device)
        found = {"peak_training_bytes": float(peak)}
        model = subject.build()
        if model.writes and "state_bytes" not in model.unknown_costs:
            found["state_bytes"] = _state_bytes(subject, model)
        return _series(subject, model, found)


def timed_costs(subject: CostSubject, *, seconds: float = 0.4) -> list[Series]:
    """What is timed, once: one series of one point with one repeat a cost. What writes tokens has
    a decoding latency, and what does not has the time of one answer: as `use` computes them, by
    the BLAS, which is the faster one for a single sequence.

    `seconds` is what the timing of training takes; the rest adds a few steps. The setting
    `others_share` is what other processes took of the cores meanwhile, None where the system does
    not tell it.
    """
    with _measuring(subject), LoadWatch() as load:
        timing = time_training(subject.trainer(), repeats=1, seconds=seconds)
        tokens = num_tokens(subject.task.training_batch(0, subject.batch_size, seed=0))
        model = subject.build()
        found = {"training_tokens_per_second": tokens / timing.median}
        measured = _series(subject, model, found)
        with multiplying("blas"):
            if model.writes:
                decoding = time_decoding(subject.decoder(model), repeats=1)
                found = {"decode_seconds_per_token": decoding.median}
            else:
                found = {"answer_seconds_per_example": _answer_seconds(subject, model)}
            measured += _series(subject, model, found)
    share = {"others_share": load.others_share}
    return [one.model_copy(update={"settings": one.settings | share}) for one in measured]


@contextmanager
def _measuring(subject: CostSubject) -> Iterator[None]:
    random = torch.random.fork_rng(devices=[])
    with limited_threads(subject.threads), multiplying(subject.products), random:
        yield


def _state_bytes(subject: CostSubject, model: Model) -> float:
    """Of one sequence. The declared bytes of pairs are those of a source as long as the target, so
    that only a sequence of its own can be held against them."""
    decoder = subject.decoder(model)
    _, state = decoder.step(decoder.copied_state())
    measured = measured_state_bytes(state)
    length = subject.written().inputs_BT.shape[1]
    if subject.problem.form != "pairs" and measured != model.state_bytes(length):
        raise UserError(
            f"{subject.architecture}: the state after {length} tokens holds {measured} bytes, but "
            f"the model declares {model.state_bytes(length)}: correct its state_bytes (seqarena "
            "check shows where)"
        )
    return float(measured)


def _answer_seconds(subject: CostSubject, model: Model) -> float:
    """Of a batch of one example, from inputs to logits."""
    batch = to_device(subject.task.training_batch(0, 1, seed=0), subject.device)
    model.eval()
    with torch.inference_mode(), autocast(subject.device, subject.dtype):
        timing = repeat(lambda: model.answer(batch), repeats=1, seconds=0.05, device=subject.device)
    return timing.median


def _series(subject: CostSubject, model: Model, found: dict[str, float]) -> list[Series]:
    machine = this_machine(subject.device, subject.dtype)
    settings = {"batch_size": subject.batch_size, "algorithms": list(model.algorithms)}
    return [
        Series(
            measurement=COSTS,
            quantity=key,
            axis="length",
            architecture=subject.architecture,
            points=(Point(x=subject.sequence_length, repeats=(value,)),),
            settings=settings | ({"batch_size": 1} if quantity(key).of_one_sequence else {}),
            machine=machine,
        )
        for key, value in found.items()
    ]
