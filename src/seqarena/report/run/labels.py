"""Names of architectures: a plain noun, the catalog's name in small type, the family's colour."""

from collections.abc import Iterable
from html import escape

from seqarena.core import words
from seqarena.core.results.records import RunView
from seqarena.report.page.parts import Cell, Family, Heading, Phrase
from seqarena.report.page.plain_names import with_plain_names
from seqarena.report.page.style import css
from seqarena.report.run.line_styles import family_colours
from seqarena.report.run.reading import family, title

ARCHITECTURE = Heading("architecture", "catalog name")  # of a column of `architecture_cell`
_NO_COLOUR = "transparent"


def name_of(view: RunView, architecture: str) -> Phrase:
    """Its plain name as a label, the catalog's name small; of a user's own mixer, their name."""
    plain = title(view, architecture)
    if plain == architecture:
        return Phrase(architecture)
    return Phrase(words.capitalised(plain), architecture)


def architecture_cell(view: RunView, architecture: str, *, sortable: bool = False) -> Cell:
    """The plain name of an architecture with its family's dot, its name in the catalog below."""
    name = name_of(view, architecture)
    return Cell(
        name.text,
        name.text if sortable else None,
        colour=_colour(view, family(view, architecture)),
        under=name.small,
        wraps=True,
    )


def hover_name(view: RunView, architecture: str) -> str:
    """The same for the hover of a chart, in plotly's HTML."""
    name = name_of(view, architecture)
    return f"<b>{escape(name.text)}</b>{f' ({escape(name.small)})' if name.small else ''}"


def prose(view: RunView, sentence: str, known: Iterable[str] = ()) -> list[Phrase]:
    """A sentence of the ranking with plain names; the first time, the catalog's name follows each.

    Such a sentence names an architecture by its catalog name, as a word by itself. The reader has
    met those that are `known`.
    """
    titles = {
        row.architecture: plain
        for row in (view.ranking.rows if view.ranking else ())
        if (plain := title(view, row.architecture)) != row.architecture
    }
    return with_plain_names(sentence, titles, known)


def family_legend(view: RunView, shown: Iterable[str]) -> list[Family]:
    """The families of the architectures that are shown, in alphabetical order."""
    names = sorted({family(view, architecture) for architecture in shown})
    return [Family(name, _colour(view, name)) for name in names]


def _colour(view: RunView, name: str) -> str:
    colour = family_colours(view).get(name)
    return css(colour) if colour else _NO_COLOUR
