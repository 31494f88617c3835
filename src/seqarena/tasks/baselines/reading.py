"""Baselines of reading: what training answers most often, and answers by overlap of words.

An entity is a part of the passage that was an answer in training, the longest at its place.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from seqarena.data.text.passages.spans import PlacedWords, placed_words, words_at
from seqarena.data.text.passages.squad import SpanQuestion
from seqarena.tasks.base import Batch, Ratios
from seqarena.tasks.baselines.baseline import BaselineResult, result_of
from seqarena.tasks.passages.task import ReadingTask

_ROWS = 256
_LONGEST = 8  # words of an entity

Span = tuple[int, int]  # first and last word
Answerer = Callable[[SpanQuestion, PlacedWords], Span | None]


def majority(task: ReadingTask) -> BaselineResult:
    """Always the most frequent answer of training."""
    texts = Counter(answer.text for q in task.questions("train") for answer in q.answers[:1])
    none = sum(not question.answers for question in task.questions("train"))
    usual, count = texts.most_common(1)[0]
    text = usual if count >= none else ""
    return _scored(task, lambda question, words: text, text or "no answer")


def position(task: ReadingTask) -> BaselineResult:
    """The words at the most frequent place of training, counted from the passage's beginning."""
    places = Counter(_answer_spans(task))
    (first, last), _ = places.most_common(1)[0]

    def here(question: SpanQuestion, words: PlacedWords) -> Span | None:
        return (first, last) if last < len(words.words) else None

    return _scored(task, _as_text(here), f"words {first + 1} to {last + 1}")


def first_entity(task: ReadingTask) -> BaselineResult:
    """The first entity of the passage that the question does not name."""
    return _of_entities(task, lambda question, words, spans: spans[0])


def last_entity(task: ReadingTask) -> BaselineResult:
    """The last entity of the passage that the question does not name."""
    return _of_entities(task, lambda question, words, spans: spans[-1])


def sliding_window(task: ReadingTask) -> BaselineResult:
    """The entity with the best window: "MCTest", Richardson et al. 2013, algorithms 1 and 2.

    The words of question and entity are looked for in every window of the passage that has as many
    words as they are; each counts log(1 + 1 / its occurrences). From the best window's sum the
    least distance between a word of the question and the entity is taken, as a share of the
    passage. Words that a tenth of the training questions have do not count.
    """
    train = task.questions("train")
    asked = Counter(word for q in train for word in set(_folded(placed_words(q.question).words)))
    stop = {word for word, count in asked.items() if count >= len(train) / 10}

    def best(question: SpanQuestion, words: PlacedWords, spans: Sequence[Span]) -> Span:
        told = _folded(words.words)
        wanted = set(_folded(placed_words(question.question).words)) - stop
        counts = Counter(told)
        worth_P = np.array([np.log1p(1 / counts[word]) for word in told])
        asked_P = np.array([word in wanted for word in told])

        def score(span: Span) -> float:
            own = set(told[span[0] : span[1] + 1])
            hit_P = worth_P * (asked_P | np.array([word in own for word in told]))
            sums = np.concatenate(([0.0], hit_P.cumsum()))
            size = min(len(told), len(wanted | own))
            distance = _distance(np.flatnonzero(asked_P), span, len(told))
            return float((sums[size:] - sums[:-size]).max()) - distance

        return max(spans, key=score)

    return _of_entities(task, best)


def _distance(places_K: np.ndarray, span: Span, length: int) -> float:
    """From the nearest of the places to the span, as a share of the text; 1 where there is none."""
    if not len(places_K):
        return 1.0
    nearest = np.maximum(span[0] - places_K, places_K - span[1]).clip(min=0).min()
    return float(nearest) / max(1, length - 1)


def _of_entities(
    task: ReadingTask, choose: Callable[[SpanQuestion, PlacedWords, Sequence[Span]], Span]
) -> BaselineResult:
    known = {
        _folded(words.words[first : last + 1])
        for words, (first, last) in _answers_in(task)
        if last - first < _LONGEST
    }

    def chosen(question: SpanQuestion, words: PlacedWords) -> Span | None:
        named = set(_folded(placed_words(question.question).words))
        found = [
            (first, last)
            for first, last in _entities(words, known)
            if not named.issuperset(_folded(words.words[first : last + 1]))
        ]
        return choose(question, words, found) if found else None

    return _scored(task, _as_text(chosen), f"{len(known):,} entities")


def _entities(words: PlacedWords, known: set[tuple[str, ...]]) -> list[Span]:
    """From left to right, none within another."""
    told, found, place = _folded(words.words), [], 0
    while place < len(told):
        sizes = range(min(_LONGEST, len(told) - place), 0, -1)
        size = next((n for n in sizes if told[place : place + n] in known), 0)
        if size:
            found.append((place, place + size - 1))
        place += max(1, size)
    return found


def _answers_in(task: ReadingTask) -> Iterator[tuple[PlacedWords, Span]]:
    """The words of each training passage with the span of its answer."""
    for question, encoded in zip(task.questions("train"), task.encoded("train")):
        for text, start in question.answers[:1]:
            if (span := words_at(encoded.words, start, start + len(text))) is not None:
                yield encoded.words, span


def _answer_spans(task: ReadingTask) -> Iterator[Span]:
    return (span for _, span in _answers_in(task))


def _as_text(answer: Answerer) -> Callable[[SpanQuestion, PlacedWords], str]:
    def text(question: SpanQuestion, words: PlacedWords) -> str:
        span = answer(question, words)
        if span is None:
            return ""
        return question.context[words.starts_T[span[0]] : words.ends_T[span[1]]]

    return text


def _scored(
    task: ReadingTask, answer: Callable[[SpanQuestion, PlacedWords], str], detail: str
) -> BaselineResult:
    def ratios(batch: Batch) -> Ratios:
        return task.ratios_of_texts([answer(q, e.words) for q, e in task.asked(batch)], batch)

    return result_of(lambda split: task.score(ratios, split, _ROWS), detail)


def _folded(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)
