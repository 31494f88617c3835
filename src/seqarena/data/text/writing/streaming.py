"""Text from tokens as they come, never with a part of a character.

A token may hold some of the bytes of a character, and a character may get marks or joined parts (an
emoji of several) from the tokens behind it. So text is given when no further token can change it:
everything but the last grapheme cluster (UAX 29), which follows with the next one or at the end.
"""

import codecs
from collections.abc import Iterable, Iterator, Sequence

import regex

from seqarena.data.text.tokenizers import Tokenizer

_CLUSTER = regex.compile(r"\X")
_MOST_HELD = 32  # characters; a model may put marks on marks without end


class TextStream:
    """The text of tokens that are given one after the other, up to the first of the texts `stops`,
    which is not part of it."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # what is not given yet
        self.length = 0  # characters that are certain, given or held
        self.stopped = False  # a stop was met

    def add(self, token: int) -> str:
        """What can be given now. After a stop: nothing."""
        return "" if self.stopped else self._add(self._tokenizer.bytes_of(token), final=False)

    def end(self) -> str:
        """The rest: no token follows."""
        return "" if self.stopped else self._add(b"", final=True)

    def _add(self, more: bytes, *, final: bool) -> str:
        text = self._decoder.decode(more, final=final)
        self._held += text
        self.length += len(text)
        found = [self._held.find(stop) for stop in self._stops]
        if any(place >= 0 for place in found):
            end = min(place for place in found if place >= 0)
            self.stopped = True
            self.length -= len(self._held) - end
            given, self._held = self._held[:end], ""
            return given
        length = len(self._held) if final else min(_whole(self._held), self._before_stop())
        given, self._held = self._held[:length], self._held[length:]
        return given

    def _before_stop(self) -> int:
        """How many characters belong to no stop, whatever follows."""
        held = self._held
        most = max(map(len, self._stops), default=0)
        for start in range(max(0, len(held) - most + 1), len(held)):
            if any(stop.startswith(held[start:]) for stop in self._stops):
                return start
        return len(held)


def stream_text(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """Pieces of text, none empty. Together they are `tokenizer.decode` of all tokens: bytes that
    are no UTF-8 become U+FFFD as soon as that is certain."""
    stream = TextStream(tokenizer)
    for token in tokens:
        if piece := stream.add(token):
            yield piece
    if piece := stream.end():
        yield piece


def _whole(text: str) -> int:
    """How many characters of the text stay as they are, whatever follows."""
    if text.endswith("\n"):
        return len(text)
    if text.isascii() and "\r" not in text:  # every character is a cluster
        return max(0, len(text) - 1)
    last = 0
    for cluster in _CLUSTER.finditer(text):
        last = cluster.start()
    return last if len(text) - last <= _MOST_HELD else len(text)
