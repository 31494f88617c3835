"""The measurements of a folder: a page of their own, and their sections in the page of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqarena.core.results.measurement import Measurement, latest
from seqarena.report.measured.answer import answer_section
from seqarena.report.measured.curves import architectures_of, curve_sections
from seqarena.report.measured.diagrams import diagrams_section
from seqarena.report.measured.explorer import explorer_section
from seqarena.report.measured.timeline import timeline_section
from seqarena.report.page.parts import Section, make_page
from seqarena.report.page.shell import render

Catalog = Mapping[str, Mapping[str, Any]]


def render_measurements(
    name: str,
    measurements: Sequence[Measurement],
    catalog: Catalog,
    *,
    served: bool = False,
    course: str = "",
) -> str:
    """The page of a folder that holds measurements and no comparison. `course`: as in Page."""
    found = latest(measurements)
    sections = [
        answer_section(name, found),
        *measured_sections(found, catalog, served=served),
        timeline_section(catalog, found),
    ]
    return render(make_page(name, sections, served=served, course=course))


def measured_sections(
    measurements: Sequence[Measurement], catalog: Catalog, *, served: bool = False
) -> list[Section | None]:
    """One section a kind of measurement, then the diagrams and the explorer of maps."""
    found = latest(measurements)
    return [
        *curve_sections(found, architectures_of(found)),
        diagrams_section(found, catalog),
        explorer_section(found, served=served),
    ]
