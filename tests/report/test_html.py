"""The page as text: complete, escaped, and without any request to elsewhere."""

import re
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs
from report_views import ARENA, NASTY, unranked_view, whole_view

from seqarena.core.results.records import RunView
from seqarena.core.words import AN_ENTRY
from seqarena.report.run.decision import Outlook
from seqarena.report.run.page import render_html

LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "formaction"}
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page into visible text, attributes and the contents of its scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.raw:
            self.raw[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]][-1] += data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def whole() -> Page:
    return Page(render_html(whole_view()))


def test_elements_are_closed_in_order(whole: Page) -> None:
    assert whole.open == []


def test_every_number_of_the_ranking_is_on_the_page(whole: Page) -> None:
    ranking = whole_view().ranking
    assert ranking is not None
    for row in ranking.rows:
        assert row.architecture in whole.words
        assert f"{row.mean:.3f} {row.low:.3f} to {row.high:.3f}" in whole.words
        if row.place > 1:
            ends = f"{row.gap_low:+.3f} to {row.gap_high:+.3f}".replace("-", "−")
            assert f"+{row.gap_to_leader:.3f} {ends}" in whole.words
        if row.p_value is not None:
            assert f" {row.p_value:.3f} " in whole.words
        assert f"{row.parameters:,}" in whole.words
    for facts in ARENA.values():
        for value in (facts[3] * 1e6, facts[4] / 1e6, facts[5] / 1e3, facts[6] / 1e3):
            assert any(f" {value:.{digits}f} " in whole.words for digits in (0, 1, 2))


def test_the_answer_comes_first(whole: Page) -> None:
    view = whole_view()
    assert view.ranking is not None
    assert (
        "Use here, or the one that ties with it Gated recurrent unit gru No winner: Gated "
        "recurrent unit (2.041) and long short-term memory lstm (2.048) differ by 0.007 bits "
        "per byte, inside the noise floor of 0.014; gated recurrent unit decodes 1.2 times faster"
    ) in whole.words
    assert "For the fastest training Minimal GRU min_gru , 2.1 times the tokens" in whole.words
    assert "61 µs" not in whole.words
    assert "0.061 ms per token Decode latency The time for one token more" in whole.words
    order = ["Use here", "No winner", "How sure", "What would settle the rest"]
    order += ["What it costs", "If something else matters"]
    order += ["For the fastest training", "All numbers", "What quality costs"]
    order += ["How they learned", "Complexity in theory", "Run it again"]
    places = [whole.words.index(text) for text in order]
    assert places == sorted(places)


def test_provenance_exclusions_and_catalog_are_there(whole: Page) -> None:
    view = whole_view()
    assert view.ranking is not None
    assert view.provenance is not None
    assert view.command in whole.words
    for name, why in view.ranking.excluded.items():
        assert f"{name} {why}" in whole.words
    for fact in (view.data["sha256"], view.provenance.code_digest, view.provenance.processor):
        assert fact in whole.words
    assert view.ranking.noise_floor_origin in whole.words
    assert "1.12 MB (1,115,394 bytes)" in whole.words
    assert "loop × 2" in whole.words
    for entry in view.catalog.values():
        assert entry["paper"] in whole.words
        assert entry["work"] in whole.words.replace("\u00a0", " ")


@pytest.mark.parametrize("view", [whole_view(), unranked_view()], ids=["whole", "unranked"])
def test_the_page_loads_nothing(view: RunView) -> None:
    page = Page(render_html(view))
    for tag, name, value in page.attributes:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert name not in LOADING or value.startswith("#"), (tag, name, value)
    for css in page.raw["style"]:
        assert not re.search(r"@import|url\(|https?:", css)
    own = [script for script in page.raw["script"] if len(script) < 1_000_000]
    assert len(page.raw["script"]) - len(own) == 1  # plotly.js, once
    assert not any(re.search(r"https?:|fetch\(|import\(|XMLHttp", script) for script in own)
    policy = next(
        value
        for tag, name, value in page.attributes
        if (tag, name) == ("meta", "content") and "default-src" in value
    )
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_the_page_is_little_more_than_plotly() -> None:
    page = render_html(whole_view())
    assert page.count(get_plotlyjs()[:2000]) == 1
    assert len(page) - len(get_plotlyjs()) < 400_000


