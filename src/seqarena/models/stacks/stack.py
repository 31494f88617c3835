"""A stack of blocks: norm, sequence mixer, norm, channel mixer, each with its residual.

    pre-norm   x = x + mixer(norm(x));   x = x + channel_mixer(norm(x));   a norm after the last
    post-norm  x = norm(x + mixer(x));   x = norm(x + channel_mixer(x))    (Vaswani et al. 2017)

With `short_convolution` the mixer sees z + convolution(z) in place of z: a causal convolution of so
many taps over each feature by itself, without bias or nonlinearity. It is Canon layer A of
Allen-Zhu 2025, "Physics of Language Models: Part 4.1"; B, C and D, inside of the mixer and at the
channel mixer, are left out.

A stack is data: a tuple of layer configurations, so that a hybrid is nothing special. With
`norm="none"`, `residual=False` and `channel_mixer="none"` it is the bare stack of the 1990s.
"""

import inspect
from typing import Any, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.config import Config, load_object, parse_options
from seqarena.core.errors import UserError
from seqarena.core.shapes import map_state
from seqarena.core.user_code import file_digest, is_own, load_class, load_named
from seqarena.mixers.base import Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution
from seqarena.models.stacks.channel_mixers import MLP, Activation, GatedMLP
from seqarena.models.stacks.experts import Experts
from seqarena.ops.history import over_real_positions
from seqarena.ops.registry import Operation
from seqarena.ops.short_convolution import short_convolution

# no import: what the catalog's trials run does not depend on it; a user's file does (jobs/sources)
_ADAPTED = f"{Mixer.__module__.rpartition('.')[0]}.plain:adapted"


class LayerConfig(Config):
    """A layer's sequence mixer: `package.module:Class` or `path/to/file.py:Class`, and options."""

    mixer: str
    options: dict[str, Any] = {}
    source_digest: str | None = None  # of a user's file: a changed file is another model


class StackConfig(Config):
    """A stack of blocks of one width."""

    width: int
    layers: tuple[LayerConfig, ...]
    channel_mixer: Literal["mlp", "gated", "experts", "none"] = "mlp"
    channel_width: int = 0  # hidden units of the channel mixer, or of each of its experts
    experts: int = 8
    chosen_experts: int = 2
    activation: Activation = "gelu"  # of an mlp
    norm: Literal["layer", "rms", "none"] = "layer"
    norm_epsilon: float = 1e-5
    norm_position: Literal["pre", "post"] = "pre"
    residual: bool = True
    dropout: float = 0.0
    short_convolution: int = Field(default=0, ge=0)  # taps before each mixer; 0: there is none


class BlockState(NamedTuple):
    """Of a block with a short convolution; of any other it is its mixer's state alone."""

    mixer: Any
    inputs_BKD: Tensor  # the convolution's last K - 1 inputs


