"""Question answering over a story: one answer, out of the answers of the training data.

An example is the story's most recent `memory_size` statements and then the question, word by word;
`segments_BT` numbers the sentences so that the question is number `memory_size` and the newest
statement `memory_size - 1`, whatever the story's length. Answers are entries of the vocabulary, as
in Sukhbaatar et al. 2015 (a list, "apple,milk", is one entry). Validation and test are the data's
own, or a tenth of the training stories (whole stories: two questions of one share their facts).

The metric is accuracy; the slices give it by task, where the data have several (files qa1 .. qa20
in one pattern are trained jointly). An answer that training never had cannot be right: it counts
as wrong, and `describe()` says how many there are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, UNKNOWN, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.core.words import listed, plural
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.columns import Wanted, rows_with_columns
from seqarena.data.files.examples import (
    Splits,
    complete,
    count_overlap,
    part_to_score,
    read_splits,
    without_overlap,
)
from seqarena.data.files.find import find_files
from seqarena.data.files.opening import read_lines
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format, text_of
from seqarena.data.streams import Stream, philox
from seqarena.data.text.stories import (
    Question,
    Story,
    Words,
    generate_stories,
    read_stories,
    split_sentences,
)
from seqarena.data.text.story_tables import StoryFields, read_story_rows
from seqarena.data.text.vocabulary import Vocabulary
from seqarena.tasks.base import Answer, Batch, Codec, Ratios
from seqarena.tasks.configs import QuestionAnsweringConfig
from seqarena.tasks.examples import ExampleTask, longest_read
from seqarena.tasks.survey import SplitSurvey, Survey, count_tokens

_EMBEDDED = {"train": 500, "validation": 100, "test": 250}  # stories of four questions each


class QuestionAnsweringTask(ExampleTask):
    """Stories and questions of files, or generated ones."""

    name = "question_answering"
    metric = "accuracy"
    lower_is_better = False
    reading_settings = ("story", "question", "answer", "encoding")
    causal = False

    def __init__(self, config: QuestionAnsweringConfig) -> None:
        """Raises UserError for data that cannot be read (file and line) or too few of them."""
        self.config = config
        splits, self.reading = load_stories(config)
        self._questions: dict[str, list[Question]] = {
            name: [question for story in part for question in story]
            for name, part in splits._asdict().items()
        }
        if config.drop_overlap:
            parts = list(self._questions.values())
            kept = without_overlap(parts, _asked_words, self.reading, "question")
            self._questions = kept._asdict()
        train = self._questions["train"]
        self.vocabulary = Vocabulary.build(_token_lists(train))
        self.answers = sorted({question.answer for question in train})
        self._check_answers()
        self.vocab_size = len(self.vocabulary)
        self._examples = {
            name: [encode_question(q, self.vocabulary, config.memory_size) for q in part]
            for name, part in self._questions.items()
        }
        lengths_N = np.array([len(example.tokens_T) for example in self._examples["train"]])
        self.sampler = BucketSampler(lengths_N)
        self.sizes = {name: len(part) for name, part in self._questions.items()}
        self.sequence_length = max(
            len(example.tokens_T) for part in self._examples.values() for example in part
        )
        self._tasks_of = _tasks_by_content(self._questions, self._examples)

    @classmethod
    def evaluation_of(
        cls, config: QuestionAnsweringConfig, artifacts: Mapping[str, str], data: str
    ) -> "QuestionAnsweringTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        stories = part_to_score(data, story_parts(data, config, task.reading), task.reading)
        questions = [question for story in stories for question in story]
        task.vocabulary = Vocabulary.from_json(artifacts["vocabulary"])
        new = {question.answer for question in questions} - set(task.vocabulary.words)
        if new:
            task.reading.note(
                f"{plural(len(new), 'answer')} that training never had count as wrong: "
                f"{listed(sorted(new), most=3)}"
            )
        task._questions = {"test": questions}
        memory = config.memory_size
        task._examples = {"test": [encode_question(q, task.vocabulary, memory) for q in questions]}
        task.vocab_size = len(task.vocabulary)
        task.sizes = {"test": len(questions)}
        lengths = [len(example.tokens_T) for example in task._examples["test"]]
        task.sequence_length = longest_read(lengths, artifacts)
        task._tasks_of = _tasks_by_content(task._questions, task._examples)
        return task

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label",
            num_outputs=self.vocab_size,
            vocab_size=self.vocab_size,
            num_segments=self.config.memory_size + 1,
            max_length=self.sequence_length,
        )

    def questions(self, split: str) -> list[Question]:
        """Those of `train`, `validation` or `test`, in their order."""
        return self._questions[split]

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        return as_batch([self._examples[split][k] for k in chosen_B])

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        logits_BV, target_B = logits_BTV[:, 0].cpu(), batch.targets_BT[:, 0].cpu()
        right_B = (logits_BV.argmax(-1) == target_B) & (target_B != UNKNOWN)
        right_B &= ~logits_BV.isnan().any(-1)
        sums: dict[str, np.ndarray] = {}
        if self._tasks_of:
            for content, right in zip(_contents(batch), right_B.tolist()):
                for name in self._tasks_of[content]:
                    sums[name] = sums.get(name, np.zeros(2)) + np.array([right, 1])
        slices = {name: (float(right), float(asked)) for name, (right, asked) in sums.items()}
        return Ratios(right_B.double().numpy(), np.ones(len(right_B)), slices)

    def describe(self) -> dict[str, Any]:
        train = Counter(question.answer for question in self._questions["train"])
        usual = train.most_common(1)[0][0]
        test = self._questions["test"]
        memory = self.config.memory_size
        return {
            "name": self.name,
            "origin": self.config.data or "generated",
            "questions": {name: len(part) for name, part in self._questions.items()},
            "tasks": sorted({question.task for question in self._questions["train"]}),
            "answers": len(self.answers),
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
            "memory_size": memory,
            "baseline": {
                "always": usual,
                "accuracy": sum(question.answer == usual for question in test) / len(test),
            },
            "stories_cut": sum(
                len(question.statements) > memory
                for part in self._questions.values()
                for question in part
            ),
            "answers_not_in_training": {
                name: sum(question.answer not in train for question in self._questions[name])
                for name in ("validation", "test")
            },
        }

    def survey(self) -> Survey:
        overlap = count_overlap(list(self._questions.values()), _asked_words)
        parts: dict[str, SplitSurvey] = {}
        for split, questions in self._questions.items():
            tokens, unknown = count_tokens([example.tokens_T for example in self._examples[split]])
            parts[split] = SplitSurvey(
                examples=len(questions),
                lengths_N={
                    "statements": np.array([len(q.statements) for q in questions]),
                    "words": np.array([sum(map(len, (*q.statements, q.words))) for q in questions]),
                },
                cut=sum(len(q.statements) > self.config.memory_size for q in questions),
                tokens=tokens,
                unknown=unknown,
                in_training=overlap.get(split),
            )
        counts = Counter(question.answer for question in self._questions["train"])
        return Survey(parts, noun="question", in_files="story", classes=counts)

    def digest(self) -> str:
        # how the files are read shows in the questions
        settings = self.config.model_dump(mode="json", include={"kind", "memory_size"})
        content = {
            name: [question._replace(place="") for question in part]
            for name, part in self._questions.items()
        }
        return digest({**settings, "questions": digest(content)})

    def artifacts(self) -> dict[str, str]:
        return {
            "vocabulary": self.vocabulary.to_json(),
            "sequence_length": str(self.sequence_length),
        }

    def _check_answers(self) -> None:
        """Data whose every answer is new are a mistake, not a hard test."""
        for name in ("validation", "test"):
            part = self._questions[name]
            if not any(question.answer in self.vocabulary for question in part):
                raise UserError(
                    f"{part[0].place or name}: no answer of the {name} questions occurs in "
                    f"training (the first is {part[0].answer!r}; training has "
                    f"{', '.join(self.answers[:5])})"
                )


class QuestionAnsweringCodec(Codec):
    """A story as people type it -> an answer with its probability."""

    prompt = (
        "a story and a question, each sentence ended by . or | or a new line, the question last: "
        "'Mary went to the garden. John went to the hall. Where is Mary?'"
    )

    def __init__(self, config: QuestionAnsweringConfig, vocabulary: Vocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary

    @classmethod
    def from_artifacts(
        cls, config: QuestionAnsweringConfig, artifacts: Mapping[str, str]
    ) -> "QuestionAnsweringCodec":
        return cls(config, Vocabulary.from_json(artifacts["vocabulary"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for a question without a story, and for a word that training never had:
        nothing is known of it, so that an answer would be a guess."""
        batch = as_batch([self._example(item) for item in items])
        return batch._replace(targets_BT=torch.full_like(batch.targets_BT, IGNORE))

    def inputs(self, config: QuestionAnsweringConfig, file: Path) -> Iterator[str]:
        """Lines as people type stories, the questions of a file in the form of bAbI, or story and
        question of every row of a table."""
        if table_format(file):
            return _asked_in_rows(file, config)
        lines = [line for _, line in read_lines(file, config.encoding)]
        first = next((line for line in lines if line.strip()), "")
        return _asked(lines) if first.startswith("1 ") else iter(lines)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        probability_BV = outputs[:, 0].float().softmax(-1).cpu()
        confidence_B, answer_B = probability_BV.max(-1)
        return [
            Answer(self.vocabulary.words[answer], confidence)
            for answer, confidence in zip(answer_B.tolist(), confidence_B.tolist())
        ]

    def _example(self, item: str) -> "Example":
        *statements, question = split_sentences(item) or [()]
        if not statements:
            raise UserError(f"{item[:60]!r}: no story before the question: expected {self.prompt}")
        for word in (word for sentence in (*statements, question) for word in sentence):
            if word not in self.vocabulary:
                raise UserError(f"the word {word!r} did not occur in training: use others")
        asked = Question(tuple(statements), question, "", "")
        return encode_question(asked, self.vocabulary, self.config.memory_size)


