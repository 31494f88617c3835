"""The page of claims as text: every claim says all of itself, in the order in which it is read."""

import re
from typing import Any

import pytest
from ledger_views import CATALOG, claim, ledger, measurements, series
from test_measured import read

from seqarena.claims.contents import CLAIMS
from seqarena.core.results.measurement import Point
from seqarena.report.claims.charts import small_chart
from seqarena.report.claims.overview import overview_section
from seqarena.report.claims.page import render_ledger
from seqarena.report.measured.curves import CurveBlock
from seqarena.report.measured.series_reading import groups


def test_every_claim_is_on_the_page_with_all_it_says() -> None:
    page = read(render_ledger(ledger(), CATALOG))
    assert page.open == []
    for one in ledger().claims:
        for text in (one.title, one.words, one.source, one.experiment, one.criterion):
            assert text in page.words
        assert f"criterion changed {one.amended}" in page.words
        assert one.judgement.figure in page.words
        assert f"{one.judgement.answer}." in page.words
        assert one.judgement.verdict in page.words
        assert one.judgement.remark in page.words
    for lead in (
        "Yes:",
        "Yes, within limits:",
        "No:",
        "Not known yet:",
        "Cannot be measured here:",
    ):
        assert f"{lead} what " in page.words
    assert "1 of 3 claims holds" in page.words
    assert "1 holds within limits, 1 does not hold, 1 cannot be measured here" in page.words
    assert "Most surprising The claim memory. No: what memory shows." in page.words
    assert "Published, not measured here" in page.words
    assert "1.5 billion parameters on other data" in page.words


def test_a_changed_verdict_changes_the_opening() -> None:
    view = ledger()
    claims = [
        one.model_copy(update={"judgement": one.judgement.model_copy(update={"verdict": "holds"})})
        for one in view.claims
    ]
    words = read(render_ledger(view.model_copy(update={"claims": tuple(claims)}), CATALOG)).words
    assert "5 of 5 claims hold" in words
    assert "Most surprising" not in words


def test_nothing_judged_is_said_as_such() -> None:
    view = ledger().model_copy(update={"claims": (claim("one", "not measured yet"),)})
    words = read(render_ledger(view, CATALOG)).words
    assert "No claim is judged yet" in words
    assert "0 of 1 claim judged" in words


def test_a_title_is_a_plain_sentence() -> None:
    titles = [claim.title for claim in CLAIMS]
    assert [title for title in titles if re.search(r"[\^_~=\[\]]|\.$", title)] == []
    assert [title for title in titles if not 20 < len(title) <= 90] == []
    assert len(set(titles)) == len(titles)


def test_the_overview_has_every_claim_once_under_its_verdict() -> None:
    section = overview_section(ledger())
    shown = [
        (f"{len(group.claims)} {group.words}", [address for _, address in group.claims])
        for group in section.groups
    ]
    assert shown == [
        ("1 holds", ["#claim-serial"]),
        ("1 holds within limits", ["#claim-vanishing"]),
        ("1 does not hold", ["#claim-memory"]),
        ("1 cannot be measured here", ["#claim-gpu"]),
        ("1 is not measured yet", ["#claim-heads"]),
    ]
    assert [len(section.table.rows), section.table.sortable] == [5, True]


def test_what_has_no_record_yet_is_no_card() -> None:
    waiting = claim("later", "not measured yet")
    short = claim("short", "not measured yet", series=tuple(measurements()[6:8]))
    html = render_ledger(ledger().model_copy(update={"claims": (waiting, short)}), CATALOG)
    assert re.search(r'<article id="claim-short"', html)
    assert re.search(r'<details id="claim-later">\s*<summary>The claim later</summary>', html)
    assert html.index('id="claim-short"') < html.index('id="claim-later"')


def test_the_chart_beside_an_answer_is_of_the_claims_own_quantity() -> None:
    found = measurements()
    both = (found[0], found[6])
    for chart, drawn in (("accuracy", "Accuracy against distance"), ("", "Training step seconds")):
        view = ledger().model_copy(
            update={"claims": (claim("one", "holds", series=both, chart=chart),)}
        )
        html = render_ledger(view, CATALOG)
        shown, folded = html.split('class="shown"')[1].split('class="behind"')
        assert f"<h4>{drawn}" in shown
        assert ("<h3>Accuracy against distance" in folded) == (chart == "")


def rows_of(*, repeats: int) -> CurveBlock:
    """The chart of two curves of one point each."""
    two = []
    for name, y in (("lstm", 0.5), ("attention", 0.7)):
        one = series(name, "exact_match", "steps", (100,), (y,))
        point = Point(x=100, repeats=one.points[0].repeats[:repeats])
        two.append(one.model_copy(update={"points": (point,)}))
    (group,) = groups(two)
    return small_chart(group, "rows", ["lstm", "attention"])


def test_curves_of_one_point_become_rows() -> None:
    block = rows_of(repeats=3)
    rows: Any = block.figure.drawn.data
    assert [trace.y[0] for trace in rows] == ["lstm", "attention"]
    assert [trace.x[0] for trace in rows] == pytest.approx([0.503, 0.705], abs=2e-3)
    assert rows[0].error_x.arrayminus[0] == pytest.approx(rows[0].x[0] - 0.485)
    assert block.figure.title == "Exact match"
    assert block.figure.caption == "Dot: mean of 3 repeats. Line: their range."
    assert rows_of(repeats=1).figure.caption == ""


def test_models_of_one_size_become_rows_and_those_of_several_do_not() -> None:
    for size, rows in ((60_038, True), (120_000, False)):
        sizes = {"lstm": 59_950, "attention": size}
        (group,) = groups(
            [series(name, "exact_match", "parameters", (x,), (0.5,)) for name, x in sizes.items()]
        )
        block = small_chart(group, "sizes", [])
        assert (block.figure.title == "Exact match") == rows
        assert (block.chips == []) == rows


def test_a_charts_label_says_what_is_drawn() -> None:
    (group,) = groups(measurements()[6:8])
    label = small_chart(group, "recall", []).figure.label
    assert label.startswith("Accuracy, against distance. ")
    assert "lstm from 0.980 at 4 to 0.155 at 64" in label
    assert "attention from 0.980 at 4 to 0.980 at 64" in label
    assert rows_of(repeats=3).figure.label.startswith("Exact match. lstm 0.503; attention 0.70")


def test_of_many_curves_the_label_tells_some_and_counts_the_others() -> None:
    many = [series(f"m{i}", "accuracy", "distance", (1, 2), (0.5, 0.4)) for i in range(11)]
    (group,) = groups(many)
    label = small_chart(group, "many", []).figure.label
    assert label.count(" from ") == 8
    assert "; 3 curves more." in label
