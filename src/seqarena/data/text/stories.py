"""Stories with questions: reading files in the form of bAbI, and stories of our own.

A line is `ID text`, or `ID question<TAB>answer<TAB>supporting IDs`. IDs count up; ID 1 begins a new
story. A question is asked of the statements before it in its story; earlier questions are none of
them. All is lower case, and words are without punctuation; an answer stays as it is written
otherwise, so that a list ("apple,milk") is one answer.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import regex

from seqarena.core.errors import UserError
from seqarena.data.files.opening import plain_name, read_lines
from seqarena.data.files.reading import Reading
from seqarena.data.text.vocabulary import normalised, split_words

Words = tuple[str, ...]
_PART = regex.compile(r"-\d+-of-\d+$")  # of a set in several files
_LETTER = regex.compile(r"[\p{L}\p{N}_]")
# Scripts without blanks have none between sentences either: their stops have no other use.
_BETWEEN_SENTENCES = regex.compile(
    r"[|\n]|(?<=\p{Sentence_Terminal})\s|(?<=[\p{Sentence_Terminal}--[.!?]])", regex.VERSION1
)


class Question(NamedTuple):
    """One question and what it is asked of."""

    statements: tuple[Words, ...]  # the story so far, oldest first, at least one
    words: Words
    answer: str
    task: str  # the file or the kind of question
    place: str = ""  # file and line, for errors


Story = list[Question]


def words_of(sentence: str) -> Words:
    """Lower case, without punctuation.

    >>> words_of("Where is Mary?")
    ('where', 'is', 'mary')
    """
    return tuple(word for word in split_words(normalised(sentence)) if _LETTER.match(word))


def split_sentences(text: str) -> list[Words]:
    """The sentences of a text as people type it: each ends with . ! ? or the like in its script, or
    with | or its line.

    >>> split_sentences("Anna ran home. Where is Anna?")
    [('anna', 'ran', 'home'), ('where', 'is', 'anna')]
    """
    found = (words_of(sentence) for sentence in _BETWEEN_SENTENCES.split(text))
    return [words for words in found if words]


def read_stories(
    files: Iterable[Path], encoding: str = "utf-8", reading: Reading | None = None
) -> list[Story]:
    """The stories of the files, each as its questions; stories without a question are left out.

    Raises UserError with file and line for what is not in the form.
    """
    return [story for file in files for story in _read(file, encoding, reading) if story]


def task_name(file: Path) -> str:
    """What the file asks, by its name without the split.

    >>> task_name(Path("qa1_single-supporting-fact_train.txt"))
    'qa1_single-supporting-fact'
    """
    stem = _PART.sub("", plain_name(file).rsplit(".", 1)[0])
    for word in ("train", "validation", "valid", "test", "dev", "val"):
        for mark in "_-.":
            stem = stem.removesuffix(mark + word)
    return stem


def _read(file: Path, encoding: str, reading: Reading | None) -> list[Story]:
    name = task_name(file)
    stories: list[Story] = []
    statements: list[Words] = []
    expected = 1
    for number, line in read_lines(file, encoding, reading):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        count, text = _numbered(line, expected, place)
        if count == 1:
            stories.append([])
            statements = []
        expected = count + 1
        fields = text.split("\t")
        words = words_of(fields[0])
        if not words:
            raise UserError(f"{place}: no words: expected ID text")
        if len(fields) > 1:
            stories[-1].append(_question(fields, tuple(statements), words, name, place))
        elif "?" in text:
            raise UserError(
                f"{place}: a question without an answer: expected ID question<TAB>answer"
            )
        else:
            statements.append(words)
    return stories


def _numbered(line: str, expected: int, place: str) -> tuple[int, str]:
    start, _, text = line.strip(" ").partition(" ")
    if not start.isdecimal():
        raise UserError(
            f"{place}: expected a number and a space, then text; found {line[:40]!r} (give lines "
            "as bAbI has them, or a table of story, question and answer)"
        )
    count = int(start)
    if count not in (1, expected):
        wanted = "1" if expected == 1 else f"{expected}, or 1 for a new story"
        raise UserError(f"{place}: the number is {count}: expected {wanted}")
    return count, text


def _question(
    fields: Sequence[str], statements: tuple[Words, ...], words: Words, name: str, place: str
) -> Question:
    answer = fields[1].strip().lower()
    if not answer:
        raise UserError(f"{place}: the answer is empty: expected ID question<TAB>answer")
    if not statements:
        raise UserError(f"{place}: a question before any statement of its story")
    return Question(statements, words, answer, name, place)


PEOPLE = ("anna", "boris", "carla", "diego")
PLACES = ("attic", "cellar", "garage", "harbour", "library", "market")
THINGS = ("lamp", "map", "violin")
_GOES = ("walked to", "ran to", "drove to", "returned to")
_TAKES = ("found the {} there", "lifted the {}", "packed the {}")
_LEAVES = ("left the {} behind", "put down the {}")
STATEMENTS_PER_STORY = 12
_ASK_EVERY = 3


def generate_stories(draw: np.random.Generator, num_stories: int) -> list[Story]:
    """Stories in which people go to places, and take things along and leave them; now and then it
    is asked where a person is ("who": one sentence tells), or a thing ("what": two together)."""
    return [_generate(draw) for _ in range(num_stories)]


def _generate(draw: np.random.Generator) -> Story:
    place_of: dict[str, str] = {}  # of people and of things that lie somewhere
    holder_of: dict[str, str] = {}
    statements: list[Words] = []
    story: Story = []
    while len(statements) < STATEMENTS_PER_STORY:
        statements.append(words_of(_event(draw, place_of, holder_of)))
        if len(statements) % _ASK_EVERY == 0:
            story.append(_ask(draw, place_of, holder_of, tuple(statements)))
    return story


def _event(draw: np.random.Generator, place_of: dict[str, str], holder_of: dict[str, str]) -> str:
    """Something happens: changes the world and says what."""
    person = _pick(draw, PEOPLE)
    held = [thing for thing in THINGS if holder_of.get(thing) == person]
    free = [
        thing
        for thing in THINGS
        if thing not in holder_of and place_of.get(thing) in (None, place_of.get(person))
    ]
    chance = draw.random()
    if person in place_of and free and chance < 0.3:
        thing = _pick(draw, free)
        holder_of[thing] = person
        place_of.pop(thing, None)
        return f"{person} {_pick(draw, _TAKES).format(thing)}"
    if held and chance < 0.45:
        thing = _pick(draw, held)
        del holder_of[thing]
        place_of[thing] = place_of[person]
        return f"{person} {_pick(draw, _LEAVES).format(thing)}"
    elsewhere = [place for place in PLACES if place != place_of.get(person)]
    place_of[person] = _pick(draw, elsewhere)
    return f"{person} {_pick(draw, _GOES)} the {place_of[person]}"


def _ask(
    draw: np.random.Generator,
    place_of: dict[str, str],
    holder_of: dict[str, str],
    statements: tuple[Words, ...],
) -> Question:
    people = [person for person in PEOPLE if person in place_of]
    things = [thing for thing in THINGS if thing in place_of or thing in holder_of]
    if things and draw.random() < 0.5:
        thing = _pick(draw, things)
        answer = place_of[holder_of.get(thing, thing)]
        return Question(statements, ("where", "is", "the", thing), answer, "what")
    person = _pick(draw, people)
    return Question(statements, ("where", "is", person), place_of[person], "who")


def _pick(draw: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(draw.integers(len(choices)))]
