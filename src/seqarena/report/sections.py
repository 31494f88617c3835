"""What the parts of the page share: a section with its figures, figures with their captions."""

from collections.abc import Iterable
from typing import NamedTuple

import plotly.graph_objects as go

from seqarena.core.records import RunView
from seqarena.report.markup import Markup, element, join
from seqarena.report.reading import family
from seqarena.report.style import css, family_colours


class Figure(NamedTuple):
    """A figure and the name of its place on the page."""

    name: str
    drawn: go.Figure


class Section(NamedTuple):
    """A part of the page; `link` is its name in the bar."""

    name: str
    link: str
    html: Markup
    figures: tuple[Figure, ...] = ()


def figure_html(figure: Figure, label: str, caption: str) -> Markup:
    """The place of a figure. `label` says in words what is drawn, for those who cannot see it."""
    place = element(
        "div",
        class_="plot",
        role="img",
        aria_label=label,
        data_figure=f"figure-{figure.name}",
        style=f"min-height:{figure.drawn.layout.height}px",
    )
    return element("figure", place, element("figcaption", caption))


def section_html(name: str, heading: str, *parts: Markup | None) -> Markup:
    """A landmark with its heading."""
    title = element("h2", heading, id=f"{name}-heading")
    return element("section", title, *parts, id=name, aria_labelledby=f"{name}-heading")


def lead(text: str) -> Markup:
    """The paragraph under a heading."""
    return element("p", text, class_="lead")


def named(view: RunView, architecture: str) -> Markup:
    """An architecture's name behind the dot of its family's colour."""
    return element("span", _swatch(view, family(view, architecture)), architecture)


def stacked(main: str, small: str, *, wraps: bool = False) -> Markup:
    """A cell of two lines, the second small; it may break only if it `wraps`."""
    return join([main, " ", element("small", small, class_="under" if wraps else "under whole")])


def family_key(view: RunView, shown: Iterable[str]) -> Markup:
    """The legend of the families' colours, for the architectures that are shown."""
    names = sorted({family(view, architecture) for architecture in shown})
    items = [element("li", _swatch(view, name), name) for name in names]
    return element("ul", *items, class_="families", aria_label="Colour of each family")


def _swatch(view: RunView, kind: str) -> Markup:
    colour = family_colours(view).get(kind)
    own = f"--own:{css(colour)}" if colour else "--own:transparent"
    return element("span", class_="swatch", style=own, aria_hidden="true")
