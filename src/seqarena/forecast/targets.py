"""Where to forecast: a number of times, of parameters, of tokens or of operations."""

import re

from seqarena.core.errors import UserError
from seqarena.core.options import number
from seqarena.core.results.forecasts import ForecastTarget, Ladder

_UNITS = {
    "x": "times", "": "params", "params": "params", "parameters": "params", "tokens": "tokens",
    "flops": "flops",
}  # fmt: skip
_TARGET = re.compile(r"\s*([0-9][0-9_.,]*(?:e[+-]?[0-9]+)?\s*[kmbgt]?)\s*([a-z]*)\s*", re.I)


def parse_target(text: str) -> tuple[float, str]:
    """A target's number and what it counts: times, params, tokens or flops.

    >>> parse_target("100x"), parse_target("10M"), parse_target("200M-tokens")
    ((100.0, 'times'), (10000000.0, 'params'), (200000000.0, 'tokens'))

    Raises UserError for what is none.
    """
    found = _TARGET.fullmatch(text.replace("-tokens", " tokens").replace("-flops", " flops")
                              .replace("-param", " param"))  # fmt: skip
    unit = None if found is None else _UNITS.get(found[2].lower())
    if found is None or unit is None:
        raise UserError(
            f"--target {text!r} is none: write 100x, 10M (parameters), 200M-tokens or 1e15-flops"
        )
    try:
        return number(found[1].replace(" ", "")), unit
    except ValueError as error:
        raise UserError(f"--target {text!r} {error}") from None


def target_of(asked: str, ladder: Ladder) -> ForecastTarget:
    """The target of a ladder. Beyond the top rung the tokens for each parameter stay as they are.

    Raises UserError for a target that is not beyond the top rung.
    """
    count, unit = parse_target(asked)
    top = ladder.top
    known = sorted(cell.flops for cell in top.cells if cell.flops) or [0.0]
    flops = known[len(known) // 2]
    factor = {
        "times": count,
        "params": (count / top.params) ** 2,
        "tokens": (count / top.tokens) ** 2,
        "flops": count / flops if flops else 0.0,
    }[unit]
    if factor < 1.02:
        raise UserError(
            f"--target {asked} is not beyond the top rung, which has {top.params:,} parameters and "
            f"{top.tokens:,} tokens: it was measured, see {top.name}"
        )
    grown = factor**0.5
    return ForecastTarget(
        asked=asked,
        factor=factor,
        params=round(top.params * grown),
        tokens=round(top.tokens * grown),
        flops=flops * factor,
    )
