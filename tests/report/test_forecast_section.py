"""Fans of forecasts on the page of a run, from the records of its trials."""

from report_views import NASTY, whole_view

from seqarena.core.results.forecast_windows import ForecastRecord, ForecastWindow
from seqarena.core.results.records import RunView
from seqarena.report.answers.forecast_section import forecasts_section
from seqarena.report.run.page import render_html

LEVELS = (0.1, 0.5, 0.9)


def record(shift: float = 0.0, levels: tuple[float, ...] = LEVELS) -> ForecastRecord:
    """Two windows of three steps, of a series whose name is markup."""
    steps = tuple(tuple(10 * k + level + shift for level in levels) for k in range(3))
    return ForecastRecord(
        levels=levels,
        is_time=True,
        windows=tuple(
            ForecastWindow(
                series=NASTY,
                past_times=("2026-01-01", "2026-01-02"),
                past=(1.0, None),
                times=("2026-01-03", "2026-01-04", "2026-01-05"),
                truth=(2.0, 3.0, 4.0),
                quantiles=steps,
            )
            for _ in range(2)
        ),
    )


def view_of(**records: ForecastRecord) -> RunView:
    """A run whose architectures recorded these, each in the trial of seed 1."""
    view = whole_view()
    trials = tuple(
        trial.model_copy(update={"forecast": records[trial.architecture]})
        if trial.architecture in records and (trial.role, trial.seed) == ("seed", 1)
        else trial
        for trial in view.trials
    )
    return view.model_copy(update={"trials": trials})


def test_a_run_of_another_task_has_no_fans():
    assert forecasts_section(whole_view()) is None


def test_a_figure_a_window_with_the_leaders_fan_and_the_medians_of_all():
    section = forecasts_section(view_of(gru=record(), lstm=record(100.0)))
    assert section is not None
    assert [chip.key for chip in section.chips] == ["gru", "lstm"]
    assert "80 %" in section.lead
    assert len(section.figures) == 2
    band, truth, gru, lstm = section.figures[0].drawn.data
    assert list(band.y) == [0.9, 10.9, 20.9, 20.1, 10.1, 0.1]
    assert list(truth.y) == [1.0, None, 2.0, 3.0, 4.0]
    assert list(gru.y) == [0.5, 10.5, 20.5]
    assert list(lstm.y) == [100.5, 110.5, 120.5]
    assert {band.legendgroup, gru.legendgroup, lstm.legendgroup} == {"gru", "lstm"}


def test_a_point_forecast_has_no_fan():
    section = forecasts_section(view_of(gru=record(levels=(0.5,))))
    assert section is not None
    assert "fan" not in section.lead
    assert [trace.name for trace in section.figures[0].drawn.data] == ["truth", "gru"]


def test_the_page_has_them_and_no_markup_of_a_series():
    html = render_html(view_of(gru=record()))
    assert "What they forecast" in html
    assert "<script>alert" not in html


def test_the_loss_of_numbers_is_not_in_nats():
    view = view_of(gru=record())
    assert "A nat is 1.44 bits" in render_html(view)
    other = view.model_copy(update={"data": {**view.data, "loss": "twice the pinball loss"}})
    html = render_html(other)
    assert "A nat is 1.44 bits" not in html
    assert "training loss, twice the pinball loss" in html
