"""Two pictures of the introductory texts, with what was measured written on their arrows.

The training flow sets a chain of steps that wait for one another beside one wide step; the chain of
gradients shows how much of a gradient is left k steps back. Neither is drawn without its records.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seqarena.core.measurement import Measurement, Point, Series
from seqarena.report import units
from seqarena.report.markup import Markup, element, join
from seqarena.report.sections import Section, lead, section_html
from seqarena.report.series_reading import middle, number_of

_DISTANCES = (0, 1, 2, 5, 10, 20, 50)
_CHAINS = 8  # architectures that the chain of gradients shows; the curves show the others too


class Timed(NamedTuple):
    """One training step of one architecture at one length, as measured."""

    series: Series
    length: float
    seconds: float
    serial_steps: float


def diagrams_section(
    measurements: Sequence[Measurement], catalog: Mapping[str, Mapping[str, Any]]
) -> Section | None:
    """Both pictures, each where its records are there."""
    series = [one for one in measurements if isinstance(one, Series)]
    parts = [_flow(series, catalog), _chains(series)]
    if not any(parts):
        return None
    html = section_html(
        "diagrams",
        "Drawn with what was measured",
        lead("The pictures that textbooks draw. The numbers on the arrows come from the records."),
        *parts,
    )
    return Section("diagrams", "Diagrams", html)


def timed_pair(
    series: Sequence[Series], catalog: Mapping[str, Mapping[str, Any]]
) -> tuple[Timed, Timed] | None:
    """A recurrent and an attention model at the greatest length that both were timed at.

    Of each family the curve with most and with fewest serial steps there.
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
) -> list[Timed]:
    found = []
    for one in series:
        if one.quantity != "training_step_seconds" or one.axis != "length":
            continue
        if catalog.get(one.architecture, {}).get("family") != family:
            continue
        for point in one.points:
            steps = number_of(one.settings, "serial_steps", one, point.x)
            if steps:
                found.append(Timed(one, point.x, middle(one.quantity, point), steps))
    return found


def _flow(series: Sequence[Series], catalog: Mapping[str, Mapping[str, Any]]) -> Markup | None:
    pair = timed_pair(series, catalog)
    if pair is None:
        return None
    chain, wide = pair
    faster, slower = sorted(pair, key=lambda one: one.seconds)
    ratio = units.significant(slower.seconds / faster.seconds, 2)
    said = (
        f"At length {chain.length:g}, one training step takes "
        f"{units.with_unit(chain.seconds, 'seconds')} for {chain.series.label} and "
        f"{units.with_unit(wide.seconds, 'seconds')} for {wide.series.label}: "
        f"{faster.series.label} is {ratio} times as fast here."
    )
    return element(
        "div",
        element("h3", "Training: a chain against one wide step"),
        element("p", said),
        element(
            "div",
            element("figure", _chain_svg(chain), element("figcaption", _flow_words(chain))),
            element("figure", _wide_svg(wide), element("figcaption", _flow_words(wide))),
            class_="pair drawn",
        ),
    )


def _flow_words(one: Timed) -> str:
    each = units.with_unit(one.seconds / one.serial_steps, "seconds")
    share = units.with_unit(one.seconds / one.length, "seconds")
    return (
        f"{one.series.label}, length {one.length:g}: {one.serial_steps:,.0f} serial steps forward, "
        f"{units.with_unit(one.seconds, 'seconds')} a training step: {share} a position, "
        f"{each} a serial step."
    )


def _chain_svg(one: Timed) -> Markup:
    per = units.with_unit(one.seconds / one.length, "seconds")
    places = [(45, "1"), (150, "2"), (255, "3"), (415, f"{one.length:g}")]
    links = itertools.pairwise(x for x, _ in places[:3])
    parts = [_arrow(x + 23, 84, following - 23, 84) for x, following in links]
    parts.append(_arrow(278, 84, 392, 84, dashed=True))
    parts += [_text(x + 52, 72, per, "measure") for x, _ in places[:2]]
    parts.append(_text(335, 72, f"… {per} each", "measure"))
    for x, label in places:
        parts += [_node(x, 84, f"h{label}"), _arrow(x, 148, x, 107), _node(x, 170, f"x{label}", 20)]
    parts.append(_text(230, 28, "each step waits for the one before", "quiet"))
    steps = f"{one.serial_steps:,.0f} serial steps, {units.with_unit(one.seconds, 'seconds')}"
    parts.append(_text(230, 222, steps, "measure"))
    return _svg(460, 236, f"{one.series.label}: a chain over time", _flow_words(one), parts)


