"""Plain torch modules in a plan: what was measured of them, in sentences, and what they may enter.

What the contract declares of a mixer is measured of a plain module (mixers/probing.py) before
anything is planned with it; what is lost is said before training and on the page.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from seqarena.core.architecture import Architecture
from seqarena.core.config import parse_options
from seqarena.core.errors import UserError
from seqarena.core.user_code import is_own
from seqarena.mixers.base import MixerConfig
from seqarena.mixers.plain import PlainModule
from seqarena.mixers.probing import LENGTH, ModuleFacts, module_facts
from seqarena.models.any import AnyConfig
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.models.stacks.stack import layer_config, load_mixer

_WIDTHS = (64, 60, 32, 48, 96, 128, 256, 512)  # the first that a module takes is measured


class _Plain(NamedTuple):
    """A layer that is a plain module."""

    mixer: type[PlainModule]
    config: MixerConfig


def with_measured(row: Architecture) -> Architecture:
    """The row of a plain module with what was measured of it: whether it sees the future, and what
    is lost. Any other row, and one whose module fails, is returned as it is: it is refused when it
    is built at its size."""
    with suppress(UserError):
        plain, width = _plain_of(row), 0
        if plain is None:
            return row
        for width in _WIDTHS:
            with suppress(UserError):
                plain.mixer(width, plain.config)
                break
        facts = module_facts(plain.mixer, width, plain.config, LENGTH)
        place, options = row.cycle[0]
        own: dict[str, Any] = {k: x for k, x in options.items() if k != "sees_future"}
        own |= {} if facts.causal else {"sees_future": True}
        idea = " ".join(_sentences(facts, plain.mixer(width, plain.config)))
        idea = f"{place.rpartition(':')[2]}, a plain torch module of your own. {idea}"
        return row._replace(causal=facts.causal, cycle=((place, own),), idea=idea)
    return row


def leak_of(row: Architecture) -> str:
    """How the row's plain module sees the future, in words that follow a colon; "": it does not."""
    plain = None if row.causal else _plain_of(row)
    if plain is None:
        return ""
    for width in _WIDTHS:
        with suppress(UserError):
            return module_facts(plain.mixer, width, plain.config, LENGTH).leak
    return ""


def measure_modules(config: AnyConfig, length: int) -> tuple[str, ...]:
    """Measures the plain modules of a model at its own width, on sequences of up to `length`; what
    was found and what is lost, in sentences.

    Raises UserError for what `module_facts` refuses, and for one that sees the future in a model
    that takes it for causal.
    """
    if not isinstance(config, ModelConfig):
        return ()
    found: dict[str, None] = {}
    for layer in config.stack.layers:
        if not is_own(layer.mixer):
            continue
        mixer, options = layer_config(layer.mixer, layer.options, layer.source_digest)
        if not issubclass(mixer, PlainModule):
            continue
        width = config.stack.width
        facts = module_facts(mixer, width, options, length)
        module = mixer(width, options)
        if module.causal and facts.leak:
            raise UserError(f"{mixer.__name__} sees the future: {facts.leak}")
        said = _sentences(facts, module)
        found |= {f"{mixer.__name__}, a plain torch module: {one}": None for one in said}
    return tuple(found)


def _plain_of(row: Architecture) -> _Plain | None:
    if len(row.cycle) != 1 or not is_own(row.cycle[0][0]):
        return None
    place, options = row.cycle[0]
    mixer = load_mixer(place)
    if not issubclass(mixer, PlainModule):
        return None
    return _Plain(mixer, parse_options(mixer.__name__, mixer.Config, options))


def _sentences(facts: ModuleFacts, module: PlainModule) -> list[str]:
    how = "" if facts.dtype == "float64" else f", compared in {facts.dtype}: it fails in float64"
    if module.causal:
        found = [
            f"It is causal, as measured: no output moves with a later input{how}.",
            "It declares no state: writing reads the whole prefix again for each token.",
        ]
    else:
        found = [
            f"It sees the future, as measured{how}: {facts.leak}."
            if facts.leak
            else "It is taken to see the future, as its option says.",
            "It encodes and cannot write; rows of a padded batch run by their length.",
        ]
    if facts.leaks_in_training:
        found.append(
            "In training mode, and there alone, its outputs move with other rows or later inputs "
            "(statistics of the batch?)."
        )
    if facts.outputs > 1:
        found.append(f"It returns {facts.outputs} things: the first is taken.")
    counted = "flops" not in module.unknown_costs
    found.append(
        "Its operations are counted by torch; its serial steps, longest path and state are not "
        "known."
        if counted
        else "Its operations (torch counts none), serial steps, longest path and state are not "
        "known."
    )
    return found
