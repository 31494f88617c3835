"""A trained language model as the data with which a page runs it: weights, graph, tokenizer."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError, one_line
from seqarena.core.results.live import LiveModel
from seqarena.data.text.tokenizers import Tokenizer
from seqarena.models.export.js.page_model import page_model
from seqarena.models.model import Model
from seqarena.train.checkpoint import load
from seqarena.use.generate import load_language_model, shortest_prompt

PROMPT = "The "  # what the page begins with, if the tokenizer can spell it
_REGULAR = {  # of byte-level byte-pair encoding as the page has it
    "normalizer": (None,),
    "truncation": (None,),
    "padding": (None,),
    "added_tokens": ([], None),
}


def live_model(directory: Path, architecture: str, most_bytes: int) -> LiveModel:
    """The model of a checkpoint for a page, at most so many bytes; or why it cannot run there."""
    try:
        return _live_model(directory, architecture, load(directory).weights_sha256, most_bytes)
    except UserError as error:
        return LiveModel(architecture, reason=str(error))
    except Exception as error:  # a page of hours of training is not lost to a picture in it
        return LiveModel(architecture, reason=f"it could not be made ready ({one_line(error)})")


@lru_cache(maxsize=8)  # a page that follows a run is drawn again and again
def _live_model(directory: Path, architecture: str, weights: str, most_bytes: int) -> LiveModel:
    """A refusal is kept as well: what cannot run is not traced again."""
    model, tokenizer, _ = load_language_model(directory)
    try:
        return live_data(architecture, model, tokenizer, most_bytes)
    except UserError as error:
        return LiveModel(architecture, reason=str(error))


def live_data(
    architecture: str, model: Model, tokenizer: Tokenizer, most_bytes: float = float("inf")
) -> LiveModel:
    """The model with its tokenizer for a page. Raises UserError where it cannot run there."""
    spelled = json.dumps(tokenizer_data(tokenizer))
    found = page_model(model, most_bytes=most_bytes - len(spelled))
    prompt = json.dumps(first_text(tokenizer))
    data = f'{{"tokenizer":{spelled},"prompt":{prompt},"model":{found.data}}}'
    return LiveModel(architecture, data, "", model.num_parameters, found.rounding)


def first_text(tokenizer: Tokenizer) -> str:
    """What the page's text begins with."""
    try:
        tokenizer.encode(PROMPT)
    except UserError:
        return shortest_prompt(tokenizer)
    return PROMPT


def tokenizer_data(tokenizer: Tokenizer) -> dict[str, Any]:
    """What live-text.js needs to spell as the tokenizer does. Raises UserError for one that it
    cannot follow exactly."""
    stored = json.loads(tokenizer.to_json())
    if stored["kind"] != "bpe":
        return stored
    inner = stored["tokenizer"]
    model, cuts = inner["model"], inner["pre_tokenizer"] or {}
    regular = all(inner.get(name) in allowed for name, allowed in _REGULAR.items())
    level = cuts.get("type") == "ByteLevel" and not cuts.get("add_prefix_space")
    plain = level and cuts.get("use_regex", True) and not inner.get("post_processor")
    extras = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
    if not (regular and plain and model["type"] == "BPE") or any(model.get(x) for x in extras):
        raise UserError("its tokenizer is not one that a page can follow")
    index = model["vocab"]
    pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
    return {
        "kind": "bpe",
        "tokens": sorted(index, key=index.__getitem__),
        "merges": [[index[a], index[b], index[a + b]] for a, b in pairs],
    }
