"""The costs of one architecture, measured alone on the machine, on random inputs.

What is asked of a model does not change what it costs, so that no task is needed.
"""

from typing import Any, NamedTuple, cast

import torch

from seqarena.core.batch import Batch, Problem, num_tokens, random_batch
from seqarena.core.errors import UserError
from seqarena.core.records import MeasureRecord
from seqarena.core.runtime import autocast, parameter_dtype
from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.memory import peak_bytes
from seqarena.measure.speed import (
    Decoder,
    PairsDecoder,
    limited_threads,
    repeat,
    time_decoding,
    time_training,
)
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.language_model import LanguageModel
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
) -> list[MeasureRecord]:
    """One record a cost, each with its context. What writes tokens has a decoding latency and a
    state; what does not has the time of one answer.

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
        if problem.form == "pairs":
            found |= _writing_costs(model, problem, training, repeats)
        elif problem.form == "tokens" and isinstance(model, LanguageModel):
            found |= _decoding_costs(architecture, model, sequence_length, training, repeats)
        else:
            found |= _answering_costs(model, task, training, repeats)
    context = {
        "batch_size": batch_size,
        "sequence_length": sequence_length,
        "algorithms": list(model.algorithms),
        "device": device,
        "dtype": dtype,
        "threads": threads,
    }
    return [
        MeasureRecord(
            architecture=architecture,
            name=cast("Any", name),
            value=value,
            repeats=each,
            context=context | ({"batch_size": 1} if name in _OF_ONE_SEQUENCE else {}),
        )
        for name, (value, each) in found.items()
    ]


_OF_ONE_SEQUENCE = ("decode_seconds_per_token", "answer_seconds_per_example", "state_bytes")
_Found = dict[str, tuple[float, tuple[float, ...]]]  # name -> (value, repeats)


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
    each = tuple(tokens / seconds_per_step for seconds_per_step in timing.repeats)
    return {
        "training_tokens_per_second": (tokens / timing.median, each),
        "peak_training_bytes": (float(peak), ()),
    }


def _decoding_costs(
    architecture: str, model: LanguageModel, length: int, training: TrainConfig, repeats: int
) -> _Found:
    decoder = Decoder(model, length, training.device, training.dtype)
    timing = time_decoding(decoder, repeats=repeats)
    _, state = decoder.step(decoder.copied_state())
    measured, declared = measured_state_bytes(state), model.state_bytes(length)
    if measured != declared:
        raise UserError(
            f"{architecture}: the state after {length} tokens holds {measured} bytes, but the "
            f"model declares {declared}: correct its state_bytes (seqarena check shows where)"
        )
    return {
        "decode_seconds_per_token": (timing.median, timing.repeats),
        "state_bytes": (float(measured), ()),
    }


def _writing_costs(model: Model, problem: Problem, training: TrainConfig, repeats: int) -> _Found:
    """Of pairs: a token further from a state that has read a whole source and half a target."""
    half = max(1, problem.max_length // 2)
    batch = to_device(random_batch(problem, 1, length=half, seed=0), training.device)
    decoder = PairsDecoder(model, batch, problem.max_length, training.device, training.dtype)
    timing = time_decoding(decoder, repeats=repeats)
    _, state = decoder.step(decoder.copied_state())
    return {
        "decode_seconds_per_token": (timing.median, timing.repeats),
        "state_bytes": (float(measured_state_bytes(state)), ()),
    }


def _answering_costs(model: Model, task: RandomTask, training: TrainConfig, repeats: int) -> _Found:
    """One example alone, from inputs to logits."""
    batch = to_device(task.training_batch(0, 1, seed=0), training.device)
    model.eval()
    with torch.inference_mode(), autocast(training.device, training.dtype):
        timing = repeat(
            lambda: model.answer(batch), repeats=repeats, seconds=0.2, device=training.device
        )
    return {"answer_seconds_per_example": (timing.median, timing.repeats)}


def _build(config: AnyConfig, training: TrainConfig) -> Any:
    return build_model(config).to(training.device, parameter_dtype(training.dtype))
