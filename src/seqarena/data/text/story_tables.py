"""Stories with questions in tables: a row is a story, a question about it, and its answer.

The story is a text of sentences or a list of them. Rows of one story that follow each other belong
together, so that no split parts them. An answer that is a list is one answer, "apple,milk". A row
may also hold the lists of `babi_qa`: the lines of a story, which of them are questions, and their
answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, rows_with_columns
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import read_rows, text_of
from seqarena.data.text.passages.squad import is_squad
from seqarena.data.text.stories import Question, Story, Words, split_sentences, task_name, words_of


class StoryFields(Protocol):
    """What of a configuration says how tables are read (tasks/configs.py)."""

    @property
    def story(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def encoding(self) -> str: ...


def read_story_rows(file: Path, fields: StoryFields, reading: Reading) -> list[Story]:
    """The stories of a table, each as its questions. Raises UserError, with file and row, for a
    column that is missing, a value that is empty, and answers that are places in the story."""
    first = next(read_rows(file, encoding=fields.encoding), None)
    if first is None:
        return []
    if is_squad(first.fields):
        raise UserError(
            f"{first.place}: its answers are places in a text (SQuAD), and question_answering "
            "chooses one of the training data's answers: give a table of story, question and answer"
        )
    if isinstance(first.fields.get(fields.story), dict):
        rows = read_rows(file, encoding=fields.encoding, reading=reading)
        return [_of_lists(row.fields.get(fields.story), task_name(file), row.place) for row in rows]
    wanted = [Wanted.of(fields, setting) for setting in ("story", "question", "answer")]
    stories: list[Story] = []
    before: Any = None
    for place, (story, question, answer) in rows_with_columns(
        file, wanted, encoding=fields.encoding, reading=reading
    ):
        if not stories or story != before:
            stories.append([])
            statements = _statements(story, place)
        before = story
        stories[-1].append(
            Question(
                statements,
                _words(question, "question", place),
                _answer(answer, place),
                task_name(file),
                place,
            )
        )
    return stories


def _statements(story: Any, place: str) -> tuple[Words, ...]:
    if isinstance(story, list):
        return tuple(_words(each, "story", place) for each in story)
    found = split_sentences(text_of(story) or "")
    if not found:
        raise UserError(f"{place}: the story is empty: fill it in, or leave the question out")
    return tuple(found)


def _words(text: Any, what: str, place: str) -> Words:
    words = words_of(text_of(text) or "")
    if not words:
        raise UserError(f"{place}: no words in the {what}: fill it in, or leave the question out")
    return words


def _answer(value: Any, place: str) -> str:
    texts = [text_of(each) for each in (value if isinstance(value, list) else [value])]
    if not texts or not all(text and text.strip() for text in texts):
        raise UserError(f"{place}: the answer is empty: fill it in, or leave the question out")
    return ",".join(str(text).strip().lower() for text in texts)


def _of_lists(story: Any, task: str, place: str) -> Story:
    fields = story if isinstance(story, dict) else {}
    lists = [fields.get(name) for name in ("text", "type", "answer")]
    sizes = {len(each) if isinstance(each, list) else -1 for each in lists}
    if len(sizes) > 1 or -1 in sizes:
        raise UserError(
            f"{place}: a story that is an object needs the lists text, type (1: a question) and "
            "answer, all of one length"
        )
    questions: Story = []
    statements: Sequence[Words] = []
    for text, kind, answer in zip(*lists):
        if kind in (1, "question"):
            if not statements:
                raise UserError(f"{place}: a question before any statement of its story")
            asked, told = _words(text, "question", place), _answer(answer, place)
            questions.append(Question(tuple(statements), asked, told, task, place))
        else:
            statements = [*statements, _words(text, "story", place)]
    return questions
