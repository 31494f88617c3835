"""The page of a forecast: the decision at the target, then what it rests on."""

from seqarena.core.results.forecasts import ForecastView
from seqarena.report.forecast.answer import answer_section
from seqarena.report.forecast.charts import charts_section
from seqarena.report.forecast.tables import (
    costs_section,
    ladder_section,
    methods_section,
    pairs_section,
    verification_section,
)
from seqarena.report.page.parts import make_page
from seqarena.report.page.shell import render


def render_forecast(view: ForecastView, *, served: bool = False) -> str:
    """The whole page."""
    sections = [
        answer_section(view),
        charts_section(view),
        pairs_section(view),
        verification_section(view),
        costs_section(view),
        methods_section(view),
        ladder_section(view),
    ]
    return render(make_page(view.name, sections, served=served))
