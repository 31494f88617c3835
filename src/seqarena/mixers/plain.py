"""A plain torch module as a mixer: what maps [B, T, D] to [B, T, D], taken as it is.

    class Mine(nn.Module):                  or a function that takes the width and returns a module
        def __init__(self, dim, heads=4): ...
        def forward(self, x): ...           of a tuple the first is taken

It declares nothing, so that this file measures or does without. Operations are those that torch
counts (products and convolutions); state, serial steps, path and reach are not known. A causal one
(probing.py measures that) is decoded by reading the whole prefix again: its state is the inputs so
far. Right padding cannot move what is causal; of any other module the rows of a padded batch run
by their length, without padding.

The width goes to the constructor's argument of a usual name (WIDTH_NAMES), else to its first. Its
other arguments that are numbers, texts or required are options.
"""

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from pydantic import create_model
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError, one_line
from seqarena.mixers.base import Complexity, Mixer, MixerConfig

NOT_KNOWN = "not known"
WIDTH_NAMES = (
    "dim", "d_model", "hidden_size", "width", "embed_dim", "d", "model_dim", "hidden_dim",
    "hidden_channels", "n_embd", "num_features", "features", "channels", "input_size", "input_dim",
)  # fmt: skip
_UNKNOWN = frozenset({"serial_steps", "path_length", "reach", "state_bytes"})
_PLAIN = (bool, int, float, str)


class PlainConfig(MixerConfig):
    """What is said of a plain module. Its own options are the fields of a subclass."""

    sees_future: bool = False  # measured before training, and kept with the model


class PlainState(NamedTuple):
    """The inputs so far; rows are right-padded, and `lengths_B` None means that all are full."""

    inputs_BLD: Tensor
    lengths_B: Tensor | None


class _Arguments(NamedTuple):
    """How a constructor is called: the names that take the width (none: its first place)."""

    widths: tuple[str, ...]
    options: dict[str, Any]  # name -> (type, default) as pydantic takes them


class PlainModule(Mixer):
    """Abstract: `adapted` makes a subclass of it for each module."""

    make: ClassVar[Callable[..., nn.Module]]
    arguments: ClassVar[_Arguments]
    algorithms = ("module",)
    complexity = Complexity(NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN)

    def __init__(self, width: int, config: MixerConfig) -> None:
        super().__init__(width, config)
        assert isinstance(config, PlainConfig)
        self.causal = not config.sees_future
        self.module = self._made(config)

    @property
    def unknown_costs(self) -> frozenset[str]:
        return _UNKNOWN if self.flops(16) else _UNKNOWN | {"flops"}

    def mix(
        self, x_BTD: Tensor, state: PlainState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PlainState | None]:
        if not self.causal:
            return self._by_length(x_BTD, lengths_B), None
        if state is None:
            return self._run(x_BTD), PlainState(x_BTD, lengths_B)
        past = state.inputs_BLD.shape[1]
        if state.lengths_B is None and lengths_B is None:
            inputs_BLD = torch.cat((state.inputs_BLD, x_BTD), dim=1)
            return self._run(inputs_BLD)[:, past:], PlainState(inputs_BLD, None)
        rows, new = x_BTD.shape[:2]
        before_B, now_B = (
            torch.full((rows,), length, device=x_BTD.device) if known is None else known
            for known, length in ((state.lengths_B, past), (lengths_B, new))
        )
        places_BT = before_B[:, None] + torch.arange(new, device=x_BTD.device)
        places_BTD = places_BT[..., None].expand_as(x_BTD)
        inputs_BLD = F.pad(state.inputs_BLD, (0, 0, 0, new)).scatter(1, places_BTD, x_BTD)
        y_BTD = self._run(inputs_BLD).gather(1, places_BTD)
        ends_B = before_B + now_B
        return y_BTD, PlainState(inputs_BLD[:, : int(ends_B.max())], ends_B)

    def initial_state(self, batch_size: int, max_length: int = 0) -> PlainState | None:
        if not self.causal:
            return None
        like = next(self.parameters(), torch.empty(0))
        return PlainState(like.new_zeros(batch_size, 0, self.width), None)

    def flops(self, length: int) -> int:
        """Products and convolutions as torch counts them in a forward pass of this length; 0: it
        finds none, and the operations are not known."""
        return _counted(type(self), self.width, self.config.model_dump_json(), length)

    def state_bytes(self, length: int) -> int:
        """Of the inputs, which are kept in place of a state."""
        if not self.causal:
            return 0
        like = next(self.parameters(), torch.empty(0))
        return length * self.width * like.element_size()

    def serial_steps(self, length: int) -> int:
        raise self._unknown("serial steps")

    def path_length(self, distance: int) -> int:
        raise self._unknown("path length")

    def reach(self) -> float:
        raise self._unknown("reach")

    def _unknown(self, cost: str) -> UserError:
        return UserError(f"{type(self).__name__} is a plain module: its {cost} is not known")

    def _run(self, x_BTD: Tensor) -> Tensor:
        y_BTD = self.module(x_BTD)
        if isinstance(y_BTD, tuple | list) and y_BTD:
            y_BTD = y_BTD[0]
        name, wanted = type(self).__name__, tuple(x_BTD.shape)
        if not isinstance(y_BTD, Tensor):
            raise UserError(f"{name} returns {type(y_BTD).__name__}, and not a tensor {wanted}")
        if y_BTD.shape != x_BTD.shape:
            raise UserError(
                f"{name} returns shape {tuple(y_BTD.shape)} for inputs {wanted}: it has to keep "
                "batch, time and width"
            )
        return y_BTD

    def _by_length(self, x_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
        """Rows of one length together, each without its padding."""
        if lengths_B is None:
            return self._run(x_BTD)
        longest, pieces, order = x_BTD.shape[1], [], []
        for length in lengths_B.unique().tolist():
            rows = (lengths_B == length).nonzero().flatten()
            x_RTD = x_BTD[rows, :length]
            y_RTD = self._run(x_RTD) if length else x_RTD
            pieces.append(F.pad(y_RTD, (0, 0, 0, longest - length)))
            order.append(rows)
        return torch.cat(pieces)[torch.cat(order).argsort()]

    def _made(self, config: PlainConfig) -> nn.Module:
        """The module at this width. One that cannot be built without memory (on the meta device,
        where sizes are solved) is built on the CPU first. Raises UserError where it cannot be."""
        if torch.get_default_device().type != "meta":
            return self._called(config)
        try:
            return self._called(config)
        except UserError:
            with torch.device("cpu"), torch.random.fork_rng(devices=[]):
                return self._called(config).to("meta")

    def _called(self, config: PlainConfig) -> nn.Module:
        name, (widths, options) = type(self).__name__, self.arguments
        given = {option: getattr(config, option) for option in options}
        try:
            if widths:
                made = type(self).make(**dict.fromkeys(widths, self.width), **given)
            else:
                made = type(self).make(self.width, **given)
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{name} cannot be built at width {self.width}: {one_line(error)}"
            ) from error
        if not isinstance(made, nn.Module):
            raise UserError(f"{name}({self.width}) is no torch module: it has to return one")
        return made


