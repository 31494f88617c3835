"""Baselines of question answering: without the story, and by the question that is nearest."""

from collections import Counter
from collections.abc import Callable, Sequence

import torch

from seqarena.data.batches import spread
from seqarena.data.text.stories import Question
from seqarena.tasks.base import Batch, Scores, Split
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.nearest import NearestText
from seqarena.tasks.text.question_answering import QuestionAnsweringTask

_ROWS = 256
_MOST_QUESTIONS = 30_000  # of training that the nearest is looked for among
_FIRST_WORDS = 2  # of a question, that tell its kind: "where is", "how many"

Answerer = Callable[[Sequence[Question]], list[str]]


def majority(task: QuestionAnsweringTask) -> BaselineResult:
    """Always the most frequent answer of training."""
    usual = _usual(task.questions("train"))
    return _answered(task, lambda questions: [usual] * len(questions), usual)


def kind(task: QuestionAnsweringTask) -> BaselineResult:
    """The most frequent answer to training questions that begin with the same two words."""
    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in task.questions("train"):
        groups.setdefault(_kind(question), []).append(question)
    usual = {name: _usual(found) for name, found in groups.items()}
    otherwise = _usual(task.questions("train"))
    return _answered(
        task,
        lambda questions: [usual.get(_kind(one), otherwise) for one in questions],
        f"{len(groups):,} kinds",
    )


def nearest(task: QuestionAnsweringTask) -> BaselineResult:
    """The answer to the training question that has the nearest words, question and story."""
    questions = task.questions("train")
    train = [questions[k] for k in spread(len(questions), _MOST_QUESTIONS)]
    index = NearestText([_words(question) for question in train])
    return _answered(
        task,
        lambda questions: [train[k].answer for k in index.find([_words(q) for q in questions])],
    )


def _answered(task: QuestionAnsweringTask, answer: Answerer, detail: str = "") -> BaselineResult:
    def scores(split: Split) -> Scores:
        answers = task.vocabulary.encode(answer(task.questions(split)))
        numbers = iter(torch.from_numpy(answers))

        def predict(batch: Batch) -> torch.Tensor:
            here_B = torch.stack([next(numbers) for _ in range(len(batch.targets_BT))])
            return torch.nn.functional.one_hot(here_B, task.vocab_size).float()[:, None]

        return task.evaluate(predict, split, _ROWS)

    test, validation = scores("test"), scores("validation")
    return BaselineResult(test, validation.value, detail)


def _usual(questions: Sequence[Question]) -> str:
    return Counter(question.answer for question in questions).most_common(1)[0][0]


def _kind(question: Question) -> tuple[str, ...]:
    return tuple(word.lower() for word in question.words[:_FIRST_WORDS])


def _words(question: Question) -> list[str]:
    """Of the story, and of the question apart from them."""
    story = [word.lower() for statement in question.statements for word in statement]
    return story + [f"? {word.lower()}" for word in question.words]
