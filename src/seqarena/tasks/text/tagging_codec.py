"""Sentences to tensors and tags to words: what tagging and the use of its models share.

B  sentences    T  words    C  letters
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.data.buckets import pad
from seqarena.data.text.tagged import Sentence
from seqarena.data.text.vocabulary import Vocabulary, normalised
from seqarena.data.text.writing.signs import signs_apart
from seqarena.tasks.base import Answer, Codec

_LETTERS = 24  # of a word; of a longer one the first and the last twelve


class Encoded(NamedTuple):
    """A sentence in numbers."""

    words_T: np.ndarray
    letters_TC: np.ndarray | None


class WordEncoder:
    """Words to numbers: what the task and its codec share."""

    def __init__(self, words: Vocabulary, letters: Vocabulary | None) -> None:
        self.words = words
        self.letters = letters  # None: spelling is left out

    @classmethod
    def build(cls, sentences: Sequence[Sentence], min_count: int, spelling: bool) -> "WordEncoder":
        """From the training sentences."""
        fold = str.lower if spelling else str
        words = Vocabulary.build(
            ([fold(w) for w in s.words] for s in sentences), min_count=min_count
        )
        spelled = (normalised(word) for sentence in sentences for word in sentence.words)
        letters = Vocabulary.build(spelled) if spelling else None
        return cls(words, letters)

    def encode(self, words: Sequence[str]) -> Encoded:
        """One sentence."""
        if self.letters is None:
            return Encoded(self.words.encode(words), None)
        spelled = [self.letters.encode(_shortened(normalised(word))) for word in words]
        letters_TC = np.zeros((len(words), _LETTERS), dtype=np.int16)
        for row_C, letters in zip(letters_TC, spelled):
            row_C[: len(letters)] = letters
        return Encoded(self.words.encode([word.lower() for word in words]), letters_TC)

    def batch(self, sentences: Sequence[Encoded], targets: list[np.ndarray] | None) -> Batch:
        """Padded on the right; without targets nothing is asked."""
        words_BT, mask_BT = pad([sentence.words_T for sentence in sentences])
        targets_BT = np.full_like(words_BT, IGNORE)
        if targets is not None:
            targets_BT, _ = pad(targets, IGNORE)
        letters = [s.letters_TC for s in sentences if s.letters_TC is not None]
        characters_BTC = None
        if letters:
            padded, _ = pad(letters)
            longest = max(1, int((padded != 0).sum(-1).max()))
            characters_BTC = torch.from_numpy(padded[..., :longest].astype(np.int64))
        return Batch(
            torch.from_numpy(words_BT),
            torch.from_numpy(targets_BT),
            torch.from_numpy(mask_BT),
            characters_BTC=characters_BTC,
        )

    def artifacts(self) -> dict[str, str]:
        """What `from_artifacts` reads."""
        found = {"words": self.words.to_json()}
        return found if self.letters is None else {**found, "letters": self.letters.to_json()}

    @classmethod
    def from_artifacts(cls, artifacts: Mapping[str, str]) -> "WordEncoder":
        words, letters = artifacts["words"], artifacts.get("letters")
        return cls(
            Vocabulary.from_json(words), None if letters is None else Vocabulary.from_json(letters)
        )


class TaggingCodec(Codec):
    """A sentence to `word/TAG word/TAG`.

    Signs at the ends of words become words of their own; words that are apart already stay as they
    are. An answer's confidence is the product of its tags' own: the probability of the whole where
    a model decides each tag alone, an indication where it decides them together (a chain).
    """

    prompt = "a sentence"

    def __init__(self, encoder: WordEncoder, tags: Sequence[str], max_length: int) -> None:
        self.encoder = encoder
        self.tags = tags
        self.longest = max_length
        self._sentences: list[list[str]] = []

    @classmethod
    def from_artifacts(cls, config: Any, artifacts: Mapping[str, str]) -> "TaggingCodec":
        encoder = WordEncoder.from_artifacts(artifacts)
        return cls(encoder, json.loads(artifacts["tags"]), config.max_length)

    def encode(self, items: Sequence[str]) -> Batch:
        sentences = [words_of(item) for item in items]
        for item, words in zip(items, sentences):
            if not 0 < len(words) <= self.longest:
                raise UserError(
                    f"{item[:40]!r} has {len(words)} words: give a sentence of 1 to {self.longest}"
                )
        self._sentences = sentences
        return self.encoder.batch([self.encoder.encode(words) for words in sentences], None)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """Of the last `encode`, whose words an unknown word's number does not tell."""
        assert len(outputs) == len(self._sentences)
        share_BT, best_BT = outputs.double().log_softmax(-1).max(-1)
        answers = []
        for words, best_T, share_T in zip(self._sentences, best_BT.tolist(), share_BT):
            text = " ".join(f"{word}/{self.tags[k]}" for word, k in zip(words, best_T))
            answers.append(Answer(text, float(share_T[: len(words)].sum().exp())))
        return answers


def words_of(text: str) -> list[str]:
    """Words by blanks, and signs at their ends by themselves (signs_apart).

    >>> words_of('He said "wait ..." (twice).')
    ['He', 'said', '"', 'wait', '...', '"', '(', 'twice', ')', '.']
    """
    return [word for piece in text.split() for word in signs_apart(piece)]


def _shortened(word: str) -> str:
    half = _LETTERS // 2
    return word if len(word) <= _LETTERS else word[:half] + word[-half:]
