"""The parts of a page as plain data: cells, tables, figures, sections. Templates draw them.

No part holds HTML. A template escapes every text, so a name from a run cannot become markup.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import plotly.graph_objects as go

from seqarena.core import words


class Phrase(NamedTuple):
    """A piece of a sentence, and what follows it in small type."""

    text: str
    small: str = ""


Prose = Sequence[Phrase]  # a text in pieces


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
    """A table with a caption. The first cell of a row is its heading.

    `export` is what is saved as CSV, the heads of the columns first, where that is more than what
    is drawn.
    """

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    kind: str = ""  # CSS class
    shaded: frozenset[int] = frozenset()  # rows, counted from 0
    name: str = ""  # of a saved file; default: from the caption
    export: Sequence[Sequence[Any]] = ()

    @property
    def file_name(self) -> str:
        """Letters, digits and dashes."""
        return slug(self.name or self.caption)

    @property
    def csv(self) -> str:
        """The table as CSV: numbers in full or as they are drawn, nothing for what is absent."""
        rows = self.export or [*_exported(self.headings, self.rows)]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        return text.getvalue()

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether all of its cells are numbers, which align at the right."""
        columns = range(len(self.headings))
        return [bool(self.rows) and all(row[i].is_number for row in self.rows) for i in columns]


def _exported(heads: Sequence[Heading], rows: Sequence[Sequence[Cell]]) -> Iterable[list[str]]:
    """The cells of a table as text. A second line is a column of its own."""
    doubled = [any(row[i].under for row in rows) for i in range(len(heads))]
    names = []
    for head, double in zip(heads, doubled, strict=True):
        unit = head.unit or "note"
        title = f"{head.text}, {head.unit}" if head.unit and not double else head.text
        names += [title, f"{head.text}, {unit}"] if double else [title]
    yield names
    for row in rows:
        texts = []
        for cell, double in zip(row, doubled, strict=True):
            texts += [_bare(cell), cell.under] if double else [_bare(cell)]
        yield texts


def _bare(cell: Cell) -> str:
    """A cell's text; a number without the signs that only people read."""
    if cell.text == words.ABSENT:
        return ""
    return cell.text.replace(",", "").replace("−", "-") if cell.is_number else cell.text


def slug(text: str) -> str:
    """A text as part of a file's name or of an address.

    >>> slug("Quality, by length"), slug("…")
    ('quality-by-length', 'seqarena')
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "seqarena"


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
    text: str | Prose
    href: str = ""
    link: str = ""
    long: bool = False  # takes the whole width


class Verdict(NamedTuple):
    """The result of a page: its first words in large type, the others in small type."""

    large: str | Prose
    small: str | Prose = ""


class Fold(NamedTuple):
    """A text that a reader opens: names and what they mean, or a paragraph."""

    summary: str
    text: str = ""
    terms: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page that its own template draws. `link` is its name in the bar; a page with it
    has its `scripts` and `styles` as well."""

    template: ClassVar[str]
    scripts: ClassVar[tuple[str, ...]] = ()
    styles: ClassVar[tuple[str, ...]] = ()
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
    doubt: str | Prose
    cards_label: str = ""
    cards: Sequence[Card] = ()
    table: Table | None = None
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page. A served page reloads when its folder changes and sends typed sentences.

    `course` is the address of the folder of the course's lessons, with its last slash. A page that
    may lie anywhere has none: it names a lesson and does not link to it.
    """

    name: str
    sections: tuple[Section, ...]
    served: bool = False
    course: str = ""

    @property
    def file_name(self) -> str:
        """How the names of files begin that are saved from the page."""
        return slug(self.name)

    @property
    def figures(self) -> list[Figure]:
        """Every figure of the page, in the order of the sections."""
        return [figure for section in self.sections for figure in section.figures]


def make_page(
    name: str, sections: Iterable[Section | None], *, served: bool = False, course: str = ""
) -> Page:
    """A page of the sections that are not None. The first section is an AnswerSection."""
    present = tuple(section for section in sections if section is not None)
    return Page(name=name, sections=present, served=served, course=course)
