"""Passages: the forms of SQuAD, places of words, spans and windows, generated passages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.streams import Stream, philox
from seqarena.data.text.passages.spans import best_span, placed_words, window_starts, words_at
from seqarena.data.text.passages.squad import SpanAnswer, is_squad, read_squad
from seqarena.data.text.passages.stories import generate_passages

CONTEXT = "Anna is at home. Boris is at home, too."
ASKED = {"context": CONTEXT, "question": "Where?"}


def read(file: Path, row: dict[str, Any], reading: Reading | None = None) -> Any:
    """The question of a file of one JSON line."""
    file.write_text(json.dumps(row) + "\n")
    (found,) = read_squad(file, reading=reading)
    return found


def test_every_form_of_a_row_gives_the_same_question(tmp_path: Path) -> None:
    lists = {"text": ["home"], "answer_start": [11]}
    numpy = "{'text': array(['home'], dtype=object), 'answer_start': array([11], dtype=int32)}"
    rows = [
        {**ASKED, "answers": lists},
        {**ASKED, "answers": [{"text": "home", "answer_start": 11}]},
        {**ASKED, "answers": {"text": "home", "answer_start": 11}},
        {**ASKED, "answers": json.dumps(lists)},
        {**ASKED, "answers": str(lists)},
        {**ASKED, "answers": numpy},
        {**ASKED, "answer": "home", "answer_start": 11},
        {**ASKED, "answer": "home", "answer_start": "11"},
        {"passage": CONTEXT, "query": "Where?", "answers": lists},
    ]
    found = [read(tmp_path / "a.jsonl", row) for row in rows]
    assert {question[:3] for question in found} == {(CONTEXT, "Where?", (SpanAnswer("home", 11),))}
    for name in ("a.csv", "a.parquet"):
        frame = pd.DataFrame([rows[0]])
        frame.to_csv(tmp_path / name) if name == "a.csv" else frame.to_parquet(tmp_path / name)
        (question,) = read_squad(tmp_path / name)
        assert question[:3] == found[0][:3]


def test_answers_without_a_place_are_looked_for_and_that_is_said(tmp_path: Path) -> None:
    reading = Reading()
    found = read(tmp_path / "a.jsonl", {**ASKED, "answers": ["home", "Boris"]}, reading)
    assert found.answers == (SpanAnswer("home", 11), SpanAnswer("Boris", 17))
    assert "2 answers without a place: where each stands first" in reading.notes


@pytest.mark.parametrize(
    "row", [{"answers": []}, {"answers": None}, {"answers": {"text": [], "answer_start": []}},
            {"answers": "home", "is_impossible": True}]
)  # fmt: skip
def test_questions_without_an_answer(row: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", {**ASKED, **row}).answers == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"id": "q7", "answers": {"text": ["home"], "answer_start": [12]}},
            "a.jsonl, line 1, id q7: the answer 'home' is not at character 12 of its context, "
            "where 'ome.' stands: 'answer_start' 11 is needed, where it stands first",
        ),
        (
            {"answers": {"text": ["garden"], "answer_start": [11]}},
            "line 1: the answer 'garden' is not in its context: give a part of it",
        ),
        ({"answers": ["garden"]}, "the answer 'garden' is not in its context"),
        ({"answers": {"text": [" "], "answer_start": [4]}}, "line 1: an answer is empty"),
        ({"answers": [7]}, "the answer 7 is neither a text nor an object"),
        ({"answers": {"text": ["home"], "answer_start": ["x"]}}, "'answer_start' is 'x'"),
        ({"question": " ", "answers": []}, "line 1: the question is empty"),
        ({"context": 3, "answers": []}, "line 1: the context is empty"),
    ],
)
def test_a_mistake_names_file_and_line(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        read(tmp_path / "a.jsonl", {**ASKED, **row})
    assert message in str(raised.value)


def test_an_answer_that_is_not_in_its_paragraph_names_the_question(tmp_path: Path) -> None:
    asked = {"id": "56be", "question": "Who?", "answers": [{"text": "Anna", "answer_start": 1}]}
    file = tmp_path / "train.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": [asked]}]}]}))
    with pytest.raises(UserError, match=r"train.json, entry 1, id 56be: the answer 'Anna' is not"):
        list(read_squad(file))


def test_what_is_squad() -> None:
    assert is_squad({"paragraphs": []})
    assert is_squad({"answers": {"answer_start": [], "text": []}})
    assert is_squad({"answers": "{'answer_start': [0], 'text': ['a']}"})
    assert not is_squad({"context": "a", "question": "b", "answer": "c"})
    assert not is_squad({"answers": "[1]", "question": "b"})


TEXTS = (
    CONTEXT,
    "Don't panic: it's 42.5 % of “ß” (naïve) e\u0301!",
    "東京は日本の首都です。 👩‍👩‍👧 ok",
    "  a  a a  ",
    "İstanbul'da",
)


@pytest.mark.parametrize("text", TEXTS)
def test_words_stand_where_they_are_said_to(text: str) -> None:
    words, starts_T, ends_T = placed_words(text)
    assert [text[a:b] for a, b in zip(starts_T, ends_T)] == list(words)
    assert (starts_T[1:] >= ends_T[:-1]).all()


@pytest.mark.parametrize("text", TEXTS)
def test_the_words_of_an_answer_are_those_that_share_a_character_with_it(text: str) -> None:
    placed = placed_words(text)
    owner = {
        k: n for n, (a, b) in enumerate(zip(placed.starts_T, placed.ends_T)) for k in range(a, b)
    }
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            touched = [owner[k] for k in range(start, end) if k in owner]
            expected = (touched[0], touched[-1]) if touched else None
            assert words_at(placed, start, end) == expected


def spans(length: int, most: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(length) for b in range(a, min(length, a + most)))


@pytest.mark.parametrize("most", [1, 3, 30])
def test_the_best_span_of_all_spans(most: int) -> None:
    draw = np.random.default_rng(0)
    for length in (1, 2, 7, 12):
        for _ in range(20):
            first_T, last_T = draw.standard_normal((2, length))
            every = {(a, b): first_T[a] + last_T[b] for a, b in spans(length, most)}
            found = best_span(first_T, last_T, most)
            assert (found.first, found.last) == max(every, key=lambda span: every[span])
            assert found.score == max(every.values())


def test_of_equal_spans_the_shortest_then_the_first() -> None:
    assert best_span(np.zeros(4), np.zeros(4), 4)[:2] == (0, 0)
    assert best_span(np.array([0.0, 1, 0]), np.array([0.0, 1, 1]), 4)[:2] == (1, 1)


@pytest.mark.parametrize("step", [1, 3, 5])
def test_windows_cover_a_text_and_every_short_answer(step: int) -> None:
    room = 6
    for length in range(1, 30):
        starts = window_starts(length, room, step)
        windows = [range(start, min(length, start + room)) for start in starts]
        assert {word for window in windows for word in window} == set(range(length))
        assert windows[-1].stop == length
        for first, last in spans(length, room - step + 1):
            assert any(first in window and last in window for window in windows)


def test_generated_questions_have_one_answer_each() -> None:
    passages = generate_passages(philox(0, Stream.TRAIN, 0), 200)
    assert passages == generate_passages(philox(0, Stream.TRAIN, 0), 200)
    other = generate_passages(philox(0, Stream.TEST, 0), 200)
    assert not {p[0].context for p in passages} & {p[0].context for p in other}
    for questions in passages:
        assert len({question.question for question in questions}) == len(questions)
        for context, question, ((text, start),), _, _ in questions:
            assert context.startswith(text, start)
            if text.startswith("the") or " " in text:  # things, places and days stand there once
                assert context.count(text) == 1
                assert text not in question


def test_a_generated_answer_follows_from_its_sentence() -> None:
    """By rules of another kind than those that made it: a sentence with the verb and the names."""
    verbs = {
        "buy": ("bought", "sold"), "sell": ("bought", "sold"), "lose": ("lost",),
        "find": ("found",), "walk": ("walked",), "stay": ("stayed",), "meet": ("met",),
    }  # fmt: skip
    for questions in generate_passages(philox(0, Stream.TEST, 0), 100):
        for context, question, ((_, start),), _, _ in questions:
            words = question.rstrip("?").split()
            verb = next((verb for verb in verbs if verb in words), "")
            names = [w for w in words[1:] if w[0].isupper()]
            fitting = [
                sentence
                for sentence in context.split(". ")
                if all(name in sentence for name in names)
                and (not verb or any(told in sentence for told in verbs[verb]))
            ]
            assert any(
                context.index(sentence) <= start < context.index(sentence) + len(sentence)
                for sentence in fitting
            )
