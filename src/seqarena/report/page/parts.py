"""The parts of a page as plain data: cells, tables, figures, sections. Templates draw them.

No part holds HTML. A template escapes every text, so a name from a run cannot become markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import plotly.graph_objects as go


class Mark(NamedTuple):
    """A sign in a circle before a text; `kind` is its CSS class."""

    sign: str
    kind: str


class Cell(NamedTuple):
    """A table cell: its text, what it sorts by, and what is drawn with the text."""

    text: str
    sort: float | str | None = None
    is_number: bool = False
    best: bool = False  # of its column
    under: str = ""  # a second, smaller line
    wraps: bool = False  # the second line may break
    colour: str = ""  # CSS colour of a dot before the text
    href: str = ""
    mark: Mark | None = None
    prose: bool = False  # a sentence, which needs a wide column


def number_cell(text: str, value: float | None, *, best: bool = False, under: str = "") -> Cell:
    """A cell that sorts by `value`. None sorts last."""
    return Cell(text, value, is_number=True, best=best, under=under)


class Heading(NamedTuple):
    """The head of a column, with its unit on a second line."""

    text: str
    unit: str = ""


class Table(NamedTuple):
    """A table with a caption. The first cell of a row is its heading."""

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    kind: str = ""  # CSS class
    shaded: frozenset[int] = frozenset()  # rows, counted from 0

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether all of its cells are numbers, which align at the right."""
        columns = range(len(self.headings))
        return [bool(self.rows) and all(row[i].is_number for row in self.rows) for i in columns]


def headings(*texts: str | Heading) -> list[Heading]:
    """Headings of which a plain text has no unit."""
    return [text if isinstance(text, Heading) else Heading(text) for text in texts]


class Figure(NamedTuple):
    """A plotly figure and its place on the page. Its name is unique on the page."""

    name: str
    drawn: go.Figure
    label: str  # what is drawn, in words, for a reader who cannot see it
    caption: str
    title: str = ""

    @property
    def height(self) -> int:
        """Pixels that the figure needs, reserved before it is drawn."""
        layout: Any = self.drawn.layout
        return layout.height


class Family(NamedTuple):
    """An entry of a legend of families: its name, the CSS colour and shape of its dot."""

    name: str
    colour: str
    square: bool = False


class Chip(NamedTuple):
    """A legend's button that shows and hides a curve; `key` names the curve to the script."""

    text: str
    key: str
    colour: str  # CSS
    dashes: str | None  # SVG stroke-dasharray, None for a solid line
    leader: bool = False


class Card(NamedTuple):
    """A short statement in a box: a head, a link to a part of the page, a text."""

    head: str
    text: str
    href: str = ""
    link: str = ""
    long: bool = False  # takes the whole width


class Verdict(NamedTuple):
    """The result of a page: its first words in large type, the others in small type."""

    large: str
    small: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that its own template draws. `link` is its name in the bar."""

    template: ClassVar[str]
    name: str
    link: str
    heading: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AnswerSection(Section):
    """The top of a page: what it is about, its result, the doubt of that result."""

    template = "answer.html"
    name: str = "answer"
    link: str = "Answer"
    label: str
    title: str
    facts: Sequence[str]
    verdict: Verdict
    doubt: str
    cards_label: str = ""
    cards: Sequence[Card] = ()
    table: Table | None = None
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page. A served page reloads when its folder changes and sends typed sentences."""

    name: str
    sections: tuple[Section, ...]
    served: bool = False

    @property
    def figures(self) -> list[Figure]:
        """Every figure of the page, in the order of the sections."""
        return [figure for section in self.sections for figure in section.figures]


def make_page(name: str, sections: Iterable[Section | None], *, served: bool = False) -> Page:
    """A page of the sections that are not None. The first section is an AnswerSection."""
    present = tuple(section for section in sections if section is not None)
    return Page(name=name, sections=present, served=served)
