"""The one place that spells numbers, units, lists and durations for people.

A number has three significant digits, a column or an axis has one unit, a mean has as many decimals
as its noise floor makes honest.
"""

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from seqarena.core.results.records import Ranking, RankRow, RunView

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
ABSENT = "–"  # not measured
AN_ENTRY = (  # the README says it too
    "An entry is a whole model and not a bare layer. `lstm` is a stack of residual blocks: each "
    "has an LSTM layer and a small feed-forward network (MLP). Most other entries differ from it "
    "in that layer, the mixer. `lstm_plain` is the bare network: LSTM layers and nothing else. "
    "Systems such as `wavenet` are wired as their papers wire them."
)


class Scale(NamedTuple):
    """A unit shared by one column or axis: shown number = value / factor."""

    factor: float
    unit: str


_LADDERS: dict[str, tuple[Scale, ...]] = {
    "seconds": (Scale(1.0, "s"), Scale(1e-3, "ms"), Scale(1e-6, "µs")),
    "bytes": (Scale(1e9, "GB"), Scale(1e6, "MB"), Scale(1e3, "kB"), Scale(1.0, "B")),
    "count": (Scale(1e9, "G"), Scale(1e6, "M"), Scale(1e3, "k"), Scale(1.0, "")),
}


def scale_for(unit: str, values: Iterable[float | None]) -> Scale:
    """The prefix with which the median of the positive values is at least 1 (the smallest if none
    is).

    "seconds", "bytes" and "count" have prefixes; any other unit stays as it is. Bytes count in
    thousands: 1 kB = 1000 B.
    """
    ladder = _LADDERS.get(unit, (Scale(1.0, unit),))
    positive = [value for value in values if value is not None and value > 0]
    if not positive:
        return ladder[0] if unit == "seconds" else ladder[-1]
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


def with_unit(value: float | None, unit: str, suffix: str = "") -> str:
    """A value with a unit of its own.

    >>> with_unit(1_048_576, "bytes"), with_unit(0.00213, "seconds"), with_unit(512, "count")
    ('1.05 MB', '2.13 ms', '512')
    """
    if value is None:
        return ABSENT
    scale = scale_for(unit, [value])
    number = value / scale.factor
    text = f"{number:g}" if number == int(number) and abs(number) < 1000 else significant(number)
    return f"{text} {scale.unit}{suffix}".strip()


def in_a_sentence(value: float, unit: str, per: str = "") -> str:
    """A value with its unit as a sentence has it: three digits and no zeros behind them. Times are
    in milliseconds, so that those of one paragraph compare at a glance.

    >>> in_a_sentence(0.001, "seconds", "per token"), in_a_sentence(2048, "bytes")
    ('1 ms per token', '2.05 kB')
    >>> in_a_sentence(41_234, "count", "tokens/s"), in_a_sentence(12.0, "J", "per token")
    ('41,200 tokens/s', '12 J per token')
    """
    fixed = {"seconds": Scale(1e-3, "ms"), "count": Scale(1.0, "")}
    scale = fixed.get(unit) or scale_for(unit, [value])
    rounded = float(f"{value / scale.factor:.3g}")
    number = f"{rounded:,.0f}" if unit == "count" or rounded >= 1000 else f"{rounded:.3g}"
    return " ".join(part for part in (number, scale.unit, per) if part)


def amount(value: float) -> str:
    """Two significant digits, never in powers of ten.

    >>> amount(0.0312), amount(1234.0)
    ('0.031', '1234')
    """
    digits = max(2, math.floor(math.log10(abs(value))) + 1) if value else 2
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def times(ratio: float) -> str:
    """How many times: "1.3", "27"."""
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


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


def decimals(fineness: float) -> int:
    """Decimals that show two digits of a positive number, at most six."""
    return min(6, max(0, 1 - math.floor(math.log10(fineness))))


def metric_decimals(ranking: "Ranking | None") -> int:
    """Decimals that show two digits of the noise floor (of the smallest gap where it is 0)."""
    fineness = 0.0 if ranking is None else ranking.fineness
    return decimals(fineness) if fineness > 0 and math.isfinite(fineness) else 3


