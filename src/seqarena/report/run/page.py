"""The page of a run: the answer of the comparison, then everything that was measured."""

from collections.abc import Sequence

from seqarena.core.results.live import LiveModel
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.records import RunView
from seqarena.report.answers.forecast_section import forecasts_section
from seqarena.report.live.section import live_section
from seqarena.report.measured.page import measured_sections
from seqarena.report.page.parts import make_page
from seqarena.report.page.shell import render
from seqarena.report.run.answer import answer_section
from seqarena.report.run.complexity import complexity_section
from seqarena.report.run.costs import costs_section
from seqarena.report.run.curves import curves_section
from seqarena.report.run.data import data_section
from seqarena.report.run.decision import Outlook
from seqarena.report.run.facts import facts_section
from seqarena.report.run.ranking import ranking_section


def render_html(
    view: RunView,
    measurements: Sequence[Measurement] = (),
    *,
    served: bool = False,
    outlook: Outlook | None = None,
    live: Sequence[LiveModel] = (),
) -> str:
    """The whole page of a run, ranked or not yet, with the measurements of its folder.

    `outlook`: what a forecast says of another size. `live`: models that run in the page.
    """
    sections = [
        answer_section(view, outlook),
        ranking_section(view),
        costs_section(view),
        forecasts_section(view),
        curves_section(view),
        live_section(live, view.catalog),
        *measured_sections(measurements, view.catalog, served=served),
        complexity_section(view),
        data_section(view),
        facts_section(view),
    ]
    return render(make_page(view.name, sections, served=served))
