"""Stories: the bAbI form, its mistakes by file and line, sentences as typed, our own generator."""

from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.streams import Stream, philox
from seqarena.data.text.stories import (
    PLACES,
    STATEMENTS_PER_STORY,
    Question,
    generate_stories,
    read_stories,
    split_sentences,
    task_name,
)

TWO_STORIES = """\
1 Mary moved to the bathroom.
2 Where is Mary? \tbathroom\t1
3 John took the apple.
4 What is John carrying?\tApple,Milk\t3
1 Sandra is here.
2 Where is Sandra?\there\t1
"""


def read(folder: Path, text: str) -> list[list[Question]]:
    file = folder / "qa0_toy_train.txt"
    file.write_text(text, encoding="utf-8")
    return read_stories([file])


def test_questions_are_asked_of_the_statements_before_them(tmp_path: Path) -> None:
    first, second = read(tmp_path, TWO_STORIES)
    mary, john = ("mary", "moved", "to", "the", "bathroom"), ("john", "took", "the", "apple")
    assert [question.statements for question in first] == [(mary,), (mary, john)]
    assert [question.answer for question in first] == ["bathroom", "apple,milk"]
    assert first[1].words == ("what", "is", "john", "carrying")
    assert [question.statements for question in second] == [(("sandra", "is", "here"),)]
    assert first[0].task == "qa0_toy"
    assert first[1].place.endswith("qa0_toy_train.txt, line 4")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("Mary went home.\n", 1, "expected a number and a space"),
        ("2 Mary went home.\n", 1, "the number is 2: expected 1"),
        ("1 Mary went home.\n3 John too.\n", 2, "the number is 3: expected 2, or 1"),
        ("1 Mary went home.\n\n2 Where is Mary? home 1\n", 3, "a question without an answer"),
        ("1 Where is Mary?\thome\t1\n", 1, "before any statement"),
        ("1 Mary went home.\n2 Where is Mary?\t\t1\n", 2, "the answer is empty"),
        ("1 Mary went home.\n2 ...\n", 2, "no words"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(UserError, match=f"qa0_toy_train.txt, line {line}: .*{message}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("qa1_single-supporting-fact_train.txt", "qa1_single-supporting-fact"),
        ("qa1_single-supporting-fact_test.txt.gz", "qa1_single-supporting-fact"),
        ("train.txt", "train"),
        ("my.dev.txt", "my"),
    ],
)
def test_the_task_of_a_file(name: str, task: str) -> None:
    assert task_name(Path(name)) == task


def test_sentences_as_people_type_them() -> None:
    expected = [("anna", "ran", "home"), ("boris", "left"), ("where", "is", "anna")]
    for text in (
        "Anna ran home. Boris left! Where is Anna?",
        "anna ran home|boris left|where is anna",
        "Anna ran home.\nBoris left.\n\nWhere is Anna?\n",
    ):
        assert split_sentences(text) == expected


def simulate(question: Question) -> str:
    """The answer, by reading the story again: an independent account of the same small world."""
    place: dict[str, str] = {}
    carried: dict[str, str] = {}
    for words in question.statements:
        person, *rest = words
        thing = next((word for word in rest if word in ("lamp", "map", "violin")), None)
        if rest[-1] in PLACES:
            place[person] = rest[-1]
        elif rest[0] in ("found", "lifted", "packed"):
            assert thing not in carried.values(), "it was in somebody's hands"
            assert place.get(str(thing), place[person]) == place[person], "it was elsewhere"
            carried[str(thing)] = person
        else:
            assert carried.pop(str(thing)) == person, "nobody leaves what he does not have"
            place[str(thing)] = place[person]
    asked = question.words[-1]
    return place[carried.get(asked, asked)]


def test_generated_stories_are_true() -> None:
    stories = generate_stories(philox(0, Stream.TRAIN, 0), 200)
    questions = [question for story in stories for question in story]
    assert [question.answer for question in questions] == [simulate(q) for q in questions]
    assert {question.task for question in questions} == {"who", "what"}
    assert max(len(question.statements) for question in questions) == STATEMENTS_PER_STORY
    assert stories == generate_stories(philox(0, Stream.TRAIN, 0), 200)
    answers = [question.answer for question in questions]
    assert max(answers.count(place) for place in PLACES) < 0.25 * len(answers)


def test_generated_stories_need_more_than_the_last_place_named() -> None:
    stories = generate_stories(philox(0, Stream.TEST, 0), 200)
    questions = [question for story in stories for question in story]
    last = [next(s[-1] for s in q.statements[::-1] if s[-1] in PLACES) for q in questions]
    guessed = sum(place == q.answer for place, q in zip(last, questions))
    assert guessed < 0.5 * len(questions)


def test_sentences_of_other_scripts() -> None:
    assert split_sentences("राम घर गया। राम कहाँ है?") == [
        ("राम", "घर", "गया"),
        ("राम", "कहाँ", "है"),
    ]
    assert split_sentences("小明去学校。小明在哪？") == [tuple("小明去学校"), tuple("小明在哪")]
    assert split_sentences("Ali eve gitti. Ali nerede؟") == [
        ("ali", "eve", "gitti"),
        ("ali", "nerede"),
    ]
    assert split_sentences("It has 3.5 m.") == [("it", "has", "3.5", "m")]
