"""The model that runs in the page, in a real browser: typing, writing, replaying, refusing."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from opened_pages import Opened as OpenedPage
from opened_pages import chromium, needs_browser
from report_views import whole_view

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.results.live import LiveModel
from seqarena.data.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
)
from seqarena.models.build import build
from seqarena.models.model import Model
from seqarena.report.live.section import live_section
from seqarena.report.run.page import render_html
from seqarena.use.generate import generate_tokens
from seqarena.use.in_page import live_data, tokenizer_data
from seqarena.use.sample import Sampling

TEXT = "The gates of the cell decide what is kept, what is written and what is shown.\n"
CHARACTERS = CharTokenizer.train(TEXT)
NAMES = ("gru", "attention")


def model(name: str, tokenizer: Tokenizer = CHARACTERS) -> Model:
    """Untrained, with large weights, so that its answers are not all alike."""
    made = build(name, vocab_size=tokenizer.vocab_size, width=16, depth=2, seed=1).eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))
    return made


MODELS = {name: model(name) for name in NAMES}


class Opened(OpenedPage):
    """A page with these models."""

    def __init__(self, browser: Any, folder: Path, live: list[LiveModel], width: int = 1440):
        path = folder / "page.html"
        path.write_text(render_html(whole_view(), live=live), encoding="utf-8")
        super().__init__(browser, path.as_uri(), width)

    def type(self, text: str) -> None:
        """Puts the text into the box, and waits until it is read."""
        self.page.fill("#live-text", text)
        self.page.wait_for_function("() => seqarenaLive.reader().waiting.length === 0")

    @property
    def text(self) -> str:
        return self.page.input_value("#live-text")

    @property
    def tokens(self) -> list[int]:
        return self.page.evaluate("seqarenaLive.reader().tokens")

    @property
    def probabilities(self) -> dict[int, float]:
        """token -> probability, of the bars."""
        rows = self.page.eval_on_selector_all(
            "#live-next button", "rows => rows.map((row) => [row.dataset.token, row.dataset.p])"
        )
        return {int(token): float(p) for token, p in rows}

    @property
    def every_probability(self) -> torch.Tensor:
        """After each token: [T, V]."""
        found = self.page.evaluate(
            "seqarenaLive.reader().history.map(({probabilities}) => [...probabilities])"
        )
        return torch.tensor(found)

    def close(self) -> None:
        """Nothing was wrong, and nothing was asked for but the page itself."""
        assert self.errors == []
        assert self.outside == []
        self.context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    page = Opened(browser, tmp_path, [live_data(n, m, CHARACTERS) for n, m in MODELS.items()])
    yield page
    page.close()


def expected(name: str, tokens: list[int]) -> torch.Tensor:
    """torch's probabilities after each token: [T, V]."""
    with torch.no_grad():
        return MODELS[name](torch.tensor([tokens]))[0][0].softmax(-1)


@pytest.mark.slow
@needs_browser
def test_the_page_begins_with_a_text_that_the_model_wrote(opened: Opened) -> None:
    assert opened.text.startswith("The ")
    assert len(opened.tokens) == len("The ") + 64
    assert "differ by at most" in opened.page.inner_text("#live-facts")
    assert "gru: " in opened.page.inner_text("#live-facts")


@needs_browser
@pytest.mark.parametrize("name", NAMES)
def test_bars_are_torchs_probabilities_as_one_types_and_takes_back(
    name: str, opened: Opened
) -> None:
    opened.page.click(f"#live-models >> text={name}")
    for text in ("The gates", "The gates of the", "The cell", "The cell decide", "T", TEXT):
        opened.type(text)
        tokens = CHARACTERS.encode(text).tolist()
        assert opened.tokens == tokens
        found = opened.every_probability
        assert (found - expected(name, tokens)).abs().max() < 1e-4
        bars = opened.probabilities
        last = expected(name, tokens)[-1]
        assert list(bars) == last.argsort(descending=True)[:10].tolist()
        assert all(abs(last[token] - p) < 1e-4 for token, p in bars.items())


@pytest.mark.slow
@needs_browser
def test_characters_that_the_model_never_saw_are_left_out_and_named(opened: Opened) -> None:
    opened.type("The ÿcell 9")
    assert opened.tokens == CHARACTERS.encode("The cell ").tolist()
    assert opened.page.inner_text("#live-said").endswith("ÿ 9")
    opened.type("")
    assert opened.page.inner_text("#live-after") == "Type something, and the model answers."
    opened.type("The")
    assert opened.page.inner_text("#live-said") == ""


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("name", NAMES)
def test_it_writes_what_the_model_writes(name: str, opened: Opened) -> None:
    """At temperature 0, by single steps and by the clock."""
    page = opened.page
    page.click(f"#live-models >> text={name}")
    opened.type("The ")
    page.fill("#live-temperature", "0")
    page.fill("#live-speed", "6")
    prompt = CHARACTERS.encode("The ").tolist()
    wanted = [*prompt, *generate_tokens(MODELS[name], prompt, 40, Sampling(temperature=0))]
    page.click("#live-step")
    page.click("#live-step")
    assert opened.tokens == wanted[:6]
    page.click("#live-write")
    assert page.inner_text("#live-write") == "Pause"
    page.wait_for_function("() => seqarenaLive.reader().tokens.length > 20")
    page.click("#live-write")
    assert page.inner_text("#live-write") == "Write on"
    found = opened.tokens
    assert found[:44] == wanted[: len(found)]
    assert opened.text == CHARACTERS.decode(found)


