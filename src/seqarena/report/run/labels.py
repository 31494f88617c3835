"""Names of architectures on the page, each with the colour of its family."""

from collections.abc import Iterable

from seqarena.core.records import RunView
from seqarena.report.page.parts import Cell, Family
from seqarena.report.page.style import css
from seqarena.report.run.line_styles import family_colours
from seqarena.report.run.reading import family

_NO_COLOUR = "transparent"


def architecture_cell(view: RunView, architecture: str, *, sortable: bool = False) -> Cell:
    """The name of an architecture with its family's dot."""
    colour = _colour(view, family(view, architecture))
    return Cell(architecture, architecture if sortable else None, colour=colour)


def family_legend(view: RunView, shown: Iterable[str]) -> list[Family]:
    """The families of the architectures that are shown, in alphabetical order."""
    names = sorted({family(view, architecture) for architecture in shown})
    return [Family(name, _colour(view, name)) for name in names]


def _colour(view: RunView, name: str) -> str:
    colour = family_colours(view).get(name)
    return css(colour) if colour else _NO_COLOUR
