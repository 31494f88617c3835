"""Baselines of tasks that write: the source, its first sentence, what training has."""

from collections import Counter
from collections.abc import Callable, Sequence

import regex

from seqarena.data.batches import spread
from seqarena.data.text.vocabulary import split_words
from seqarena.tasks.base import Split
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.nearest import NearestText
from seqarena.tasks.text.pairs import PairsTask

_SENTENCE_END = regex.compile(r"(?<=[.!?。！？])\s+|\n\s*\n")

_MOST_TEXTS = 30_000  # of training that the nearest is looked for among

Writer = Callable[[Sequence[str]], list[str]]  # targets for sources


def copy(task: PairsTask) -> BaselineResult:
    """The source as it is."""
    return _written(task, list)


def lead(task: PairsTask) -> BaselineResult:
    """The first sentence of the source, which is hard to beat in summarising news."""
    return _written(
        task, lambda sources: [_SENTENCE_END.split(text.strip())[0] for text in sources]
    )


def look_up(task: PairsTask) -> BaselineResult:
    """The most frequent target of the very same source in training; nothing where it has none."""
    targets: dict[str, Counter[str]] = {}
    for pair in task.corpus.splits.train:
        targets.setdefault(_plain(pair.source), Counter())[pair.target] += 1
    usual = {source: found.most_common(1)[0][0] for source, found in targets.items()}
    known = sum(_plain(pair.source) in usual for pair in task.corpus.splits.test)
    share = f"training has {known:,} of {len(task.corpus.splits.test):,} test sources"
    return _written(task, lambda sources: [usual.get(_plain(one), "") for one in sources], share)


def nearest(task: PairsTask) -> BaselineResult:
    """The target of the training source that has the nearest words."""
    pairs = task.corpus.splits.train
    chosen = spread(len(pairs), _MOST_TEXTS)
    train = [pairs[k] for k in chosen]
    index = NearestText([split_words(pair.source) for pair in train])
    detail = "" if len(train) == len(pairs) else f"among {len(train):,} of {len(pairs):,} pairs"
    return _written(
        task,
        lambda sources: [
            train[k].target for k in index.find([split_words(one) for one in sources])
        ],
        detail,
    )


def _written(task: PairsTask, write: Writer, detail: str = "") -> BaselineResult:
    def of(split: Split) -> dict[int, str]:
        pairs = getattr(task.corpus.splits, split)
        return dict(enumerate(write([pair.source for pair in pairs])))

    validation = task.score_texts(of("validation"), "validation").value
    return BaselineResult(task.score_texts(of("test"), "test"), validation, detail)


def _plain(text: str) -> str:
    return " ".join(text.split())
