"""The contract of every sequence mixer.

    y_BTD, state = mixer(x_BTD, state, mask_BT=mask_BT)

for any T; T = 1 is decoding. A returned state continues exactly where the call stopped: splitting
a sequence anywhere equals the whole. `state=None` starts from nothing. `mask_BT` is True at real
positions; padding on the left, on the right or in between changes nothing, its outputs are zero
and the state does not move over it.

A state is a NamedTuple of tensors (and plain integers). Recurrent parts stay float32 under
autocast. A state passed in is consumed: with gradients off, a growing one is updated in place.

The algorithm is an explicit choice among those of the mixer's operation (`ops/registry.py`).
`mixer.algorithm` is the name that runs on the parameters' present device and dtype: moving the
mixer resolves `auto` again. The name is printed and stored.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self, final

import torch
from torch import Tensor, nn

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.ops.padding import left_align, restore
from seqarena.ops.registry import Operation, named_forms


class MixerConfig(Config):
    """Base of every mixer's configuration.

    `algorithm` is `auto`, the fastest measured for the device and dtype, or a name that the mixer's
    operation has.
    """

    algorithm: str = "auto"


class Complexity(NamedTuple):
    """A row of Table 1 of Vaswani et al. 2017, extended: the orders for one layer.

    T is the sequence length, D the width, and the file's own letters are named in it.
    """

    work: str
    serial_steps: str
    path_length: str
    state: str


class Mixer(nn.Module, ABC):
    """Abstract: subclasses fill in `mix`, `initial_state` and the costs; `forward` is final.

    `operation` is what computes it. A mixer that computes its forms itself names them in
    `algorithms` instead, the slow truth first; `auto` is then the last. `equation` is its
    recurrence or sum as text. `measured_case` names a shape of the operation that has its own row
    in `ops/measured.py`.
    """

    Config: ClassVar[type[MixerConfig]]
    operation: ClassVar[Operation[..., Any] | None] = None
    algorithms: ClassVar[tuple[str, ...]] = ()
    measured_case: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    complexity: ClassVar[Complexity]
    rewinds: ClassVar[bool] = False  # True: the state holds its past, see `rewound`
    causal: bool = True  # False: position t may depend on later positions (then there is no state)

    def __init__(self, width: int, config: MixerConfig) -> None:
        """`width` is D, features in and out. Raises UserError for a width or an algorithm that
        the mixer cannot have."""
        super().__init__()
        self.width = width
        self.config = config
        self.operation_of(config).check(config.algorithm)
        self._resolved: str | None = None

    @classmethod
    def operation_of(cls, config: MixerConfig) -> Operation[..., Any]:
        """The operation that computes a mixer of this configuration. Raises UserError where the
        class names none."""
        if cls.operation is not None:
            return cls.operation
        if not cls.algorithms:
            raise UserError(
                f"{cls.__name__} does not say what computes it: set `operation`, or name its own "
                'forms as `algorithms = ("loop",)`'
            )
        return named_forms(cls.__name__, cls.algorithms)

    @classmethod
    def equation_of(cls, config: MixerConfig) -> str:
        """The equation of a mixer of this configuration."""
        return cls.equation

    @classmethod
    def complexity_of(cls, config: MixerConfig) -> Complexity:
        """The orders of growth of a mixer of this configuration."""
        return cls.complexity

    @property
    def algorithm(self) -> str:
        """The name of what runs on the parameters' device and dtype. Raises UserError where the
        algorithm that was asked for cannot."""
        if self._resolved is None:
            like = next(self.parameters(), torch.empty(0, device="cpu"))
            return self.resolve(like.device, like.dtype)
        return self._resolved

    def resolve(self, device: str | torch.device, dtype: torch.dtype) -> str:
        """The name for that device and dtype, kept until the mixer is moved."""
        self._resolved = self.operation_of(self.config).resolve(
            self.config.algorithm, device, dtype, self.measured_case
        )
        return self._resolved

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """What `.to()`, `.cuda()`, `.double()` and the like go through."""
        self._resolved = None
        return super()._apply(fn, recurse)

    @property
    def unknown_costs(self) -> frozenset[str]:
        """Which of its costs it cannot state, by the name of their method. Of a mixer that is
        written to this contract there are none."""
        return frozenset()

    def algorithm_steps(self, length: int, **sizes: int) -> int:
        """The dependent steps of the operation by the algorithm that runs."""
        return self.operation_of(self.config).serial_steps(self.algorithm, length, **sizes)

    def place(self, layer: int, num_layers: int) -> None:
        """Tells where it is: layer `layer` (from 0) of `num_layers`. A stack calls it once, before
        training. What depends on the depth, such as an initialisation, overrides it; a mixer that
        is not placed is the first of one."""

    @final
    def forward(
        self, x_BTD: Tensor, state: Any = None, *, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Mixes along time. x_BTD [B, T, D] -> (y_BTD [B, T, D], state). T >= 1."""
        if state is not None and not self.causal:
            raise UserError(f"{type(self).__name__} sees the future: it has no state to continue")
        if mask_BT is None:
            return self.mix(x_BTD, state, None)
        aligned = left_align(x_BTD, mask_BT)
        y_BTD, state = self.mix(aligned.x_BTD, state, aligned.lengths_B)
        return restore(y_BTD, aligned), state

    @abstractmethod
    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        """The mixer itself, on right-padded rows: row b has `lengths_B[b]` real positions first
        (None: all are real; a row may have none). Outputs beyond a row's length are free; the
        returned state is that after the row's last real position. Non-causal mixers return None.
        """

    @abstractmethod
    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        """The state before the first position, on the parameters' device and in its dtypes.

        `max_length` preallocates states that grow; others ignore it. Non-causal mixers return None.
        """

    def rewound(self, state: Any, count: int) -> Any:
        """The state `count` positions ago, for those that only ever grow (`rewinds`): what came
        since is cut off, and the state passed in is consumed."""
        raise NotImplementedError(f"{type(self).__name__} keeps no earlier state")

    @abstractmethod
    def flops(self, length: int) -> int:
        """Floating-point operations of the forward pass over one sequence of `length` from nothing.

        The arithmetic that the definition needs: a multiply-add counts two, matrix products,
        convolutions and recurrences are counted, activations and normalisations are not; causal
        attention counts the pairs that may see each other.
        """

    @abstractmethod
    def state_bytes(self, length: int) -> int:
        """Bytes of one sequence's state after `length` positions: exactly what is measured on a
        state preallocated for `length` (0 for non-causal mixers)."""

    @abstractmethod
    def serial_steps(self, length: int) -> int:
        """The longest chain of dependent steps over `length` positions in training, with the
        chosen algorithm (a matrix product or an elementwise operation is one step)."""

    @abstractmethod
    def path_length(self, distance: int) -> int:
        """Operations on the shortest path between positions `distance` apart, in layers or steps
        of this mixer (Vaswani et al. 2017, Table 1). `distance` >= 1."""

    @abstractmethod
    def reach(self) -> float:
        """How many positions back one layer can see (itself not counted); math.inf: all of them."""


class Watched:
    """What can show the weights of its softmax: where `watcher` is set, each call hands it the
    weights a_BHTC, written out beside the algorithm that gives the output. Where it is None, no
    weight is written out."""

    watcher: Callable[[Tensor], None] | None = None
