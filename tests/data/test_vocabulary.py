"""Words as numbers and back."""

from seqarena.core.batch import END, UNKNOWN
from seqarena.data.text.vocabulary import Vocabulary, split_words

SENTENCES = [["b", "a", "b"], ["a", "c", "b"]]


def test_words_by_frequency_then_alphabet() -> None:
    assert Vocabulary.build(SENTENCES).words[4:] == ("b", "a", "c")
    assert Vocabulary.build(SENTENCES, min_count=2).words[4:] == ("b", "a")
    assert Vocabulary.build(SENTENCES, max_size=5).words[4:] == ("b",)


def test_there_and_back() -> None:
    vocabulary = Vocabulary.from_json(Vocabulary.build(SENTENCES).to_json())
    assert vocabulary.encode(["a", "x"]).tolist() == [5, UNKNOWN]
    assert vocabulary.decode([1, 4, 0, 5, END, 6]) == ["b", "a"]
    assert "a" in vocabulary
    assert "x" not in vocabulary
    assert len(vocabulary) == 7


def test_words_of_several_languages() -> None:
    assert split_words("Zwei Männer, 3 Hunde!") == ["zwei", "männer", ",", "3", "hunde", "!"]
    assert split_words("Don't", lowercase=False) == ["Don't"]