@functools.cache
def adapted(target: Callable[..., nn.Module], name: str) -> type[PlainModule]:
    """The mixer of a module's class, or of a function that makes one.

    Raises UserError for a constructor that takes no width.
    """
    arguments = _arguments(target, name)
    config = create_model(f"{name}Config", __base__=PlainConfig, **arguments.options)
    fields = {
        "make": staticmethod(target),
        "arguments": arguments,
        "Config": config,
        "__doc__": target.__doc__,
        "__module__": target.__module__,
    }
    return cast("type[PlainModule]", type(name, (PlainModule,), fields))


def _arguments(target: Callable[..., nn.Module], name: str) -> _Arguments:
    try:
        found = list(inspect.signature(target).parameters.values())
    except ValueError:  # not written in Python
        return _Arguments((), {})
    named = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    usual = [one for one in named if one.name in WIDTH_NAMES]
    required = [one for one in usual if one.default is one.empty]
    widths = tuple(one.name for one in required or usual[:1])
    rest = [one for one in named if one.name not in widths]
    others = any(one.kind in (one.POSITIONAL_ONLY, one.VAR_POSITIONAL) for one in found)
    if not widths and not others:
        if not rest or rest[0].kind is rest[0].KEYWORD_ONLY:
            raise UserError(
                f"{name} takes no width: its first argument has to be the number of features"
            )
        rest = rest[1:]
    options: dict[str, Any] = {}
    for one in rest:
        if one.name in PlainConfig.model_fields or one.name.startswith("_"):
            continue
        if one.default is one.empty:
            options[one.name] = (Any, ...)
        elif type(one.default) in _PLAIN or one.default is None:
            kind = type(one.default) if one.default is not None else Any
            options[one.name] = (kind, one.default)
    return _Arguments(widths, options)


@functools.lru_cache(maxsize=1024)
def _counted(mixer: type[PlainModule], width: int, config: str, length: int) -> int:
    options = mixer.Config.model_validate_json(config)
    for device in ("meta", "cpu"):  # where it looks at numbers, the meta device has none
        with suppress(Exception):
            return _products(mixer, width, options, length, device)
    return 0


def _products(
    mixer: type[PlainModule], width: int, options: MixerConfig, length: int, device: str
) -> int:
    """Written out as products, as gradients, float64 and plain attention ask for: what a fused
    kernel does inside is not counted by torch."""
    with torch.device(device), torch.random.fork_rng(devices=[]), torch.enable_grad():
        module = mixer(width, options).double().eval()
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, length, width, dtype=torch.float64))
        return counter.get_total_flops()
