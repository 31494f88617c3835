"""The timeline shows every system of the catalog in the year of its paper."""

import itertools

from seqarena.measure.complexity import catalog_rows
from seqarena.report.measured.timeline import timeline_section
from seqarena.report.page.style import FAMILY_COLOURS


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
