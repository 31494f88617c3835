"""Words become the text that they came from, in many scripts and as writers space it."""

import gzip

import pytest

from seqarena.data.text.vocabulary import normalised, split_words
from seqarena.data.text.writing.joining import join_words
from seqarena.data.text.writing.signs import signs_apart

TEXTS = (
    "It's 10:30 (e.g. 3.14), \"yes\" - the dogs' well-known $5 item... @you #tag",
    "See ``code`` and 'x' [1]; 50% of it, and/or so: a, b.",
    "Er sagte: „Nein, ‚so‘ nicht“, und »ging«.",
    "Elle dit «oui».",
    "¿Qué? ¡No!",
    "«Да», — сказал он.",
    "हिन्दी की भाषा। क्या?",
    "我用Python写了3行代码。“好”（很好）！",
    "「そうですね」、と彼は言った。カタカナも。",
    "人口は1,000万人です。",
    "สวัสดีชาวโลก",
    "ພາສາລາວ",
    "មនុស្សទាំងអស់",
    "မြန်မာစာ",
    "བོད་སྐད་ཡིག",
    "안녕하세요, 세계!",
    "مرحبا، بالعالم؟",
    "שלום, עולם! בן־אדם",
    "ሰላም",
    "👩‍👩‍👧 🇩🇪 👍🏽",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back(text: str) -> None:
    assert join_words(split_words(text, lowercase=False)) == text


def test_signs_that_lack_a_partner() -> None:
    assert join_words(["the", "dogs", "'", "bone"]) == "the dogs' bone"
    assert join_words(["„", "so"]) == "„so"
    assert join_words(["-", "5", "-"]) == "- 5 -"
    assert join_words(["a", "--", "b"]) == "a -- b"
    assert join_words(["<unknown>", ",", "<unknown>"]) == "<unknown>, <unknown>"


def test_words_of_joined_words_are_the_same() -> None:
    """What is scored by words does not depend on the blanks."""
    words = ["(", "a", '"', "b", '"', ")", "好", "x", "-", "ก", "า", "3", "%"]
    assert split_words(join_words(words)) == words


@pytest.mark.parametrize(("language", "share"), [("en", 0.998), ("de", 0.995)])
def test_real_sentences_come_back(real_data, language: str, share: float) -> None:
    with gzip.open(real_data / f"multi30k-en-de/train.{language}.gz", "rt", encoding="utf-8") as f:
        lines = [" ".join(normalised(line).split()) for line in f]
    same = [join_words(split_words(line, lowercase=False)) == line for line in lines]
    assert sum(same) / len(same) > share


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('He said "wait ..." (twice).', 'He said " wait ... " ( twice ) .'),
        ("«U.S.-made», don't!", "« U.S.-made » , don't !"),
        ("¿Qué? „Nein“,", "¿ Qué ? „ Nein “ ,"),
        ("राम घर गया।", "राम घर गया ।"),
        ("مرحبا، كيف؟", "مرحبا ، كيف ؟"),
        ("「東京」、北京。", "「 東 京 」 、 北 京 。"),  # the second has signs within
        ("ภาษา", "ภ า ษ า"),
        ("@user #tag 50%", "@user #tag 50%"),
    ],
)
def test_signs_at_the_ends_of_words_are_words(text: str, words: str) -> None:
    assert [word for piece in text.split() for word in signs_apart(piece)] == words.split()
