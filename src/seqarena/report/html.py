"""The page of a run: a comparison's answer, then what was measured beside it."""

from collections.abc import Sequence

from seqarena.core.measurement import Measurement
from seqarena.core.records import RunView
from seqarena.report.answer import answer_section, costs_section, ranking_section
from seqarena.report.measured import measured_sections
from seqarena.report.shell import page_html
from seqarena.report.story import complexity_section, curves_section, run_section


def render_html(
    view: RunView, measurements: Sequence[Measurement] = (), *, served: bool = False
) -> str:
    """The whole page of a run, ranked or not yet, with the measurements of its folder."""
    sections = [
        answer_section(view),
        ranking_section(view),
        costs_section(view),
        curves_section(view),
        *measured_sections(measurements, view.catalog, served=served),
        complexity_section(view),
        run_section(view),
    ]
    return page_html(view.name, sections, served=served)
