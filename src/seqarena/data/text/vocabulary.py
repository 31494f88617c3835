"""Words as numbers, and text as words.

The first four tokens are PAD, START, END and UNKNOWN (core/batch.py); the words follow by falling
frequency, equal ones in the order of the alphabet. What the vocabulary does not have is UNKNOWN.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from seqarena.core.batch import END, PAD, START, UNKNOWN

SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Vocabulary:
    """A fixed list of words."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` without the special ones."""
        self.words = (*SPECIAL, *words)
        self._index = {word: index for index, word in enumerate(self.words)}

    @classmethod
    def build(
        cls, sentences: Iterable[Sequence[str]], *, min_count: int = 1, max_size: int | None = None
    ) -> Self:
        """The words that occur at least `min_count` times, the most frequent `max_size` of them."""
        counts = Counter(word for sentence in sentences for word in sentence)
        kept = [word for word, count in counts.items() if count >= min_count]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls(kept[: max_size and max(0, max_size - len(SPECIAL))])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._index

    def encode(self, sentence: Sequence[str]) -> np.ndarray:
        """Token ids, int64 [T], without START and END."""
        return np.array([self._index.get(word, UNKNOWN) for word in sentence], dtype=np.int64)

    def decode(self, tokens: Iterable[int]) -> list[str]:
        """Words up to the first END; PAD and START are left out."""
        words = []
        for token in tokens:
            if token == END:
                break
            if token not in (PAD, START):
                words.append(self.words[token])
        return words

    def to_json(self) -> str:
        return json.dumps(self.words[len(SPECIAL) :], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(json.loads(text))


def split_words(text: str, *, lowercase: bool = True) -> list[str]:
    """Words, and each other visible sign by itself.

    >>> split_words("Don't panic, it's 42.")
    ["don't", 'panic', ',', "it's", '42', '.']
    """
    return _WORD.findall(text.lower() if lowercase else text)
