"""The costs of one architecture on random inputs, while nothing else runs on the machine.

What is asked of a model does not change what it costs, so that no task is needed.
"""

from typing import Any, NamedTuple, cast

import torch

from seqarena.core.batch import Batch, Problem, num_tokens, random_batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Machine, Point, Series, this_machine
from seqarena.core.results.quantities import COSTS, quantity
from seqarena.core.runtime import autocast, limited_threads, parameter_dtype
from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.costs.memory import peak_bytes
from seqarena.measure.costs.speed import Decoder, repeat, time_decoding, time_training
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.model import Model
from seqarena.tasks.base import Task
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

    loss = Task.loss


def measure_costs(
    architecture: str,
    config: AnyConfig,
    problem: Problem,
    *,
    batch_size: int,
    sequence_length: int,
    device: str,
    dtype: str,
    threads: int,
    repeats: int = 5,
    seconds: float = 2.0,
    optimizer: OptimizerConfig,
) -> list[Series]:
    """One series of one point a cost, at `sequence_length`. What writes tokens has a decoding
    latency and a state; what does not has the time of one answer.

    `device` and `dtype` are resolved names. `seconds` is what the timing of training takes; the
    rest adds a few steps. Raises UserError where a mixer misstates its state's bytes.
    """
    training = TrainConfig(
        budget=Budget(steps=STEPS),
        optimizer=optimizer,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
    )
    task = RandomTask(problem, sequence_length)
    with limited_threads(threads), torch.random.fork_rng(devices=[]):
        found = _training_costs(config, task, training, repeats, seconds)
        model = _build(config, training)
        if model.writes:
            found |= _decoding_costs(architecture, model, task, training, repeats)
        else:
            found |= _answering_costs(model, task, training, repeats)
        machine = this_machine(device, dtype)
    settings = {"batch_size": batch_size, "algorithms": list(model.algorithms)}
    return [
        _series(architecture, key, repeats_of, sequence_length, settings, machine)
        for key, repeats_of in found.items()
    ]


_Found = dict[str, tuple[float, ...]]  # quantity -> its repeats


def _series(
    architecture: str,
    key: str,
    repeats: tuple[float, ...],
    length: int,
    settings: dict[str, Any],
    machine: Machine,
) -> Series:
    own = {"batch_size": 1} if quantity(key).of_one_sequence else {}
    return Series(
        measurement=COSTS,
        quantity=key,
        axis="length",
        architecture=architecture,
        points=(Point(x=length, repeats=repeats),),
        settings=settings | own,
        machine=machine,
    )


def _training_costs(
    config: AnyConfig, task: RandomTask, training: TrainConfig, repeats: int, seconds: float
) -> _Found:
    def trainer() -> Trainer:
        return Trainer(_build(config, training), cast("Task", task), training)

    def step(made: Trainer) -> None:
        next(made.steps())

    peak = peak_bytes(trainer, step, training.device)
    timing = time_training(trainer(), repeats=repeats, seconds=seconds)
    tokens = num_tokens(task.training_batch(0, training.batch_size, seed=0))
    return {
        "training_tokens_per_second": tuple(tokens / each for each in timing.repeats),
        "peak_training_bytes": (float(peak),),
    }


def _decoding_costs(
    architecture: str, model: Model, task: RandomTask, training: TrainConfig, repeats: int
) -> _Found:
    """The last token of a whole sequence; of pairs, that of half a target after a whole source.

    The declared bytes of pairs are those of a source as long as the target, so that only a
    sequence of its own can be held against them.
    """
    problem, length = task.problem, task.mean_length
    pairs = problem.form == "pairs"
    if pairs:
        length = max(1, problem.max_length // 2)
    batch = to_device(random_batch(problem, 1, length=length, seed=0), training.device)
    decoder = Decoder(
        model, batch, training.device, training.dtype,
        max_length=problem.max_length if pairs else 0,
    )  # fmt: skip
    timing = time_decoding(decoder, repeats=repeats)
    _, state = decoder.step(decoder.copied_state())
    length = batch.inputs_BT.shape[1]
    measured, declared = measured_state_bytes(state), model.state_bytes(length)
    if measured != declared and not pairs:
        raise UserError(
            f"{architecture}: the state after {length} tokens holds {measured} bytes, but the "
            f"model declares {declared}: correct its state_bytes (seqarena check shows where)"
        )
    return {
        "decode_seconds_per_token": timing.repeats,
        "state_bytes": (float(measured),),
    }


def _answering_costs(model: Model, task: RandomTask, training: TrainConfig, repeats: int) -> _Found:
    """A batch of one example, from inputs to logits."""
    batch = to_device(task.training_batch(0, 1, seed=0), training.device)
    model.eval()
    with torch.inference_mode(), autocast(training.device, training.dtype):
        timing = repeat(
            lambda: model.answer(batch), repeats=repeats, seconds=0.2, device=training.device
        )
    return {"answer_seconds_per_example": timing.repeats}


def _build(config: AnyConfig, training: TrainConfig) -> Any:
    return build_model(config).to(training.device, parameter_dtype(training.dtype))
