"""Words as numbers, and text as words.

The first four tokens are PAD, START, END and UNKNOWN (core/batch.py); the words follow by falling
frequency, equal ones in the order of the alphabet. What the vocabulary does not have is UNKNOWN.

Words are those between the word boundaries of Unicode Standard Annex 29. A vocabulary holds them in
NFC, so that a letter with a mark is the same however it was typed. writing/joining.py makes text of
words.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import regex

from seqarena.core.batch import END, PAD, START, UNKNOWN

SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
_BOUNDARY = regex.compile(r"\b", regex.VERSION1 | regex.WORD)
_VISIBLE = regex.compile(r"[^\p{White_Space}\p{Cc}\p{Default_Ignorable_Code_Point}]")
# A flag is two of these letters; 64 are an even number of them.
_FLAGS = regex.compile(
    r"(?:\p{Regional_Indicator}[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+){64}(?=\p{Regional_Indicator})"
)


class Vocabulary:
    """A fixed list of words."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` without the special ones."""
        self.words = (*SPECIAL, *words)
        self._index = {normalised(word): index for index, word in enumerate(self.words)}

    @classmethod
    def build(
        cls, sentences: Iterable[Sequence[str]], *, min_count: int = 1, max_size: int | None = None
    ) -> Self:
        """The words that occur at least `min_count` times, the most frequent `max_size` of them."""
        counts = Counter(normalised(word) for sentence in sentences for word in sentence)
        kept = [word for word, count in counts.items() if count >= min_count]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls(kept[: max_size and max(0, max_size - len(SPECIAL))])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return normalised(word) in self._index

    def encode(self, sentence: Sequence[str]) -> np.ndarray:
        """Token ids, int64 [T], without START and END."""
        numbers = [self._index.get(normalised(word), UNKNOWN) for word in sentence]
        return np.array(numbers, dtype=np.int64)

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
    """Words, and each other visible sign by itself: what stands between two word boundaries of
    UAX 29, without its tailorings, and is no blank.

    A word keeps its marks, joiners and apostrophes; a number keeps its points and commas; kana of
    one kind, an emoji of several parts and a flag are one word each. Scripts that are written
    without blanks fall apart, as the default rules have it: Chinese characters and hiragana one by
    one, Thai, Lao, Khmer and Burmese into letters with their marks. Words are spelled as the text
    spells them. Invisible signs between words are none, unless the text has nothing else.

    >>> split_words("Don't panic, it's 42.")
    ["don't", 'panic', ',', "it's", '42', '.']
    """
    text = text.lower() if lowercase else text
    words = []
    for segment in _segments(text):
        if segment.isalnum():
            words.append(segment)
        elif _VISIBLE.search(segment):
            words.append(segment.strip())  # a mark without a letter holds on to the blank before it
    return words or text.split()


def normalised(text: str, *, lowercase: bool = False) -> str:
    """The text in NFC."""
    text = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", text.lower()) if lowercase else text


def _segments(text: str) -> list[str]:
    """What stands between the word boundaries.

    Whether a boundary parts two letters of flags depends on the number of such letters before it,
    so that the time of a run of them grows with its square: a long run is cut beforehand.
    """
    segments: list[str] = []
    done = 0
    for flags in _FLAGS.finditer(text):
        segments += _BOUNDARY.split(text[done : flags.end()])
        done = flags.end()
    return [*segments, *_BOUNDARY.split(text[done:])]