def _asked_in_rows(file: Path, config: QuestionAnsweringConfig) -> Iterator[str]:
    wanted = [Wanted.of(config, "story"), Wanted.of(config, "question")]
    for _, (story, question) in rows_with_columns(file, wanted, encoding=config.encoding):
        parts = story if isinstance(story, list) else [story]
        yield " | ".join(text_of(part) or "" for part in (*parts, question))


def _asked(lines: Iterable[str]) -> Iterator[str]:
    """Each question behind the statements of its story so far; answers are left aside."""
    statements: list[str] = []
    for line in lines:
        count, _, text = line.strip().partition(" ")
        if count == "1":
            statements = []
        sentence = text.partition("\t")[0]
        if "\t" in text or "?" in text:
            yield " | ".join((*statements, sentence))
        elif sentence:
            statements.append(sentence)


class Example(NamedTuple):
    """A question in numbers."""

    tokens_T: np.ndarray
    segments_T: np.ndarray
    answer: int


def encode_question(question: Question, vocabulary: Vocabulary, memory_size: int) -> Example:
    """The newest `memory_size` statements and the question, flat; see the head of this file."""
    sentences = (*question.statements[-memory_size:], question.words)
    first = memory_size + 1 - len(sentences)
    return Example(
        vocabulary.encode([word for sentence in sentences for word in sentence]),
        np.repeat(np.arange(first, memory_size + 1), [len(sentence) for sentence in sentences]),
        int(vocabulary.encode([question.answer])[0]),
    )


