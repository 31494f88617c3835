"""The contract suite can fail: planted mistakes, each caught by the check that is there for it.

The right mixer is a leaky sum, y_t = h_t = a h_{t-1} + W x_t, with a slow and a fast form. Every
wrong one differs from it in one place.
"""

import math
from typing import Any, ClassVar, Literal, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.mixers.contract import CHECKS, ContractError, subject
from seqarena.ops.padding import take_last


class LeakyConfig(MixerConfig):
    algorithm: Literal["auto", "loop", "parallel"] = "auto"


class LeakyState(NamedTuple):
    h_BD: Tensor


class Leaky(Mixer):
    """Right."""

    Config = LeakyConfig
    algorithms: ClassVar[tuple[str, ...]] = ("loop", "parallel")
    equation: ClassVar[str] = "y_t = h_t = a h_{t-1} + W x_t"
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "T", "D")

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.input = nn.Linear(width, width, bias=False)
        self.decay_D = nn.Parameter(torch.full((width,), 0.7))

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        start_BD = x_BTD.new_zeros(x_BTD.shape[0], self.width) if state is None else state.h_BD
        form = self.loop if self.algorithm == "loop" else self.parallel
        h_BTD = form(self.input(x_BTD), start_BD)
        history_BTD = torch.cat([start_BD[:, None], h_BTD], dim=1)
        last_B1D = take_last(history_BTD, None if lengths_B is None else lengths_B + 1, 1)
        return h_BTD, LeakyState(last_B1D[:, 0])

    def loop(self, u_BTD: Tensor, h_BD: Tensor) -> Tensor:
        outputs = []
        for u_BD in u_BTD.unbind(1):
            h_BD = self.decay_D * h_BD + u_BD
            outputs.append(h_BD)
        return torch.stack(outputs, dim=1)

    def parallel(self, u_BTD: Tensor, h_BD: Tensor) -> Tensor:
        steps_T = torch.arange(u_BTD.shape[1], dtype=u_BTD.dtype)
        distance_TT = steps_T[:, None] - steps_T
        weight_TTD = self.decay_D ** distance_TT.clamp(min=0)[..., None]
        weight_TTD = torch.where((distance_TT >= 0)[..., None], weight_TTD, 0.0)
        from_start_BTD = h_BD[:, None] * self.decay_D ** (steps_T + 1)[:, None]
        return torch.einsum("tsd,bsd->btd", weight_TTD, u_BTD) + from_start_BTD

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        return LeakyState(self.decay_D.new_zeros(batch_size, self.width))

    def flops(self, length: int) -> int:
        return length * (2 * self.width**2 + 2 * self.width)

    def state_bytes(self, length: int) -> int:
        return self.width * self.decay_D.element_size()

    def serial_steps(self, length: int) -> int:
        return length

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


class StatesNoEquation(Leaky):
    equation: ClassVar[str] = ""


class LeaksTheFuture(Leaky):
    """Subtracts the mean over the sequence, in every form and from the state that it continues."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return super().mix(x_BTD - x_BTD.mean(1, keepdim=True), state, lengths_B)


class ForgetsTheState(Leaky):
    """Starts every call from nothing."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return super().mix(x_BTD, None, lengths_B)


class DetachesTheState(Leaky):
    """Right numbers, but no gradient flows from one call to the next."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        y_BTD, after = super().mix(x_BTD, state, lengths_B)
        return y_BTD, after if state is None else LeakyState(after.h_BD.detach())


class DecodesDifferently(Leaky):
    """A special case for one position without gradients, with a slip in it."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        y_BTD, after = super().mix(x_BTD, state, lengths_B)
        if x_BTD.shape[1] == 1 and not torch.is_grad_enabled():
            return y_BTD * 1.001, after
        return y_BTD, after


class RewindsNothing(Leaky):
    """Says that its state holds its past, and hands back the latest."""

    rewinds = True

    def rewound(self, state: Any, count: int) -> Any:
        return state


class MovesOverPadding(Leaky):
    """Lets the state decay over the padding."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return super().mix(x_BTD, state, None)


class WrongSlope(torch.autograd.Function):
    """tanh, whose backward forgets the square."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradients[0] * (1 - y.abs())


