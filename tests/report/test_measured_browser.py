"""Measurements and the ledger in a real browser: recorded numbers, buttons and keys."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_views import CATALOG, LENGTHS, claim, ledger, measurements, speed
from opened_pages import IN_A_BROWSER, Opened, chromium

from seqarena.core.results.measurement import append_measurements
from seqarena.report.claims.page import render_ledger
from seqarena.report.measured.page import render_measurements
from seqarena.serve.page import PageServer

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    path = tmp_path_factory.mktemp("page") / "ledger.html"
    path.write_text(render_ledger(ledger(), CATALOG), encoding="utf-8")
    page = Opened(browser, path.as_uri(), 1440)
    yield page
    page.context.close()


def test_recorded_numbers_are_drawn(opened: Opened) -> None:
    traces = {trace["name"]: trace for trace in opened.traces("claim-serial-0")}
    planted = speed("attention", 1.6, serial=False)
    assert traces["attention"]["x"] == list(LENGTHS)
    milliseconds = [1e3 * sorted(point.repeats)[1] for point in planted.points]
    assert traces["attention"]["y"] == pytest.approx(milliseconds)
    shaded = traces["attention, range"]["y"]
    assert max(shaded) == pytest.approx(1e3 * max(planted.points[-1].repeats))
    guesser = {trace["name"]: trace for trace in opened.traces("claim-memory-0")}
    assert guesser["memoryless guesser"]["y"] == [0.125] * 5


def test_nothing_is_fetched_and_nothing_is_wrong(opened: Opened) -> None:
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert (
        opened.page.locator(".plot").count() == opened.page.locator(".plot .main-svg").count() / 3
    )
    assert opened.overflow <= 0


def test_a_chart_that_was_folded_takes_its_width_when_it_is_opened(
    browser: Any, tmp_path: Path
) -> None:
    found = measurements()
    view = ledger().model_copy(
        update={"claims": (claim("two", "holds", series=(found[0], found[6])),)}
    )
    path = tmp_path / "ledger.html"
    path.write_text(render_ledger(view, CATALOG), encoding="utf-8")
    opened = Opened(browser, path.as_uri(), 390)
    plot = opened.page.locator("#claim-two .pair .plot")
    assert not plot.is_visible()
    opened.page.click("#claim-two .behind > summary")
    width = "place => place._fullLayout.width <= place.clientWidth"
    opened.page.wait_for_function(f"({width})(document.querySelector('#claim-two .pair .plot'))")
    assert opened.overflow <= 0
    assert opened.errors == []
    opened.context.close()


def test_legend_and_axis_buttons(opened: Opened) -> None:
    chip = opened.page.locator("#claim-serial .chip", has_text="attention")
    chip.focus()
    opened.page.keyboard.press("Enter")
    shown = {trace["name"]: trace["visible"] for trace in opened.traces("claim-serial-0")}
    assert not shown["attention"]
    assert not shown["attention, range"]
    assert shown["lstm, loop"]
    assert chip.get_attribute("aria-pressed") == "false"
    chip.click()
    opened.page.click("#claim-serial .behind > summary")
    button = opened.page.locator("#claim-serial .axis", has_text="y:")
    assert (opened.axis("claim-serial-0", "yaxis"), button.get_attribute("aria-pressed")) == (
        "log",
        "true",
    )
    button.click()
    assert opened.axis("claim-serial-0", "yaxis") == "linear"
    assert opened.axis("claim-memory-0", "xaxis") == "log"
    assert button.get_attribute("aria-pressed") == "false"


def test_a_short_logarithmic_axis_has_round_ticks_and_becomes_linear(
    browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "measured.html"
    found = [speed("lstm", 1.0, serial=True)]  # from 0.64 to 20 ms
    path.write_text(render_measurements("planted", found, CATALOG), encoding="utf-8")
    opened = Opened(browser, path.as_uri(), 1440)
    ticks = """[...document.querySelectorAll('#measured-speed .ytick')]
                 .map(tick => tick.textContent).filter(Boolean)"""
    shown = opened.page.evaluate(ticks)
    assert {"1", "2", "5", "10", "20"} <= set(shown)
    assert {tick.strip("0.,") for tick in shown} == {"1", "2", "5"}
    opened.page.locator("#measured-speed .axis", has_text="y:").click()
    assert opened.axis("measured-speed-0", "yaxis") == "linear"
    assert 3 <= len(opened.page.evaluate(ticks)) <= 12
    opened.context.close()


def test_the_explorer_answers_to_choices_clicks_and_keys(opened: Opened) -> None:
    page = opened.page
    row = "#panel-row-of-weights rect"

    def bars() -> list[float]:
        weights = page.eval_on_selector_all(row, "bars => bars.map(bar => bar.dataset.weight)")
        return [float(weight) for weight in weights]

    def planted(layer: int, head: int, word: int) -> list[float]:
        maps = [m for m in measurements() if m.kind == "map"]
        found = next(m for m in maps if (m.layer, m.head) == (layer, head))
        return [round(weight, 4) for weight in found.weights[word]]

    assert bars() == planted(0, 0, 8)  # "it"
    page.select_option("#explorer-head", "1")
    assert bars() == planted(0, 1, 8)
    page.select_option("#explorer-layer", "1")
    assert bars() == planted(1, 1, 8)
    page.locator("#panel-weights svg").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert bars() == planted(1, 1, 10)
    page.locator('#panel-weights rect[data-row="4"]').first.click()
    assert bars() == planted(1, 1, 4)
    assert "cross" in page.inner_text("#explorer-summary")
    page.select_option("#explorer-right", label="elman · information flow")
    assert "elman" in page.inner_text("#panel-c figcaption")
    assert page.locator("#panel-both-rows rect.other").count() == 11


def test_a_systems_card_opens_and_closes(opened: Opened) -> None:
    page = opened.page
    page.locator("button.system", has_text="Long short-term memory").click()
    card = page.locator("#card-lstm")
    assert card.is_visible()
    said = card.inner_text()
    assert "Gates round a cell" in said
    assert "reach at 90 % = 32" in said
    page.keyboard.press("Escape")
    assert not card.is_visible()


def test_on_a_phone_in_the_dark(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "measured.html"
    path.write_text(render_measurements("planted", measurements(), CATALOG), encoding="utf-8")
    opened = Opened(browser, path.as_uri(), 390)
    assert opened.overflow <= 0
    assert opened.errors == []
    ink = "getComputedStyle(document.documentElement).color"
    before = opened.page.evaluate(ink)
    opened.page.click("#theme")
    assert opened.page.evaluate(ink) != before
    opened.page.click(".measured summary >> nth=0")
    opened.page.locator("button.system >> nth=0").click()
    assert opened.overflow <= 0
    opened.context.close()


def test_on_paper_charts_fit_and_keep_their_legends(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "ledger.html"
    path.write_text(render_ledger(ledger(), CATALOG), encoding="utf-8")
    opened = Opened(browser, path.as_uri(), 688)  # A4 between its margins
    page = opened.page
    page.locator("#claim-serial .chip", has_text="attention").click()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function("document.querySelector('#claim-serial .plot').layout.width === 660")
    assert opened.overflow <= 0
    assert page.locator("#claim-serial .chip", has_text="lstm").first.is_visible()
    assert not page.locator("#claim-serial .chip", has_text="attention").is_visible()
    assert not page.locator("#claim-serial .axis").first.is_visible()
    opened.context.close()


def test_a_served_page_follows_its_folder(browser: Any, tmp_path: Path) -> None:
    append_measurements(tmp_path / "measurements.jsonl", measurements()[:1])
    with PageServer(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        opened = Opened(browser, server.address, 800)
        assert len(opened.traces("measured-speed-0")) == 2
        append_measurements(tmp_path / "measurements.jsonl", measurements()[1:2])
        opened.page.wait_for_function(
            """() => document.querySelector('[data-figure="figure-measured-speed-0"].plot')
                 ?.data?.length === 4"""
        )
        assert opened.errors == []
        assert all(url.startswith((server.address, "blob:")) for url in opened.requests)
        opened.context.close()
        server.shutdown()
        thread.join()


def test_json_of_maps_keeps_the_weights() -> None:
    html = render_ledger(ledger(), CATALOG)
    start = html.index('id="explorer-maps">') + len('id="explorer-maps">')
    maps = json.loads(html[start : html.index("</script>", start)])
    assert [m["layer"] for m in maps] == [0, 0, 1, 1, None, None]
