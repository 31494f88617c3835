"""What transcripts are spelled in: characters, words or pieces of words, as numbers from 1 on; 0 is
the blank of CTC (ops/ctc)."""

import json
from collections.abc import Iterable, Sequence

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.text.tokenizers import BPETokenizer, parse_tokenizer_name, tokenizer_from_json


class Symbols:
    """The symbols of the training texts. Those of other texts that are none of them are left out of
    what a text becomes: no model can write them."""

    def __init__(
        self, units: str, known: Sequence[str], pieces: BPETokenizer | None = None
    ) -> None:
        """`known`: the characters or words in the order of their numbers; of pieces there are
        none."""
        self.units = units
        self.known = tuple(known)
        self.pieces = pieces
        self._numbers = {symbol: number for number, symbol in enumerate(self.known, start=1)}

    @classmethod
    def learn(cls, units: str, texts: Iterable[str]) -> "Symbols":
        """`char`, `word` or `bpe:N`. Raises UserError for texts too short for so many pieces."""
        texts = list(texts)
        if units.startswith("bpe"):
            _, size = parse_tokenizer_name(units)
            return cls(units, (), BPETokenizer.train("\n".join(texts), size))
        parts = (text.split(" ") if units == "word" else text for text in texts)
        return cls(units, sorted({part for text in parts for part in text}))

    def __len__(self) -> int:
        """With the blank."""
        return 1 + (len(self.known) if self.pieces is None else self.pieces.vocab_size)

    def encode(self, text: str) -> np.ndarray:
        """int64 [U]."""
        if self.pieces is not None:
            return self.pieces.encode(text).astype(np.int64) + 1
        parts = text.split(" ") if self.units == "word" else text
        found = [self._numbers[part] for part in parts if part in self._numbers]
        return np.array(found, dtype=np.int64)

    def decode(self, symbols: Sequence[int]) -> str:
        """The text, with one blank between words."""
        if self.pieces is not None:
            text = self.pieces.decode([symbol - 1 for symbol in symbols])
        else:
            between = " " if self.units == "word" else ""
            text = between.join(self.known[symbol - 1] for symbol in symbols)
        return " ".join(text.split())

    def unknown(self, text: str) -> int:
        """How many of a text's symbols are none of these."""
        if self.pieces is not None:
            return 0
        parts = text.split(" ") if self.units == "word" else text
        return sum(part not in self._numbers for part in parts)

    def to_json(self) -> str:
        pieces = None if self.pieces is None else self.pieces.to_json()
        fields = {"units": self.units, "known": self.known, "pieces": pieces}
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Symbols":
        fields = json.loads(text)
        pieces = None if fields["pieces"] is None else tokenizer_from_json(fields["pieces"])
        if pieces is not None and not isinstance(pieces, BPETokenizer):
            raise UserError(f"pieces of words are wanted, and these are by {pieces.name}")
        return cls(fields["units"], fields["known"], pieces)
