"""The interpreter of a page in a real browser, beside torch."""

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import torch
from test_export_graph import noisy

from seqarena.core.errors import UserError
from seqarena.models.catalog import CATALOG
from seqarena.models.export.js.page_model import PageModel, page_model
from seqarena.models.model import Model

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
CAUSAL = [name for name, row in CATALOG.items() if row.causal and row.system is None]
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
                 if (again.some((x, v) => x !== found[5 + i][v])) throw new Error("not the same again");
               });
             }
             machine.reset();
             if (machine.step(tokens[0]).some((x, v) => x !== found[0][v])) throw new Error("no reset");
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
@pytest.mark.parametrize("name", NAMED)
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
@pytest.mark.parametrize("name", ["nnlm", "wavenet", "bytenet"])
def test_systems_run_too(name: str, page: Any) -> None:
    assert far(page, noisy(name)) <= TOLERANCE