def test_text_from_the_run_is_escaped() -> None:
    view = whole_view()
    assert view.ranking is not None
    evil = '"><img src=x onerror=alert(1)>'
    rows = tuple(
        row.model_copy(update={"architecture": evil}) if row.architecture == "gru" else row
        for row in view.ranking.rows
    )
    trials = tuple(
        trial.model_copy(update={"architecture": evil, "test_slices": {f"{evil} 1": 1.0, "b": 2.0}})
        if trial.architecture == "gru"
        else trial
        for trial in view.trials
    )
    ranking = view.ranking.model_copy(
        update={"rows": rows, "excluded": {evil: evil}, "verdict": evil, "leaders": (evil,)}
    )
    changes = {
        "name": f"</title>{evil}",
        "command": f"</script>{evil}",
        "ranking": ranking,
        "trials": trials,
        "catalog": {**view.catalog, evil: {"title": evil, "family": evil, "idea": evil}},
        "plan": {evil: {evil: evil}},
    }
    html = render_html(view.model_copy(update=changes))
    assert "<img" not in html.replace(get_plotlyjs(), "")
    assert "<script>alert" not in html
    page = Page(html)
    assert page.open == []
    assert evil in page.words
    assert NASTY in page.words


def test_tables_figures_and_landmarks_have_names(whole: Page) -> None:
    html = render_html(whole_view())
    body = html[: html.index('id="dark-of-light"')]
    assert body.count("<table") == body.count("<caption") > 2
    assert body.count("<h1>") == 1
    assert body.count('class="plot"') == body.count('role="img" aria-label="') > 8
    ids = [value for _, name, value in whole.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    used = [v for _, n, v in whole.attributes if n in ("aria-labelledby", "data-figure")]
    used += [v[1:] for _, n, v in whole.attributes if n == "href"]
    assert set(used) <= set(ids)


def test_unranked_page_says_what_there_is() -> None:
    words = Page(render_html(unranked_view())).words
    assert "Nothing is ranked yet" in words
    assert "1 of 3 trials have finished" in words
    assert "What quality costs" not in words
    assert "How they learned" in words
    assert unranked_view().command in words


def test_a_run_without_anything_still_renders() -> None:
    empty = {"trials": (), "data": {}, "plan": {}, "catalog": {}}
    words = Page(render_html(unranked_view().model_copy(update=empty))).words
    assert "0 of 0 trials" in words


def test_a_run_without_a_finisher_says_why() -> None:
    view = whole_view()
    assert view.ranking is not None
    unfinished = {
        "rows": (),
        "leaders": (),
        "recommendation": (),
        "verdict": "No architecture finished.",
    }
    ranking = view.ranking.model_copy(update=unfinished)
    words = Page(render_html(view.model_copy(update={"ranking": ranking}))).words
    assert "No architecture finished." in words
    assert "all 3 trials diverged" in words


def test_the_best_quality_is_said_once() -> None:
    """The headline names it; a card would say it again."""
    view = whole_view()
    assert view.ranking is not None
    sentences = ("For the best quality: gru, 2.04.", "For the smallest state: elman keeps less.")
    ranking = view.ranking.model_copy(update={"recommendation": sentences})
    words = Page(render_html(view.model_copy(update={"ranking": ranking}))).words
    assert "For the best quality" not in words
    assert "For the smallest state" in words


def test_a_forecast_has_its_place_in_the_answer() -> None:
    outlook = Outlook("At 10M parameters", "The Transformer leads (80 %).", "#ranking", "How")
    words = Page(render_html(whole_view(), outlook=outlook)).words
    assert "At 10M parameters The Transformer leads (80 %). How" in words


def test_folds_say_what_the_words_mean(whole: Page) -> None:
    text = AN_ENTRY.replace("`", "")
    assert text in whole.words
    for term in ("95 % interval", "tie", "noise floor", "diverged"):
        assert f" {term} " in whole.words


def test_a_winner_is_named_in_large_words() -> None:
    view = whole_view()
    assert view.ranking is not None
    verdict = "Winner: gru, 2.041 bits per byte (95 % interval 2.03 to 2.05), 0.03 ahead of lstm."
    changes = {"verdict": verdict, "winner": "gru", "leaders": ("gru",)}
    ranking = view.ranking.model_copy(update=changes)
    html = render_html(view.model_copy(update={"ranking": ranking}))
    assert "Use here</p>" not in render_html(view)
    words = Page(html).words
    assert "Use here" in words
    assert "Gated recurrent unit gru Winner: 2.041 bits per byte" in words
    assert "0.03 ahead of long short-term memory lstm ." in words


def test_when_test_is_validation_the_page_admits_it() -> None:
    view = whole_view()
    data = {**view.data, "test_is_validation": True}
    words = Page(render_html(view.model_copy(update={"data": data}))).words
    assert "somewhat too good" in words
    assert "chooses nothing" not in words