@pytest.mark.slow
@needs_browser
def test_replay_runs_through_the_text_and_stops_at_its_end(opened: Opened) -> None:
    page = opened.page
    opened.type("The cell")
    page.fill("#live-speed", "6")
    page.click("#live-replay")
    page.wait_for_function("() => document.getElementById('live-write').textContent === 'Write on'")
    assert page.evaluate("seqarenaLive.chosen.position") == 7
    assert opened.text == "The cell"


@pytest.mark.slow
@needs_browser
def test_an_earlier_position_shows_what_came_and_a_chosen_token_is_written(opened: Opened) -> None:
    page = opened.page
    opened.type("The cell")
    page.focus("#live-picture")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    tokens = CHARACTERS.encode("The cell").tolist()
    bits = -torch.log2(expected("gru", tokens)[5, tokens[6]])
    assert f"it cost {bits:.1f} bits" in page.inner_text("#live-after")
    assert page.get_attribute("#live-next .came", "data-token") == str(tokens[6])
    page.click("#live-next li:first-child button")
    assert opened.tokens == [*tokens[:6], int(expected("gru", tokens)[5].argmax())]
    box = page.locator("#live-picture canvas").first.bounding_box()
    page.locator("#live-picture canvas").first.click(
        position={"x": box["width"] / 56 * 2.5, "y": 5}
    )
    assert page.evaluate("seqarenaLive.chosen.position") == 2


@pytest.mark.slow
@needs_browser
def test_what_is_drawn_are_a_grus_gates_and_state(opened: Opened) -> None:
    """Of its first layer, by the equations written out."""
    text = "The cell"
    opened.type(text)
    names = "seqarenaLive.reader().tracks.map(({layer, name}) => `${layer} ${name}`)"
    assert opened.page.evaluate(names)[:3] == ["0 reset gate r", "0 update gate z", "0 state h"]
    values = (
        "seqarenaLive.reader().history.map(({tracks}) => tracks.slice(0, 3).map((x) => [...x]))"
    )
    found = torch.tensor(opened.page.evaluate(values))  # [T, 3, E]
    tokens = torch.tensor([CHARACTERS.encode(text).tolist()])
    gru: Any = MODELS["gru"]
    block = gru.stack.blocks[0]
    with torch.no_grad():
        x_TD = block.mixer_norm(gru.embedding.tokens(tokens))[0]
        h_E = torch.zeros(16)
        for t, x_D in enumerate(x_TD):
            of_x = block.mixer.input_FD @ x_D + block.mixer.bias_F
            of_h = block.mixer.recurrent_FE @ h_E
            r, z = (of_x + of_h)[:32].sigmoid().chunk(2)
            n = (of_x[32:] + r * (of_h[32:] + block.mixer.inner_bias_E)).tanh()
            h_E = (1 - z) * n + z * h_E
            assert torch.allclose(found[t], torch.stack((r, z, h_E)), atol=1e-5)


@pytest.mark.slow
@needs_browser
def test_attention_that_is_drawn_is_the_models_and_changes_with_the_head(opened: Opened) -> None:
    page = opened.page
    page.click("#live-models >> text=attention")
    opened.type("The cell")
    tokens = torch.tensor([CHARACTERS.encode("The cell").tolist()])
    with torch.no_grad():
        looks = MODELS["attention"].looks(Batch(tokens, tokens))
    assert [look.layer for look in looks] == [0, 1]
    rows = """seqarenaLive.reader().history.map(
        ({tracks}) => tracks.slice(0, 2).map((layer) => layer.map((x) => [...x])))"""
    for t, layers in enumerate(page.evaluate(rows)):
        for heads, look in zip(layers, looks, strict=True):
            weights = torch.tensor(heads, dtype=torch.float32)
            assert weights.shape == (4, t + 1)
            assert torch.allclose(weights, look.weights_BHTC[0, :, t, : t + 1], atol=1e-5)
    picture = "document.querySelectorAll('#live-picture canvas')[2].toDataURL()"
    pictures = [page.evaluate(picture)]
    for name in ("head 1", "head 2", "layer 2"):
        page.click(f"#live-picture .chips >> text={name}")
        pictures.append(page.evaluate(picture))
    assert len(set(pictures)) == 4


@pytest.mark.slow
@needs_browser
def test_on_a_phone_in_the_dark(browser: Any, tmp_path: Path) -> None:
    live = [live_data(name, MODELS[name], CHARACTERS) for name in NAMES]
    opened = Opened(browser, tmp_path, live, width=390)
    page = opened.page
    picture = "document.querySelectorAll('#live-picture canvas')[3].toDataURL()"
    before = page.evaluate(picture)
    page.click("#theme")
    page.wait_for_function(f"() => ({picture}) !== {json.dumps(before)}")
    for name in NAMES[::-1]:
        page.click(f"#live-models >> text={name}")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0
    opened.close()


