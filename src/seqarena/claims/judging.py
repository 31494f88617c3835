"""What judges share: finding a curve among the records, and the words of a verdict."""

from collections.abc import Sequence

from seqarena.core import words
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate, mean_of
from seqarena.core.results.measurement import Map, Measurement, Point, Series
from seqarena.core.results.verdicts import Judgement, Verdict

SEEDS = 3  # that a verdict about trained scores needs, of each of what it compares


def curve(
    records: Sequence[Measurement], quantity: str, architecture: str, variant: str | None = None
) -> Series:
    """The curve of that quantity; `variant` None: whatever it is. Raises UserError for none."""
    for record in records:
        if (
            isinstance(record, Series)
            and (record.quantity, record.architecture) == (quantity, architecture)
            and variant in (None, record.variant)
        ):
            return record
    label = f"{architecture}, {variant}" if variant else architecture
    raise UserError(f"the records have no {quantity} of {label}")


def maps(records: Sequence[Measurement], variant: str | None = None) -> list[Map]:
    """The maps among the records, of one variant where it is named."""
    return [r for r in records if isinstance(r, Map) and variant in (None, r.variant)]


def last(series: Series) -> Point:
    """The point with the largest x."""
    return max(series.points, key=lambda point: point.x)


def difference(one: Point, other: Point) -> Estimate:
    """one - other, seed by seed. Raises UserError where they have not the same number of seeds,
    or fewer than two."""
    numbers = len(one.repeats), len(other.repeats)
    if numbers[0] != numbers[1] or numbers[0] < 2:
        raise UserError(f"a difference needs the same seeds, at least two: here {numbers}")
    return mean_of([a - b for a, b in zip(one.repeats, other.repeats, strict=True)])


def verdict(holds: bool, within_limits: bool = False) -> Verdict:
    """The strongest that is true."""
    if holds:
        return "holds"
    return "holds within limits" if within_limits else "does not hold"


def settled(gap: Estimate, margin: float, *, limits: bool = False) -> tuple[Verdict, str]:
    """A verdict about trained scores: the gap reaches `margin`, and its interval excludes zero.

    A gap that is large enough but whose seeds do not exclude zero holds within that limit, and
    the second value says so; `limits` is what else holds within limits.
    """
    if gap.value < margin:
        return verdict(False, limits), ""
    if gap.low > 0:
        return "holds", ""
    return "holds within limits", "so few seeds do not exclude that there is no difference"


def judgement(
    found: Verdict, answer: str, figure: str, estimate: Estimate | None = None, *remarks: str
) -> Judgement:
    """With the remarks that say something, as sentences. `answer` says in plain words what was
    found, whichever verdict follows from it."""
    said = [remark[0].upper() + remark[1:].rstrip(".") + "." for remark in remarks if remark]
    return Judgement(
        verdict=found, figure=figure, estimate=estimate, answer=answer, remark=" ".join(said)
    )


def plain(value: float) -> str:
    """A number for a sentence: two digits."""
    return words.significant(value, 2)
