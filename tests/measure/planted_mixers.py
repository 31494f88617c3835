"""Two mixers whose memory is known: of the first position alone, and of none."""

from typing import Any, NamedTuple

from torch import Tensor, nn

from seqarena.mixers.base import Complexity, Mixer, MixerConfig


class State(NamedTuple):
    """What goes along: the vector that every position sees."""

    seen_B1D: Tensor


class First(Mixer):
    """y_t = W x_1 + b: nothing is lost over any distance, and nothing but x_1 was ever kept."""

    Config = MixerConfig
    algorithms = ("loop",)
    complexity = Complexity("D^2", "1", "1", "D")

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        self.project = nn.Linear(width, width)

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        seen_B1D = x_BTD[:, :1] if state is None else state.seen_B1D
        return self.project(seen_B1D).expand_as(x_BTD), State(seen_B1D)

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        return None

    def flops(self, length: int) -> int:
        return 2 * self.width**2

    def state_bytes(self, length: int) -> int:
        return 4 * self.width

    def serial_steps(self, length: int) -> int:
        return 1

    def path_length(self, distance: int) -> int:
        return 1

    def reach(self) -> float:
        return float("inf")


class Nothing(First):
    """y_t = W x_t + b."""

    def mix(self, x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        return self.project(x_BTD), State(x_BTD[:, -1:])

    def reach(self) -> float:
        return 0.0
