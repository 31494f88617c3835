"""Architectures made of others, by name. A name here works wherever a name of the catalog does.

    gru:attention@3:1    three layers of gru, then one of attention, repeated to the depth
    mamba:attention      one of each in turn
    bi:mamba             each layer of mamba in both directions
    encoder_decoder:gru  reads a source by layers of gru in both directions, writes by such layers
    mamba+state_size=64  an option of its mixer, or several: +key=value, of any part

Parts are stacks of the catalog that repeat one mixer. Their blocks must agree (norms, residuals,
channel mixers); what one of them adds to the embedding, such as sinusoidal positions, all get.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from seqarena.core.architecture import Architecture, layer, with_options
from seqarena.core.errors import UserError
from seqarena.core.options import settings
from seqarena.core.words import listed, plural

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own row's modules (jobs/sources.py)
_PART = r"[a-z]\w*(\+\w+=[^:@+]*)*"
_COMBINATION = re.compile(rf"(?=.*[:+]){_PART}(:{_PART})*(@.*)?", re.ASCII)
_BOTH_WAYS, _ENCODER_DECODER = "bi:", "encoder_decoder:"
_MOST_LAYERS = 1000
Find = Callable[[str], Architecture]


def is_combination(name: str) -> bool:
    """Whether the name is written as a combination: `a:b` or `a+key=value`, no `file.py:Class`."""
    return bool(_COMBINATION.fullmatch(name))


def combined(name: str, find: Find) -> Architecture:
    """The row of a combination; `find` gives those of its parts. Raises UserError for parts that
    cannot be combined and for a ratio that is none."""
    if name.startswith(_BOTH_WAYS):
        return _both_ways(name, find(name.removeprefix(_BOTH_WAYS)))
    if name.startswith(_ENCODER_DECODER):
        return _encoder_decoder(name, find(name.removeprefix(_ENCODER_DECODER)))
    if ":" not in name:
        return _with_options(name, find)
    names, counts = _parts(name)
    rows = [find(part) for part in names]
    for row in rows:
        _check_part(name, row)
    ratio = "" if set(counts) == {1} else f", {' to '.join(map(str, counts))}"
    repeated = [f"{plural(n, 'layer')} of {row.name}" for n, row in zip(counts, rows)]
    return Architecture(
        name,
        f"hybrid of {listed([row.title for row in rows])}{ratio}",
        "hybrid",
        max(row.year for row in rows),
        "; ".join(dict.fromkeys(row.paper for row in rows)),
        f"{', then '.join(repeated)}, repeated",
        tuple(one for n, row in zip(counts, rows) for one in row.cycle * n),
        _block(name, rows),
        causal=all(row.causal for row in rows),
    )


def _with_options(name: str, find: Find) -> Architecture:
    """A row whose mixers have these options."""
    whole, *texts = name.split("+")
    said = listed([text.replace("=", " ") for text in texts])
    row = with_options(find(whole), settings(texts))
    return row._replace(name=name, title=f"{row.title} with {said}", idea=f"{row.idea}; {said}")


def _parts(name: str) -> tuple[list[str], list[int]]:
    """The names, and how many layers of each follow one another."""
    left, at, right = name.partition("@")
    names = left.split(":")
    if not at:
        return names, [1] * len(names)
    numbers = right.split(":")
    like = f"{left}@{':'.join(['3', *['1'] * (len(names) - 1)])}"
    if len(numbers) != len(names) or not all(re.fullmatch(r"[1-9]\d{0,3}", n) for n in numbers):
        raise UserError(f"{name}: write one whole number for each part, such as {like}")
    counts = [int(number) for number in numbers]
    if sum(counts) > _MOST_LAYERS:
        raise UserError(
            f"{name}: {sum(counts):,} layers in turn, and at most {_MOST_LAYERS} can be"
        )
    return names, counts


def _check_part(name: str, row: Architecture) -> None:
    if row.system is not None:
        why = f"{row.name} is a whole system and no stack of layers"
    elif len(row.cycle) > 1:
        why = f"{row.name} repeats {len(row.cycle)} different layers"
    else:
        return
    raise UserError(f"{name}: {why}: combine stacks of one mixer, such as gru:attention@3:1")


def _block(name: str, rows: list[Architecture]) -> dict[str, Any]:
    """The fields of the model that the parts agree on. Raises UserError where they do not."""
    fields: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in rows for key in row.model):
        said = {row.name: row.model.get(key) for row in rows}
        if key == "positions":  # of the embedding: what one part needs, the others can read
            said = {part: value for part, value in said.items() if value is not None}
        if len(set(said.values())) > 1:
            words = [f"{part} has {value or 'the usual'}" for part, value in said.items()]
            raise UserError(f"{name}: their blocks differ in {key}: {listed(words)}")
        fields[key] = next(iter(said.values()))
    return fields


def _both_ways(name: str, row: Architecture) -> Architecture:
    """Each layer in both directions."""
    if row.system is not None or not row.causal:
        why = "is a whole system" if row.system is not None else "reads both ways already"
        raise UserError(f"{name}: {row.name} {why}: name a causal stack, such as bi:gru")
    return row._replace(
        name=name,
        title=f"bidirectional {row.title}",
        paper=f"{row.paper}; both directions: Schuster and Paliwal 1997",
        idea=f"one such layer reads forwards and one backwards: {row.idea}",
        cycle=tuple(
            layer("composed.bidirectional:Bidirectional", inner=place, options=options)
            for place, options in row.cycle
        ),
        causal=False,
    )


def _encoder_decoder(name: str, row: Architecture) -> Architecture:
    """A system that reads and writes by the row's layers, with attention from one to the other."""
    if row.system is not None or not row.causal:
        why = "is a whole system" if row.system is not None else "reads both ways already"
        raise UserError(
            f"{name}: {row.name} {why}: name a causal stack, such as {_ENCODER_DECODER}gru"
        )
    positions = row.model.get("positions", "none")
    others = [key for key in row.model if key != "positions"]
    if others or positions == "learned":
        raise UserError(
            f"{name}: {row.name} has {listed(others or ['learned positions'])} of its own, and an "
            "encoder-decoder has the blocks of transformer_modern: name another stack, such as gru"
        )
    return row._replace(
        name=name,
        title=f"{row.title} encoder-decoder",
        paper=f"{row.paper}; attention to the source: Bahdanau et al. 2015",
        idea=f"such layers read the source both ways and write, looking at the source: {row.idea}",
        cycle=(),
        model={
            "cycle": [{"mixer": place, "options": options} for place, options in row.cycle],
            "layers": max(whole_depth(row, 3), len(row.cycle)),
            "positions": positions,
        },
        system="seqarena.models.encoder_decoders.mixer_encoder_decoder:MixerEncoderDecoder",
    )


def whole_depth(row: Architecture, depth: int) -> int:
    """The least number of layers from `depth` on that holds a hybrid's pattern whole, as often as
    it fits; of any other architecture `depth` itself."""
    pattern = len(row.cycle) if row.family == "hybrid" and row.cycle else 1
    return math.ceil(depth / pattern) * pattern


def check_depth(row: Architecture, depth: int) -> None:
    """Raises UserError for a depth at which a hybrid would lack some of its layers."""
    if depth < whole_depth(row, 1):
        raise UserError(
            f"{row.name} repeats a pattern of {len(row.cycle)} layers, and {depth} hold less: give "
            f"--depth {len(row.cycle)} or more"
        )