def signed(value: float, decimals: int) -> str:
    """A difference with its sign, the minus as wide as the plus: "+0.012", "−0.003"."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def percent(share: float) -> str:
    """0.95 becomes "95 %"."""
    return f"{100 * share:g} %"


def share(part: float) -> str:
    """To a tenth of a percent: 0.12345 becomes "12.3 %"."""
    return percent(round(part, 3))


def of_name(name: str) -> str:
    """An identifier as words: bits_per_byte becomes bits per byte."""
    return name.replace("_", " ")


def capitalised(text: str) -> str:
    """The text as the start of a sentence or a label; a name keeps its own letters.

    >>> capitalised("gated recurrent unit"), capitalised("minGRU"), capitalised("LSTM")
    ('Gated recurrent unit', 'minGRU', 'LSTM')
    """
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text


def plural(number: int, noun: str) -> str:
    """ "1 seed", "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {several(noun)}"


def several(noun: str) -> str:
    """The plural of a noun: seeds, stories, days."""
    return f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"


def listed(
    parts: Sequence[str], *, most: int | None = None, separator: str = ", ", last: str = " and "
) -> str:
    """A list as a sentence has it; beyond `most` parts the others are counted.

    >>> listed(["gru", "lstm", "s4d"]), listed(["gru", "lstm", "s4d"], most=1)
    ('gru, lstm and s4d', 'gru and 2 more')
    """
    if most is not None and len(parts) > most:
        return f"{separator.join(parts[:most])}{last}{len(parts) - most} more"
    if len(parts) < 2:
        return "".join(parts)
    return f"{separator.join(parts[:-1])}{last}{parts[-1]}"


def duration(seconds: float) -> str:
    """A time as a person waits for it; a question mark where it is not known (nan).

    >>> duration(45), duration(200), duration(9000), duration(math.nan)
    ('45 s', '3 min 20 s', '2 h 30 min', '? min')
    """
    if math.isnan(seconds):
        return "? min"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def window(row: "RankRow") -> str:
    """The rates that train about as well as the chosen one, and the share of their trials that
    diverged: "2e-3 to 2e-2, 1 of 5 diverged"."""
    if not row.window:
        return ABSENT
    ends = [rate(one.learning_rate) for one in (row.window[0], row.window[-1])]
    span = ends[0] if len(row.window) == 1 else " to ".join(ends)
    diverged, trials = (
        sum(getattr(one, name) for one in row.window) for name in ("diverged", "trials")
    )
    return f"{span}, {diverged} of {trials} diverged" if diverged else span


def seed_notes(row: "RankRow") -> list[str]:
    """What became of seeds of an architecture that are not in its mean, and of its steps."""
    notes = [
        f"{row.architecture}: {plural(len(seeds), 'seed')} {what}, not in its mean"
        for seeds, what in ((row.diverged_seeds, "diverged"), (row.failed_seeds, "failed"))
        if seeds
    ]
    if row.skipped_steps:
        steps = plural(row.skipped_steps, "step")
        notes.append(f"{row.architecture}: {steps} skipped, where a number was not finite")
    return notes


def unranked(view: "RunView") -> tuple[str, str]:
    """Why a run has no ranking, in a few words and in a sentence."""
    total = len(view.trials)
    finished, diverged, failed = (
        sum(trial.status == state for trial in view.trials)
        for state in ("finished", "diverged", "failed")
    )
    lost = [f"{n} {what}" for n, what in ((diverged, "diverged"), (failed, "failed")) if n]
    if finished + diverged + failed < total or not total:
        ended = ", ".join([f"{finished} of {plural(total, 'trial')} have finished", *lost])
        return "Nothing is ranked yet", f"{ended}."
    if diverged == total:
        every = "The trial" if total == 1 else f"All {total} trials"
        return f"{every} diverged", "Try lower learning rates."
    return "Nothing can be ranked", f"Of {plural(total, 'trial')} {listed(lost)}."
