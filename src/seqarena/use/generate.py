"""Generation: prefill the prompt once, then one token at a time from the state.

The work per token does not depend on what was generated before, except for caches that grow. A
model whose positions end (learned ones) stops there; any other goes on for as long as is asked.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.text.tokenizers import Tokenizer, tokenizer_from_json
from seqarena.models.model import Model
from seqarena.train.checkpoint import Checkpoint
from seqarena.use.loading import check_text, load_model
from seqarena.use.sample import Sampling, next_token

MOST_TOKENS = 1_000_000_000
_LAST_SEED = 2**63 - 1


class Room(NamedTuple):
    """What a model can read of a prompt and write after it."""

    read: int  # tokens at the prompt's end
    count: int  # tokens that follow
    notes: tuple[str, ...]  # sentences on what was asked for and is not done


def room(model: Model, prompt_length: int, count: int) -> Room:
    """The tokens that fit into the model's positions, where these end.

    The last token that is written is not read, so that it needs no position. A prompt that is
    longer than all positions leaves room for `count` tokens, or for as many as it keeps itself.
    """
    most = model.most_positions
    if most is None or prompt_length + count - 1 <= most:
        return Room(prompt_length, count, ())
    notes = []
    read = prompt_length
    if prompt_length > most:
        read = max(1, most - most // 2, most - count + 1)
        notes.append(
            f"the prompt has {prompt_length:,} tokens and the model {most:,} positions: only the "
            f"last {plural(read, 'token')} of the prompt are read"
        )
    written = min(count, most - read + 1)
    if written < count:
        notes.append(
            f"the model has {most:,} learned positions: it writes {plural(written, 'token')} of "
            f"{count:,} after the {read:,} of the prompt and stops (train with a larger --length, "
            "or a model without learned positions)"
        )
    return Room(read, written, tuple(notes))


def generate_tokens(
    model: Model,
    prompt: list[int],
    count: int,
    sampling: Sampling,
    *,
    seed: int = 0,
) -> Iterator[int]:
    """Yields `count` tokens that continue the prompt (at least one token long), which fit into the
    model's positions (see `room`). The model is one that writes tokens."""
    if not prompt:
        raise UserError("the prompt is empty: give at least one character")
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(seed)
    model.eval()
    with torch.inference_mode():
        prompt_1T = torch.tensor([prompt], device=device)
        read_1T, token_1 = prompt_1T[:, :-1], prompt_1T[:, -1]
        state = model.begin(Batch(read_1T, read_1T), max_length=count)
        for _ in range(count):
            logits_1V, state = model.step(token_1, state)
            token_1 = next_token(logits_1V, sampling, generator)
            yield int(token_1)


def to_standard_error(sentence: str) -> None:
    """What is said of a generation, apart from its text."""
    print(sentence, file=sys.stderr)


def generate_text(
    model: Model,
    tokenizer: Tokenizer,
    prompt: str,
    count: int,
    sampling: Sampling,
    *,
    seed: int = 0,
    note: Callable[[str], None] = to_standard_error,
) -> Iterator[str]:
    """Text as it becomes whole: a character of several bytes is held back until it is.

    Everything is checked at once, before the first piece; `note` takes a sentence on a prompt or a
    count that does not fit into the model's positions. Raises UserError for a count or seed out of
    range, an empty prompt, and one that the tokenizer cannot spell.
    """
    if not 1 <= count <= MOST_TOKENS:
        raise UserError(f"count {count}: give 1 to {MOST_TOKENS:,} tokens")
    if not 0 <= seed <= _LAST_SEED:
        raise UserError(f"seed {seed}: give a whole number from 0 to {_LAST_SEED}")
    start = [int(token) for token in tokenizer.encode(_checked(prompt))]
    fits = room(model, len(start), count)
    for sentence in fits.notes:
        note(sentence)
    tokens = generate_tokens(model, start[-fits.read :], fits.count, sampling, seed=seed)
    return _whole_characters(tokenizer, tokens)


def _whole_characters(tokenizer: Tokenizer, tokens: Iterator[int]) -> Iterator[str]:
    pending: list[int] = []
    for token in tokens:
        pending.append(token)
        text = tokenizer.decode(pending)
        if not text.endswith("\N{REPLACEMENT CHARACTER}") or len(pending) > 8:
            yield text
            pending = []
    if pending:
        yield tokenizer.decode(pending)


def _checked(prompt: str) -> str:
    if not prompt:
        raise UserError("the prompt is empty: give at least one character")
    check_text(prompt, "the prompt")
    return prompt


def load_language_model(directory: Path) -> tuple[Model, Tokenizer, Checkpoint]:
    """The model and tokenizer of a checkpoint. Raises UserError when it cannot generate text."""
    checkpoint, model = load_model(directory)
    text = checkpoint.about["artifacts"].get("tokenizer")
    if not model.writes or model.problem.form != "tokens" or text is None:
        raise UserError(f"{directory} is not a language model: it cannot generate text")
    tokenizer = tokenizer_from_json(text)
    if tokenizer.vocab_size != model.problem.vocab_size:
        raise UserError(
            f"{directory} is damaged: its tokenizer has {tokenizer.vocab_size} tokens, and its "
            f"model knows {model.problem.vocab_size}"
        )
    return model, tokenizer, checkpoint


def shortest_prompt(tokenizer: Tokenizer) -> str:
    """What a text starts with where nothing is asked for: a new line, or a blank, or the first
    character that the tokenizer knows."""
    for prompt in ("\n", " "):
        try:
            tokenizer.encode(prompt)
        except UserError:
            continue
        return prompt
    return tokenizer.decode([0])
