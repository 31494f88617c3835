"""Who looks at whom: attention's weights beside the information flow of any other architecture.

Four panels as the introductory texts draw them: (a) the weights of one head, (b) one word's row of
it as bars, (c) the flow of information in another model on the same axes, (d) both rows together.
explorer.js draws them from the maps that stand in the page.
"""

from collections.abc import Sequence

from seqarena.core.measurement import Map, Measurement
from seqarena.report import units
from seqarena.report.markup import Markup, element, script_json
from seqarena.report.sections import Section, lead, section_html

_DIGITS = 4  # of a weight in the page


def explorer_section(
    measurements: Sequence[Measurement], *, served: bool = False
) -> Section | None:
    """The explorer of all maps; None where there is none."""
    maps = [one for one in measurements if isinstance(one, Map) and one.words]
    if not maps:
        return None
    html = section_html(
        "explorer",
        "Who looks at whom",
        lead(
            "Row: the position that reads. Column: the one that is read. Attention shows its "
            "weights; for every other architecture it is the norm of d output / d input, each row "
            "made to sum to one. Choose a word by a click or with the arrow keys."
        ),
        _sentence_form(served),
        _controls(),
        element(
            "div",
            _panel("a", "weights", "grid"),
            _panel("b", "row-of-weights", "bars"),
            _panel("c", "flow", "grid"),
            _panel("d", "both-rows", "bars"),
            class_="panels",
        ),
        element("p", id="explorer-said", class_="doubt", aria_live="polite"),
        element("noscript", element("p", f"{units.plural(len(maps), 'map')} need scripts.")),
        script_json([map_data(one) for one in maps], id="explorer-maps"),
    )
    return Section("explorer", "Explorer", html)


def map_data(one: Map) -> dict[str, object]:
    """What the page needs of a map; also what its server answers with."""
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


def _sentence_form(served: bool) -> Markup:
    if not served:
        return element(
            "p",
            "With ",
            element("code", "seqarena report FOLDER --serve"),
            " a sentence of your own can be typed here.",
            class_="doubt",
        )
    return element(
        "form",
        element("label", "Your own sentence", for_="explorer-text"),
        element(
            "input", type="text", id="explorer-text", name="text", maxlength="200", required=True
        ),
        element("button", "Measure it", type="submit"),
        element("span", id="explorer-status", role="status"),
        id="explorer-form",
    )


def _controls() -> Markup:
    return element(
        "div",
        _choice("sentence", "Sentence"),
        _choice("left", "Attention (a, b)"),
        _choice("layer", "Layer"),
        _choice("head", "Head"),
        _choice("right", "Beside it (c, d)"),
        _choice("word", "Word"),
        class_="controls",
    )


def _choice(name: str, words: str) -> Markup:
    return element(
        "label",
        element("span", words),
        element("select", id=f"explorer-{name}"),
        data_choice=name,
    )


def _panel(letter: str, name: str, kind: str) -> Markup:
    return element(
        "figure",
        element("figcaption", element("b", f"({letter}) "), element("span", class_="panel-title")),
        element("div", id=f"panel-{name}", class_=kind),
        id=f"panel-{letter}",
    )
