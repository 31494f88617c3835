"""Mixers that go wrong in training, for a comparison that must go on without them."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqarena.mixers.minimal.mingru import MinGRU


class _Faulty(MinGRU):
    after = 8  # calls of a process that go well
    calls = 0

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> Any:
        if x_BTD.device.type != "meta" and self.training:
            type(self).calls += 1
            if type(self).calls > self.after:
                self.fail()
        return super().mix(x_BTD, state, lengths_B)

    def fail(self) -> None:
        raise NotImplementedError


class Raises(_Faulty):
    def fail(self) -> None:
        raise ValueError("axis [/D] is odd")


class Killed(_Faulty):
    def fail(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledOnce(_Faulty):
    def fail(self) -> None:
        try:
            Path("killed once").touch(exist_ok=False)  # the first of two workers, and no other
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class Hangs(_Faulty):
    def fail(self) -> None:
        time.sleep(1000)


class NoMemory(_Faulty):
    """Has room for two sequences at a time."""

    after = 0

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> Any:
        if x_BTD.device.type != "meta" and self.training and len(x_BTD) > 2:
            torch.empty(2**60, dtype=torch.uint8)  # the allocator's own error
        return MinGRU.mix(self, x_BTD, state, lengths_B)
