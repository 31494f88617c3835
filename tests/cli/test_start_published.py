"""A folder of transformers is tuned: whole or by LoRA, with its own tokenizer, and written back."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hub
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from typer.testing import CliRunner, Result

from seqarena.arena.plan import Trial
from seqarena.cli import app
from seqarena.core.results.lines import verified
from seqarena.train import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers
TEXT = "the good film was seen by a good few\nnobody has seen the bad film twice\n" * 60
SIZE = 292
SHAPES: dict[str, Any] = {
    "gpt2": hub.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=32, vocab_size=SIZE),
    "llama": hub.LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                             intermediate_size=24, vocab_size=SIZE, max_position_embeddings=64),
}  # fmt: skip


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("published")
    (place / "text.txt").write_text(TEXT)
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=SIZE, show_progress=False, initial_alphabet=alphabet))  # fmt: skip
    assert inner.get_vocab_size() == SIZE
    for name, config in SHAPES.items():
        torch.manual_seed(0)
        hub.AutoModelForCausalLM.from_config(config).save_pretrained(place / name)
        inner.save(str(place / name / "tokenizer.json"))
    return place


def train(place: Path, name: str, *words: object) -> Result:
    return call("train", place / "text.txt", "--start-from", place / name, "--batch", 2, "--length",
                16, "--no-baselines", "--runs", place, *words)  # fmt: skip


def trial_of(run: Path) -> tuple[Trial, Path]:
    (path,) = run.glob("trials/*")
    return Trial.model_validate_json(verified((path / "trial.json").read_text())), path


def theirs(place: Path, tokens_BT: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return hub.AutoModelForCausalLM.from_pretrained(place).eval()(tokens_BT).logits


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("how", [(), ("--lora", 2)], ids=["whole", "lora"])
def test_it_starts_as_what_is_published(place: Path, name: str, how: tuple[object, ...]) -> None:
    """At hardly any rate the logits stay those of transformers."""
    run = f"still-{name}-{len(how)}"
    result = train(place, name, *how, "--steps", 1, "--rate", "1e-30", "--name", run)
    assert result.exit_code == 0, result.output
    _, path = trial_of(place / run)
    tokens_BT = torch.arange(20).reshape(2, 10)
    with torch.no_grad():
        ours = checkpoint.load(path / "checkpoint").model()(tokens_BT)[0]
    torch.testing.assert_close(ours, theirs(place / name, tokens_BT), rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_tuned_by_its_adapters_and_written_back(place: Path, name: str) -> None:
    result = train(place, name, "--lora", 2, "--steps", 4, "--rate", "1e-2", "--name", f"t-{name}")
    assert result.exit_code == 0, result.output
    assert "of its matrices get an update of rank 2" in result.output
    trial, path = trial_of(place / f"t-{name}")
    assert trial.start is not None
    assert trial.start.adapters is not None
    assert trial.task["tokenizer"] == str(place / name / "tokenizer.json")
    out = place / f"back-{name}"
    exported = call("export", place / f"t-{name}", "--to", "hf", "--out", out)
    assert exported.exit_code == 0, exported.output
    tokens_BT = torch.arange(20).reshape(2, 10)
    with torch.no_grad():
        ours = checkpoint.load(path / "checkpoint").model()(tokens_BT)[0]
    torch.testing.assert_close(ours, theirs(out, tokens_BT), rtol=1e-5, atol=3e-5)
    moved = (ours - theirs(place / name, tokens_BT)).abs().max()
    assert moved > 1e-3
    further = call("train", "--from", place / f"t-{name}", "--resume", "--steps", 1, "--runs",
                   place, "--name", f"u-{name}", "--no-baselines")  # fmt: skip
    assert further.exit_code == 0, further.output
    assert call("generate", place / f"u-{name}", "--count", 5).exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tokenizer", "byte", "--steps", 1), "knows 292 tokens, and this task has 256"),
        (("--params", "9k", "--steps", 1), "--params is that of the run"),
        (("--model", "lstm", "--steps", 1), "holds gpt2: leave --model lstm out"),
        (("--length", 40, "--steps", 1), "knows 32 positions"),
        (
            ("--task", "masked_language", "--tokenizer", "byte", "--steps", 1),
            "tune it on --task language",
        ),
    ],
)
def test_what_does_not_fit_is_refused(place: Path, words: tuple[object, ...], said: str) -> None:
    result = train(place, "gpt2", *words, "--name", "refused")
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_a_tokenizer_that_changes_texts_is_refused(place: Path, tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel({"the": 0, "?": 1}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "words.json"))
    (tmp_path / "broken.json").write_text("{")
    for name, said in (("words", "is no byte-level tokenizer"), ("broken", "is no tokenizer.json")):
        result = train(place, "gpt2", "--tokenizer", tmp_path / f"{name}.json", "--steps", 1)
        assert result.exit_code == 2
        assert said in result.output