class Block(nn.Module):
    """One layer of the stack. x_BTD [B, T, D] and a block's state -> the same."""

    def __init__(self, config: StackConfig, layer: LayerConfig) -> None:
        super().__init__()
        self.config = config
        self.mixer = build_mixer(layer, config.width)
        self.mixer_norm = _norm(config)
        self.convolution: ShortConvolution | None = None
        if config.short_convolution:
            self.convolution = ShortConvolution(
                config.width, config.short_convolution, activation="none"
            )
        self.channel_norm: nn.Module | None = None
        self.channel_mixer: nn.Module | None = None
        if config.channel_mixer != "none":
            self.channel_norm = _norm(config)
            self.channel_mixer = _channel_mixer(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x_BTD: Tensor, state: Any = None, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        pre = self.config.norm_position == "pre"
        y_BTD, state = self._mix(self.mixer_norm(x_BTD) if pre else x_BTD, state, mask_BT)
        x_BTD = self._join(x_BTD, y_BTD, self.mixer_norm)
        if self.channel_mixer is not None and self.channel_norm is not None:
            y_BTD = self.channel_mixer(self.channel_norm(x_BTD) if pre else x_BTD, mask_BT)
            x_BTD = self._join(x_BTD, y_BTD, self.channel_norm)
        return x_BTD, state

    def _mix(self, x_BTD: Tensor, state: Any, mask_BT: Tensor | None) -> tuple[Tensor, Any]:
        """The mixer, behind the short convolution where there is one."""
        convolution = self.convolution
        if convolution is None:
            return self.mixer(x_BTD, state, mask_BT=mask_BT)
        before: BlockState = state or BlockState(None, convolution.initial_history(len(x_BTD)))
        y_BTD, inputs_BKD = over_real_positions(
            lambda x, lengths_B: convolution(x, before.inputs_BKD, lengths_B), x_BTD, mask_BT
        )
        y_BTD, after = self.mixer(x_BTD + y_BTD, before.mixer, mask_BT=mask_BT)
        return y_BTD, BlockState(after, inputs_BKD)

    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        """Before the first position (see Mixer.initial_state)."""
        state = self.mixer.initial_state(batch_size, max_length)
        if self.convolution is None:
            return state
        return BlockState(state, self.convolution.initial_history(batch_size))

    def keep(self, state: Any) -> Any:
        """What is needed to come back to a state later: a copy, or nothing where it rewinds."""
        own = state if self.convolution is None else state.mixer
        kept = None if self.mixer.rewinds else map_state(torch.clone, own)
        return kept if self.convolution is None else BlockState(kept, state.inputs_BKD.clone())

    def rewound(self, state: Any, kept: Any, count: int) -> Any:
        """The state `count` positions ago, of which `kept` was kept."""
        own, old = (state, kept) if self.convolution is None else (state.mixer, kept.mixer)
        rewinds = self.mixer.rewinds
        before = self.mixer.rewound(own, count) if rewinds else map_state(torch.clone, old)
        return before if self.convolution is None else BlockState(before, kept.inputs_BKD.clone())

    def _join(self, x_BTD: Tensor, y_BTD: Tensor, norm: nn.Module) -> Tensor:
        y_BTD = self.dropout(y_BTD)
        if self.config.residual:
            y_BTD = x_BTD + y_BTD
        return y_BTD if self.config.norm_position == "pre" else norm(y_BTD)

    def flops(self, length: int) -> int:
        """Forward floating-point operations for one sequence; norms are not counted."""
        channel_mixer = cast("Any", self.channel_mixer)
        convolved = 0 if self.convolution is None else self.convolution.flops(length)
        mixed = channel_mixer.flops(length) if channel_mixer else 0
        return self.mixer.flops(length) + convolved + mixed

    def state_bytes(self, length: int) -> int:
        """Bytes of one sequence's state after `length` positions."""
        causal = self.convolution is not None and self.mixer.causal
        convolved = self.convolution.history_bytes() if causal and self.convolution else 0
        return self.mixer.state_bytes(length) + convolved

    def serial_steps(self, length: int) -> int:
        """The longest chain of dependent steps; the convolution and its sum are two."""
        return self.mixer.serial_steps(length) + (0 if self.convolution is None else 2)

    def reach(self) -> float:
        """How many positions back it can see (see Mixer.reach)."""
        return self.mixer.reach() + max(0, self.config.short_convolution - 1)


class Stack(nn.Module):
    """Blocks one after the other. Its state is the tuple of its blocks' states."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config, layer) for layer in config.layers)
        for index, mixer in enumerate(self.mixers):
            mixer.place(index, len(self.blocks))
        self.last_norm = _norm(config) if config.norm_position == "pre" else nn.Identity()

    def forward(
        self, x_BTD: Tensor, state: Any = None, *, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, tuple[Any, ...]]:
        states = []
        for block, block_state in zip(self.blocks, state or (None,) * len(self.blocks)):
            x_BTD, block_state = block(x_BTD, block_state, mask_BT)
            states.append(block_state)
        return self.last_norm(x_BTD), tuple(states)

    def initial_state(self, batch_size: int, max_length: int = 0) -> tuple[Any, ...]:
        return tuple(block.initial_state(batch_size, max_length) for block in self._blocks)

    def keep(self, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """What is needed to come back to a state later."""
        return tuple(block.keep(own) for block, own in zip(self._blocks, state))

    def rewound(self, state: tuple[Any, ...], kept: tuple[Any, ...], count: int) -> tuple[Any, ...]:
        """The state `count` positions ago, of which `kept` was kept."""
        layers = zip(self._blocks, state, kept, strict=True)
        return tuple(block.rewound(own, old, count) for block, own, old in layers)

    @property
    def _blocks(self) -> tuple[Block, ...]:
        return tuple(cast("Block", block) for block in self.blocks)

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        return tuple(block.mixer for block in self._blocks)

    @property
    def balance_loss(self) -> Tensor | None:
        """What keeps experts busy, summed over layers; None where there are none."""
        losses = [
            loss
            for block in self._blocks
            if (loss := getattr(block.channel_mixer, "balance_loss", None)) is not None
        ]
        return torch.stack(losses).sum() if losses else None

    @property
    def causal(self) -> bool:
        return all(mixer.causal for mixer in self.mixers)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What each layer runs by on the parameters' present device and dtype."""
        return tuple(_algorithms_of(block) for block in self._blocks)

    def flops(self, length: int) -> int:
        return sum(block.flops(length) for block in self._blocks)

    def state_bytes(self, length: int) -> int:
        return sum(block.state_bytes(length) for block in self._blocks)

    def serial_steps(self, length: int) -> int:
        """The longest chain of dependent steps: the layers' chains one after the other."""
        return sum(block.serial_steps(length) for block in self._blocks)

    def reach(self) -> float:
        """How many positions back the last answer sees; math.inf: all of them."""
        return sum(block.reach() for block in self._blocks)


def _algorithms_of(block: Block) -> str:
    """What the mixer runs by; and the short convolutions, where not by their slow truth."""
    found = {m.algorithm for m in block.modules() if isinstance(m, ShortConvolution)}
    found -= {short_convolution.names[0]}
    other = f" (short convolution {', '.join(sorted(found))})" if found else ""
    return block.mixer.algorithm + other


def load_mixer(specification: str, recorded_digest: str | None = None) -> type[Mixer]:
    """The class named by `package.module:Class` or `path/to/file.py:Class`.

    A user's plain torch module, or a function that makes one, is adapted (mixers/plain.py).

    Raises UserError when the file, the module or the class is missing, or is neither, and for
    a user's own that nothing allowed in this process (core/user_code.py).
    """
    if is_own(specification):
        named = load_named(specification, nn.Module, "mixer", recorded_digest)
        if _is_plain(named):
            return load_object(_ADAPTED)(named, specification.rpartition(":")[2])
    found = load_class(specification, Mixer, "mixer", recorded_digest)
    options = getattr(found, "Config", None)
    if not (isinstance(options, type) and issubclass(options, MixerConfig)):
        raise UserError(f"mixer {specification!r} has no options: write Config = MixerConfig")
    return found


def _is_plain(named: Any) -> bool:
    """A class of torch modules that are no mixers, or a function."""
    if isinstance(named, type):
        return issubclass(named, nn.Module) and not issubclass(named, Mixer)
    return inspect.isfunction(named)


def build_mixer(layer: LayerConfig, width: int) -> Mixer:
    """The mixer of one layer. Raises UserError for options that it does not have."""
    mixer_class, config = layer_config(layer.mixer, layer.options, layer.source_digest)
    return mixer_class(width, config)


def layer_config(
    mixer: str, options: dict[str, Any], recorded_digest: str | None = None
) -> tuple[type[Mixer], MixerConfig]:
    """The class of a layer's mixer and its configuration. Raises UserError for options that the
    mixer does not have."""
    mixer_class = load_mixer(mixer, recorded_digest)
    return mixer_class, parse_options(mixer_class.__name__, mixer_class.Config, options)


def layer_operation(mixer: str, options: dict[str, Any]) -> Operation[..., Any]:
    """The operation that computes a layer of this mixer: it lists the algorithms. Raises UserError
    for options that the mixer does not have."""
    mixer_class, config = layer_config(mixer, options)
    return mixer_class.operation_of(config)


def user_layer(specification: str, options: dict[str, Any] | None = None) -> LayerConfig:
    """The layer of a user's own mixer, its file's content digested into the configuration."""
    load_mixer(specification)
    path = specification.rpartition(":")[0]
    source = file_digest(path) if path.endswith(".py") else None
    return LayerConfig(mixer=specification, options=options or {}, source_digest=source)


def _channel_mixer(config: StackConfig) -> nn.Module:
    sizes = (config.width, config.channel_width, len(config.layers))
    if config.channel_mixer == "experts":
        if not 1 <= config.chosen_experts <= config.experts:
            raise UserError(f"{config.chosen_experts} of {config.experts} experts cannot be chosen")
        return Experts(*sizes, experts=config.experts, chosen=config.chosen_experts)
    if config.channel_mixer == "mlp":
        return MLP(*sizes, activation=config.activation)
    return GatedMLP(*sizes)


def _norm(config: StackConfig) -> nn.Module:
    if config.norm == "none":
        return nn.Identity()
    kind = nn.LayerNorm if config.norm == "layer" else nn.RMSNorm
    return kind(config.width, eps=config.norm_epsilon)
