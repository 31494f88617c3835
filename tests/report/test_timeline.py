"""The timeline shows every system of the catalog in the year of its paper."""

import itertools
from pathlib import Path

from ledger_views import flow_map
from test_measured import read

from seqarena.measure.complexity import catalog_rows
from seqarena.report.measured.lessons import (
    ATTENTION,
    EXPLORED,
    GATES,
    OF_FAMILY,
    OF_SYSTEM,
    lesson_of,
)
from seqarena.report.measured.page import render_measurements
from seqarena.report.measured.timeline import timeline_section
from seqarena.report.page.style import FAMILY_COLOURS

ROOT = Path(__file__).parent.parent.parent


def test_every_system_stands_once_in_its_year() -> None:
    catalog = catalog_rows()
    section = timeline_section(catalog)
    assert section is not None
    shown = [(year, card.title.lower()) for year, cards in section.years for card in cards]
    assert sorted(shown) == sorted((row["year"], row["title"].lower()) for row in catalog.values())
    assert section.heading.endswith(str(max(row["year"] for row in catalog.values())))
    assert section.counted == f"{len(catalog)} systems"
    assert len({card.name for card in section.cards}) == len(catalog)


def test_no_two_families_look_the_same() -> None:
    section = timeline_section(
        {
            f"m{i}": {"year": 2000, "family": f"family {i:02}"}
            for i in range(2 * len(FAMILY_COLOURS))
        }
    )
    assert section is not None
    looks = [(family.colour, family.square) for family in section.families]
    assert len({*looks}) == len(looks)
    assert all(one[1] != other[1] for one, other in itertools.pairwise(looks))


def test_years_are_in_order_with_back_propagation_in_its_own() -> None:
    section = timeline_section({"old": {"year": 1980}, "new": {"year": 2000}})
    assert section is not None
    assert [year for year, _ in section.years] == [1980, 1986, 2000]
    assert section.heading == "From 1980 to 2000"


def test_every_system_of_the_catalog_has_a_lesson() -> None:
    catalog = catalog_rows()
    section = timeline_section(catalog)
    assert section is not None
    assert [card.title for card in section.cards if card.lesson is None] == []
    assert set(OF_SYSTEM) <= set(catalog)
    assert set(OF_FAMILY) == {row["family"] for row in catalog.values()}
    assert lesson_of("lstm", "recurrent") == GATES
    assert lesson_of("rnnsearch", "recurrent") == ATTENTION
    assert lesson_of("mine", "of my own") is None


LINKED = sorted({EXPLORED, *OF_FAMILY.values(), *OF_SYSTEM.values()})


def test_a_page_that_may_lie_anywhere_has_no_link_to_a_lesson() -> None:
    for course, wanted in (("", set()), ("course/", {f"course/{one.name}.html" for one in LINKED})):
        page = read(
            render_measurements("planted", [flow_map("lstm")], catalog_rows(), course=course)
        )
        links = {value for _, name, value in page.attributes if name == "href"}
        assert {link for link in links if not link.startswith("#")} == wanted
        for lesson in LINKED:
            assert f"Lesson {lesson.number}: {lesson.title}" in page.words
            assert (f"make course LESSON={lesson.number}" in page.words) == (not course)


def test_lessons_are_the_files_of_the_course() -> None:
    """Of those that are written: none has a name that no link knows."""
    written = {path.stem for path in (ROOT / "docs" / "course").glob("[0-9]*.py")}
    known = {one.name for one in LINKED} | {"09_costs", "10_which_one"}
    assert written <= known
