"""Sentences to tensors and tags to words: what tagging and the use of its models share.

B  sentences    T  words    C  letters
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.data.buckets import pad
from seqarena.data.files.find import kind_of
from seqarena.data.files.opening import read_lines
from seqarena.data.files.tables import listed, read_rows, table_format, text_of
from seqarena.data.text.annotated.shapes import WORD_NAMES, AskedColumns
from seqarena.data.text.tagged import Sentence, read_sentences
from seqarena.data.text.vocabulary import Vocabulary, normalised
from seqarena.data.text.writing.signs import signs_apart
from seqarena.tasks.base import WORD_END, Answer, Codec
from seqarena.tasks.configs import TaggingConfig

_LETTERS = 24  # of a word; of a longer one the first and the last twelve
_ALONE = {".", ",", "。", "，"}  # words by themselves only where a text is split already


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

    def knows(self, word: str) -> bool:
        """Whether training had the word often enough."""
        return (word if self.letters is None else word.lower()) in self.words

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

    Words that are apart already stay as they are: where WORD_END is behind each, and where a full
    stop or comma is a word by itself, as running text never has it. In other text a piece between
    blanks that training had as a word is one; of other pieces the signs at their ends become words
    of their own.

    An answer's confidence is the product of its tags' own: the probability of the whole where a
    model decides each tag alone, an indication where it decides them together (a chain).
    """

    takes_words = True
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
        sentences = [words_of(item, self.encoder.knows) for item in items]
        for item, words in zip(items, sentences):
            if not 0 < len(words) <= self.longest:
                raise UserError(
                    f"{item[:40]!r} has {len(words)} words: give a sentence of 1 to {self.longest}"
                )
        self._sentences = sentences
        return self.encoder.batch([self.encoder.encode(words) for words in sentences], None)

    def inputs(self, config: Any, file: Path) -> Iterator[str]:
        """Lines of text; or the words of a tagged file or of a table's lists, as they are."""
        if kind_of(file) == "text":
            return (line for _, line in read_lines(file, config.encoding))
        if table_format(file) not in (None, "csv", "tsv"):
            return _asked(file, config)
        found = read_sentences(file, asked_columns(config))
        return (_apart(sentence.words) for sentence in found)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """Of the last `encode`, whose words an unknown word's number does not tell."""
        assert len(outputs) == len(self._sentences)
        share_BT, best_BT = outputs.double().log_softmax(-1).max(-1)
        answers = []
        for words, best_T, share_T in zip(self._sentences, best_BT.tolist(), share_BT):
            text = " ".join(f"{word}/{self.tags[k]}" for word, k in zip(words, best_T))
            answers.append(Answer(text, float(share_T[: len(words)].sum().exp())))
        return answers


def asked_columns(config: TaggingConfig) -> AskedColumns:
    """How files are read, by the configuration."""
    return AskedColumns(config.format, config.column, config.word_column, config.encoding)


def _asked(file: Path, config: Any) -> Iterator[str]:
    """The words or the text of every row; tags are not needed."""
    for place, fields in read_rows(file, encoding=config.encoding):
        names = (config.word_column, *WORD_NAMES, "text", "sentence")
        name = next((name for name in names if name in fields), None)
        if name is None:
            raise UserError(
                f"{place}: no column of words: it has {listed(fields)} (name it with --set "
                "word_column=NAME)"
            )
        value = fields[name]
        yield _apart(map(str, value)) if isinstance(value, list) else text_of(value) or ""


def _apart(words: Iterable[str]) -> str:
    return "".join(word + WORD_END for word in words)


def words_of(text: str, knows: Callable[[str], bool] = lambda _: False) -> list[str]:
    r"""The words of a sentence. A piece between blanks that is known is a word; others lose the
    signs at their ends, which are words by themselves (signs_apart).

    >>> words_of('He said "wait ..." (twice).')
    ['He', 'said', '"', 'wait', '...', '"', '(', 'twice', ')', '.']
    >>> words_of("Mr. Smith , of the U.S. , left :-) ."), words_of("Mr.\x1fSmith\x1f")
    (['Mr.', 'Smith', ',', 'of', 'the', 'U.S.', ',', 'left', ':-)', '.'], ['Mr.', 'Smith'])
    """
    if WORD_END in text:
        return [word for word in text.split(WORD_END) if word]
    pieces = text.split()
    if len(pieces) > 1 and not _ALONE.isdisjoint(pieces):
        return pieces
    words: list[str] = []
    for piece in pieces:
        words += [piece] if knows(piece) else signs_apart(piece)
    return words


def _shortened(word: str) -> str:
    half = _LETTERS // 2
    return word if len(word) <= _LETTERS else word[:half] + word[-half:]
