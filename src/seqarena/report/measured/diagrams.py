"""Two pictures of introductory texts, with measured numbers on their arrows.

The training flow compares a chain of steps that wait for one another with one wide step. The chain
of gradients shows how much of a gradient is left k steps back. Each needs its records.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqarena.core import words
from seqarena.core.measurement import Measurement, Point, Series
from seqarena.report.measured.drawing import Arrow, Drawing, Label, Line, Node, Shape
from seqarena.report.measured.series_reading import middle, number_of
from seqarena.report.page.parts import Section

_DISTANCES = (0, 1, 2, 5, 10, 20, 50)
_CHAINS = 8  # architectures that the chain of gradients shows; the curves show the others too
_PLACES = (45, 150, 255, 415)  # x of the positions 1, 2, 3 and the last
_STEP = 108  # x from one gradient to the next


class TimedStep(NamedTuple):
    """One training step of one architecture at one length, as measured."""

    series: Series
    length: float
    seconds: float
    serial_steps: float


class TrainingFlow(NamedTuple):
    """A chain and a wide step, each with its caption, and a sentence that compares them."""

    sentence: str
    drawings: Sequence[tuple[Drawing, str]]


class GradientChains(NamedTuple):
    """A chain for each architecture: its name and its drawing."""

    sentence: str
    drawings: Sequence[tuple[str, Drawing]]


@dataclass(frozen=True, kw_only=True)
class DiagramsSection(Section):
    """Both pictures. A picture without records is None."""

    template = "measured/diagrams.html"
    flow: TrainingFlow | None
    chains: GradientChains | None


def diagrams_section(
    measurements: Sequence[Measurement], catalog: Mapping[str, Mapping[str, Any]]
) -> DiagramsSection | None:
    """The pictures that have their records. None where neither has."""
    series = [one for one in measurements if isinstance(one, Series)]
    flow, chains = _flow(series, catalog), _chains(series)
    if flow is None and chains is None:
        return None
    return DiagramsSection(
        name="diagrams",
        link="Diagrams",
        heading="Diagrams with measured numbers",
        flow=flow,
        chains=chains,
    )


def timed_pair(
    series: Sequence[Series], catalog: Mapping[str, Mapping[str, Any]]
) -> tuple[TimedStep, TimedStep] | None:
    """A recurrent and an attention model at the greatest length at which both were timed.

    Of the recurrent family the curve with most serial steps, of the other the one with fewest.
    """
    chains = _timed(series, catalog, "recurrent")
    wides = _timed(series, catalog, "attention")
    common = {one.length for one in chains} & {one.length for one in wides}
    if not common:
        return None
    length = max(common)
    chain = max((one for one in chains if one.length == length), key=lambda t: t.serial_steps)
    wide = min((one for one in wides if one.length == length), key=lambda t: t.serial_steps)
    return chain, wide


def _timed(
    series: Sequence[Series], catalog: Mapping[str, Mapping[str, Any]], family: str
) -> list[TimedStep]:
    found = []
    for one in series:
        if one.quantity != "training_step_seconds" or one.axis != "length":
            continue
        if catalog.get(one.architecture, {}).get("family") != family:
            continue
        for point in one.points:
            steps = number_of(one.settings, "serial_steps", one, point.x)
            if steps:
                found.append(TimedStep(one, point.x, middle(one.quantity, point), steps))
    return found


def _flow(
    series: Sequence[Series], catalog: Mapping[str, Mapping[str, Any]]
) -> TrainingFlow | None:
    pair = timed_pair(series, catalog)
    if pair is None:
        return None
    chain, wide = pair
    faster, slower = sorted(pair, key=lambda one: one.seconds)
    ratio = words.significant(slower.seconds / faster.seconds, 2)
    sentence = (
        f"At length {chain.length:g}, one training step takes "
        f"{words.with_unit(chain.seconds, 'seconds')} for {chain.series.label} and "
        f"{words.with_unit(wide.seconds, 'seconds')} for {wide.series.label}: "
        f"{faster.series.label} is {ratio} times as fast here."
    )
    drawings = [
        (_chain_drawing(chain), _flow_words(chain)),
        (_wide_drawing(wide), _flow_words(wide)),
    ]
    return TrainingFlow(sentence, drawings)


def _flow_words(one: TimedStep) -> str:
    each = words.with_unit(one.seconds / one.serial_steps, "seconds")
    share = words.with_unit(one.seconds / one.length, "seconds")
    return (
        f"{one.series.label}, length {one.length:g}: {one.serial_steps:,.0f} serial steps forward, "
        f"{words.with_unit(one.seconds, 'seconds')} a training step: {share} a position, "
        f"{each} a serial step."
    )


def _chain_drawing(one: TimedStep) -> Drawing:
    seconds = words.with_unit(one.seconds / one.length, "seconds")
    shapes: list[Shape] = [
        Arrow(x + 23, 84, following - 23, 84) for x, following in itertools.pairwise(_PLACES[:3])
    ]
    shapes.append(Arrow(278, 84, 392, 84, dashed=True))
    shapes += [Label(x + 52, 72, seconds, "measure") for x in _PLACES[:2]]
    shapes.append(Label(335, 72, f"… {seconds} each", "measure"))
    for x, index in zip(_PLACES, _indices(one), strict=True):
        shapes += [Node(x, 84, "h", index), Arrow(x, 148, x, 107), Node(x, 170, "x", index, 20)]
    shapes.append(Label(230, 28, "each step waits for the one before", "quiet"))
    shapes.append(_total(one))
    title = f"{one.series.label}: a chain over time"
    return Drawing(title, _flow_words(one), 460, 236, shapes)


def _wide_drawing(one: TimedStep) -> Drawing:
    shapes: list[Shape] = [Line(x, 150, other, 107) for x in _PLACES for other in _PLACES]
    for x, index in zip(_PLACES, _indices(one), strict=True):
        shapes += [Node(x, 84, "y", index), Node(x, 170, "x", index, 20)]
    shapes += [Label(335, 88, "…", "quiet"), Label(335, 174, "…", "quiet")]
    shapes.append(Label(230, 28, "every position at once, each from all", "quiet"))
    shapes.append(_total(one))
    title = f"{one.series.label}: one wide step"
    return Drawing(title, _flow_words(one), 460, 236, shapes)


def _indices(one: TimedStep) -> tuple[str, ...]:
    return ("1", "2", "3", f"{one.length:g}")


def _total(one: TimedStep) -> Label:
    seconds = words.with_unit(one.seconds, "seconds")
    return Label(230, 222, f"{one.serial_steps:,.0f} serial steps, {seconds}", "measure")


def _chains(series: Sequence[Series]) -> GradientChains | None:
    flows = [
        one
        for one in series
        if one.quantity == "gradient_norm" and one.axis == "distance" and len(_norms(one)) > 1
    ]
    if not flows:
        return None
    shown = flows[:_CHAINS]
    left_out = (
        f" The curves show {words.plural(len(flows) - len(shown), 'more')[:-1]} as well."
        if len(flows) > len(shown)
        else ""
    )
    sentence = (
        "How much of the gradient at the last position is left k steps back: the thicker the "
        f"arrow, the more. Relative to distance 0.{left_out}"
    )
    return GradientChains(sentence, [(one.label, _gradient_drawing(one)) for one in shown])


def _norms(one: Series) -> list[tuple[float, float]]:
    """(k, norm) at the distances that are drawn and were measured."""
    at: dict[float, Point] = {point.x: point for point in one.points}
    found = [(k, middle(one.quantity, at[k])) for k in _DISTANCES if k in at]
    return [(k, norm) for k, norm in found if math.isfinite(norm)]


def _gradient_drawing(one: Series) -> Drawing:
    norms = _norms(one)
    shapes: list[Shape] = []
    for place, (k, norm) in enumerate(norms):
        x = 40 + place * _STEP
        if place:
            shapes.append(Arrow(x - 84, 44, x - 24, 44, width=_width(norm)))
            shapes.append(Label(x - 54, 28, _short(norm), "measure"))
        else:
            shapes.append(Label(x, 14, _short(norm), "measure"))
        shapes.append(Node(x, 44, "h", f"T−{k:g}" if k else "T", 21))
    text = ", ".join(f"{_short(norm)} at k = {k:g}" for k, norm in norms)
    width = 40 + (len(norms) - 1) * _STEP + 40
    return Drawing(f"Gradient norms of {one.label}", text, width, 74, shapes)


def _width(norm: float) -> float:
    """Thin at 1e-4, thick at 1 and thicker above, by the logarithm."""
    return 0.6 if norm <= 0 else min(13.0, max(0.6, 8.6 + 2.0 * math.log10(norm)))


def _short(value: float) -> str:
    return f"{value:.1e}" if 0 < value < 1e-3 else words.significant(value, 2)
