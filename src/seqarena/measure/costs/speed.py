"""Speed: medians over repeats, warmed up first, with the device's queue drained at both ends.

training   whole optimizer steps as training takes them: forward, loss, backward, clip, AdamW
decoding   one token for one sequence, greedy, from the state of all tokens before it
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.runtime import autocast
from seqarena.core.shapes import map_state
from seqarena.models.model import Model
from seqarena.train.loop import Trainer

WARMUP_STEPS = 2
DECODE_STEPS = 12  # of one repeat, whose value is their median


class CallTiming(NamedTuple):
    """Seconds of one call, as each repeat found them."""

    repeats: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.repeats)


class Stopwatch:
    """Seconds between entering and leaving, work queued on the device included."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self.seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        synchronise(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        synchronise(self.device)
        self.seconds = time.perf_counter() - self._start


def repeat(
    call: Callable[[], object],
    *,
    repeats: int,
    seconds: float,
    warmup: int = WARMUP_STEPS,
    device: str = "cpu",
) -> CallTiming:
    """Times `call`: `warmup` calls unseen, then `repeats` groups of as many calls as fit into
    `seconds` altogether (one call each at least). A repeat is its group's mean."""
    for _ in range(max(1, warmup)):
        with Stopwatch(device) as watch:
            call()
    calls = max(1, int(seconds / repeats / max(watch.seconds, 1e-9)))
    found = []
    for _ in range(repeats):
        with Stopwatch(device) as watch:
            for _ in range(calls):
                call()
        found.append(watch.seconds / calls)
    return CallTiming(tuple(found))


def time_training(trainer: Trainer, *, repeats: int, seconds: float) -> CallTiming:
    """Seconds of one optimizer step. The trainer's budget must outlast the measurement."""
    steps = trainer.steps()
    return repeat(
        lambda: next(steps), repeats=repeats, seconds=seconds, device=trainer.config.device
    )


class Decoder:
    """One greedy step for one sequence, from the same state every time: that of everything in the
    batch but the last token, which the step reads."""

    def __init__(
        self, model: Model, batch: Batch, device: str, dtype: str, *, max_length: int = 0
    ) -> None:
        """`batch` is one example [1, T] of what the model writes, on the device. The state is
        preallocated for `max_length` tokens, of pairs in the target, and for T at least. Puts the
        model in eval mode."""
        self.model, self.device, self.dtype = model.eval(), device, dtype
        given_1T, self.next_1 = batch.inputs_BT[:, :-1], batch.inputs_BT[:, -1]
        room = max(max_length, batch.inputs_BT.shape[1])
        with self._inference():
            if batch.source_BS is None:
                begun = given_1T.shape[1]
                self.state = model.begin(batch._replace(inputs_BT=given_1T), room - begun)
                return
            self.state = model.begin(batch, room)
            for token_1 in given_1T.unbind(1):
                self.state = model.step(token_1, self.state)[1]

    def copied_state(self) -> Any:
        """A state that a step may consume."""
        return map_state(torch.clone, self.state)

    def step(self, state: Any) -> tuple[Tensor, Any]:
        """The next token [1] and the state after it."""
        with self._inference():
            logits_1V, state = self.model.step(self.next_1, state)
            return logits_1V.argmax(dim=-1), state

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with torch.inference_mode(), autocast(self.device, self.dtype):
            yield


class Steps(Protocol):
    """What can take one step of decoding again and again: a Decoder, or what acts as one."""

    device: str

    def copied_state(self) -> Any:
        """A state that a step may consume."""

    def step(self, state: Any) -> Any:
        """One step further from it."""


def time_decoding(decoder: Steps, *, repeats: int, steps: int = DECODE_STEPS) -> CallTiming:
    """Seconds of one decoding step; copying the state is not counted."""

    def once() -> float:
        with torch.inference_mode():
            state = decoder.copied_state()
        with Stopwatch(decoder.device) as watch:
            decoder.step(state)
        return watch.seconds

    for _ in range(WARMUP_STEPS):
        once()
    return CallTiming(
        tuple(statistics.median(once() for _ in range(steps)) for _ in range(repeats))
    )


def synchronise(device: str) -> None:
    """Waits for the work queued on a CUDA device; the CPU has no queue."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
