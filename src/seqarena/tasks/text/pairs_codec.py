"""Texts of pairs as tokens and back, and the codec that translates a user's sentence.

word     the words and signs of split_words that occur often enough in training
char     the same of characters
bpe:N    byte-level pieces (data/text/tokenizers.py), behind the four special tokens

All of them read text in NFC. Words become text by join_words.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import END, IGNORE, PAD, START, Batch
from seqarena.core.errors import UserError
from seqarena.data.buckets import pad
from seqarena.data.files.columns import Wanted
from seqarena.data.files.opening import read_lines
from seqarena.data.files.tables import table_format
from seqarena.data.text.pairs import NESTED, Pair
from seqarena.data.text.tokenizers import (
    ByteTokenizer,
    Tokenizer,
    tokenizer_from_json,
    train_tokenizer,
)
from seqarena.data.text.vocabulary import SPECIAL, Vocabulary, normalised, split_words
from seqarena.data.text.writing.joining import join_words
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.configs import PairsConfig
from seqarena.tasks.inputs import names_columns, read_inputs


class Side(Protocol):
    """One side of the pairs: its vocabulary, with the special tokens in front."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> np.ndarray:
        """Token ids, int64 [T], without START and END."""
        ...

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The same of many, faster where it can be."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text up to the first END, as a user reads it."""
        ...

    def to_json(self) -> str: ...


class Units:
    """Words, or characters."""

    def __init__(self, vocabulary: Vocabulary, kind: str, *, lowercase: bool) -> None:
        self.vocabulary = vocabulary
        self.kind = kind
        self.lowercase = lowercase

    @classmethod
    def learn(cls, texts: Iterable[str], kind: str, *, lowercase: bool, min_count: int) -> Self:
        """Raises UserError where nothing occurs `min_count` times."""
        side = cls(Vocabulary(()), kind, lowercase=lowercase)
        split = map(side._split, texts)
        side.vocabulary = Vocabulary.build(split, min_count=min_count)
        if len(side) == len(SPECIAL):
            raise UserError(
                f"no {kind} occurs {min_count} times in the training pairs: "
                "give more of them, or --set min_count=1"
            )
        return side

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> np.ndarray:
        return self.vocabulary.encode(self._split(text))

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self.encode(text) for text in texts]

    def decode(self, tokens: Iterable[int]) -> str:
        units = self.vocabulary.decode(tokens)
        return normalised(join_words(units) if self.kind == "word" else "".join(units))

    def to_json(self) -> str:
        return json.dumps(
            {
                "kind": self.kind,
                "lowercase": self.lowercase,
                "vocabulary": json.loads(self.vocabulary.to_json()),
            },
            ensure_ascii=False,
        )

    def _split(self, text: str) -> Sequence[str]:
        if self.kind == "word":
            return split_words(text, lowercase=self.lowercase)
        return normalised(text, lowercase=self.lowercase)


class Pieces:
    """Byte-level pieces: nothing is unknown. Runs of white space count as one blank."""

    def __init__(self, tokenizer: Tokenizer, *, lowercase: bool) -> None:
        self.tokenizer = tokenizer
        self.lowercase = lowercase

    @classmethod
    def learn(cls, texts: Iterable[str], name: str, *, lowercase: bool) -> Self:
        """Raises UserError where the texts are too few for that many pieces."""
        tidy = cls(ByteTokenizer(), lowercase=lowercase)._tidy
        return cls(train_tokenizer(name, "\n".join(map(tidy, texts))), lowercase=lowercase)

    def __len__(self) -> int:
        return len(SPECIAL) + self.tokenizer.vocab_size

    def encode(self, text: str) -> np.ndarray:
        return self.tokenizer.encode(self._tidy(text)).astype(np.int64) + len(SPECIAL)

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """In one go, apart again at line feeds, which the pieces never join with anything."""
        if not texts:
            return []
        (line_feed,) = self.tokenizer.encode("\n")
        pieces = self.tokenizer.encode("\n".join(map(self._tidy, texts))).astype(np.int64)
        cuts = np.flatnonzero(pieces == line_feed)
        assert len(cuts) == len(texts) - 1
        rows = np.split(pieces + len(SPECIAL), cuts)
        return [rows[0], *(row[1:] for row in rows[1:])]

    def decode(self, tokens: Iterable[int]) -> str:
        pieces = []
        for token in tokens:
            if token == END:
                break
            if token >= len(SPECIAL):
                pieces.append(token - len(SPECIAL))
        return normalised(self.tokenizer.decode(pieces))

    def to_json(self) -> str:
        return json.dumps(
            {
                "kind": "pieces",
                "lowercase": self.lowercase,
                "tokenizer": json.loads(self.tokenizer.to_json()),
            },
            ensure_ascii=False,
        )

    def _tidy(self, text: str) -> str:
        return " ".join(normalised(text, lowercase=self.lowercase).split())


