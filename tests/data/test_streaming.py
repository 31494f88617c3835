"""Streamed text never has a part of a character, whatever the tokens and however they are cut."""

from functools import cache

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from seqarena.data.text.corpora import embedded_corpus
from seqarena.data.text.tokenizers import train_tokenizer
from seqarena.data.text.writing.streaming import stream_text

NAMES = ("byte", "char", "bpe:300")
TEXTS = (
    "Grüße an Zoë\n\nund weiter",
    "cafe\u0301 n\u0303",
    "हिन्दी में लिखा हुआ",
    "ภาษาไทยน้ำ",
    "我用电脑写字。",
    "한국어 \u1112\u1161\u11ab",
    "👩‍👩‍👧 🇩🇪🇫🇷 👍🏽 ❤️",
    "مَرْحَبًا بِكُمْ",
)


@cache
def trained(name):
    """`char` with the byte fallback, so that all three take any text."""
    return train_tokenizer(name, embedded_corpus().text[:40_000], evaluation_text="\U0001f40d")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_whole_characters(name, text):
    tokenizer = trained(name)
    pieces = list(stream_text(tokenizer, tokenizer.encode(text).tolist()))
    assert "".join(pieces) == text
    clusters = regex.findall(r"\X", text)
    assert [c for piece in pieces for c in regex.findall(r"\X", piece)] == clusters
    assert len(pieces) > 3  # it streams


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_pieces_are_the_text_of_all_tokens(name, data):
    """Random tokens: most of their bytes are no UTF-8."""
    tokenizer = trained(name)
    tokens = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    pieces = list(stream_text(tokenizer, tokens))
    assert "".join(pieces) == tokenizer.decode(tokens)
    assert "" not in pieces


def test_what_is_no_character_is_replaced_once_and_never_waited_for():
    tokenizer = trained("byte")
    given_so_far = []
    stream = stream_text(
        tokenizer, (given_so_far.append(b) or b for b in b"\xe2\x82ab\xff\xffc\xf0")
    )
    assert next(stream) == "\ufffd"
    assert len(given_so_far) == 3  # `a` shows that nothing completes it
    assert "".join(stream) == "ab\ufffd\ufffdc\ufffd"


def test_a_line_feed_ends_what_is_held():
    pieces = stream_text(trained("byte"), iter(b"a\nb"))
    assert list(pieces) == ["a\n", "b"]


def test_marks_without_end_are_given_at_last():
    tokenizer = trained("byte")

    def tokens():
        yield from b"a"
        while True:
            yield from "\u0301".encode()

    stream = stream_text(tokenizer, tokens())
    assert len(next(stream)) < 40
    assert set(next(stream)) == {"\u0301"}