def _wide_svg(one: Timed) -> Markup:
    places = [(45, "1"), (150, "2"), (255, "3"), (415, f"{one.length:g}")]
    parts = [_line(x, 150, other, 107) for x, _ in places for other, _ in places]
    for x, label in places:
        parts += [_node(x, 84, f"y{label}"), _node(x, 170, f"x{label}", 20)]
    parts.append(_text(335, 88, "…", "quiet"))
    parts.append(_text(335, 174, "…", "quiet"))
    parts.append(_text(230, 28, "every position at once, each from all", "quiet"))
    steps = f"{one.serial_steps:,.0f} serial steps, {units.with_unit(one.seconds, 'seconds')}"
    parts.append(_text(230, 222, steps, "measure"))
    return _svg(460, 236, f"{one.series.label}: one wide step", _flow_words(one), parts)


def _chains(series: Sequence[Series]) -> Markup | None:
    flows = [
        one
        for one in series
        if one.quantity == "gradient_norm" and one.axis == "distance" and len(_norms(one)) > 1
    ]
    if not flows:
        return None
    shown = flows[:_CHAINS]
    left_out = (
        f" The curves show {units.plural(len(flows) - len(shown), 'more')[:-1]} as well."
        if len(flows) > len(shown)
        else ""
    )
    words = (
        "How much of the gradient at the last position is left k steps back: the thicker the "
        f"arrow, the more. Relative to distance 0.{left_out}"
    )
    rows = [
        element("figure", element("figcaption", one.label), _chain_of(one), class_="chain")
        for one in shown
    ]
    return element(
        "div",
        element("h3", "The gradient on its way back"),
        element("p", words),
        element("div", *rows, class_="scroll drawn", role="region", tabindex="0",
                aria_label="Chains of gradients"),
    )  # fmt: skip


def _norms(one: Series) -> list[tuple[float, float]]:
    """(k, norm) at the distances that are drawn and were measured."""
    at: dict[float, Point] = {point.x: point for point in one.points}
    found = [(k, middle(one.quantity, at[k])) for k in _DISTANCES if k in at]
    return [(k, norm) for k, norm in found if math.isfinite(norm)]


def _chain_of(one: Series) -> Markup:
    norms = _norms(one)
    parts, x = [], 40
    for (k, norm), (before, _) in zip(norms, [(None, 0.0), *norms]):
        if before is not None:
            parts += [
                _arrow(x - 84, 44, x - 24, 44, width=_width(norm)),
                _text(x - 54, 28, _short(norm), "measure"),
            ]
        else:
            parts.append(_text(x, 14, _short(norm), "measure"))
        parts.append(_node(x, 44, "h", 21, f"T−{k:g}" if k else "T"))
        x += 108
    said = ", ".join(f"{_short(norm)} at k = {k:g}" for k, norm in norms)
    return _svg(x - 108 + 40, 74, f"Gradient norms of {one.label}", said, parts)


def _width(norm: float) -> float:
    """From hair-thin at 1e-4 to thick at 1, and thicker where it grows, by the logarithm."""
    return 0.6 if norm <= 0 else min(13.0, max(0.6, 8.6 + 2.0 * math.log10(norm)))


def _short(value: float) -> str:
    return f"{value:.1e}" if 0 < value < 1e-3 else units.significant(value, 2)


def _svg(width: int, height: int, title: str, words: str, parts: Sequence[Markup]) -> Markup:
    head = [element("title", title), element("desc", words)]
    return element(
        "svg",
        *head,
        *parts,
        viewBox=f"0 0 {width} {height}",
        role="img",
        class_="diagram",
        style=f"max-width:{width * 1.25:.0f}px",
        aria_label=f"{title}: {words}",
    )


def _node(x: float, y: float, letter: str, radius: int = 23, index: str = "") -> Markup:
    shape = element("circle", cx=x, cy=y, r=radius)
    sub = element("tspan", index or letter[1:], dy="4", class_="index")
    return join([shape, element("text", letter[0], sub, x=x, y=y + 3, class_="node")])


def _text(x: float, y: float, words: str, kind: str) -> Markup:
    return element("text", words, x=x, y=y, class_=kind)


def _line(x0: float, y0: float, x1: float, y1: float) -> Markup:
    return element("line", x1=x0, y1=y0, x2=x1, y2=y1, class_="thin")


def _arrow(
    x0: float, y0: float, x1: float, y1: float, *, width: float = 1.6, dashed: bool = False
) -> Markup:
    """A line with its head, drawn by hand: markers may not be shared between pictures."""
    size = 5 + width / 2
    length = math.hypot(x1 - x0, y1 - y0)
    along = ((x1 - x0) / length, (y1 - y0) / length)
    foot = (x1 - size * along[0], y1 - size * along[1])
    corners = [
        (x1, y1),
        (foot[0] - size * 0.6 * along[1], foot[1] + size * 0.6 * along[0]),
        (foot[0] + size * 0.6 * along[1], foot[1] - size * 0.6 * along[0]),
    ]
    line = element(
        "line", x1=x0, y1=y0, x2=f"{foot[0]:.1f}", y2=f"{foot[1]:.1f}",
        stroke_width=f"{width:.2f}", stroke_dasharray="4 4" if dashed else None,
    )  # fmt: skip
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return join([line, element("polygon", points=points)])