class WrongGradient(Leaky):
    """The same mistake in both forms, so that comparing them shows nothing."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return super().mix(WrongSlope.apply(x_BTD), state, lengths_B)


class FastFormDiffers(Leaky):
    """The parallel form decays the start once too little; the start is zero at first."""

    def parallel(self, u_BTD: Tensor, h_BD: Tensor) -> Tensor:
        return super().parallel(u_BTD, h_BD / self.decay_D.detach())


class FastGradientDiffers(Leaky):
    """The parallel form gives the right numbers and a wrong gradient of the decay."""

    def parallel(self, u_BTD: Tensor, h_BD: Tensor) -> Tensor:
        y_BTD = super().parallel(u_BTD, h_BD)
        return y_BTD + (self.decay_D - self.decay_D.detach())


class DeclaresWrongBytes(Leaky):
    """Counts numbers, not bytes."""

    def state_bytes(self, length: int) -> int:
        return self.width


class LargerState(NamedTuple):
    h_BD: Tensor
    copy_BD: Tensor


class HoldsMoreThanDeclared(Leaky):
    """Carries a tensor that is not counted."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        y_BTD, after = super().mix(x_BTD, state, lengths_B)
        return y_BTD, LargerState(after.h_BD, after.h_BD.clone())


class HidesAParameter(Leaky):
    """A random number drawn at building that no checkpoint keeps."""

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.gain = float(torch.rand(()))

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return super().mix(x_BTD * self.gain, state, lengths_B)


class DeclaresTooShortAReach(Leaky):
    def reach(self) -> float:
        return 3


class SeesNothing(Leaky):
    """Declares to see everything, and looks at the present only."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        y_BTD = self.input(x_BTD) * self.decay_D
        return y_BTD, self.initial_state(x_BTD.shape[0]) if state is None else state


class DeclaresTooLongAReach(SeesNothing):
    def reach(self) -> float:
        return 3


class CostsNothing(Leaky):
    def flops(self, length: int) -> int:
        return 0


class OvertakesItself(Leaky):
    """A shortest path that is longer than one step a position."""

    def path_length(self, distance: int) -> int:
        return 2 * distance


class SaysItSeesTheFuture(Leaky):
    """Declared not causal, though it is."""

    causal = False


# The check that is there for each mistake, and all others that must see it too: a mistake in the
# numbers of a call is also seen where calls are compared in another way.
CAUGHT: dict[type[Mixer], tuple[str, set[str]]] = {
    StatesNoEquation: ("equation", set()),
    LeaksTheFuture: ("causality", {"splitting", "decoding", "padding"}),
    ForgetsTheState: ("splitting", {"decoding"}),
    DetachesTheState: ("splitting", set()),
    DecodesDifferently: ("decoding", set()),
    RewindsNothing: ("rewinding", set()),
    MovesOverPadding: ("padding", set()),
    WrongGradient: ("gradients", set()),
    FastFormDiffers: ("algorithms", {"decoding"}),
    FastGradientDiffers: ("algorithms", {"gradients"}),
    DeclaresWrongBytes: ("state_bytes", set()),
    HoldsMoreThanDeclared: ("state_bytes", set()),
    HidesAParameter: ("saving", set()),
    DeclaresTooShortAReach: ("costs", set()),
    DeclaresTooLongAReach: ("costs", set()),
    SeesNothing: ("costs", set()),
    CostsNothing: ("costs", set()),
    OvertakesItself: ("costs", set()),
    SaysItSeesTheFuture: ("causality", {"state_bytes"}),
}


def caught_by(mixer_class: type[Mixer], algorithm: str) -> set[str]:
    config = mixer_class.Config(algorithm=algorithm)
    failed = set()
    for name, check in CHECKS.items():
        try:
            check(subject(mixer_class, config))
        except (ContractError, UserError):
            failed.add(name)
    return failed


@pytest.mark.parametrize("algorithm", ["auto", "loop"])
def test_the_right_one_passes_all(algorithm):
    assert caught_by(Leaky, algorithm) == set()


@pytest.mark.parametrize("mixer_class", CAUGHT, ids=lambda c: c.__name__)
def test_caught_by_its_check_and_by_no_unrelated_one(mixer_class):
    main, related = CAUGHT[mixer_class]
    assert caught_by(mixer_class, "loop") == {main} | related


def test_every_check_catches_something():
    assert {main for main, _ in CAUGHT.values()} == set(CHECKS)
