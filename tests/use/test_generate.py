"""Generation by everything that writes tokens, and the refusal of what does not."""

from pathlib import Path

import pytest
import torch
from stored import stored

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.data.text.tokenizers import ByteTokenizer, CharTokenizer
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.model import Model
from seqarena.tasks import build_task, parse_task
from seqarena.train import checkpoint
from seqarena.use.generate import (
    Room,
    generate_text,
    generate_tokens,
    load_language_model,
    room,
    shortest_prompt,
)
from seqarena.use.sample import Sampling

GREEDY = Sampling(temperature=0.0)
TASK = build_task(parse_task({"kind": "language", "sequence_length": 32}))
WRITERS = [name for name, row in CATALOG.items() if why_not(row, TASK.problem) is None]


@pytest.mark.parametrize("name", WRITERS)
def test_generation_equals_scoring_the_whole_again(name: str) -> None:
    """Greedy tokens from the state are the argmax of one pass over all of them."""
    model = build(name, vocab_size=19, width=16, max_length=24, seed=1).double()
    written = [3, 1, 4, *generate_tokens(model, [3, 1, 4], 12, GREEDY)]
    tokens_1T = torch.tensor([written])
    with torch.no_grad():
        argmax_T = model.answer(Batch(tokens_1T, tokens_1T))[0].argmax(-1)
    assert written[3:] == argmax_T[2:-1].tolist()


def test_a_prompt_of_one_token_is_enough_and_none_is_not() -> None:
    model = build("gru", vocab_size=19, width=16, seed=1)
    assert len(list(generate_tokens(model, [3], 5, GREEDY))) == 5
    with pytest.raises(UserError, match="prompt is empty"):
        next(generate_tokens(model, [], 5, GREEDY))


@pytest.mark.parametrize("name", ["wavenet", "nnlm", "bytenet", "gru"])
def test_text_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    place = stored(tmp_path / "checkpoint", name, {"kind": "language", "sequence_length": 32})
    model, tokenizer, _ = load_language_model(place)
    assert "".join(generate_text(model, tokenizer, "The", 5, Sampling()))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bert", "masked_language"), ("gru", "translation"), ("text_cnn", "classification")],
)
def test_what_writes_no_text_is_refused(name: str, kind: str, tmp_path: Path) -> None:
    place = stored(tmp_path / "checkpoint", name, {"kind": kind})
    with pytest.raises(UserError, match="not a language model"):
        load_language_model(place)


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_goes_to_the_end_of_its_positions_and_no_further(name: str) -> None:
    """Learned positions end; whatever has none goes on: twice as far as it was built for."""
    model = build(name, vocab_size=19, width=16, max_length=8, seed=1)
    fits = room(model, 3, 16)
    assert fits.count == (6 if name in ("attention_learned", "gpt2") else 16)
    assert len(list(generate_tokens(model, [3, 1, 4], fits.count, GREEDY))) == fits.count
    assert bool(fits.notes) == (fits.count < 16)


def test_what_does_not_fit_into_the_positions_is_said_beforehand() -> None:
    model = build("gpt2", vocab_size=256, width=16, depth=1, max_length=8, seed=1)
    assert room(model, 8, 1) == Room(8, 1, ())
    assert room(model, 3, 6) == Room(3, 6, ())
    assert "it writes 6 tokens of 7 after the 3 of the prompt" in room(model, 3, 7).notes[0]
    assert room(model, 20, 2)[:2] == (7, 2)
    assert "only the last 7 tokens of the prompt are read" in room(model, 20, 2).notes[0]
    assert room(model, 20, 99)[:2] == (4, 5)
    said: list[str] = []
    pieces = generate_text(model, ByteTokenizer(), "ab", 99, GREEDY, note=said.append)
    assert len(said) == 1
    assert len("".join(pieces)) <= 7


def test_a_long_prompt_is_continued_from_its_end() -> None:
    model = build("gpt2", vocab_size=256, width=16, depth=1, max_length=8, seed=1).double()
    long, end = "0123456789abcd", "789abcd"

    def text(prompt: str) -> str:
        said: list[str] = []
        pieces = generate_text(model, ByteTokenizer(), prompt, 2, GREEDY, note=said.append)
        assert len(said) == (len(prompt) > len(end))
        return "".join(pieces)

    assert text(long) == text(end)


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("", {}, "the prompt is empty"),
        ("\udcff", {}, "the prompt is not UTF-8 text: a stray byte at character 1"),
        ("q", {}, "character 'q' at position 0 is not in the training text"),
        ("a", {"seed": 10**23}, "seed 1000"),
        ("a", {"seed": -1}, "seed -1: give a whole number from 0"),
        ("a", {"count": 0}, "count 0: give 1 to"),
        ("a", {"count": 10**30}, "give 1 to 1,000,000,000 tokens"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(
    prompt: str, options: dict[str, int], words: str
) -> None:
    model = build("gru", vocab_size=3, width=16, seed=1)
    tokenizer = CharTokenizer("abc")
    given = {"count": 3, "seed": 0, **options}
    with pytest.raises(UserError, match=words):
        generate_text(model, tokenizer, prompt, given["count"], GREEDY, seed=given["seed"])


def test_text_begins_with_what_the_tokenizer_can_spell() -> None:
    assert shortest_prompt(ByteTokenizer()) == "\n"
    assert shortest_prompt(CharTokenizer(" ab")) == " "
    assert shortest_prompt(CharTokenizer("ab")) == "a"


def test_weights_that_are_no_numbers_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = stored(tmp_path / "checkpoint", "gru", {"kind": "language", "sequence_length": 32})
    whole = checkpoint.Checkpoint.model

    def diverged(self: checkpoint.Checkpoint) -> Model:
        model = whole(self)
        with torch.no_grad():
            next(model.parameters()).view(-1)[0] = torch.nan
        return model

    monkeypatch.setattr(checkpoint.Checkpoint, "model", diverged)
    with pytest.raises(UserError, match="no numbers, since the training diverged"):
        load_language_model(place)


def test_a_text_that_is_not_read_to_its_end_leaves_gradients_on() -> None:
    model = build("gru", vocab_size=256, width=16, seed=1)
    pieces = generate_text(model, ByteTokenizer(), "a", 50, Sampling())
    next(pieces)
    weight = torch.ones(1, requires_grad=True)
    assert not torch.is_inference_mode_enabled()
    (2 * weight).sum().backward()
