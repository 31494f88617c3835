"""A causal layer in each direction (Schuster & Paliwal 1997, "Bidirectional recurrent neural
networks"): position t sees the whole sequence.

    a_t = forward layer over x_1 .. x_t,   z_t = backward layer over x_T .. x_t
    y_t = V [a_t ; z_t] + b     ("project")     or     y_t = a_t + z_t     ("sum")

Letters: D the width, in and out, of each direction too. V is `projection`. The layer is any causal
mixer: recurrent as published, or one named by its place, `package.module:Class`.

"project" is the default: it is what the concatenation of torch.nn's bidirectional layers becomes
once the next layer reads it, and it lets the layer weigh the two directions feature by feature.
"sum" has no parameters of its own and forces both directions to share the meaning of a feature.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn

from seqarena.core.config import parse_options
from seqarena.core.errors import UserError
from seqarena.core.user_code import load_class
from seqarena.mixers.base import Complexity, Mixer, MixerConfig
from seqarena.ops.padding import reverse
from seqarena.ops.registry import Operation

_SHORT = {
    "elman": "seqarena.mixers.recurrent.elman:Elman",
    "gru": "seqarena.mixers.recurrent.gru:GRU",
    "lstm": "seqarena.mixers.recurrent.lstm:LSTM",
}


class BidirectionalConfig(MixerConfig):
    """`inner` is the layer of each direction, elman, gru, lstm or the place of any causal mixer;
    `options` are its own fields, except `algorithm`, which is said here for both. Raises UserError
    for a layer that is none or sees the future, and for options that it does not have.
    """

    inner: str = "lstm"
    options: dict[str, Any] = {}
    combine: Literal["project", "sum"] = "project"

    @model_validator(mode="after")
    def _options_are_those_of_inner(self) -> "BidirectionalConfig":
        if "algorithm" in self.options:
            raise UserError(
                "bidirectional: algorithm is a field next to inner, not one of its options"
            )
        self.inner_config()
        return self

    def inner_class(self) -> type[Mixer]:
        """The layer of each direction."""
        if ":" not in self.inner and self.inner not in _SHORT:
            raise UserError(
                f"bidirectional: inner {self.inner!r} is not {', '.join(_SHORT)} or the place of a "
                "mixer, package.module:Class"
            )
        return load_class(_SHORT.get(self.inner, self.inner), Mixer, "mixer")

    def inner_config(self) -> MixerConfig:
        """The configuration of the layer of each direction."""
        fields = {"algorithm": self.algorithm, **self.options}
        owner = f"bidirectional, {self.inner}"
        return parse_options(owner, self.inner_class().Config, fields)


class Bidirectional(Mixer):
    """Two layers of one kind, each with its own parameters; no state, for it sees the future."""

    Config = BidirectionalConfig
    equation: ClassVar[str] = """\
a_t = forward layer over x_1 .. x_t,   z_t = backward layer over x_T .. x_t
y_t = V [a_t ; z_t] + b     ("project")     or     y_t = a_t + z_t     ("sum")"""
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "T", "none")
    causal = False

    def __init__(self, width: int, config: BidirectionalConfig) -> None:
        super().__init__(width, config)
        inner = config.inner_class()
        self.ahead = inner(width, config.inner_config())
        self.back = inner(width, config.inner_config())
        self.projection = nn.Linear(2 * width, width) if config.combine == "project" else None
        if not self.ahead.causal:
            raise UserError(f"bidirectional: {inner.__name__} sees the future by itself")

    def place(self, layer: int, num_layers: int) -> None:
        """Both directions stand where this layer does."""
        self.ahead.place(layer, num_layers)
        self.back.place(layer, num_layers)

    @classmethod
    def operation_of(cls, config: MixerConfig) -> Operation[..., Any]:
        """That of the layer of each direction."""
        assert isinstance(config, BidirectionalConfig)
        return config.inner_class().operation_of(config.inner_config())

    @classmethod
    def equation_of(cls, config: MixerConfig) -> str:
        """With what each direction computes."""
        assert isinstance(config, BidirectionalConfig)
        inner = config.inner_class().equation_of(config.inner_config())
        return "\n\n".join(filter(None, (cls.equation, inner)))

    @classmethod
    def complexity_of(cls, config: MixerConfig) -> Complexity:
        """Those of the layer of each direction; no state is kept."""
        assert isinstance(config, BidirectionalConfig)
        inner = config.inner_class().complexity_of(config.inner_config())
        return inner._replace(state=cls.complexity.state)

    def resolve(self, device: str | torch.device, dtype: torch.dtype) -> str:
        """Both directions run by what the layer itself runs by."""
        self._resolved = self.ahead.resolve(device, dtype)
        return self.back.resolve(device, dtype)

    def mix(self, x_BTD: Tensor, state: None, lengths_B: Tensor | None) -> tuple[Tensor, None]:
        """Both directions.

        The layers see no lengths: padding comes after a row's real positions in either direction,
        where a causal layer's outputs do not depend on it, and their states are not used.
        """
        ahead_BTD, _ = self.ahead.mix(x_BTD, None, None)
        back_BTD, _ = self.back.mix(reverse(x_BTD, lengths_B), None, None)
        back_BTD = reverse(back_BTD, lengths_B)
        if self.projection is None:
            return ahead_BTD + back_BTD, None
        both_BTE = torch.cat([ahead_BTD, back_BTD], dim=2)
        return self.projection(both_BTE), None

    def initial_state(self, batch_size: int, max_length: int = 0) -> None:
        """None: a layer that sees the future has nothing to continue from."""
        return None

    def flops(self, length: int) -> int:
        """Both directions, and the projection or the sum."""
        joining = self.width if self.projection is None else 4 * self.width**2
        return self.ahead.flops(length) + self.back.flops(length) + length * joining

    def state_bytes(self, length: int) -> int:
        """No state."""
        return 0

    def serial_steps(self, length: int) -> int:
        """The directions run at the same time; joining them is one step more."""
        return self.ahead.serial_steps(length) + 1

    def path_length(self, distance: int) -> int:
        """That of the layer, in whichever direction."""
        return self.ahead.path_length(distance)

    def reach(self) -> float:
        """That of the layer, backwards and forwards."""
        return self.ahead.reach()
