"""From 1986 to today: every system of the catalog in its year, each with a card of its own."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from seqarena.core.measurement import Measurement, Series
from seqarena.report import units
from seqarena.report.markup import Markup, definitions, element
from seqarena.report.sections import Section, lead, section_html
from seqarena.report.series_reading import saying, told
from seqarena.report.style import FAMILY_COLOURS, css

_FACTS = ("work", "serial_steps", "path_length", "state")
# where the story begins: how all that follow are trained
_BEGINS = 1986
_BEGINNING = "Back-propagation, also through time (Rumelhart, Hinton and Williams)"


def timeline_section(
    catalog: Mapping[str, Mapping[str, Any]], measurements: Sequence[Measurement] = ()
) -> Section | None:
    """A list of years whose buttons open the cards; None for an empty catalog."""
    rows = {name: facts for name, facts in catalog.items() if facts.get("year")}
    if not rows:
        return None
    families = sorted({str(facts.get("family") or "other") for facts in rows.values()})
    dots = {family: _dot(i) for i, family in enumerate(families)}
    years = sorted({int(facts["year"]) for facts in rows.values()})
    entries = [
        _year(year, {n: f for n, f in rows.items() if int(f["year"]) == year}, dots)
        for year in years
    ]
    key = [element("li", dots[family], family) for family in families]
    html = section_html(
        "timeline",
        f"From {min(_BEGINS, years[0])} to today",
        lead(
            f"{units.plural(len(rows), 'system')} of the catalog by the year of their paper. "
            "Each opens its card: the idea, what it costs on paper, and what was measured here."
        ),
        element("ul", *key, class_="families", aria_label="Colour of each family"),
        element("ol", _beginning(), *entries, class_="timeline"),
        *(_card(name, facts, measurements) for name, facts in rows.items()),
    )
    return Section("timeline", "Timeline", html)


def _dot(place: int) -> Markup:
    """A family's mark: a dot of its colour, a square one where the colours begin again."""
    size = len(FAMILY_COLOURS)
    own = f"--own:{css(FAMILY_COLOURS[place % size])}"
    kind = "swatch" if place < size else "swatch square"
    return element("span", class_=kind, style=own, aria_hidden="true")


def _year(year: int, rows: Mapping[str, Mapping[str, Any]], dots: Mapping[str, Markup]) -> Markup:
    buttons = [
        element(
            "button",
            dots[str(facts.get("family") or "other")],
            str(facts.get("title") or name),
            type="button",
            class_="system",
            aria_haspopup="dialog",
            data_card=_place(name),
        )
        for name, facts in rows.items()
    ]
    return element(
        "li", element("span", str(year), class_="year"), element("div", *buttons, class_="systems")
    )


def _beginning() -> Markup:
    words = element("div", element("span", _BEGINNING, class_="milestone"), class_="systems")
    return element("li", element("span", str(_BEGINS), class_="year"), words)


def _place(name: str) -> str:
    return "card-" + re.sub(r"[^A-Za-z0-9_]+", "-", name)


def _card(name: str, facts: Mapping[str, Any], measurements: Sequence[Measurement]) -> Markup:
    place = _place(name)
    pairs = [("name", name), ("family", str(facts.get("family") or "other"))]
    pairs += [("paper", str(facts["paper"]))] if facts.get("paper") else []
    orders = [(units.words(key), str(facts[key])) for key in _FACTS if facts.get(key)]
    equations = facts.get("equations")
    measured = _measured(name, measurements)
    parts = [
        element("h3", f"{facts.get('title') or name}, {facts['year']}", id=f"{place}-heading"),
        element("p", str(facts.get("idea") or "")),
        element("pre", str(equations), tabindex="0") if equations else None,
        definitions(pairs),
        element("h4", "On paper, a layer"),
        definitions(orders),
        element("h4", "Measured here"),
        definitions(measured) if measured else element("p", "Nothing in these records."),
        element("button", "Close", type="button", class_="close"),
    ]
    return element("dialog", *parts, id=place, class_="card", aria_labelledby=f"{place}-heading")


def _measured(name: str, measurements: Sequence[Measurement]) -> list[tuple[str, str]]:
    """What the records of this architecture say, each curve's estimates in a line."""
    found = []
    for one in measurements:
        if not isinstance(one, Series) or one.architecture != name:
            continue
        said = "; ".join(f"{part.words} = {told(part)}" for part in saying(one))
        if said:
            words = f"{units.words(one.quantity)} ({one.measurement}"
            found.append((f"{words}, {one.variant})" if one.variant else f"{words})", said))
    return found
