"""Which tensor of a file fills which of our parameters: names and shapes first, numbers last."""

import difflib
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import nn

from seqarena.core.errors import UserError
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.exchange.family import PublishedFamily, WeightMatch
from seqarena.models.exchange.files import Weights
from seqarena.models.model import SystemConfig

# Types that torch turns into float32; the others are whole numbers and quantised weights.
_FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_PLAIN = {*_FLOATS, "BOOL", "U8", "I8", "I16", "I32", "I64"}  # what a mask or a count may be of

_HEADS = ("lm_head.", "cls.", "classifier.")


class Match(NamedTuple):
    """A place and the tensors of the file for it: where there are several, they must be equal."""

    place: WeightMatch
    names: tuple[str, ...]


def match(family: PublishedFamily, config: AnyConfig, weights: Weights) -> list[Match]:
    """The tensors of a file for each place of the model of `config`, before that model takes any
    memory. Raises UserError for a tensor that is missing, of another shape or type, or without a
    place; what is passed over is noted in `weights.notes`."""
    _check_layers(family, config, weights)
    model = _without_memory(config)
    shapes = dict(model.named_parameters())
    places = list(family.places(model))
    matches = [Match(place, _spelled(family, place, weights)) for place in places]
    _check_names(family, matches, weights)
    for place, names in matches:
        for name in names:
            _check_tensor(name, weights, place.their_shape(shapes[place.ours]))
    _note_types(matches, weights)
    _pass_over(family, config, {name for one in matches for name in one.names}, weights)
    return matches


@torch.no_grad()
def fill(model: nn.Module, matches: list[Match], weights: Weights) -> None:
    """Copies the numbers into the parameters. Raises UserError for numbers that are not finite, and
    for two tensors of one place that differ."""
    parameters = dict(model.named_parameters())
    for place, (first, *others) in matches:
        target = parameters[place.ours][place.first : place.end]
        target.copy_(place.taken(weights.read(first)))
        if not target.isfinite().all():
            raise UserError(f"tensor {first!r} holds a NaN or an infinity: the file is damaged")
        for other in others:
            if not torch.equal(target, place.taken(weights.read(other)).to(target.dtype)):
                raise UserError(
                    f"tensors {first!r} and {other!r} differ, and the model has one place for both"
                )


def _without_memory(config: AnyConfig) -> nn.Module:
    try:
        with torch.device("meta"):
            return build_model(config)
    except RuntimeError as error:  # sizes whose product torch cannot count
        raise UserError(f"the sizes in config.json cannot be: {error}") from error


def _check_layers(family: PublishedFamily, config: AnyConfig, weights: Weights) -> None:
    layers = (
        config.options["layers"] if isinstance(config, SystemConfig) else len(config.stack.layers)
    )
    found = [int(known[1]) for name in weights.held if (known := family.layer.match(name))]
    if found and layers != max(found) + 1:
        raise UserError(
            f"config.json says {layers:,} layers, and the weights are those of {max(found) + 1:,}"
        )


def _spelled(family: PublishedFamily, place: WeightMatch, weights: Weights) -> tuple[str, ...]:
    known = (name for theirs in (place.theirs, *place.also) for name in family.spellings(theirs))
    return tuple(name for name in known if name in weights.held)


def _check_names(family: PublishedFamily, matches: list[Match], weights: Weights) -> None:
    missing = [place.theirs for place, names in matches if not names]
    if missing:
        used = {name for one in matches for name in one.names}
        near = difflib.get_close_matches(missing[0], weights.held.keys() - used, n=1)
        hint = f"; the file has {near[0]!r}" if near else ""
        if all(name.startswith(_HEADS) for name in missing):
            hint = ": the file holds a body without its head, which is asked for"
        raise UserError(f"tensor {_first(missing)} is missing{hint}")


def _check_tensor(name: str, weights: Weights, wanted: tuple[int, ...]) -> None:
    held = weights.held[name]
    if held.dtype not in _FLOATS:
        raise UserError(
            f"tensor {name!r} is of type {held.dtype}: {', '.join(_FLOATS)} can be read, and no "
            "quantised weights"
        )
    if held.shape != wanted:
        raise UserError(
            f"tensor {name!r} is {list(held.shape)}, and config.json asks for {list(wanted)}"
        )


def _note_types(matches: list[Match], weights: Weights) -> None:
    types = Counter(weights.held[name].dtype for one in matches for name in one.names)
    for dtype, count in sorted(types.items()):
        if dtype != "F32":
            weights.notes.append(f"{_FLOATS[dtype]} becomes float32: {_tensors(count)}")


def _pass_over(
    family: PublishedFamily, config: AnyConfig, used: Collection[str], weights: Weights
) -> None:
    """Notes the tensors that the model does without; raises UserError for any other."""
    passed: Counter[str] = Counter()
    unknown = []
    for name in weights.held:
        if name in used:
            continue
        spare = next((each for each in family.spares if each.pattern.fullmatch(name)), None)
        if spare is None or weights.held[name].dtype not in _PLAIN:
            unknown.append(name)
        elif spare.holds is not None and not spare.holds(weights.read(name), config):
            raise UserError(
                f"tensor {name!r} should hold {spare.words} and does not: the model it is from "
                "computes otherwise"
            )
        else:
            passed[spare.words] += 1
    if unknown:
        raise UserError(
            f"tensor {_first(unknown)} is in the file, and this {family.title} has no place for it"
        )
    for words, count in passed.items():
        weights.notes.append(f"passed over: {words} ({_tensors(count)})")


def _tensors(count: int) -> str:
    return f"{count:,} tensor" + "s" * (count > 1)


def _first(names: list[str]) -> str:
    more = len(names) - 1
    return f"{names[0]!r} (and {more:,} more)" if more else repr(names[0])
