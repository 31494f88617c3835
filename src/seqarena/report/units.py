"""Numbers as people read them: three significant digits, one unit a column, honest decimals."""

import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

from seqarena.core.records import Ranking

ABSENT = "–"  # not measured


class Scale(NamedTuple):
    """A unit shared by one column or axis: shown number = value / factor."""

    factor: float
    unit: str


_LADDERS: dict[str, tuple[Scale, ...]] = {
    "seconds": (Scale(1.0, "s"), Scale(1e-3, "ms"), Scale(1e-6, "µs")),
    "bytes": (Scale(1e9, "GB"), Scale(1e6, "MB"), Scale(1e3, "kB"), Scale(1.0, "B")),
    "count": (Scale(1e9, "G"), Scale(1e6, "M"), Scale(1e3, "k"), Scale(1.0, "")),
}


def scale_for(quantity: str, values: Iterable[float | None]) -> Scale:
    """The unit in which the median of the positive values is at least 1 (the smallest if none is).

    `quantity` is "seconds", "bytes" or "count". Bytes count in thousands: 1 kB = 1000 B.
    """
    ladder = _LADDERS[quantity]
    positive = [value for value in values if value is not None and value > 0]
    if not positive:
        return ladder[0] if quantity == "seconds" else ladder[-1]
    middle = statistics.median(positive)
    return next((scale for scale in ladder if middle >= scale.factor), ladder[-1])


def significant(value: float | None, digits: int = 3) -> str:
    """`digits` significant digits without an exponent between 1e-4 and 1e7.

    >>> significant(1234.5), significant(0.01234), significant(2.0), significant(3.2e-6)
    ('1,230', '0.0123', '2.00', '3.20e-06')
    """
    if value is None:
        return ABSENT
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def scaled(value: float | None, scale: Scale, digits: int = 3) -> str:
    """A value in a column's unit, the unit itself left to the heading."""
    return ABSENT if value is None else significant(value / scale.factor, digits)


def with_unit(value: float | None, quantity: str, suffix: str = "") -> str:
    """A value alone, with its own unit.

    >>> with_unit(1_048_576, "bytes"), with_unit(0.00213, "seconds"), with_unit(512, "count")
    ('1.05 MB', '2.13 ms', '512')
    """
    if value is None:
        return ABSENT
    scale = scale_for(quantity, [value])
    number = value / scale.factor
    text = f"{number:g}" if number == int(number) and abs(number) < 1000 else significant(number)
    return f"{text} {scale.unit}{suffix}".strip()


def rate(value: float | None) -> str:
    """A learning rate in the shortest form that keeps three digits: 0.001 becomes 1e-3."""
    if value is None:
        return ABSENT
    if value <= 0:
        return f"{value:g}"
    exponent = math.floor(math.log10(value))
    mantissa = f"{value / 10**exponent:.3g}"
    if mantissa == "10":
        mantissa, exponent = "1", exponent + 1
    return f"{mantissa}e{exponent}"


def metric_decimals(ranking: Ranking | None) -> int:
    """Decimals that show two digits of the noise floor (of the smallest gap where it is 0)."""
    if ranking is None:
        return 3
    gaps = [row.gap_to_leader for row in ranking.rows if row.gap_to_leader > 0]
    fineness = ranking.noise_floor if ranking.noise_floor > 0 else min(gaps, default=0.0)
    if not (fineness > 0 and math.isfinite(fineness)):
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(fineness))))


def signed(value: float, decimals: int) -> str:
    """A difference with its sign, the minus as wide as the plus: "+0.012", "−0.003"."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def percent(share: float) -> str:
    """0.95 becomes "95 %"."""
    return f"{100 * share:g} %"


def words(name: str) -> str:
    """An identifier as words: bits_per_byte becomes bits per byte."""
    return name.replace("_", " ")


def plural(number: int, noun: str) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"
