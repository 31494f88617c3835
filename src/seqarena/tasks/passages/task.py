"""Reading: find the part of a passage that answers a question.

An example is a question and its passage, or a window of that (windows.py); the answer is the
position of its first and that of its last word. Questions of training have one answer, the first;
the others count where answers are scored. Passages without the answer to their question are learnt
and answered with the empty text where training has such. Splits that the data lack are cut off by
whole passages.

The metric is the share of exact matches or the mean F1 (scores.py), over questions, whatever the
number of their windows. Slices give the other one as well, and both by whether there is an answer
and by the length of the answer.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from seqarena.core.batch import Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.buckets import BucketSampler
from seqarena.data.files.examples import (
    Splits,
    count_overlap,
    part_to_score,
    without_overlap,
)
from seqarena.data.files.reading import Reading
from seqarena.data.text.passages.squad import SpanQuestion
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.examples import ExampleTask
from seqarena.tasks.passages.configs import ReadingConfig
from seqarena.tasks.passages.loading import COLUMNS, load_passages, passage_parts
from seqarena.tasks.passages.scores import exact, f1, plain_answer
from seqarena.tasks.passages.windows import (
    EncodedQuestion,
    PassageEncoder,
    PassageWindow,
    as_batch,
    best_answers,
)
from seqarena.tasks.survey import SplitSurvey, Survey, count_tokens, lengths_of


class ReadingBatch(Batch):
    """Windows, and the questions that they belong to: for scoring, not for models."""

    questions: Sequence[tuple[SpanQuestion, EncodedQuestion]] = ()


class ReadingTask(ExampleTask):
    """Questions about passages of files, or generated ones."""

    name = "reading"
    lower_is_better = False
    causal = False
    reading_settings = (*COLUMNS, "encoding")

    def __init__(self, config: ReadingConfig) -> None:
        """Raises UserError for data that cannot be read (file and line or id), or too few."""
        self.config, self.metric = config, config.metric
        splits, self.reading = load_passages(config)
        parts = [[question for passage in part for question in passage] for part in splits]
        if config.drop_overlap:
            parts = list(without_overlap(parts, _asked, self.reading, "question"))
        self._questions: dict[str, list[SpanQuestion]] = dict(zip(Splits._fields, parts))
        train = self._questions["train"]
        self.encoder = PassageEncoder.build(train, config)
        self.may_be_none = any(not question.answers for question in train)
        self._encode()
        self.sequence_length = max(len(w.tokens_T) for w in self._windows())
        self._train = [w for question in self._encoded["train"] for w in question.windows]
        self.sampler = BucketSampler(np.array([len(window.tokens_T) for window in self._train]))
        self._note_answers()

    @classmethod
    def evaluation_of(
        cls, config: ReadingConfig, artifacts: Mapping[str, str], data: str
    ) -> "ReadingTask":
        task = cls.__new__(cls)
        task.config, task.metric = config, config.metric
        task.reading = Reading(to_score=True)
        passages = part_to_score(data, passage_parts(data, config, task.reading), task.reading)
        task._questions = {"test": [question for passage in passages for question in passage]}
        task.encoder = PassageEncoder.from_artifacts(config, artifacts)
        task.may_be_none = artifacts["may_be_none"] == "yes"
        task._encode()
        longest = max(len(window.tokens_T) for window in task._windows())
        task.sequence_length = max(longest, int(artifacts["sequence_length"]))
        return task

    def _encode(self) -> None:
        self._encoded = {
            split: [self.encoder.encode(question) for question in questions]
            for split, questions in self._questions.items()
        }
        self.vocab_size = len(self.encoder.vocabulary)
        self.sizes = {split: len(found) for split, found in self._questions.items()}

    def _windows(self) -> list[PassageWindow]:
        return [w for found in self._encoded.values() for q in found for w in q.windows]

    def _note_answers(self) -> None:
        """What training makes of its answers, where it is not what one would expect."""
        if self.reading is None:
            return
        found = self._encoded["train"]
        several = sum(len(question.windows) > 1 for question in found)
        if several:
            self.reading.note(f"{plural(several, 'training question')} read in windows")
        inside = sum(_is_within_words(*pair) for pair in zip(self._questions["train"], found))
        if inside:
            self.reading.note(
                f"{plural(inside, 'training answer')} begin or end within a word: the words are "
                "learnt whole"
            )

    @property
    def problem(self) -> Problem:
        return Problem(
            form="span",
            num_outputs=2,
            vocab_size=self.vocab_size,
            num_segments=2,
            max_length=self.sequence_length,
        )

    def questions(self, split: str) -> list[SpanQuestion]:
        """Those of `train`, `validation` or `test`, in their order."""
        return self._questions[split]

    def encoded(self, split: str) -> list[EncodedQuestion]:
        """The same in numbers."""
        return self._encoded[split]

    @staticmethod
    def asked(batch: Batch) -> Sequence[tuple[SpanQuestion, EncodedQuestion]]:
        """The questions of an evaluation's batch."""
        assert isinstance(batch, ReadingBatch)
        return batch.questions

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        """Of training those windows, else all windows of those questions."""
        if split == "train":
            return as_batch([self._train[k] for k in chosen_B])
        return as_batch([w for k in chosen_B for w in self._encoded[split][k].windows])

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = ReadingBatch(*self.batch(split, chosen_B))
        batch.questions = [(self._questions[split][k], self._encoded[split][k]) for k in chosen_B]
        return batch

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Two cross-entropies over the places of a passage. Raises UserError for label smoothing,
        which would spread over places where no answer can be."""
        if label_smoothing:
            raise UserError("reading asks for places in a passage: leave label smoothing at 0")
        return super().loss(logits_BTV, batch)

    def num_scored(self, batch: Batch) -> int:
        """Questions, whatever the number of their windows."""
        return len(self.asked(batch))

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """Of an evaluation's batch: of logits [W, 2, T] of all windows."""
        logits_W2T = logits_BTV.float().cpu()
        answers = best_answers(
            logits_W2T,
            [encoded for _, encoded in self.asked(batch)],
            most=self.config.max_answer,
            may_be_none=self.may_be_none,
        )
        return self.ratios_of_texts([answer.text for answer in answers], batch)

    def ratios_of_texts(self, answers: Sequence[str], batch: Batch) -> Ratios:
        """The metric's sums of an answer to each question of an evaluation's batch."""
        numerators: list[float] = []
        slices: dict[str, np.ndarray] = {}
        for answer, (question, _) in zip(answers, self.asked(batch), strict=True):
            references = [reference.text for reference in question.answers]
            both = {"exact": exact(answer, references), "f1": f1(answer, references)}
            numerators.append(both[self.metric])
            for name, value in both.items():
                for group in ("", *_groups(references)):
                    key = f"{name}, {group}" if group else name
                    slices[key] = slices.get(key, np.zeros(2)) + np.array((value, 1.0))
        found = {name: (float(s[0]), float(s[1])) for name, s in sorted(slices.items())}
        return Ratios(np.array(numerators), np.ones(len(numerators)), found)

    def describe(self) -> dict[str, Any]:
        return {
            "name": Path(self.config.data).name if self.config.data else "generated passages",
            "origin": self.config.data or "generated passages",
            "questions": self.sizes,
            "passages": {
                split: len({question.context for question in found})
                for split, found in self._questions.items()
            },
            "without_answer": {
                split: sum(not question.answers for question in found)
                for split, found in self._questions.items()
            },
            "windows": {
                split: sum(len(question.windows) for question in found)
                for split, found in self._encoded.items()
            },
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
            "metric": self.metric,
        }

    def survey(self) -> Survey:
        overlap = count_overlap(list(self._questions.values()), _asked)
        parts: dict[str, SplitSurvey] = {}
        for split, found in self._encoded.items():
            tokens, unknown = count_tokens([w.tokens_T for q in found for w in q.windows])
            parts[split] = SplitSurvey(
                examples=len(found),
                lengths_N={"words of the passage": lengths_of([q.words.words for q in found])},
                cut=sum(question.cut for question in found),
                tokens=tokens,
                unknown=unknown,
                in_training=overlap.get(split),
            )
        train = self._questions["train"]
        first = (question.answers[0].text for question in train if question.answers)
        notes = []
        if none := sum(not question.answers for question in train):
            notes.append(f"{plural(none, 'training question')} without an answer in the passage")
        return Survey(
            parts, noun="question", in_files="passage",
            classes=Counter(map(plain_answer, first)), notes=tuple(notes),
        )  # fmt: skip

    def digest(self) -> str:
        content = hashlib.sha256()
        for split, found in self._questions.items():
            kept = [question[:3] for question in found]
            content.update(json.dumps([split, kept], ensure_ascii=False).encode())
        # how the files are read shows in the questions
        settings = self.config.model_dump(mode="json", exclude={"data", *self.reading_settings})
        return digest({**settings, "sha256": content.hexdigest()})

    def artifacts(self) -> dict[str, str]:
        return {
            "vocabulary": self.encoder.vocabulary.to_json(),
            "sequence_length": str(self.sequence_length),
            "may_be_none": "yes" if self.may_be_none else "no",
        }


def _asked(question: SpanQuestion) -> tuple[str, str]:
    return question.context, question.question


def _groups(references: Sequence[str]) -> tuple[str, ...]:
    if not references:
        return ("no answer",)
    several = len(plain_answer(references[0]).split()) > 1
    return "an answer", "several words" if several else "one word"


def _is_within_words(question: SpanQuestion, encoded: EncodedQuestion) -> bool:
    """Whether the first answer begins or ends within a word."""
    if not question.answers:
        return False
    text, start = question.answers[0]
    words = encoded.words
    stripped = start + len(text) - len(text.lstrip()), start + len(text.rstrip())
    return not (stripped[0] in words.starts_T and stripped[1] in words.ends_T)
