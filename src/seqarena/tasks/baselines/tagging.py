"""The baseline of tagging: a dictionary."""

from collections import Counter

import numpy as np
import torch

from seqarena.data.text.vocabulary import normalised
from seqarena.tasks.base import Batch, Scores, Split
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.text.tagging import TaggingTask

_ROWS = 256


def look_up(task: TaggingTask) -> BaselineResult:
    """The most frequent tag of each word as it is written, else in small letters. A word that
    training lacks has the most frequent tag of the words that training has once, which are the
    nearest to it."""
    tags_of: dict[str, Counter[str]] = {}
    for sentence in task.sentences["train"]:
        for word, tag in zip(sentence.words, sentence.tags):
            for form in {normalised(word), _small(word)}:
                tags_of.setdefault(form, Counter())[tag] += 1
    usual = {word: tags.most_common(1)[0][0] for word, tags in tags_of.items()}
    everything = [tag for sentence in task.sentences["train"] for tag in sentence.tags]
    rare = Counter(usual[word] for word, tags in tags_of.items() if tags.total() == 1)
    default = (rare or Counter(everything)).most_common(1)[0][0]
    number = {tag: index for index, tag in enumerate(task.tags)}

    def number_of(word: str) -> int:
        return number[usual.get(normalised(word), usual.get(_small(word), default))]

    def scores(split: Split) -> Scores:
        rows = iter([[number_of(word) for word in one.words] for one in task.sentences[split]])

        def predict(batch: Batch) -> torch.Tensor:
            shape = tuple(batch.targets_BT.shape)
            best_BT = np.zeros(shape, dtype=np.int64)
            for best_T in best_BT:
                found = next(rows)
                best_T[: len(found)] = found
            return torch.nn.functional.one_hot(torch.from_numpy(best_BT), len(task.tags)).float()

        return task.evaluate(predict, split, _ROWS)

    test, validation = scores("test"), scores("validation")
    return BaselineResult(test, validation.value, f"unknown words are {default}")


def _small(word: str) -> str:
    return normalised(word.lower())
