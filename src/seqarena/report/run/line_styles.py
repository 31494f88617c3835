"""How each architecture of a run is drawn: a colour for its family, dashes for its place in it."""

from seqarena.core.records import RunView
from seqarena.report.page.style import DASHES, FAMILY_COLOURS, Colour, LineStyle
from seqarena.report.run.reading import architectures, family


def family_colours(view: RunView) -> dict[str, Colour]:
    """A colour for each family of the run; families take them in turn, in alphabetical order."""
    names = sorted({family(view, architecture) for architecture in architectures(view)})
    return {name: FAMILY_COLOURS[i % len(FAMILY_COLOURS)] for i, name in enumerate(names)}


def line_styles(view: RunView) -> dict[str, LineStyle]:
    """Colour by family, dashes by place inside the family."""
    colours = family_colours(view)
    seen: dict[str, int] = {}
    result = {}
    for architecture in architectures(view):
        kind = family(view, architecture)
        result[architecture] = LineStyle(colours[kind], DASHES[seen.get(kind, 0) % len(DASHES)])
        seen[kind] = seen.get(kind, 0) + 1
    return result
