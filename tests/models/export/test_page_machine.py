"""The interpreter of a page in a real browser, beside torch."""

import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import torch
from test_export_graph import noisy

from seqarena.core.errors import UserError
from seqarena.models.catalog import CATALOG
from seqarena.models.export.c.weights import ConstantArrays
from seqarena.models.export.graph import step_graph
from seqarena.models.export.js.operators import EACH
from seqarena.models.export.js.page_model import PageModel, page_model
from seqarena.models.export.js.program import JSProgram
from seqarena.models.export.js.tracks import Track, tracks_of
from seqarena.models.model import Model

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
CAUSAL = [name for name, row in CATALOG.items() if row.causal and row.system is None]
LIVE = ["gru", "attention"]  # of the short suite
NAMED = [
    "elman", "gru", "lstm", "mingru", "attention", "attention_learned", "gpt2", "mamba",
    "gated_delta", "s4d", "conv", "sliding_window", "lstm_experts",
]  # fmt: skip
TOLERANCE = 1e-4
ROOM = 24


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    script = files("seqarena.report.page").joinpath("js", "live-machine.js").read_text("utf-8")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_content(f"<!doctype html><title>x</title><script>{script}</script>")
        yield opened
        browser.close()


def run(page: Any, found: PageModel, tokens: list[int]) -> torch.Tensor:
    """The machine's logits after each token; its state is brought back to position 5 on the way,
    after which what it read there is read again."""
    logits = page.evaluate(
        """([data, tokens]) => {
             const model = JSON.parse(data);
             const machine = new seqarenaMachine.Machine(model);
             const found = [];
             let kept = null;
             tokens.forEach((token, t) => {
               if (t === 5) kept = machine.snapshot();
               found.push([...machine.step(token)]);
             });
             if (kept) {
               machine.restore(kept);
               tokens.slice(5).forEach((token, i) => {
                 const again = [...machine.step(token)];
                 if (again.some((x, v) => x !== found[5 + i][v])) throw new Error("not the same");
               });
             }
             machine.reset();
             const first = [...machine.step(tokens[0])];
             if (first.some((x, v) => x !== found[0][v])) throw new Error("no reset");
             return found;
           }""",
        [found.data, tokens],
    )
    return torch.tensor(logits)


def far(page: Any, model: Model, *, rounded: PageModel | None = None) -> float:
    """The largest difference of the logits over a text that fills the room, relative to the
    largest."""
    found = rounded or page_model(model, room=ROOM)
    tokens = torch.randint(19, (ROOM,), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(tokens[None])[0][0]
    difference = (run(page, found, tokens.tolist()) - expected).abs().max()
    return float(difference / expected.abs().max().clamp(min=1.0))


@needs_browser
@pytest.mark.parametrize(
    "name", [*LIVE, *(pytest.param(n, marks=pytest.mark.slow) for n in NAMED if n not in LIVE)]
)
def test_a_page_computes_what_torch_does(name: str, page: Any) -> None:
    assert far(page, noisy(name, max_length=ROOM)) <= TOLERANCE


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CAUSAL if name not in NAMED])
def test_every_causal_architecture_runs_in_a_page(name: str, page: Any) -> None:
    if name == "hyena":
        with pytest.raises(UserError, match="position"):
            page_model(noisy(name))
        return
    assert far(page, noisy(name, max_length=ROOM)) <= TOLERANCE


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", ["nnlm", "wavenet", "bytenet"])
def test_systems_run_too(name: str, page: Any) -> None:
    assert far(page, noisy(name)) <= TOLERANCE


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("opened", ["forget", "input", "output"])
def test_the_gates_of_an_lstm_have_their_names(opened: str, page: Any) -> None:
    """One gate is held open, the others closed."""
    model: Any = noisy("lstm")
    rows = model.stack.blocks[0].mixer.bias_F.data.chunk(4)  # i, f, g, o (ops/recurrent/lstm)
    for name, bias in zip(("input", "forget", None, "output"), rows, strict=True):
        if name:
            bias.fill_(40.0 if name == opened else -40.0)
    found = page_model(model, room=ROOM)
    gates = page.evaluate(
        """(data) => {
             const model = JSON.parse(data);
             const machine = new seqarenaMachine.Machine(model);
             machine.step(3);
             return model.tracks.filter(({ kind }) => kind === "gate").map(
               ({ name, operand, shape }) => [name, [...machine.reader(operand, shape)()]]);
           }""",
        found.data,
    )
    assert len(gates) == 3
    for name, values in gates:
        wanted = 1.0 if name.startswith(opened) else 0.0
        assert values == pytest.approx([wanted] * 16, abs=1e-6), name


def test_every_layer_of_a_hybrid_shows_what_it_has() -> None:
    tracks = tracks_of_model("griffin")
    assert [(t.layer, t.kind, t.name) for t in tracks] == [
        (0, "gate", "gate 1"),
        (0, "gate", "gate 2"),
        (0, "state", "state h"),
        (1, "gate", "gate 1"),
        (1, "gate", "gate 2"),
        (1, "state", "state h"),
        (2, "attention", "attention"),
    ]
    assert tracks[-1].shifts  # its window counts back from the last position


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("elman", ["state"]),
        ("conv", ["gate", "window"] * 4),
        ("mamba", ["state"]),
        ("lstm_experts", ["gate", "gate", "gate", "state", "state"]),  # experts are no gates of it
        ("stack_rnn", ["state", "state"]),  # the softmax over its actions is no attention
    ],
)
def test_what_is_shown_of_a_model(name: str, kinds: list[str]) -> None:
    assert [track.kind for track in tracks_of_model(name)] == kinds


def tracks_of_model(name: str) -> list[Track]:
    step = step_graph(noisy(name), rows=1, room=ROOM)
    return tracks_of(step, JSProgram(step, ConstantArrays(step, "float32")))


def test_an_operator_that_a_page_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EACH, torch.ops.aten.tanh.default)
    with pytest.raises(UserError, match=r"aten\.tanh\.default does not run in a page"):
        page_model(noisy("gru"), room=ROOM)
