"""Tokenizers give back what they got, and their bytes add up to the text's bytes."""

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqarena.core.errors import UserError
from seqarena.data.text.corpora import embedded_corpus
from seqarena.data.text.tokenizers import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    _pieces,
    parse_tokenizer_name,
    tokenizer_from_json,
    train_tokenizer,
)

PROSE = embedded_corpus().text[:40_000]
NAMES = ("byte", "char", "bpe:300")


@cache
def trained(name):
    """`char` with the byte fallback, so that all three take any text."""
    return train_tokenizer(name, PROSE, evaluation_text="\U0001f40d")


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text())
def test_any_text_comes_back_and_its_bytes_add_up(name, text):
    tokenizer = trained(name)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.bytes_per_token(ids).sum() == len(text.encode())
    assert ids.dtype == np.int32
    assert ids.size == 0 or (ids.min() >= 0 and ids.max() < tokenizer.vocab_size)


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(max_size=20))
def test_stored_and_read_again_is_the_same(name, text):
    tokenizer = trained(name)
    again = tokenizer_from_json(tokenizer.to_json())
    assert (again.name, again.vocab_size) == (tokenizer.name, tokenizer.vocab_size)
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert again.to_json() == tokenizer.to_json()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_bytes_of_each_token_are_those_it_decodes_to(name, data):
    tokenizer = trained(name)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), min_size=1))
    text = tokenizer.decode(ids)
    if "\ufffd" not in text:  # cut characters have no text of their own
        assert tokenizer.bytes_per_token(ids).sum() == len(text.encode())


def test_byte_and_char_by_hand():
    assert ByteTokenizer().encode("aé").tolist() == [97, 0xC3, 0xA9]
    char = CharTokenizer.train("bacé")
    assert char.characters == "abcé"
    assert char.vocab_size == 4
    assert char.encode("écab").tolist() == [3, 2, 0, 1]
    assert char.bytes_per_token([3, 0]).tolist() == [2, 1]


def test_char_spells_unseen_characters_only_when_needed():
    assert not CharTokenizer.train("abc", "cab").byte_fallback
    char = CharTokenizer.train("abc", "xé")
    assert char.vocab_size == 3 + 256
    assert char.encode("aéb").tolist() == [0, 3 + 0xC3, 3 + 0xA9, 1]
    assert char.bytes_per_token(char.encode("aéb")).tolist() == [1, 1, 1, 1]


def test_char_without_fallback_names_the_unseen_character():
    with pytest.raises(UserError, match="character 'z' at position 2 is not in the training text"):
        CharTokenizer.train("abc").encode("abz")


def test_vocabulary_comes_from_the_training_text_alone():
    char = train_tokenizer("char", "abc", evaluation_text="xyz")
    assert char.characters == "abc"
    alone = train_tokenizer("bpe:300", PROSE)
    assert alone.to_json() == train_tokenizer("bpe:300", PROSE, evaluation_text="xyz").to_json()


def test_bpe_is_deterministic_and_has_the_size_asked_for():
    first, second = BPETokenizer.train(PROSE, 512), BPETokenizer.train(PROSE, 512)
    assert first.vocab_size == 512
    assert first.name == "bpe:512"
    assert first.to_json() == second.to_json()
    assert len(first.encode(PROSE)) < 0.6 * len(PROSE)


@settings(max_examples=300)
@given(text=st.text(alphabet=" \n\t\r\u00a0ab,1'"), size=st.integers(1, 5))
def test_pieces_encode_as_the_whole(text, size):
    # merges never cross the words of the byte level: equal words give equal tokens
    words = trained("bpe:300")._inner.pre_tokenizer.pre_tokenize_str
    pieces = list(_pieces(text, size))
    assert "".join(pieces) == text
    joined = [word for piece in pieces for word, _ in words(piece)]
    assert joined == [word for word, _ in words(text)]


@pytest.mark.parametrize("run", ["[", "a", "9", "_", "\u4e2d", "\t", "[_"])
def test_a_long_run_is_trained_on_in_pieces_and_comes_back(run):
    """Training takes time that grows with the square of a word."""
    text = run * 200_000 + " the cat sat on the mat" * 30
    start = time.process_time()
    tokenizer = BPETokenizer.train(text, 262)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert time.process_time() - start < 4  # whole, 11 seconds
    pieces = list(_pieces("x" * 3_000_000))
    assert max(map(len, pieces)) < 1_200_000
    assert "".join(pieces) == "x" * 3_000_000


def test_one_long_line_is_cut_before_blanks():
    pieces = list(_pieces("the cat sat on the mat. " * 100_000))
    assert max(map(len, pieces)) < 70_000
    assert all(piece[0] == " " for piece in pieces[1:])


def test_prose_is_cut_into_pieces():
    pieces = list(_pieces(PROSE, 1_000))
    assert len(pieces) > 20
    assert max(map(len, pieces)) < 8_000  # a long indented listing cannot be cut


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bytes", "unknown tokenizer 'bytes': did you mean byte"),
        ("bpe", "write bpe:N"),
        ("bpe:1k", "write bpe:N"),
        ("bpe:256", "N counts the 256 bytes"),
        ("", "unknown tokenizer ''"),
    ],
)
def test_bad_names(name, message):
    with pytest.raises(UserError, match=message):
        parse_tokenizer_name(name)


def test_text_too_short_for_the_vocabulary():
    with pytest.raises(UserError, match=r"gives only \d+ tokens"):
        train_tokenizer("bpe:5000", "a few words make a few merges")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "char"}'])
def test_broken_stored_tokenizer(text):
    with pytest.raises(UserError, match="not a stored tokenizer"):
        tokenizer_from_json(text)


@pytest.mark.parametrize("name", NAMES)
def test_ids_outside_the_vocabulary_are_refused(name):
    tokenizer = trained(name)
    for bad in (-1, tokenizer.vocab_size):
        with pytest.raises(ValueError, match="token ids must be in"):
            tokenizer.decode([bad])
