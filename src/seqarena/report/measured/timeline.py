"""From 1986 to today: every system of the catalog in its year, each with a card."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqarena.core import words
from seqarena.core.results.measurement import Measurement, Series
from seqarena.report.measured.lessons import Lesson, lesson_of
from seqarena.report.measured.series_reading import estimate_text, estimates_of
from seqarena.report.page.parts import Family, Section
from seqarena.report.page.style import FAMILY_COLOURS, css

_ORDERS = ("work", "serial_steps", "path_length", "state")
# the year of back-propagation, with which all later systems are trained
_FIRST_YEAR = 1986
_FIRST_EVENT = "Back-propagation, also through time (Rumelhart, Hinton and Williams)"


class SystemCard(NamedTuple):
    """What is known of one system: from its paper, in theory, and from the records."""

    name: str  # of its place on the page
    title: str
    year: int
    family: Family
    idea: str
    equations: str
    lesson: Lesson | None
    facts: Sequence[tuple[str, str]]
    orders: Sequence[tuple[str, str]]
    measured: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class TimelineSection(Section):
    """Years with the systems of each; a system's button opens its card."""

    template = "measured/timeline.html"
    counted: str  # such as "54 systems"
    first_year: int
    first_event: str
    families: Sequence[Family]
    years: Sequence[tuple[int, Sequence[SystemCard]]]
    cards: Sequence[SystemCard]


def timeline_section(
    catalog: Mapping[str, Mapping[str, Any]], measurements: Sequence[Measurement] = ()
) -> TimelineSection | None:
    """The systems by the year of their paper. None where the catalog has no years."""
    rows = {name: facts for name, facts in catalog.items() if facts.get("year")}
    if not rows:
        return None
    families = _families(sorted({_family(facts) for facts in rows.values()}))
    cards = [
        _card(name, facts, families[_family(facts)], measurements) for name, facts in rows.items()
    ]
    years = sorted({_FIRST_YEAR, *(card.year for card in cards)})
    return TimelineSection(
        name="timeline",
        link="Timeline",
        heading=f"From {years[0]} to {years[-1]}",
        counted=words.plural(len(cards), "system"),
        first_year=_FIRST_YEAR,
        first_event=_FIRST_EVENT,
        families=list(families.values()),
        years=[(year, [card for card in cards if card.year == year]) for year in years],
        cards=cards,
    )


def _family(facts: Mapping[str, Any]) -> str:
    return str(facts.get("family") or "other")


def _families(names: Sequence[str]) -> dict[str, Family]:
    """A colour for each family, and a dot of another shape than its neighbours of the palette,
    which look alike when small. An odd number of colours makes the pairs unique twice round."""
    size = len(FAMILY_COLOURS)
    return {
        name: Family(name, css(FAMILY_COLOURS[place % size]), square=place % 2 == 1)
        for place, name in enumerate(names)
    }


def _card(
    name: str, facts: Mapping[str, Any], family: Family, measurements: Sequence[Measurement]
) -> SystemCard:
    pairs = [("name", name), ("family", family.name)]
    pairs += [("paper", str(facts["paper"]))] if facts.get("paper") else []
    return SystemCard(
        name="card-" + re.sub(r"[^A-Za-z0-9_]+", "-", name),
        title=words.capitalised(str(facts.get("title") or name)),
        year=int(facts["year"]),
        family=family,
        idea=str(facts.get("idea") or ""),
        equations=str(facts.get("equations") or ""),
        lesson=lesson_of(name, family.name),
        facts=pairs,
        orders=[(words.of_name(key), str(facts[key])) for key in _ORDERS if facts.get(key)],
        measured=_measured(name, measurements),
    )


def _measured(name: str, measurements: Sequence[Measurement]) -> list[tuple[str, str]]:
    """The estimates of this architecture's curves, a line for each curve."""
    found = []
    for one in measurements:
        if not isinstance(one, Series) or one.architecture != name:
            continue
        text = "; ".join(f"{part.words} = {estimate_text(part)}" for part in estimates_of(one))
        if text:
            variant = f", {one.variant}" if one.variant else ""
            title = f"{words.of_name(one.quantity)} ({one.measurement}{variant})"
            found.append((title, text))
    return found
