"""Questions and passages as examples, and outputs as answers: what the task and its codec share.

    question words, END, words of the passage, END

The question comes first, so that a causal model has read it when it comes to the passage; it is
sentence 0, the passage sentence 1. A passage that does not fit is read in windows, each with the
question. The last END stands for "no answer here": the target of a window without the answer. (It
is BERT's first token in Devlin et al. 2018; here it is the last, where a causal model has read
all.) A window's answer is the best span by the probability of its first word times that of its last
one; of several windows the most probable answer counts, and "no answer" as much as in the window
that believes in it least.

    T  positions    W  windows
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import END, Batch
from seqarena.data.buckets import pad
from seqarena.data.text.passages.spans import (
    PlacedWords,
    best_span,
    placed_words,
    window_starts,
    words_at,
)
from seqarena.data.text.passages.squad import SpanQuestion
from seqarena.data.text.vocabulary import Vocabulary
from seqarena.tasks.base import Answer
from seqarena.tasks.passages.configs import ReadingConfig

_MARKS = 2  # END behind the question and behind the passage


class PassageWindow(NamedTuple):
    """A question and so much of its passage as is read at once."""

    tokens_T: np.ndarray
    question_length: int  # positions before the passage, END among them
    start: int  # number of the passage's first word here
    target: tuple[int, int]  # positions of the answer's first and last word, or twice the last END


class EncodedQuestion(NamedTuple):
    """A question in numbers, and what turns positions into text again."""

    windows: tuple[PassageWindow, ...]
    context: str
    words: PlacedWords  # of the passage
    cut: bool  # the question's end is left out


class PassageEncoder:
    """Texts to windows by a vocabulary."""

    def __init__(self, vocabulary: Vocabulary, config: ReadingConfig, max_length: int) -> None:
        """`max_length`: positions of a window."""
        self.vocabulary = vocabulary
        self.config = config
        self.max_length = max_length
        self._last: tuple[str, PlacedWords, np.ndarray] | None = None

    @classmethod
    def build(cls, questions: Sequence[SpanQuestion], config: ReadingConfig) -> "PassageEncoder":
        """With the words of the training questions and their passages, each passage once."""
        texts = [q.question for q in questions] + list({q.context: None for q in questions})
        words = (folded(placed_words(text).words, config) for text in texts)
        vocabulary = Vocabulary.build(words, min_count=config.min_count)
        return cls(vocabulary, config, config.max_length)

    @classmethod
    def from_artifacts(
        cls, config: ReadingConfig, artifacts: Mapping[str, str]
    ) -> "PassageEncoder":
        """As a checkpoint reads. Windows are at most as long as the longest that it was made for:
        a model of learned positions has no more."""
        longest = int(artifacts["sequence_length"])
        vocabulary = Vocabulary.from_json(artifacts["vocabulary"])
        return cls(vocabulary, config, min(longest, config.max_length))

    def encode(self, question: SpanQuestion) -> EncodedQuestion:
        """Its windows; the target is the first of its answers."""
        words, passage_P = self._passage(question.context)
        asked_Q = self._numbers(placed_words(question.question).words)
        most = min(self.config.max_question, self.max_length - _MARKS - 1)
        kept_Q = asked_Q[:most]
        span = _span_of(question, words)
        room = self.max_length - _MARKS - len(kept_Q)
        step = max(1, round(self.config.window_step * room))
        before = len(kept_Q) + 1
        windows = []
        for start in window_starts(len(passage_P), room, step):
            part_P = passage_P[start : start + room]
            tokens_T = np.concatenate((kept_Q, [END], part_P, [END])).astype(np.int64)
            target = (len(tokens_T) - 1, len(tokens_T) - 1)
            if span is not None and start <= span[0] and span[1] < start + len(part_P):
                target = (span[0] - start + before, span[1] - start + before)
            windows.append(PassageWindow(tokens_T, before, start, target))
        return EncodedQuestion(tuple(windows), question.context, words, len(asked_Q) > most)

    def _passage(self, context: str) -> tuple[PlacedWords, np.ndarray]:
        """Its words and their numbers; the questions of one passage follow each other."""
        if self._last is None or self._last[0] != context:
            words = placed_words(context)
            self._last = (context, words, self._numbers(words.words))
        return self._last[1:]

    def _numbers(self, words: Sequence[str]) -> np.ndarray:
        return self.vocabulary.encode(folded(words, self.config))


def folded(words: Sequence[str], config: ReadingConfig) -> Sequence[str]:
    """Words as they are looked up."""
    return [word.lower() for word in words] if config.lowercase else words


def as_batch(windows: Sequence[PassageWindow]) -> Batch:
    """Padded on the right."""
    tokens_BT, mask_BT = pad([window.tokens_T for window in windows])
    before_B1 = np.array([[window.question_length] for window in windows])
    segments_BT = (np.arange(tokens_BT.shape[1]) >= before_B1).astype(np.int64)
    return Batch(
        inputs_BT=torch.from_numpy(tokens_BT),
        targets_BT=torch.tensor([window.target for window in windows]),
        mask_BT=torch.from_numpy(mask_BT),
        segments_BT=torch.from_numpy(segments_BT),
    )


def best_answers(
    logits_W2T: Tensor, questions: Sequence[EncodedQuestion], *, most: int, may_be_none: bool
) -> list[Answer]:
    """`best_answer` of each question, whose windows follow each other in the logits. Raises
    ValueError where the logits are not of as many windows."""
    parts = logits_W2T.split([len(question.windows) for question in questions])
    return [
        best_answer(part_W2T, question, most=most, may_be_none=may_be_none)
        for part_W2T, question in zip(parts, questions, strict=True)
    ]


def best_answer(
    logits_W2T: Tensor, question: EncodedQuestion, *, most: int, may_be_none: bool
) -> Answer:
    """What the logits of a question's windows answer, as its passage spells it, with its
    probability; the empty text for "no answer", which is given only where it `may_be_none`. Logits
    that are not numbers answer nothing."""
    scores_W2T = logits_W2T.double().log_softmax(-1).numpy()
    best, none = (-np.inf, ""), np.inf
    for window, (first_T, last_T) in zip(question.windows, scores_W2T):
        end = len(window.tokens_T) - 1
        here = slice(window.question_length, end)
        none = min(none, float(first_T[end] + last_T[end]))
        if window.question_length == end or np.isnan(first_T).any() or np.isnan(last_T).any():
            continue
        span = best_span(first_T[here], last_T[here], most)
        if span.score > best[0]:
            starts_T, ends_T = question.words.starts_T, question.words.ends_T
            start, stop = starts_T[window.start + span.first], ends_T[window.start + span.last]
            best = (span.score, question.context[start:stop])
    if may_be_none and none > best[0]:
        best = (none, "")
    return Answer(best[1], float(np.exp(best[0])))


def _span_of(question: SpanQuestion, words: PlacedWords) -> tuple[int, int] | None:
    """The words of the first answer; None where there is none."""
    if not question.answers:
        return None
    answer = question.answers[0]
    return words_at(words, answer.start, answer.start + len(answer.text))
