"""Which position reads which: attention's weights, and the information flow of the others.

Four panels, as introductory texts draw them: (a) the weights of one head, (b) one word's row of
them as bars, (c) the flow of information in another model on the same axes, (d) both rows together.
explorer.js draws them from the maps in the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.measurement import Map, Measurement
from seqarena.report.measured.lessons import EXPLORED, Lesson
from seqarena.report.page.parts import Section

_DIGITS = 4  # of a weight in the page


@dataclass(frozen=True, kw_only=True)
class ExplorerSection(Section):
    """The maps as data for the script. Served: a form takes a sentence to measure."""

    template = "measured/explorer.html"
    maps: Sequence[dict[str, object]]
    counted: str  # "3 maps"
    lesson: Lesson
    served: bool


def explorer_section(
    measurements: Sequence[Measurement], *, served: bool = False
) -> ExplorerSection | None:
    """The explorer of all maps. None where there is no map."""
    maps = [one for one in measurements if isinstance(one, Map) and one.words]
    maps.sort(key=lambda one: one.variant.startswith("initial"))  # what was trained comes first
    if not maps:
        return None
    return ExplorerSection(
        name="explorer",
        link="Explorer",
        heading="Who looks at whom",
        maps=[map_data(one) for one in maps],
        counted=words.plural(len(maps), "map"),
        lesson=EXPLORED,
        served=served,
    )


def map_data(one: Map) -> dict[str, object]:
    """What the page needs of a map. Its server answers with the same."""
    variant = f", {one.variant}" if one.variant else ""
    return {
        "model": f"{one.architecture}{variant}",
        "kind": one.measurement,
        "layer": one.layer,
        "head": one.head,
        "words": list(one.words),
        "columns": list(one.columns or one.words),
        "weights": [[round(weight, _DIGITS) for weight in row] for row in one.weights],
    }
