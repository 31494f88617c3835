"""The page of claims: each claim of the literature with its verdict and its records."""

from collections.abc import Mapping
from typing import Any

from seqarena.core.results.measurement import Map, Measurement, Series, latest
from seqarena.core.results.verdicts import LedgerView
from seqarena.report.claims.answer import answer_section
from seqarena.report.claims.evidence import citations_section, evidence_section
from seqarena.report.claims.overview import overview_section
from seqarena.report.measured.curves import architectures_of
from seqarena.report.measured.diagrams import diagrams_section
from seqarena.report.measured.explorer import explorer_section
from seqarena.report.measured.timeline import timeline_section
from seqarena.report.page.parts import make_page
from seqarena.report.page.shell import render


def render_ledger(
    view: LedgerView,
    catalog: Mapping[str, Mapping[str, Any]],
    *,
    served: bool = False,
    course: str = "",
) -> str:
    """The whole page: the verdict in words, every claim with its records, and the citations.

    `catalog`: for each architecture what measure.complexity.describe returns. `course`: as in Page.
    """
    found = _records(view)
    sections = [
        answer_section(view),
        overview_section(view),
        evidence_section(view, architectures_of(found)),
        diagrams_section(found, catalog),
        explorer_section(found, served=served),
        timeline_section(catalog, found),
        citations_section(view),
    ]
    return render(make_page(view.name, sections, served=served, course=course))


def _records(view: LedgerView) -> list[Measurement]:
    """Every record of the ledger once, though claims may share them."""
    records: list[Series | Map] = []
    for claim in view.claims:
        records += [*claim.series, *claim.maps]
    return latest(records)
