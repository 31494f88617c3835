"""Text to tokens where a task reads sentences: by a vocabulary of its own, or as a checkpoint does.

words       a Vocabulary of the training texts' words or characters; two sentences end in END
pieces      the tokenizer of a language model, which a fine-tuned model has to share; its
            vocabulary has no END, so that each of two sentences ends in a new line

T  positions
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from seqarena.core.batch import END, UNKNOWN
from seqarena.core.errors import UserError
from seqarena.data.text.tokenizers import Tokenizer, tokenizer_from_json
from seqarena.data.text.vocabulary import Vocabulary, normalised, split_words


class Reader(Protocol):
    """What turns a text into tokens."""

    @property
    def name(self) -> str: ...  # as in a configuration
    @property
    def unit(self) -> str: ...  # what a token is called in errors
    @property
    def vocab_size(self) -> int: ...
    @property
    def separator(self) -> np.ndarray: ...  # what ends each of two sentences
    @property
    def unknown(self) -> int | None: ...  # the token of what the vocabulary lacks
    def __call__(self, text: str) -> np.ndarray: ...  # int64 [T]
    def artifacts(self) -> dict[str, str]: ...  # what `reader_from_artifacts` reads


class WordReader:
    """Words or characters from a vocabulary."""

    separator = np.array([END])
    unknown = UNKNOWN

    def __init__(self, vocabulary: Vocabulary, unit: str, *, lowercase: bool) -> None:
        """`unit` is `word` or `char`."""
        self.vocabulary = vocabulary
        self.name = self.unit = unit
        self.lowercase = lowercase
        self.vocab_size = len(vocabulary)

    def __call__(self, text: str) -> np.ndarray:
        return self.vocabulary.encode(split_units(text, self.unit, lowercase=self.lowercase))

    def artifacts(self) -> dict[str, str]:
        return {"vocabulary": self.vocabulary.to_json()}


class PieceReader:
    """The pieces of a tokenizer. `vocab_size` counts what its model has beside (a mask, say)."""

    unit = "token"
    unknown = None

    def __init__(self, tokenizer: Tokenizer, vocab_size: int) -> None:
        self.tokenizer = tokenizer
        self.name = tokenizer.name
        self.vocab_size = vocab_size

    @property
    def separator(self) -> np.ndarray:
        return self("\n")

    def __call__(self, text: str) -> np.ndarray:
        return self.tokenizer.encode(text).astype(np.int64)

    def artifacts(self) -> dict[str, str]:
        return {"tokenizer": self.tokenizer.to_json(), "vocab_size": str(self.vocab_size)}


def split_units(text: str, unit: str, *, lowercase: bool) -> Sequence[str]:
    """Words, or characters, of a text."""
    if unit == "word":
        return split_words(text, lowercase=lowercase)
    return normalised(text, lowercase=lowercase)


def reader_from_artifacts(config: Any, artifacts: Mapping[str, str]) -> Reader:
    """The reader that a checkpoint's task carried. `config` says `tokenizer` and `lowercase` for a
    vocabulary of words."""
    if "tokenizer" in artifacts:
        return PieceReader(
            tokenizer_from_json(artifacts["tokenizer"]), int(artifacts["vocab_size"])
        )
    vocabulary = Vocabulary.from_json(artifacts["vocabulary"])
    return WordReader(vocabulary, config.tokenizer, lowercase=config.lowercase)


def reader_of_checkpoint(folder: str | Path) -> Reader:
    """The reader of the task that a checkpoint was trained on: that of a language model.

    Raises UserError for a folder without a checkpoint, and for one whose task reads otherwise.
    """
    try:
        about = json.loads((Path(folder) / "about.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(
            f"{folder}: no checkpoint there, and the text is to be read as its model reads"
        ) from error
    artifacts, model = about["artifacts"], about["model"]
    if "tokenizer" not in artifacts:
        raise UserError(
            f"{folder}: a model of task {about['task']['kind']} has no tokenizer to read other "
            "text with: start from a run of task language or masked_language"
        )
    sizes = model.get("problem", model)
    return PieceReader(tokenizer_from_json(artifacts["tokenizer"]), sizes["vocab_size"])
