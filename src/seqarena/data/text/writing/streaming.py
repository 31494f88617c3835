"""Text from tokens as they come, never with a part of a character.

A token may hold some of the bytes of a character, and a character may get marks or joined parts (an
emoji of several) from the tokens behind it. So text is given when no further token can change it:
everything but the last grapheme cluster (UAX 29), which follows with the next one or at the end.
"""

import codecs
from collections.abc import Iterable, Iterator

import regex

from seqarena.data.text.tokenizers import Tokenizer

_CLUSTER = regex.compile(r"\X")
_MOST_HELD = 32  # characters; a model may put marks on marks without end


def stream_text(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """Pieces of text, none empty. Together they are `tokenizer.decode` of all tokens: bytes that
    are no UTF-8 become U+FFFD as soon as that is certain."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held = ""
    for token in tokens:
        held += decoder.decode(tokenizer.bytes_of(token))
        length = _whole(held)
        if length:
            yield held[:length]
            held = held[length:]
    held += decoder.decode(b"", final=True)
    if held:
        yield held


def _whole(text: str) -> int:
    """How many characters of the text stay as they are, whatever follows."""
    if text.endswith("\n"):
        return len(text)
    last = 0
    for cluster in _CLUSTER.finditer(text):
        last = cluster.start()
    return last if len(text) - last <= _MOST_HELD else len(text)
