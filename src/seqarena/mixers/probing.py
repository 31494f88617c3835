"""What a plain module does to its inputs, measured: it declares nothing (mixers/plain.py).

    causal        no output moves when a later input changes, or when fewer inputs follow
    rows          no output moves when another row changes
    repeatable    equal inputs give equal outputs, and inputs stay as they are

Weights are stirred first, so that a path that begins at zero hides nothing. Numbers are compared in
float64 where the module runs in it, in evaluation mode; in training mode, where a module may look
at a whole batch, once more with equal draws.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError, one_line
from seqarena.mixers.base import MixerConfig
from seqarena.mixers.checked import stir
from seqarena.mixers.plain import PlainModule

LENGTH = 21  # of which every position is changed in turn
_LONG = 257  # of which a few are
_ROWS = 3
_MOVES = {torch.float64: 1e-9, torch.float32: 1e-5}  # of the largest number: beyond, it has moved


class ModuleFacts(NamedTuple):
    """What was found. `leak`: how it sees the future, in words; "": it does not."""

    leak: str
    outputs: int  # that it returns; of several the first is taken
    dtype: str  # that numbers were compared in
    leaks_in_training: bool

    @property
    def causal(self) -> bool:
        return not self.leak


@functools.lru_cache(maxsize=256)
def _facts(mixer: type[PlainModule], width: int, config: str, length: int) -> ModuleFacts:
    return _Probe(mixer, width, mixer.Config.model_validate_json(config), length).facts()


def module_facts(
    mixer: type[PlainModule], width: int, config: MixerConfig, length: int
) -> ModuleFacts:
    """What a module of this width does, on sequences of up to `length`.

    Raises UserError for one that cannot be built or run, returns another shape, mixes the rows of
    a batch, does not repeat itself, or changes its inputs.
    """
    options = config.model_copy(update={"sees_future": False})
    return _facts(mixer, width, options.model_dump_json(), length)


class _Probe:
    def __init__(
        self, mixer: type[PlainModule], width: int, config: MixerConfig, length: int
    ) -> None:
        self.name, self.width, self.longest = mixer.__name__, width, length
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(7)
            module = mixer(width, config)
            stir(module)
        self.module, self.dtype, self.device = self._placed(module.eval())

    def _placed(self, module: PlainModule) -> tuple[PlainModule, torch.dtype, str]:
        """Where it runs: in float64, in float32, or on a GPU alone. Raises UserError for nowhere,
        with what it says in float32."""
        places = [(torch.float64, "cpu"), (torch.float32, "cpu")]
        if torch.cuda.is_available():
            places.append((torch.float32, "cuda"))
        why = ""
        for dtype, device in places:
            try:
                moved = copy.deepcopy(module).to(device, dtype)
                with torch.no_grad():
                    moved(self._inputs(min(LENGTH, self.longest)).to(device, dtype))
                return moved, dtype, device
            except UserError:
                raise
            except (Exception, SystemExit) as error:
                why = one_line(error)
        length = min(LENGTH, self.longest)
        raise UserError(f"{self.name} fails on inputs {(_ROWS, length, self.width)}: {why}")

    def facts(self) -> ModuleFacts:
        self._check_repeats()
        self._check_rows()
        if self.longest > _LONG:
            self._call(self.module, self._inputs(self.longest)[:1])
        leak = next(self._leaks(), "")
        return ModuleFacts(
            leak,
            self._outputs(),
            str(self.dtype).removeprefix("torch."),
            not leak and self._leaks_in_training(),
        )

    def _inputs(self, length: int, seed: int = 0) -> Tensor:
        draw = torch.Generator().manual_seed(seed)
        x_BTD = torch.randn(_ROWS, length, self.width, generator=draw, dtype=torch.float64)
        return x_BTD

    def _call(self, module: PlainModule, x_BTD: Tensor) -> Tensor:
        with torch.no_grad():
            try:
                y_BTD = module(x_BTD.to(self.device, self.dtype))[0]
            except UserError:
                raise
            except (Exception, SystemExit) as error:
                raise UserError(
                    f"{self.name} fails on inputs {tuple(x_BTD.shape)}: {one_line(error)}"
                ) from error
        if not bool(y_BTD.isfinite().all()):
            raise UserError(f"{self.name} gives numbers that are not finite")
        return y_BTD

    def _moved(self, before: Tensor, after: Tensor) -> Tensor:
        """Where two outputs differ: [B, T]."""
        scale = max(1.0, float(before.abs().max()))
        return (before - after).abs().amax(-1) > _MOVES[self.dtype] * scale

    def _check_repeats(self) -> None:
        x_BTD = self._inputs(min(LENGTH, self.longest)).to(self.device, self.dtype)
        given = x_BTD.clone()
        first = self._call(self.module, given)
        if not torch.equal(given, x_BTD):
            raise UserError(f"{self.name} changes its inputs in place: work on a copy")
        self._call(self.module, self._inputs(x_BTD.shape[1], seed=1))
        if bool(self._moved(first, self._call(self.module, x_BTD)).any()):
            raise UserError(
                f"{self.name} gives another output for the same inputs in evaluation mode: it "
                "keeps something between calls, or draws numbers"
            )

    def _check_rows(self) -> None:
        x_BTD = self._inputs(min(LENGTH, self.longest))
        changed_BTD = x_BTD.clone()
        changed_BTD[0] = self._inputs(x_BTD.shape[1], seed=2)[0]
        moved_BT = self._moved(self._call(self.module, x_BTD), self._call(self.module, changed_BTD))
        if bool(moved_BT[1:].any()):
            raise UserError(
                f"{self.name} mixes the rows of a batch: row 1 moves when row 0 changes; axes are "
                "(batch, time, width), which torch's own layers call batch_first=True"
            )

    def _leaks(self) -> Iterator[str]:
        """How outputs depend on what is later, in words; nothing of a causal module."""
        call = functools.partial(self._call, self.module)
        for length in sorted({min(LENGTH, self.longest), min(_LONG, self.longest)}):
            yield from self._later_inputs(call, length, range(1, length))
        x_BTD = self._inputs(min(LENGTH, self.longest))
        whole_BTD = call(x_BTD)
        for end in range(1, x_BTD.shape[1]):
            moved = self._moved(whole_BTD[:, :end], call(x_BTD[:, :end])).any(0).nonzero()
            if len(moved):
                yield (
                    f"its output at position {int(moved[0])} moves with how many positions follow"
                )

    def _later_inputs(
        self, call: Callable[[Tensor], Tensor], length: int, places: range
    ) -> Iterator[str]:
        if length > LENGTH:
            places = range(1, length, max(1, length // 4))
        x_BTD, other_BTD = self._inputs(length), self._inputs(length, seed=3)
        before_BTD = call(x_BTD)
        for place in places:
            changed_BTD = x_BTD.clone()
            changed_BTD[:, place] = other_BTD[:, place]
            moved = self._moved(before_BTD, call(changed_BTD))[:, :place].any(0).nonzero()
            if len(moved):
                yield (
                    f"its output at position {int(moved[-1])} moves when the input at position "
                    f"{place} changes"
                )

    def _leaks_in_training(self) -> bool:
        """Whether in training mode outputs move with other rows or later inputs: batch statistics,
        say. Each call has a fresh copy and equal draws."""

        def call(x_BTD: Tensor) -> Tensor:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(11)
                return self._call(copy.deepcopy(self.module).train(), x_BTD)

        length = min(LENGTH, self.longest)
        if next(self._later_inputs(call, length, range(length // 2, length // 2 + 1)), ""):
            return True
        x_BTD = self._inputs(length)
        changed_BTD = x_BTD.clone()
        changed_BTD[0] = self._inputs(length, seed=2)[0]
        return bool(self._moved(call(x_BTD), call(changed_BTD))[1:].any())

    def _outputs(self) -> int:
        """How many things it returns."""
        x_BTD = self._inputs(min(LENGTH, self.longest)).to(self.device, self.dtype)
        with torch.no_grad():
            found = self.module.module(x_BTD)
        return len(found) if isinstance(found, tuple | list) else 1
