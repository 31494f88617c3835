"""Tagging: a tag for every word of a sentence, from the whole of the sentence.

Plain tags are scored by accuracy over words. Tags of spans (B-x begins one of kind x, I-x goes on,
E-x or L-x ends it, S-x or U-x is one word, O is outside: IOB1, IOB2, BIOES, BILOU) are scored by F1
over exact spans,

    F1 = 2 |right| / (|predicted| + |true|),

a ratio of sums over sentences. Spans are read as the CoNLL script does: an I-x that continues no
x-span begins one, so no tag sequence is invalid. Which of the two it is follows from the tags.

Words are looked up in lower case; their case stands in their letters. Without spelling, words keep
their case. Words that training has fewer than `min_count` times share one vector.

Slices: `tag x`, or `span x`, precision and recall; words that training never shows against the
others (for spans: those that hold such a word).

    B  sentences    T  words    C  letters    K  tags
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.examples import count_overlap, part_to_score, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.text.tagged import Sentence, Tagged, load_tagged, tagged_parts
from seqarena.data.text.vocabulary import normalised
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.configs import TaggingConfig
from seqarena.tasks.examples import ExampleTask, longest_read
from seqarena.tasks.survey import SplitSurvey, Survey, count_tokens, lengths_of
from seqarena.tasks.text.tagging_codec import WordEncoder, asked_columns

OUTSIDE = "O"
_SPAN_TAG = re.compile("[BIESLU]-.+")
_SAME = {"L": "E", "U": "S"}  # last and unit of BILOU

Span = tuple[str, int, int]  # kind, first word, word behind the last
Sums = tuple[float, float]  # numerator, denominator


class TaggedBatch(Batch):
    """A batch that knows which of its words training never shows: for slices, not for models."""

    unseen_BT: np.ndarray


class TaggingTask(ExampleTask):
    """A tag for every word."""

    name = "tagging"
    causal = False
    lower_is_better = False
    reading_settings = ("format", "column", "word_column", "encoding")

    def __init__(self, config: TaggingConfig, data: Tagged | None = None) -> None:
        """Loads `config.data` unless sentences are handed in.

        Raises UserError for data that cannot be read and for a sentence to be scored that is longer
        than `max_length`; longer ones are left out of training, and counted in `describe`.
        """
        self.config = config
        data = data or load_tagged(config.data, asked_columns(config))
        self.tags, self.origin, self.reading = data.tags, data.origin, data.reading
        self._name_metric()
        splits = data.splits
        if config.drop_overlap:
            splits = without_overlap(splits, _words, self.reading, "sentence")
        self.sentences: dict[str, list[Sentence]] = splits._asdict()
        self._left_out = self._check_lengths()
        train = self.sentences["train"]
        self.encoder = WordEncoder.build(train, config.min_count, config.spelling)
        self._seen = {_folded(word) for sentence in train for word in sentence.words}
        index = {tag: k for k, tag in enumerate(self.tags)}
        self._encoded = {
            split: [self.encoder.encode(s.words) for s in sentences]
            for split, sentences in self.sentences.items()
        }
        self._targets = {
            split: [np.array([index[tag] for tag in s.tags]) for s in sentences]
            for split, sentences in self.sentences.items()
        }
        self.vocab_size = len(self.encoder.words)
        self.sequence_length = max(
            len(s.words) for sentences in self.sentences.values() for s in sentences
        )
        self.sampler = BucketSampler(np.array([len(s.words) for s in train]))
        self.sizes = {split: len(found) for split, found in self.sentences.items()}

    @classmethod
    def evaluation_of(
        cls, config: TaggingConfig, artifacts: Mapping[str, str], data: str
    ) -> "TaggingTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        task.tags = tuple(json.loads(artifacts["tags"]))
        task._name_metric()
        parts = tagged_parts(data, asked_columns(config), task.reading, task.tags)
        found = part_to_score(data, parts, task.reading)
        index = {tag: k for k, tag in enumerate(task.tags)}
        task.sentences = {"test": found}
        task.encoder = WordEncoder.from_artifacts(artifacts)
        rare = json.loads(artifacts.get("rare", "[]"))
        task._seen = {_folded(word) for word in (*task.encoder.words.words, *rare)}
        task._encoded = {"test": [task.encoder.encode(s.words) for s in found]}
        task._targets = {"test": [np.array([index[tag] for tag in s.tags]) for s in found]}
        task.vocab_size = len(task.encoder.words)
        task.sizes = {"test": len(found)}
        task.sequence_length = longest_read((len(s.words) for s in found), artifacts)
        return task

    def _name_metric(self) -> None:
        self.has_spans = names_spans(self.tags)
        self.metric = "span_f1" if self.has_spans else "accuracy"

    @property
    def problem(self) -> Problem:
        return Problem(
            num_outputs=len(self.tags),
            vocab_size=self.vocab_size,
            num_characters=0 if self.encoder.letters is None else len(self.encoder.letters),
            max_length=self.sequence_length,
        )

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = TaggedBatch(*self.batch(split, chosen_B))
        batch.unseen_BT, _ = pad([self._unseen(self.sentences[split][k]) for k in chosen_B])
        return batch

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        logits_BTV = logits_BTV.float().cpu()
        best_BT = logits_BTV.argmax(-1).masked_fill(logits_BTV.isnan().any(-1), IGNORE).numpy()
        truth_BT = batch.targets_BT.cpu().numpy()
        unseen_BT = batch.unseen_BT if isinstance(batch, TaggedBatch) else None
        count = self._span_sums if self.has_spans else self._word_sums
        sums: list[Sums] = []
        slices: dict[str, np.ndarray] = {}
        for row, (best_T, truth_T) in enumerate(zip(best_BT, truth_BT)):
            asked_T = truth_T != IGNORE
            unseen_T = None if unseen_BT is None else unseen_BT[row][asked_T]
            own, named = count(best_T[asked_T], truth_T[asked_T], unseen_T)
            sums.append(own)
            for name, pair in named:
                slices[name] = slices.get(name, np.zeros(2)) + pair
        totals_B2 = np.array(sums, dtype=np.float64)
        return Ratios(
            totals_B2[:, 0],
            totals_B2[:, 1],
            {name: (float(s[0]), float(s[1])) for name, s in sorted(slices.items()) if s[1] > 0},
        )

    def describe(self) -> dict[str, Any]:
        test = self.sentences["test"]
        unseen = sum(int(self._unseen(s).sum()) for s in test)
        return {
            "name": self.name,
            "origin": self.origin,
            "tags": list(self.tags),
            "vocab_size": self.vocab_size,
            "letters": self.problem.num_characters,
            "splits": {
                split: {"sentences": len(found), "words": sum(len(s.words) for s in found)}
                for split, found in self.sentences.items()
            },
            "too_long_for_training": self._left_out,
            "unseen_test_words": unseen / sum(len(s.words) for s in test),
        }

    def survey(self) -> Survey:
        parts = list(self.sentences.values())
        overlap = count_overlap(parts, _words)
        found: dict[str, SplitSurvey] = {}
        for split, sentences in self.sentences.items():
            tokens, unknown = count_tokens([one.words_T for one in self._encoded[split]])
            found[split] = SplitSurvey(
                examples=len(sentences),
                lengths_N={"words": lengths_of([s.words for s in sentences])},
                left_out=self._left_out if split == "train" else 0,
                tokens=tokens,
                unknown=unknown,
                in_training=overlap.get(split),
            )
        counts = Counter(tag for s in self.sentences["train"] for tag in s.tags)
        return Survey(found, noun="sentence", classes=counts)

    def digest(self) -> str:
        content = hashlib.sha256()
        for split, sentences in self.sentences.items():
            content.update(json.dumps([split, sentences]).encode())
        # how the files are read shows in the sentences
        settings = self.config.model_dump(mode="json", exclude={"data", "word_column", "encoding"})
        return digest({**settings, "tags": self.tags, "sha256": content.hexdigest()})

    def artifacts(self) -> dict[str, str]:
        known = {_folded(word) for word in self.encoder.words.words}
        return {
            **self.encoder.artifacts(),
            "tags": json.dumps(self.tags, ensure_ascii=False),
            "rare": json.dumps(sorted(self._seen - known), ensure_ascii=False),
            "sequence_length": str(self.sequence_length),
        }

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        return self.encoder.batch(
            [self._encoded[split][k] for k in chosen_B],
            [self._targets[split][k] for k in chosen_B],
        )

    def _unseen(self, sentence: Sentence) -> np.ndarray:
        return np.array([_folded(word) not in self._seen for word in sentence.words])

    def _check_lengths(self) -> int:
        limit = self.config.max_length
        for split in ("validation", "test"):
            longest = max(len(s.words) for s in self.sentences[split])
            if longest > limit:
                raise UserError(
                    f"tagging: a {split} sentence has {longest} words and max_length is {limit}: "
                    f"allow it with --set max_length={longest}"
                )
        kept = [s for s in self.sentences["train"] if len(s.words) <= limit]
        if not kept:
            raise UserError(f"tagging: every training sentence is longer than max_length {limit}")
        left_out = len(self.sentences["train"]) - len(kept)
        self.sentences["train"] = kept
        return left_out

    def _word_sums(
        self, best_T: np.ndarray, truth_T: np.ndarray, unseen_T: np.ndarray | None
    ) -> tuple[Sums, list[tuple[str, Sums]]]:
        right_T = best_T == truth_T
        groups = {f"tag {self.tags[k]}": truth_T == k for k in np.unique(truth_T)}
        if unseen_T is not None:
            groups |= {"unseen words": unseen_T, "seen words": ~unseen_T}
        named = [
            (name, (float(right_T[group_T].sum()), float(group_T.sum())))
            for name, group_T in groups.items()
        ]
        return (float(right_T.sum()), float(len(right_T))), named

    def _span_sums(
        self, best_T: np.ndarray, truth_T: np.ndarray, unseen_T: np.ndarray | None
    ) -> tuple[Sums, list[tuple[str, Sums]]]:
        found, true = (
            set(spans([OUTSIDE if k == IGNORE else self.tags[k] for k in numbers_T]))
            for numbers_T in (best_T, truth_T)
        )
        right = found & true
        named = [
            ("precision", (float(len(right)), float(len(found)))),
            ("recall", (float(len(right)), float(len(true)))),
        ]
        for span in (*found, *true):
            share = (float(span in right), 1.0)  # a right one is met twice: 2 of 2
            named.append((f"span {span[0]}", share))
            if unseen_T is not None:
                new = unseen_T[span[1] : span[2]].any()
                named.append(("spans with unseen words" if new else "spans of seen words", share))
        return (2.0 * len(right), float(len(found) + len(true))), named


def _words(sentence: Sentence) -> tuple[str, ...]:
    return sentence.words


def _folded(word: str) -> str:
    """A word as it is looked up among those of training."""
    return normalised(word.lower())


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that tags name, as the CoNLL-2000 script reads them; L- is E-, and U- is S-.

    >>> spans(["I-x", "I-x", "B-x", "I-y", "O", "S-y"])
    [('x', 0, 2), ('x', 2, 3), ('y', 3, 4), ('y', 5, 6)]
    """
    found: list[Span] = []
    kind, first, before = "", 0, OUTSIDE
    for place, tag in enumerate([*tags, OUTSIDE]):
        mark, _, here = tag.partition("-")
        mark = _SAME.get(mark, mark)
        if kind and (mark in ("B", "S", OUTSIDE) or before in ("E", "S") or here != kind):
            found.append((kind, first, place))
            kind = ""
        if not kind and mark != OUTSIDE:
            kind, first = here, place
        before = mark
    return found


def names_spans(tags: Sequence[str]) -> bool:
    """Whether every tag but O is one of a span, in one of the schemes above."""
    others = [tag for tag in tags if tag != OUTSIDE]
    return bool(others) and all(map(_SPAN_TAG.fullmatch, others))