class Sides(NamedTuple):
    """The vocabularies of both sides; the same one twice where it is shared."""

    source: Side
    target: Side


def learn_sides(config: PairsConfig, training: Sequence[Pair]) -> Sides:
    """Both vocabularies, from the training pairs alone."""
    sources, targets = [pair.source for pair in training], [pair.target for pair in training]
    if config.shared_vocabulary:
        both = _learn(config, sources + targets)
        return Sides(both, both)
    return Sides(_learn(config, sources), _learn(config, targets))


def _learn(config: PairsConfig, texts: Sequence[str]) -> Side:
    if config.tokenizer in ("word", "char"):
        return Units.learn(
            texts, config.tokenizer, lowercase=config.lowercase, min_count=config.min_count
        )
    return Pieces.learn(texts, config.tokenizer, lowercase=config.lowercase)


def side_from_json(text: str) -> Side:
    """The side that `to_json` wrote."""
    fields = json.loads(text)
    if fields["kind"] == "pieces":
        tokenizer = tokenizer_from_json(json.dumps(fields["tokenizer"]))
        return Pieces(tokenizer, lowercase=fields["lowercase"])
    return Units(Vocabulary(fields["vocabulary"]), fields["kind"], lowercase=fields["lowercase"])


def sides_from_artifacts(artifacts: Mapping[str, str]) -> Sides:
    """Both vocabularies as a checkpoint's task carried them."""
    return Sides(side_from_json(artifacts["source"]), side_from_json(artifacts["target"]))


def source_tensors(rows: Sequence[np.ndarray], *, reverse: bool) -> dict[str, Any]:
    """The fields of a Batch that hold the sources."""
    return _padded([row[::-1] if reverse else row for row in rows], "source_BS", "source_mask_BS")


def target_tensors(rows: Sequence[np.ndarray]) -> dict[str, Any]:
    """The fields that hold the targets: START and the target, and one further, it and END."""
    shifted = _padded([np.concatenate(([START], row)) for row in rows], "inputs_BT", "mask_BT")
    ends, _ = pad([np.concatenate((row, [END])) for row in rows], IGNORE)
    return {**shifted, "targets_BT": torch.from_numpy(ends)}


def _padded(rows: list[np.ndarray], tokens: str, mask: str) -> dict[str, Any]:
    padded, real = pad(rows, PAD)
    return {
        tokens: torch.from_numpy(padded),
        mask: None if real.all() else torch.from_numpy(real),
    }


class PairsCodec(Codec):
    """From a user's sentence to what a model writes."""

    generates = True
    prompt = "a text to transform, one a line"

    def __init__(self, config: PairsConfig, sides: Sides, limits: Mapping[str, int]) -> None:
        self.config = config
        self.sides = sides
        self.max_length = limits["max_length"]
        self.max_source_length = limits["max_source_length"]

    @classmethod
    def from_artifacts(cls, config: PairsConfig, artifacts: Mapping[str, str]) -> "PairsCodec":
        sides = sides_from_artifacts(artifacts)
        return cls(config, sides, json.loads(artifacts["limits"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for an empty text, and for one longer than the model was made for."""
        rows = [self.sides.source.encode(item.strip()) for item in items]
        for item, row in zip(items, rows):
            if not len(row):
                raise UserError(f"{item!r} is empty: {self.prompt} is needed")
            if len(row) > self.max_source_length:
                raise UserError(
                    f"{item[:40]!r}... has {len(row)} tokens, the model was made for "
                    f"{self.max_source_length}: give it in parts"
                )
        start_B1 = torch.full((len(rows), 1), START)
        return Batch(
            inputs_BT=start_B1,
            targets_BT=torch.full_like(start_B1, IGNORE),
            **source_tensors(rows, reverse=self.config.reverse_source),
        )

    def inputs(self, config: PairsConfig, file: Path) -> Iterator[str]:
        """The sources: of lines `IN: ... OUT: ...` what stands between, of a table of tabs that
        does not name its columns the first."""
        wanted = [Wanted.of(config, "source")]
        form, encoding = table_format(file), config.encoding
        if form == "tsv" and not names_columns(file, wanted, encoding):
            return (line.partition("\t")[0] for _, line in read_lines(file, encoding))
        found = read_inputs(file, wanted, encoding=encoding, nested=NESTED)
        return found if form else map(_asked, found)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        return [Answer(self.sides.target.decode(row)) for row in outputs.tolist()]


def _asked(line: str) -> str:
    """The source of a line of commands and what they mean; any other line as it is."""
    return line[3:].partition(" OUT:")[0].strip() if line.startswith("IN:") else line