@pytest.mark.slow
@needs_browser
def test_the_page_keeps_so_many_positions_and_says_so(browser: Any, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, [live_data("gru", MODELS["gru"], CHARACTERS)])
    room = opened.page.evaluate("seqarenaLive.reader().room")
    opened.type(TEXT * (room // len(TEXT) + 1))
    assert len(opened.tokens) == room
    assert f"keeps {room} positions" in opened.page.inner_text("#live-said")
    assert opened.page.is_disabled("#live-step")
    assert not opened.page.is_visible("#live-models")  # there is one model
    opened.close()


@pytest.mark.slow
@needs_browser
def test_a_model_with_other_numbers_than_torchs_does_not_run(browser: Any, tmp_path: Path) -> None:
    data = json.loads(live_data("gru", MODELS["gru"], CHARACTERS).data)
    data["model"]["test"]["tokens"][0] ^= 1
    opened = Opened(browser, tmp_path, [LiveModel("gru", json.dumps(data))])
    assert "computes other numbers than torch did" in opened.page.inner_text("#live-facts")
    assert not opened.page.is_visible("#live-text")
    assert not opened.page.is_visible("#live-next")
    assert opened.page.locator("#live-picture canvas").count() == 0
    opened.close()


@pytest.mark.slow
@needs_browser
def test_half_precision_is_smaller_and_says_what_it_costs(browser: Any, tmp_path: Path) -> None:
    whole = live_data("gru", MODELS["gru"], CHARACTERS)
    small = live_data("gru", MODELS["gru"], CHARACTERS, most_bytes=0.8 * len(whole.data))
    assert len(small.data) < 0.75 * len(whole.data)
    assert 0 < small.rounding < 0.01
    opened = Opened(browser, tmp_path, [small])
    opened.type(TEXT)
    tokens = CHARACTERS.encode(TEXT).tolist()
    far = (opened.every_probability - expected("gru", tokens)).abs().max()
    assert 1e-5 < far < 0.01
    assert f"{small.rounding:.1g}" in opened.page.inner_text("#live-facts")
    opened.close()


def random_texts(count: int) -> list[str]:
    """Letters of several scripts, marks, digits, blanks of all kinds, contractions, emoji."""
    draw = random.Random(5)
    pieces = [
        "the", "The", "gate", "'s", "'ll", "’s", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0",
        "\u2003", "\u0085", "\ufeff", "\u200b", "é", "e\u0301", "ß", "Ω", "中文", "ไทย", "١٢", "42",
        "3.14", "½", "👍🏽", "🇩🇪", "!?", "...", "—", "_", "\u00ad", "\x00", "x\u0332", "ǅ",
    ]  # fmt: skip
    return ["".join(draw.choices(pieces, k=draw.randint(1, 40))) for _ in range(count)]


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("kind", ["byte", "char", "char with bytes", "bpe"])
def test_the_page_spells_as_python_does(kind: str, browser: Any, tmp_path: Path) -> None:
    texts = random_texts(400)
    training = TEXT * 3 + "".join(texts[:20])
    tokenizer: Tokenizer = {
        "byte": lambda: ByteTokenizer(),
        "char": lambda: CharTokenizer.train("".join(texts)),
        "char with bytes": lambda: CharTokenizer.train(TEXT, "é"),
        "bpe": lambda: BPETokenizer.train(training, 400),
    }[kind]()
    opened = Opened(browser, tmp_path, [live_data("gru", MODELS["gru"], CHARACTERS)])
    found = opened.page.evaluate(
        """([data, texts]) => {
             const tokenizer = seqarenaText.tokenizer(data);
             return texts.map((text) => {
               const { tokens } = tokenizer.encode(text);
               return [tokens, tokenizer.decode(tokens)];
             });
           }""",
        [tokenizer_data(tokenizer), texts],
    )
    for text, (tokens, again) in zip(texts, found, strict=True):
        assert tokens == tokenizer.encode(text).tolist(), repr(text)
        assert again == text.removeprefix("\ufeff") or again == text
    opened.close()


def test_what_cannot_run_is_named_and_nothing_else_is_there() -> None:
    section = live_section(
        [LiveModel("hyena", reason="its filter is as long as what it has read")], {}
    )
    assert section is not None
    html = render_html(whole_view(), live=[LiveModel("hyena", reason="its filter is too long.")])
    assert "hyena does not run in this page: its filter is too long." in html
    assert "live-stage" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert 'class="live-model"' not in html


def test_a_page_without_models_has_no_scripts_for_them() -> None:
    assert live_section([], {}) is None
    assert "seqarenaMachine" not in render_html(whole_view())


def test_a_model_that_is_too_large_says_how_large_it_is() -> None:
    with pytest.raises(
        UserError, match=r"its [\d.]+ k? ?parameters take 0\.\d MB in float16.*0\.0 MB for models"
    ):
        live_data("gru", MODELS["gru"], CHARACTERS, most_bytes=1000)
