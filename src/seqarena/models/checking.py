"""The mixers that a name means, ready for the contract suite (`mixers/contract.py`); and what a
model says of itself, checked before anything is planned with it."""

import math
from numbers import Real
from typing import Any

import torch

from seqarena.core.config import parse_options
from seqarena.core.errors import UserError, one_line
from seqarena.core.user_code import allow
from seqarena.mixers.base import Complexity
from seqarena.mixers.checked import CheckedMixer, subject
from seqarena.models.catalog import architecture, is_known
from seqarena.models.model import Model
from seqarena.models.stacks.stack import load_mixer

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def mixers_to_check(
    name: str, *, device: str = "cpu", dtype: str = "float64"
) -> list[CheckedMixer]:
    """Each different layer of a stack of the catalog, or the class `file.py:Class` names.

    Raises UserError for an unknown name, a system that is no stack of mixers, another dtype, a
    device that is not there, and a user's own class that cannot be built.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r}: use one of {', '.join(DTYPES)}")
    own = not is_known(name) and ":" in name
    if own:
        allow(name)
    layers = [(name, {})] if own else list(architecture(name).cycle)
    if not layers:
        raise UserError(
            f"{name} is a system of its own, not a stack of mixers: the contract is for mixers"
        )
    found: list[CheckedMixer] = []
    for place, options in layers:
        mixer_class = load_mixer(place)
        config = parse_options(mixer_class.__name__, mixer_class.Config, options)
        try:
            mixer = subject(mixer_class, config, device=device, dtype=DTYPES[dtype])
            mixer.algorithms()
        except (Exception, SystemExit) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{name} cannot be built: {one_line(error)}") from error
        if mixer not in found:
            found.append(mixer)
    return found


def check_claims(model: Model, length: int) -> None:
    """Raises UserError for a model whose costs at `length` are no numbers that can be, and for a
    mixer that does not state its equation and its orders of growth: budgets, ranking and the page
    take them as they are."""
    for mixer in model.mixers:
        if not isinstance(mixer.equation, str):
            raise UserError(f"{type(mixer).__name__}.equation is no text")
        if not isinstance(getattr(mixer, "complexity", None), Complexity):
            raise UserError(
                f"{type(mixer).__name__} does not state its orders of growth: write "
                "complexity = Complexity(...)"
            )
    stated = [mixer for mixer in model.mixers if not mixer.unknown_costs]
    for owner in stated if model.mixers else (model,):
        what = type(owner).__name__
        _check_number(f"{what}.flops({length})", owner.flops(length), 1)
        _check_number(f"{what}.serial_steps({length})", owner.serial_steps(length), 1)
        _check_number(f"{what}.state_bytes({length})", owner.state_bytes(length), 0)
    for mixer in stated:
        what = type(mixer).__name__
        _check_number(f"{what}.path_length(1)", mixer.path_length(1), 1)
        _check_number(f"{what}.reach()", mixer.reach(), 0, infinite=True)


def _check_number(what: str, value: Any, least: int, *, infinite: bool = False) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else math.nan
    fits = number >= least and (infinite or (math.isfinite(number) and number % 1 == 0))
    if not fits:
        more = ", or math.inf" if infinite else ""
        raise UserError(f"{what} is {value!r}: it has to be a whole number from {least}{more}")
