"""Text to integers and back, with the bytes each token stands for.

    byte     the 256 bytes of UTF-8; nothing to learn
    char     the distinct characters of the training text, sorted
    bpe:N    byte-level byte-pair encoding with a vocabulary of N (Sennrich et al. 2016; byte level
             as in Radford et al. 2019), learned from the training text by `tokenizers`

Every tokenizer gives back exactly the text it was given, and the bytes of its tokens add up to
the bytes of the text. That is what makes bits per byte comparable between them.

A character that the training text lacks: an <unk> symbol would make the hardest characters cheap
and bits per byte dishonest. So `char` spells it in UTF-8 with 256 byte symbols behind the
characters. Those symbols exist only where the held-out text needs them; without them an unseen
character is an error.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from seqarena.core.errors import UserError, one_line, unknown_name

_PROBE = (
    " Two  blanks,\n\tA line: caf\u00e9 \u4e2d\u6587 123.\n"  # what a lossless tokenizer gives back
)
_BYTES = 256
_PIECE_CHARACTERS = 1 << 16
_MOST_CHARACTERS = 1 << 20
_PIECES_AT_ONCE = 64
_CUT = re.compile(r"\S[ \n]\S")
_LONGEST_RUN = 1_000  # characters; no word of any language is so long
_LONG_RUN = re.compile(r"(?:[^\W\d_]{N}|\d{N}|(?:[^\w\s]|_){N}|\s{N})".replace("N", "1001,"))


class Tokenizer(Protocol):
    """What every tokenizer can do. Token ids are int32 arrays [N]."""

    @property
    def name(self) -> str:
        """As in a configuration: `byte`, `char`, `bpe:1024`."""
        ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str) -> np.ndarray: ...

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text. Bytes that are no UTF-8 (a cut character) become U+FFFD."""
        ...

    def bytes_of(self, token: int) -> bytes:
        """The bytes of UTF-8 that a token stands for; they may be a part of a character."""
        ...

    def bytes_per_token(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """How many bytes of UTF-8 each token stands for: int64, the shape of `ids`."""
        ...

    def to_json(self) -> str:
        """All of it as text; `tokenizer_from_json` reads it."""
        ...


class ByteTokenizer:
    """The bytes of UTF-8 are the tokens."""

    name = "byte"
    vocab_size = _BYTES

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return _checked(ids, _BYTES).astype(np.uint8).tobytes().decode("utf-8", errors="replace")

    def bytes_of(self, token: int) -> bytes:
        return bytes([token])

    def bytes_per_token(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        return np.ones_like(_checked(ids, _BYTES))

    def to_json(self) -> str:
        return json.dumps({"kind": "byte"})


class CharTokenizer:
    """Token `i` is the `i`-th of `characters`; behind them, with `byte_fallback`, the 256 bytes."""

    name = "char"

    def __init__(self, characters: str, *, byte_fallback: bool = False) -> None:
        self.characters = characters
        self.byte_fallback = byte_fallback
        self.vocab_size = len(characters) + (_BYTES if byte_fallback else 0)
        self._code_points = _code_points(characters)
        assert (np.diff(self._code_points) > 0).all(), "characters must be sorted and distinct"
        self._bytes = [character.encode() for character in characters]
        if byte_fallback:
            self._bytes += [bytes([value]) for value in range(_BYTES)]
        self._num_bytes = np.array([len(value) for value in self._bytes], dtype=np.int64)

    @classmethod
    def train(cls, training_text: str, evaluation_text: str = "") -> "CharTokenizer":
        """The characters of the training text; bytes too if the evaluation text needs them."""
        known = set(training_text)
        return cls("".join(sorted(known)), byte_fallback=not known.issuperset(evaluation_text))

    def encode(self, text: str) -> np.ndarray:
        """Raises UserError for an unseen character when there is no byte fallback."""
        wanted_N = _code_points(text)
        ids_N = np.searchsorted(self._code_points, wanted_N).astype(np.int32)
        nearest_N = np.minimum(ids_N, len(self.characters) - 1)
        unseen = np.flatnonzero(self._code_points[nearest_N] != wanted_N)
        if not len(unseen):
            return ids_N
        if not self.byte_fallback:
            raise UserError(
                f"character {text[unseen[0]]!r} at position {unseen[0]} is not in the training "
                "text: use the tokenizer 'byte' or 'bpe:N', or leave it out"
            )
        pieces, done = [], 0
        for position in unseen:
            spelled = np.frombuffer(text[position].encode(), dtype=np.uint8).astype(np.int32)
            pieces += [ids_N[done:position], spelled + len(self.characters)]
            done = position + 1
        return np.concatenate([*pieces, ids_N[done:]])

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        checked = _checked(ids, self.vocab_size)
        return b"".join(self._bytes[i] for i in checked).decode("utf-8", errors="replace")

    def bytes_of(self, token: int) -> bytes:
        return self._bytes[token]

    def bytes_per_token(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._num_bytes[_checked(ids, self.vocab_size)]

    def to_json(self) -> str:
        return json.dumps(
            {"kind": "char", "characters": self.characters, "byte_fallback": self.byte_fallback}
        )


class BPETokenizer:
    """Byte-level byte-pair encoding. The 256 bytes are always in it, so nothing is unknown."""

    def __init__(self, inner: Any) -> None:
        """`inner` is a `tokenizers.Tokenizer`, as `train` and `tokenizer_from_json` make it."""
        self._inner = inner
        self.vocab_size: int = inner.get_vocab_size()
        self.name = f"bpe:{self.vocab_size}"
        self._bytes = [_spelled_bytes(inner.id_to_token(k)) for k in range(self.vocab_size)]
        self._num_bytes = np.array([len(value) for value in self._bytes], dtype=np.int64)

    @classmethod
    def train(cls, training_text: str, vocab_size: int) -> "BPETokenizer":
        """Raises UserError when the text is too short to give that many tokens."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            show_progress=False,
            special_tokens=[],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        inner.train_from_iterator(_short_runs(training_text), trainer)
        if inner.get_vocab_size() != vocab_size:
            raise UserError(
                f"tokenizer bpe:{vocab_size}: the training text gives only "
                f"{inner.get_vocab_size()} tokens: ask for fewer, or use 'byte'"
            )
        return cls(inner)

    @classmethod
    def published(cls, path: str) -> "BPETokenizer":
        """The one in a `tokenizer.json` of the library `tokenizers`, as GPT-2 and Llama 3 have it.

        Raises UserError for a file that is none, and for a tokenizer that is not byte-level or
        changes the text that it reads.
        """
        from tokenizers import Tokenizer

        try:
            found = cls(Tokenizer.from_file(path))
        except Exception as error:  # the library has one kind of its own
            raise UserError(f"{path} is no tokenizer.json: {one_line(error)}") from error
        try:
            same = found.decode(found.encode(_PROBE)) == _PROBE
            whole = bytes_in(found, _PROBE) == len(_PROBE.encode())
        except (ValueError, KeyError):
            same = whole = False
        if not (same and whole):
            raise UserError(
                f"{path} is no byte-level tokenizer: it does not give back every text as it was "
                "(GPT-2's and Llama 3's do)"
            )
        return found

    def encode(self, text: str) -> np.ndarray:
        pieces, ids = list(_pieces(text)), [np.empty(0, dtype=np.int32)]
        for first in range(0, len(pieces), _PIECES_AT_ONCE):
            batch = pieces[first : first + _PIECES_AT_ONCE]
            encoded = self._inner.encode_batch(batch, add_special_tokens=False)
            ids += [np.array(one.ids, dtype=np.int32) for one in encoded]
        return np.concatenate(ids)

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return self._inner.decode(_checked(ids, self.vocab_size).tolist())

    def bytes_of(self, token: int) -> bytes:
        return self._bytes[token]

    def bytes_per_token(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._num_bytes[_checked(ids, self.vocab_size)]

    def to_json(self) -> str:
        return json.dumps({"kind": "bpe", "tokenizer": json.loads(self._inner.to_str())})


def train_tokenizer(name: str, training_text: str, evaluation_text: str = "") -> Tokenizer:
    """The tokenizer of that name. Vocabularies come from the training text alone.

    `evaluation_text` answers one question for `char`: are byte symbols needed (see above)?
    Raises UserError for a name that is none of `byte`, `char`, `bpe:N` and names no tokenizer.json.
    """
    if name.endswith(".json"):
        return BPETokenizer.published(name)
    kind, vocab_size = parse_tokenizer_name(name)
    if kind == "byte":
        return ByteTokenizer()
    if kind == "char":
        return CharTokenizer.train(training_text, evaluation_text)
    return BPETokenizer.train(training_text, vocab_size)


def parse_tokenizer_name(name: str) -> tuple[str, int]:
    """(kind, N) of `byte`, `char` or `bpe:N` (N is 0 for the first two).

    Raises UserError for any other name, and for an N that leaves no room for a merge.
    """
    if name in ("byte", "char"):
        return name, 0
    kind, _, size = name.partition(":")
    if kind != "bpe":
        raise unknown_name("tokenizer", name, ["byte", "char", "bpe:1024"])
    if not (size.isascii() and size.isdecimal()):
        raise UserError(f"tokenizer {name!r}: write bpe:N with a number, such as bpe:1024")
    if int(size) <= _BYTES:
        raise UserError(f"tokenizer {name!r}: N counts the {_BYTES} bytes, so it must be above")
    return kind, int(size)


def tokenizer_from_json(text: str) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Raises UserError when it is none."""
    try:
        fields = json.loads(text)
        kind = fields["kind"]
        if kind == "byte":
            return ByteTokenizer()
        if kind == "char":
            return CharTokenizer(fields["characters"], byte_fallback=fields["byte_fallback"])
        if kind == "bpe":
            from tokenizers import Tokenizer as Inner

            return BPETokenizer(Inner.from_str(json.dumps(fields["tokenizer"])))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UserError("not a stored tokenizer of this version of seqarena") from error
    raise unknown_name("stored tokenizer", str(kind), ["byte", "char", "bpe"])


def bytes_in(tokenizer: Tokenizer, text: str) -> int:
    """The bytes that the text's tokens stand for."""
    return int(tokenizer.bytes_per_token(tokenizer.encode(text)).sum())


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)


def _spelled_bytes(token: str) -> bytes:
    """The bytes of a token as the byte level spells it; a token of another origin is its text."""
    return b"".join(_byte_level().get(sign, sign.encode()) for sign in token)


@cache
def _byte_level() -> dict[str, bytes]:
    """The printable character by which the byte level writes each byte: the byte's own in Latin-1
    where that is visible, else those from U+0100 on in turn."""
    visible = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, _BYTES))
    others = (value for value in range(_BYTES) if value not in visible)
    spelled = {chr(value): bytes([value]) for value in visible}
    return spelled | {chr(_BYTES + k): bytes([value]) for k, value in enumerate(others)}


