"""The page of claims in a real browser: the order of a card, a phone's width, keys and what a
screen reader is told."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_views import CATALOG, claim, ledger
from opened_pages import IN_A_BROWSER, Opened, chromium

from seqarena.report.claims.page import render_ledger

pytestmark = IN_A_BROWSER

TOPS = """card => ['h3', '.shown', '.found', '.behind'].map(part => {
  const place = card.querySelector(`:scope > ${part}`)?.getBoundingClientRect();
  return place && {top: place.top, bottom: place.bottom, left: place.left, right: place.right};
})"""
CONTRAST = """text => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = getComputedStyle(document.documentElement).backgroundColor;
  const [low, high] = [getComputedStyle(text).color, paper].map(light).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted ledger, and two claims that wait to be measured."""
    view = ledger()
    waiting = tuple(claim(name, "not measured yet") for name in ("later", "last"))
    view = view.model_copy(update={"claims": (*view.claims, *waiting)})
    path = tmp_path_factory.mktemp("page") / "ledger.html"
    path.write_text(render_ledger(view, CATALOG), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def phone(browser: Any, place: Path) -> Iterator[Opened]:
    opened = Opened(browser, place.as_uri(), 390)
    yield opened
    opened.context.close()


def parts_of_cards(opened: Opened) -> list[list[dict[str, float] | None]]:
    cards = opened.page.locator("article.claim").all()
    return [card.evaluate(TOPS) for card in cards]


def test_on_a_phone_a_card_is_a_sentence_a_chart_the_verdict_and_what_is_folded(
    phone: Opened,
) -> None:
    cards = parts_of_cards(phone)
    assert [shown is not None for _, shown, _, _ in cards] == [True, True, True, False, False]
    for card in cards:
        present = [part for part in card if part]
        for above, below in itertools.pairwise(present):
            assert above["bottom"] <= below["top"]
    inside = "article.claim .behind, article.claim .behind details"
    assert phone.page.locator(f":is({inside})[open]").count() == 0


def test_on_a_screen_the_chart_is_beside_the_words(browser: Any, place: Path) -> None:
    opened = Opened(browser, place.as_uri(), 1440)
    for said, shown, found, behind in parts_of_cards(opened):
        assert said is not None
        assert found is not None
        assert behind is not None
        assert said["bottom"] <= found["top"]
        assert found["bottom"] <= behind["top"]
        if shown is not None:
            assert said["right"] <= shown["left"]
            assert abs(said["top"] - shown["top"]) < 10
            assert shown["bottom"] <= behind["top"]
    opened.context.close()


def test_nothing_is_wider_than_a_phone_with_all_of_it_open(browser: Any, place: Path) -> None:
    opened = Opened(browser, place.as_uri(), 390)
    assert opened.overflow <= 0
    opened.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    opened.page.wait_for_function(
        """() => [...document.querySelectorAll('.plot')].every(
             place => place._fullLayout.width <= place.clientWidth)"""
    )
    assert opened.overflow <= 0
    assert opened.errors == []
    opened.context.close()


def test_the_details_open_with_the_keyboard(phone: Opened) -> None:
    card = phone.page.locator("#claim-memory")
    card.locator(".chip").last.focus()
    focused = "document.activeElement.closest('.behind')?.parentElement.id"
    phone.page.keyboard.press("Tab")
    assert phone.page.evaluate("document.activeElement.textContent") == "PNG"
    phone.page.keyboard.press("Tab")
    assert phone.page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert phone.page.evaluate(focused) == "claim-memory"
    criterion = card.get_by_text("Holds when p is above 0.8.")
    assert not criterion.is_visible()
    phone.page.keyboard.press("Enter")
    assert criterion.is_visible()
    phone.page.keyboard.press("Enter")
    assert not criterion.is_visible()


def test_a_screen_reader_is_told_the_same(phone: Opened) -> None:
    nodes = phone.context.new_cdp_session(phone.page).send("Accessibility.getFullAXTree")["nodes"]
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    images = [name for role, name in told if role == "image"]
    assert "" not in images
    charts = [name for name in images if "The table folded below holds every number." in name]
    drawn = [one for one in ledger().claims if one.series]
    assert len(charts) == len(drawn)
    for chart, one in zip(charts, drawn, strict=True):
        assert all(curve.label in chart for curve in one.series)
    for one in ledger().claims:
        assert ("article", one.title) in told
        assert ("heading", one.title) in told
    assert told.count(("DisclosureTriangle", "Figures, criterion and records")) == 5


def test_the_jump_list_leads_to_the_cards(phone: Opened) -> None:
    phone.page.locator("#claims .jump").get_by_role("link", name="The claim memory").click()
    phone.page.wait_for_function(
        """() => {
             const top = document.querySelector('#claim-memory').getBoundingClientRect().top;
             return top >= 0 && top < innerHeight / 2;
           }"""
    )
    assert not phone.page.get_by_role("link", name="The claim later").is_visible()
    phone.page.locator("details.jump > summary").click()
    phone.page.locator("#claims .jump").get_by_role("link", name="The claim later").click()
    assert phone.page.url.endswith("#claim-later")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_stand_out_from_the_paper(browser: Any, place: Path, scheme: str) -> None:
    opened = Opened(browser, place.as_uri(), 1440)
    opened.page.emulate_media(color_scheme=scheme)
    marks = opened.page.locator(".found .verdict-mark").all()
    assert len(marks) == 5
    assert [mark.inner_text() for mark in marks if mark.evaluate(CONTRAST) < 4.5] == []
    opened.context.close()


def test_a_page_beside_the_lessons_links_to_them(browser: Any, tmp_path: Path) -> None:
    for course, links in (("", 0), ("course/", 1)):
        path = tmp_path / "ledger.html"
        path.write_text(render_ledger(ledger(), CATALOG, course=course), encoding="utf-8")
        opened = Opened(browser, path.as_uri(), 1440)
        opened.page.locator("button.system", has_text="Long short-term memory").click()
        card = opened.page.locator("#card-lstm")
        assert re.search(r"Lesson 3: Gates", card.inner_text())
        assert ("make course" in card.inner_text()) == (not course)
        found = card.get_by_role("link", name="Lesson 3: Gates")
        assert found.count() == links
        if links:
            (tmp_path / "course").mkdir()
            (tmp_path / "course" / "03_gates.html").write_text("<title>here</title>")
            found.click()
            opened.page.wait_for_url("**/course/03_gates.html")
            assert opened.page.title() == "here"
        opened.context.close()
