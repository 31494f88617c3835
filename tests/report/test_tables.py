"""The terminal table at several widths."""

import io

import pytest
from report_views import ARENA, unranked_view, whole_view
from rich.console import Console

from seqarena.core.records import RunView
from seqarena.report.tables import ranking_table


def printed(view: RunView, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width, legacy_windows=False).print(ranking_table(view))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_number_is_there_whole(width: int) -> None:
    text = printed(whole_view(), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    ranking = whole_view().ranking
    assert ranking is not None
    for row in ranking.rows:
        assert row.architecture in text
        assert f"{row.mean:.3f}" in text
        assert f"{row.low:.3f}–{row.high:.3f}" in text
        assert row.place == 1 or f"+{row.gap_to_leader:.3f}" in text
    for shown in ("41.2", "61.0", "88.0", "2.05", "3e-3*", "1e-3"):
        assert shown in text


def test_narrow_windows_get_two_tables() -> None:
    assert printed(whole_view(), 80).count("architecture ") == 2
    assert printed(whole_view(), 120).count("architecture ") == 1


def test_verdict_recommendation_and_exclusions_stand_below() -> None:
    text = " ".join(printed(whole_view(), 120).split())
    ranking = whole_view().ranking
    assert ranking is not None
    assert ranking.verdict in text
    assert all(sentence in text for sentence in ranking.recommendation)
    assert all(name in text and why in text for name, why in ranking.excluded.items())
    assert text.index("elman") < text.index("No winner")


def test_ties_are_marked() -> None:
    lines = printed(whole_view(), 120).splitlines()
    marked = [line.split()[1] for line in lines if line.strip()[:2] in ("1=", "2=", "3=")]
    assert marked == ["gru", "lstm"]


def test_an_ascii_terminal_gets_ascii() -> None:
    assert "us/token" in printed(whole_view(), 80, encoding="ascii")


def test_names_are_not_taken_for_markup() -> None:
    view = whole_view()
    assert view.ranking is not None
    verdict = view.ranking.model_copy(update={"verdict": "[red]lstm[/red] wins"})
    assert "[red]lstm[/red]" in printed(view.model_copy(update={"ranking": verdict}), 80)


def test_unranked() -> None:
    assert "1 of 3 trials" in printed(unranked_view(), 80)


def test_a_missing_measure_is_a_dash() -> None:
    view = whole_view()
    text = printed(view.model_copy(update={"costs": view.costs[:4]}), 120)
    assert text.count("–") >= 4 * (len(ARENA) - 1)


def test_without_costs_there_is_no_table_of_costs() -> None:
    assert "/token" in printed(whole_view(), 120)
    assert "/token" not in printed(whole_view().model_copy(update={"costs": ()}), 120)
