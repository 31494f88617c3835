"""The terminal tables at several widths: words and numbers stay whole in each."""

import io
import re
from pathlib import Path

import pytest
from report_views import ARENA, unranked_view, whole_view
from rich.console import Console, RenderableType

from seqarena.core.results.records import RunView
from seqarena.core.words import AN_ENTRY
from seqarena.models.catalog import CATALOG
from seqarena.report.tables import models_table, ranking_table, settings_table, tasks_table

MODELS = {
    "gru": {
        "title": "gated recurrent unit",
        "year": 2014,
        "idea": "two gates blend the old state with a candidate",
        "work": "T D^2",
        "serial_steps": "T",
        "path_length": "T",
        "state": "D",
    },
    "attention_of_a_long_name": {
        "title": "Transformer",
        "year": 2017,
        "idea": "every position looks at every earlier one and takes a weighted mean of what "
        "stands there, in several heads",
        "work": "T^2 D + T D^2",
        "serial_steps": "1, or T log T by sorting",
        "path_length": "1",
        "state": "T D, or W D within a window",
    },
}
TASKS = {"adding": "the sum of the two marked numbers of a long sequence; mean squared error"}
SETTINGS = {"sequence_length": (64, ""), "test_fraction": (0.05, '"validation": test on it [red]')}
CATALOGS = [models_table(MODELS), tasks_table(TASKS), settings_table(SETTINGS)]


def printed(view: RunView, width: int, encoding: str = "utf-8") -> str:
    return shown(ranking_table(view), width, encoding)


def shown(what: RenderableType, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width, legacy_windows=False).print(what)
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
    assert all(sentence in text for sentence in ranking.open_questions)
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


def test_very_narrow_windows_get_a_line_a_number() -> None:
    text = printed(whole_view(), 40)
    table = text[: text.index("No winner")]
    assert all(len(line) <= 40 for line in text.splitlines())
    assert re.search(r"^1= gru *$", table, re.MULTILINE)
    assert re.search(r"^  95 % interval +\S+–\S+ *$", table, re.MULTILINE)
    assert re.search(r"^  decode µs/token +61\.0 *$", table, re.MULTILINE)
    assert table.count("decode") == len(ARENA)


def test_a_long_name_is_never_broken() -> None:
    view = whole_view()
    assert view.ranking is not None
    name = "my_mixer_of_a_very_long_name_in_my_own_file"
    rows = tuple(
        row.model_copy(update={"architecture": name}) if row.place == 5 else row
        for row in view.ranking.rows
    )
    ranking = view.ranking.model_copy(update={"rows": rows})
    for width in (60, 80, 120, 200):
        assert name in printed(view.model_copy(update={"ranking": ranking}), width)


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("catalog", CATALOGS)
def test_a_catalog_breaks_no_word(catalog: RenderableType, width: int) -> None:
    text = shown(catalog, width)
    assert all(len(line) <= width for line in text.splitlines())
    whole = shown(catalog, 400)
    labels = {"idea", "name", "year", "setting", "default", "meaning"}
    words = set(re.findall(r"[A-Za-z_\[\]]{4,}", whole)) - labels
    headings = {"work", "layer", "serial", "steps", "longest", "path", "state"}
    assert words - headings <= set(re.findall(r"[A-Za-z_\[\]]{4,}", text))


def test_a_wide_catalog_has_a_column_an_order_and_a_narrow_one_a_line() -> None:
    wide, narrow = shown(models_table(MODELS), 200), shown(models_table(MODELS), 80)
    assert "longest path" in wide.splitlines()[0]
    assert "work T D^2; steps T; path T; state D" not in wide
    assert "work T D^2; steps T; path T; state D" in narrow
    assert narrow.count("\n") <= 3 + 4 * len(MODELS)


def test_without_a_terminal_there_are_80_columns_and_no_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    file = io.StringIO()
    Console(file=file).print(ranking_table(whole_view()), models_table(MODELS))
    text = file.getvalue()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "attention_of_a_long_name" in text


@pytest.mark.parametrize("no_color", ["1", ""])
def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    console.print(ranking_table(whole_view()))
    console.print("failed", style="red")
    coloured = re.search(r"\x1b\[[0-9;]*3[0-7]", file.getvalue()) is not None
    assert coloured == (no_color == "")


def test_a_wide_ranking_has_plain_names() -> None:
    assert "gated recurrent unit" not in printed(whole_view(), 120)
    wide = printed(whole_view(), 200).splitlines()
    assert next(line for line in wide if line.split()[:2] == ["1=", "gru"]).split()[2] == "gated"


def test_a_catalog_begins_each_idea_with_the_plain_name() -> None:
    assert "Gated recurrent unit: two gates blend" in shown(models_table(MODELS), 200)


def test_every_plain_name_is_short_and_one_of_a_kind() -> None:
    titles = [row.title for row in CATALOG.values()]
    assert len(set(titles)) == len(titles)
    assert max(map(len, titles)) <= 50
    assert not [title for title in titles if "_" in title or title.endswith(".")]


def test_the_readme_says_what_an_entry_is() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert AN_ENTRY in " ".join(readme.split())
