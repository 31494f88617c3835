"""Generation: prefill the prompt once, then one token at a time from the state.

The work per token does not depend on what was generated before, except for caches that grow.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.data.text.tokenizers import Tokenizer, tokenizer_from_json
from seqarena.models.model import Model
from seqarena.train.checkpoint import Checkpoint, load
from seqarena.use.sample import Sampling, next_token


def generate_tokens(
    model: Model,
    prompt: list[int],
    count: int,
    sampling: Sampling,
    *,
    seed: int = 0,
) -> Iterator[int]:
    """Yields `count` tokens that continue the prompt (at least one token long). The model is one
    that writes tokens."""
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


def generate_text(
    model: Model,
    tokenizer: Tokenizer,
    prompt: str,
    count: int,
    sampling: Sampling,
    *,
    seed: int = 0,
) -> Iterator[str]:
    """Yields text as it becomes whole: a character of several bytes is held back until it is."""
    pending: list[int] = []
    start = [int(token) for token in tokenizer.encode(prompt)]
    for token in generate_tokens(model, start, count, sampling, seed=seed):
        pending.append(token)
        text = tokenizer.decode(pending)
        if not text.endswith("\N{REPLACEMENT CHARACTER}") or len(pending) > 8:
            yield text
            pending = []
    if pending:
        yield tokenizer.decode(pending)


def load_language_model(directory: Path) -> tuple[Model, Tokenizer, Checkpoint]:
    """The model and tokenizer of a checkpoint. Raises UserError when it cannot generate text."""
    checkpoint = load(directory)
    model = checkpoint.model()
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
