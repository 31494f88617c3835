"""What judges share: finding a curve among the records, and the words of a verdict."""

from collections.abc import Sequence

from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate, mean, mean_of
from seqarena.core.results.measurement import Map, Measurement, Point, Series
from seqarena.core.results.verdicts import Judgement, Verdict


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
    """one - other over seeds that both have in common, in their order; else of the means."""
    if len(one.repeats) == len(other.repeats):
        return mean_of([a - b for a, b in zip(one.repeats, other.repeats, strict=True)])
    value = mean(one).value - mean(other).value
    return Estimate(value=value, low=value, high=value)


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
    if gap.low > 0 or gap.low == gap.high:
        return "holds", ("one seed alone" if gap.low == gap.high else "")
    return "holds within limits", "so few seeds do not exclude that there is no difference"


def judgement(
    found: Verdict, figure: str, estimate: Estimate | None = None, *remarks: str
) -> Judgement:
    """With the remarks that say something, as sentences."""
    said = [remark[0].upper() + remark[1:].rstrip(".") + "." for remark in remarks if remark]
    return Judgement(verdict=found, figure=figure, estimate=estimate, remark=" ".join(said))
