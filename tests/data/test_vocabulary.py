"""Words as numbers and back; words of many scripts against Unicode's rules and its own tests."""

import time
from pathlib import Path

import pytest

from seqarena.core.batch import END, UNKNOWN
from seqarena.data.text.vocabulary import Vocabulary, _segments, split_words

SENTENCES = [["b", "a", "b"], ["a", "c", "b"]]

# What UAX 29 (Unicode 17) gives by its rules, by hand; a blank parts the expected words.
SCRIPTS = {
    "english": ("Don't e-mail U.S.: 3.14, 1,000!", "don't e - mail u.s . : 3.14 , 1,000 !"),
    "german": ("„Größe“ heißt's: 3,5 m", "„ größe “ heißt's : 3,5 m"),
    "russian": ("Привет, мир! Ёлка", "привет , мир ! ёлка"),
    "greek": ("Καλημέρα, κόσμε·", "καλημέρα , κόσμε ·"),
    "hindi": ("हिन्दी की भाषा।", "हिन्दी की भाषा ।"),
    "tamil": ("தமிழ் மொழி", "தமிழ் மொழி"),
    "bengali": ("বাংলা ভাষা", "বাংলা ভাষা"),
    "thai": ("ภาษาไทยดี", "ภ า ษ า ไ ท ย ดี"),  # each letter with its marks
    "lao": ("ພາສາລາວ", "ພ າ ສ າ ລ າ ວ"),
    "khmer": ("ភាសាខ្មែរ", "ភា សា ខ្ មែ រ"),
    "burmese": ("မြန်မာ", "မြ န် မာ"),
    "chinese": ("我今天去学校。", "我 今 天 去 学 校 。"),
    "japanese": ("カタカナとひらがな、東京", "カタカナ と ひ ら が な 、 東 京"),
    "korean": ("안녕하세요, 세계!", "안녕하세요 , 세계 !"),
    "arabic": ("مَرْحَبًا، بالعالم؟ ٣٫١٤", "مَرْحَبًا ، بالعالم ؟ ٣٫١٤"),
    "persian": ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner within a word
    "hebrew": ('צה"ל, ב\'ערך', 'צה"ל , ב\'ערך'),
    "amharic": ("ሰላም፡ዓለም።", "ሰላም ፡ ዓለም ።"),
    "tibetan": ("བོད་སྐད", "བོད ་ སྐད"),
    "emoji": ("👩‍👩‍👧🇩🇪🇫🇷👍🏽 ❤️", "👩‍👩‍👧 🇩🇪 🇫🇷 👍🏽 ❤️"),
}  # fmt: skip


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


@pytest.mark.parametrize(("text", "words"), SCRIPTS.values(), ids=SCRIPTS)
def test_words_of_many_scripts(text: str, words: str) -> None:
    assert split_words(text) == words.split(" ")


def test_every_case_of_unicode() -> None:
    """Two of the cases in the file rest on U+2701, which was a pictograph until Unicode 16."""
    lines = (Path(__file__).parent / "word_break_test.txt").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    assert len(rows) == 1823
    wrong = []
    for row in rows:
        wanted = [
            "".join(chr(int(code, 16)) for code in part.split() if code != "×")
            for part in row.strip("÷ ").split("÷")
        ]
        if [one for one in _segments("".join(wanted)) if one] != wanted:
            wrong.append(row)
    assert wrong == ["÷ 2701 × 200D × 2701 ÷", "÷ 0061 × 200D × 2701 ÷"]


def test_the_same_word_however_it_is_typed() -> None:
    composed, typed = ["café", "한"], ["cafe\u0301", "\u1112\u1161\u11ab"]
    assert split_words(" ".join(typed)) == typed
    vocabulary = Vocabulary.build([composed, typed])
    assert vocabulary.words[4:] == ("café", "한")
    assert vocabulary.encode(typed).tolist() == vocabulary.encode(composed).tolist() == [4, 5]
    assert all(word in vocabulary for word in (*composed, *typed))
    stored = Vocabulary.from_json('["cafe\u0301"]')  # as it may be in a checkpoint
    assert stored.encode(["café", "cafe\u0301"]).tolist() == [4, 4]
    assert split_words("Don't É", lowercase=False) == ["Don't", "É"]


def test_what_is_invisible_is_no_word() -> None:
    assert split_words("\ufeffone\u200b \x00two\u2028\u200e") == ["one", "two"]
    assert split_words("one  \u0301 two") == ["one", "\u0301", "two"]  # a mark without a letter
    assert split_words(" \t\n") == []
    assert split_words(" \u200b\n") == ["\u200b"]  # a text that is not blank has a word


@pytest.mark.parametrize("mark", ["", "\u0308", "\u200d"])
def test_flags_without_end_take_no_time_without_end(mark: str) -> None:
    """By the boundaries alone, the time grows with the square: minutes."""
    before = time.perf_counter()
    letters = [f"{letter}{mark}" for letter in "🇩🇪🇫🇷"]
    words = split_words("x" + "".join(letters) * 50_000 + "🇫")
    assert words == ["x", *["".join(letters[:2]), "".join(letters[2:])] * 50_000, "🇫"]
    assert time.perf_counter() - before < 10