def as_batch(examples: Sequence[Example]) -> Batch:
    """Padded on the right."""
    tokens_BT, mask_BT = pad([example.tokens_T for example in examples])
    segments_BT, _ = pad([example.segments_T for example in examples])
    return Batch(
        inputs_BT=torch.from_numpy(tokens_BT),
        targets_BT=torch.tensor([[example.answer] for example in examples]),
        mask_BT=torch.from_numpy(mask_BT),
        segments_BT=torch.from_numpy(segments_BT),
    )


def load_stories(config: QuestionAnsweringConfig) -> tuple[Splits, Reading | None]:
    """Stories by split and what was read, of files or generated; what files lack is cut off their
    training. Raises UserError, with file and line, for what is in no form that is read."""
    if config.data is None:
        streams = {"train": Stream.TRAIN, "validation": Stream.VALIDATION, "test": Stream.TEST}
        generated = (generate_stories(philox(0, streams[k], 0), n) for k, n in _EMBEDDED.items())
        return Splits(*generated), None
    reading = Reading()
    return complete(*story_parts(config.data, config, reading), reading=reading), reading


def story_parts(data: str, config: StoryFields, reading: Reading) -> list[list[Story]]:
    """The stories of each split that the data have; otherwise as `load_stories`."""
    files = find_files(data, reading=reading)

    def read(file: Path) -> list[Story]:
        if table_format(file):
            found = [story for story in read_story_rows(file, config, reading) if story]
        else:
            found = read_stories([file], config.encoding, reading)
        if not found:
            where = "the training data" if file in files.train else "it"
            raise UserError(f"{file}: no question in {where}: ID question<TAB>answer, or a table")
        return found

    return read_splits(
        files,
        read,
        reading,
        format_of=lambda file: table_format(file) or "bAbI",
        key=lambda story: (
            story[-1].statements,
            *((q.words, q.answer, len(q.statements)) for q in story),
        ),
    )


def _asked_words(question: Question) -> tuple[object, ...]:
    return question.statements, question.words


def _token_lists(questions: Sequence[Question]) -> Iterator[Words]:
    for question in questions:
        yield from (*question.statements, question.words, (question.answer,))


def _tasks_by_content(
    questions: Mapping[str, Sequence[Question]], examples: Mapping[str, Sequence[Example]]
) -> dict[bytes, tuple[str, ...]]:
    """The tasks that an example belongs to, found by the example itself (word for word the same
    question can stand in two); empty where training has one task, or what is scored without it."""
    named = questions.get("train", questions["test"])
    if len({question.task for question in named}) == 1:
        return {}
    found: dict[bytes, tuple[str, ...]] = {}
    for name in ("validation", "test"):
        for question, example in zip(questions.get(name, ()), examples.get(name, ())):
            key = _content(example.tokens_T, example.segments_T, example.answer)
            found[key] = tuple(sorted({*found.get(key, ()), question.task}))
    return found


def _contents(batch: Batch) -> Iterator[bytes]:
    assert batch.mask_BT is not None
    assert batch.segments_BT is not None
    rows = zip(batch.inputs_BT, batch.segments_BT, batch.mask_BT, batch.targets_BT)
    for tokens_T, segments_T, mask_T, target in rows:
        yield _content(tokens_T[mask_T].numpy(), segments_T[mask_T].numpy(), int(target))


def _content(tokens_T: np.ndarray, segments_T: np.ndarray, answer: int) -> bytes:
    return tokens_T.tobytes() + segments_T.tobytes() + answer.to_bytes(8, "little")
