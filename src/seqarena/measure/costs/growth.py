"""One curve against length, point by point, within limits of time and memory.

What would break a limit is predicted and left out, with the reason. Time goes by the model's own
count of operations, at the pace of the length before; memory by measure/costs/prediction.py.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.core.runtime import autocast
from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.costs.bench import Bench
from seqarena.measure.costs.memory import peak_bytes
from seqarena.measure.costs.prediction import (
    TrainingBytes,
    after_backward,
    free_bytes,
    predict_training_bytes,
    weight_bytes,
)
from seqarena.measure.costs.speed import WARMUP_STEPS, repeat, time_decoding, time_training
from seqarena.models.model import Model

# Faster than anything this may run on: what would take too long even so is left out before
# anything was timed.
_FASTEST = {"cpu": 1e11, "cuda": 1e15}  # operations a second, of one thread or of one device


class Limits(NamedTuple):
    """Of one point: `seconds` for warm-up and one call a repeat, `bytes` for a training step."""

    seconds: float = 120.0
    bytes: int | None = None  # None: half of the memory that is free

    def bytes_on(self, device: str) -> int:
        return self.bytes or free_bytes(device) // 2


class LengthResult(NamedTuple):
    """What one length gave."""

    repeats: tuple[float, ...]
    least_seconds: float  # warm-up and one call a repeat
    settings: dict[str, Any] = {}  # lists by length in the record
    baselines: dict[str, float] = {}


class Growth:
    """Measures one bench at some lengths. Raises UserError where it can have none of them."""

    def __init__(
        self, bench: Bench, lengths: Sequence[int], limits: Limits, repeats: int, seconds: float
    ) -> None:
        if not lengths or min(lengths) < 1:
            raise UserError("give at least one length, from 1 up")
        self.bench, self.limits = bench, limits
        self.lengths = sorted(set(lengths))
        self.repeats, self.seconds = repeats, seconds
        self.possible = [length for length in self.lengths if not bench.why_no_length(length)]
        if not self.possible:
            reason = bench.why_no_length(self.lengths[0])
            raise UserError(f"{bench.subject.row.name} has no length to measure: {reason}")

    @functools.cached_property
    def predicted(self) -> TrainingBytes:
        """Bytes that a training step would hold."""
        return predict_training_bytes(self.bench, self.possible)

    def curve(
        self,
        measurement: str,
        quantity: str,
        measure: Callable[[Model, int], LengthResult],
        settings: dict[str, Any],
    ) -> Series:
        """The curve of `quantity`. Raises UserError where every length breaks a limit."""
        samples: dict[int, LengthResult] = {}
        skipped: dict[str, str] = {}
        pace: tuple[int, float] | None = None  # operations and seconds of the length before
        for length in self.lengths:
            reason = self.bench.why_no_length(length)
            if reason is None:
                model = self.bench.model(length)
                reason = self._why_too_much(model, length, pace)
                if reason is None:
                    samples[length] = measure(model, length)
                    pace = (model.flops(length), samples[length].least_seconds)
            if reason is not None:
                skipped[str(length)] = reason
        subject = self.bench.subject
        if not samples:
            why = "; ".join(f"length {length}: {reason}" for length, reason in skipped.items())
            raise UserError(f"{subject.row.name}: {quantity} was measured nowhere: {why}")
        each = list(samples.values())
        return Series(
            measurement=measurement,
            quantity=quantity,
            axis="length",
            architecture=subject.row.name,
            variant=subject.variant,
            points=tuple(Point(x=x, repeats=sample.repeats) for x, sample in samples.items()),
            baselines=_by_length([sample.baselines for sample in each], tuple),
            settings=settings
            | _by_length([sample.settings for sample in each], list)
            | ({"skipped": skipped} if skipped else {}),
            machine=this_machine(self.bench.device, self.bench.dtype),
        )

    def forward(self, model: Model, length: int) -> LengthResult:
        """Seconds from inputs to logits, without gradients."""
        bench, batch = self.bench, self.bench.batch(length)
        model.eval()
        with torch.inference_mode(), autocast(bench.device, bench.dtype):
            timing = repeat(
                lambda: model.answer(batch),
                repeats=self.repeats,
                seconds=self.seconds,
                device=bench.device,
            )
        flops = bench.batch_size * model.flops(length)
        return self._timed(timing.repeats, timing.median, flops, model, length)

    def training(self, model: Model, length: int) -> LengthResult:
        """Seconds of an optimizer step."""
        trainer = self.bench.trainer(model, length)
        timing = time_training(trainer, repeats=self.repeats, seconds=self.seconds)
        flops = self.bench.batch_size * model.training_flops(length)
        return self._timed(timing.repeats, timing.median, flops, model, length)

    def decoding(self, model: Model, length: int) -> LengthResult:
        """Seconds of one sequence's token number `length`."""
        start = time.perf_counter()
        decoder = self.bench.decoder(model, length)
        timing = time_decoding(decoder, repeats=self.repeats)
        return LengthResult(timing.repeats, time.perf_counter() - start)

    def training_bytes(self, model: Model, length: int) -> LengthResult:
        """Peak bytes of a training step, beside the prediction and its parts."""
        start = time.perf_counter()
        weights = weight_bytes(model)  # of another than is counted: that one is made while counting
        peak = peak_bytes(
            lambda: self.bench.trainer(self.bench.model(length), length),
            lambda trainer: next(trainer.steps()),
            self.bench.device,
        )
        predicted = self.predicted
        return LengthResult(
            (float(peak),),
            time.perf_counter() - start,
            baselines={
                "formula": predicted.at(length, weights),
                "parameters": float(after_backward(weights)),
                "quadratic term": predicted.quadratic(length),
            },
        )

    def state_bytes(self, model: Model, length: int) -> LengthResult:
        """Bytes of one sequence's state after `length` positions, beside the class's formula."""
        start = time.perf_counter()
        decoder = self.bench.decoder(model, length)
        _, state = decoder.step(decoder.copied_state())
        return LengthResult(
            (float(measured_state_bytes(state)),),
            time.perf_counter() - start,
            baselines={"formula": float(model.state_bytes(length))},
        )

    def _timed(
        self, repeats: tuple[float, ...], median: float, flops: int, model: Model, length: int
    ) -> LengthResult:
        least = (WARMUP_STEPS + self.repeats) * median
        settings = {} if "flops" in model.unknown_costs else {"flops": flops}
        if "serial_steps" not in model.unknown_costs:
            settings["serial_steps"] = model.serial_steps(length)
        return LengthResult(repeats, least, settings)

    def _why_too_much(
        self, model: Model, length: int, pace: tuple[int, float] | None
    ) -> str | None:
        flops = model.flops(length)
        if pace is None:
            fastest = _FASTEST[self.bench.device.split(":")[0]]
            fastest *= 1 if self.bench.device.startswith("cuda") else torch.get_num_threads()
            calls = WARMUP_STEPS + self.repeats
            seconds = calls * self.bench.batch_size * flops / fastest
        else:
            seconds = pace[1] * flops / max(1, pace[0])
        if seconds > self.limits.seconds:
            return (
                f"it would take about {seconds:,.0f} s, more than the limit of "
                f"{self.limits.seconds:g} s"
            )
        needed = self.predicted.at(length, weight_bytes(model))
        limit = self.limits.bytes_on(self.bench.device)
        if needed > limit:
            return (
                f"training would hold about {needed / 2**30:.1f} GiB, more than the limit of "
                f"{limit / 2**30:.1f} GiB"
            )
        return None


def _by_length(each: Sequence[dict[str, Any]], gather: Callable[[Any], Any]) -> dict[str, Any]:
    return {key: gather(sample[key] for sample in each) for key in (each[0] if each else {})}