def _checked(ids: Sequence[int] | np.ndarray, vocab_size: int) -> np.ndarray:
    ids = np.asarray(ids, dtype=np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= vocab_size):
        raise ValueError(f"token ids must be in [0, {vocab_size})")
    return ids


def _pieces(text: str, size: int = _PIECE_CHARACTERS) -> Iterator[str]:
    """The text in pieces that encode as the whole does, to bound memory and to run in parallel.

    The byte level's pattern never joins a line feed with the character behind it; it does treat
    a run of blanks as one. So a cut falls behind a line feed that stands between two characters
    that are no blanks, or before such a blank. A text of a million characters without either is
    cut anywhere, to bound memory.
    """
    start = 0
    while len(text) - start > size:
        first, last = start + size, start + size + _MOST_CHARACTERS
        if found := _CUT.search(text, first - 1, last):
            cut = found.start() + (2 if found[0][1] == "\n" else 1)
        elif last < len(text):
            cut = last
        else:
            break
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


def _short_runs(text: str) -> Iterator[str]:
    """The text in pieces for training, whose time grows with the square of a run of characters
    that the byte level takes as one word: longer ones are cut."""
    for piece in _pieces(text):
        start = 0
        for run in _LONG_RUN.finditer(piece):
            for cut in range(run.start() + _LONGEST_RUN, run.end(), _LONGEST_RUN):
                yield piece[start:cut]
                start = cut
        yield piece[start:]
