"""Pairs: write the target that belongs to a source. Translation, summarising, commands to actions.

A model is trained with the target's own past (inputs START y1 .. yn, targets y1 .. yn END) and
scored by what it writes from START on, greedily, against the whole reference (pairs_metrics.py).
An epoch shows every training pair once, pairs of near-equal length together.

Training pairs with a side above `max_length` tokens are left out. Held-out sources above it are
cut, and nothing longer can be written; references stay whole. Both are counted in `describe`.

Slices: the metric by thirds of source length (in tokens), and the measures that stand beside it.
"""

import json
import platform
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.batches import spread
from seqarena.data.buckets import BucketSampler
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import Splits, count_overlap, part_to_score, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.text.dates import make_dates
from seqarena.data.text.docstrings import standard_library_docstrings
from seqarena.data.text.pairs import PairCorpus, corpus_of, load_pairs, pair_parts
from seqarena.data.text.vocabulary import normalised
from seqarena.tasks.base import Ratios, Scores, Split
from seqarena.tasks.configs import PairsConfig, SummarisingConfig, TranslationConfig
from seqarena.tasks.examples import ExampleTask
from seqarena.tasks.survey import SplitSurvey, Survey, count_tokens, lengths_of
from seqarena.tasks.text.pairs_codec import (
    learn_sides,
    sides_from_artifacts,
    source_tensors,
    target_tensors,
)
from seqarena.tasks.text.pairs_metrics import Metric, check_packages, make_metric


class _Examples:
    """One split as tokens, with the references as they are scored."""

    def __init__(self, sources: list[np.ndarray], targets: list[np.ndarray]) -> None:
        self.sources = sources
        self.targets = targets
        self.references: list[str] = []
        self.num_cut = 0

    def __len__(self) -> int:
        return len(self.sources)


class PairsTask(ExampleTask):
    """What translation and summarising share."""

    lower_is_better = False
    causal = True
    generates = True
    reading_settings = ("source", "target", "encoding")
    bleu_tokenizer: str = "auto"
    cuts_sources: ClassVar[bool]  # in training: True: cut a long source; False: leave the pair out

    def __init__(self, config: PairsConfig) -> None:
        """Reads the data and learns both vocabularies.

        Raises UserError for bad data, for a metric whose package is missing, and when no training
        pair is short enough.
        """
        self.config = config
        check_packages(self.metric)
        self.corpus = self._embedded() if config.data is None else self._load(config.data)
        self.reading = self.corpus.reading
        if config.drop_overlap:
            kept = without_overlap(self.corpus.splits, lambda pair: pair, self.reading, "pair")
            self.corpus = self.corpus._replace(splits=kept)
        self._scorer = self._metric([pair.target for pair in self.corpus.splits.test])
        self.sides = learn_sides(config, self.corpus.splits.train)
        self.vocab_size = len(self.sides.target)
        encoded = {split: self._encode(split) for split in self.corpus.splits._fields}
        train = self._short_enough(encoded["train"])
        self._examples = {
            "train": train,
            "validation": self._cut(encoded["validation"], self.corpus.splits.validation),
            "test": self._cut(encoded["test"], self.corpus.splits.test),
        }
        self._lengths = {
            split: {
                "source tokens": lengths_of(part.sources),
                "target tokens": lengths_of(part.targets),
            }
            for split, part in encoded.items()
        }
        self.sizes = {split: len(examples) for split, examples in self._examples.items()}
        everything = self._examples.values()
        longest = max(len(row) for examples in everything for row in examples.targets)
        self.sequence_length = longest + 1  # END
        self.max_source_length = max(len(row) for part in everything for row in part.sources)
        pairs = zip(train.sources, train.targets, strict=True)
        lengths_N = np.array([len(source) + len(target) + 1 for source, target in pairs])
        self.sampler = BucketSampler(lengths_N)

    @classmethod
    def evaluation_of(
        cls, config: PairsConfig, artifacts: Mapping[str, str], data: str
    ) -> "PairsTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        if isinstance(config, TranslationConfig):
            task.metric, task.bleu_tokenizer = config.metric, config.bleu_tokenizer
        parts = pair_parts(data, *task._how, task.reading)
        pairs = part_to_score(data, parts, task.reading)
        task._scorer = task._metric([pair.target for pair in pairs])
        task.sides = sides_from_artifacts(artifacts)
        task.corpus = PairCorpus(data, data, Splits([], [], pairs), "")
        task.vocab_size = len(task.sides.target)
        limits = json.loads(artifacts["limits"])
        task.sequence_length = limits["max_length"]
        task.max_source_length = limits["max_source_length"]
        test = task._cut(task._encode("test"), pairs, limits["max_source_length"])
        if test.num_cut:
            task.reading.note(
                f"{plural(test.num_cut, 'pair')} with a source of more than "
                f"{task.max_source_length} tokens, the longest of training, or a target of more "
                f"than {config.max_length}: the source is cut"
            )
        task._examples, task.sizes = {"test": test}, {"test": len(test)}
        return task

    @abstractmethod
    def _embedded(self) -> PairCorpus:
        """The default, without any file."""

    def _metric(self, references: Sequence[str]) -> Metric:
        """The metric for such references; what it splits them with is noted."""
        metric = make_metric(
            self.metric,
            lowercase=self.config.lowercase,
            bleu_tokenizer=self.bleu_tokenizer,
            target=self.config.target,
            references=references,
        )
        tokenizer = metric.facts().get("bleu_tokenizer")
        if tokenizer and self.reading is not None:
            self.reading.note(f"BLEU splits texts with sacrebleu's tokenizer {tokenizer}")
        return metric

    def _load(self, data: str) -> PairCorpus:
        source, target, encoding, by_default = self._how
        return load_pairs(
            data, source=source, target=target, encoding=encoding, by_default=by_default
        )

    @property
    def _how(self) -> tuple[str, str, str, tuple[bool, bool]]:
        """How files are read: names of source and target, encoding, and whether the names are the
        task's own."""
        source, target = Wanted.of(self.config, "source"), Wanted.of(self.config, "target")
        by_default = source.is_default, target.is_default
        return source.name, target.name, self.config.encoding, by_default

    @property
    def problem(self) -> Problem:
        return Problem(
            form="pairs",
            num_outputs=self.vocab_size,
            vocab_size=self.vocab_size,
            source_vocab_size=len(self.sides.source),
            shared_vocabulary=self.config.shared_vocabulary,
            causal=True,
            max_length=self.sequence_length,
            max_source_length=self.max_source_length,
        )

    @property
    def mean_length(self) -> float:
        """Of a side, since a model counts its costs in source and target positions alike."""
        return self.sampler.mean_length / 2

    @property
    def mean_tokens(self) -> float:
        return self.sampler.mean_length

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        examples = self._examples[split]
        sources = [examples.sources[k] for k in chosen_B]
        return Batch(
            **target_tensors([examples.targets[k] for k in chosen_B]),
            **source_tensors(sources, reverse=self.config.reverse_source),
        )

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        """By rising source length, so that little is padded; `evaluate` puts them in order."""
        for chosen in self._evaluation_order(split, batch_size, max_batches):
            yield self.batch(split, chosen)

    def evaluate(
        self,
        predict: Callable[[Batch], Tensor],
        split: Split,
        batch_size: int,
        max_batches: int | None = None,
    ) -> Scores:
        """The metric of what `predict` writes (tokens [B, L]), whatever the batch size.

        Chunks are contiguous in the order of the file and long enough to mean something.
        """
        written: dict[int, str] = {}
        with torch.no_grad():
            for chosen in self._evaluation_order(split, batch_size, max_batches):
                rows = predict(self.batch(split, chosen)).tolist()
                written |= zip(chosen.tolist(), map(self.sides.target.decode, rows), strict=True)
        return self.score_texts(written, split)

    def score_texts(self, written: Mapping[int, str], split: Split) -> Scores:
        """The metric of texts, by the number of the example that each is written for."""
        examples = self._examples[split]
        places = np.array(sorted(written))
        num_chunks = min(self._scorer.most_chunks, max(1, len(places) // self._scorer.fewest_texts))
        chunk_N = np.arange(len(places)) * num_chunks // len(places)

        def score(chosen: np.ndarray) -> float:
            references = [examples.references[k] for k in chosen]
            return self._scorer.score([written[k] for k in chosen], references)

        lengths_N = np.array([len(examples.sources[k]) for k in places])
        return Scores(
            value=score(places),
            chunk_values=tuple(score(places[chunk_N == c]) for c in range(num_chunks)),
            slices={
                **self._scorer.beside(
                    [written[k] for k in places], [examples.references[k] for k in places]
                ),
                **{name: score(places[here]) for name, here in length_thirds(lengths_N).items()},
            },
            num_scored=len(places),
        )

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """How many targets are written exactly, token by token. Here the model's output is what it
        writes, [B, L]; the metric itself may be no ratio (see `evaluate`)."""
        text = self.sides.target.decode
        wanted = batch.targets_BT.masked_fill(batch.targets_BT == IGNORE, 0).tolist()
        right = [text(a) == text(b) for a, b in zip(logits_BTV.tolist(), wanted, strict=True)]
        return Ratios(np.array(right, dtype=float), np.ones(len(right)), {})

    def describe(self) -> dict[str, Any]:
        splits = self.corpus.splits
        return {
            "name": self.corpus.name,
            "origin": self.corpus.origin,
            "sha256": self.corpus.sha256,
            "pairs": {name: len(part) for name, part in splits._asdict().items()},
            "also_in_training": count_overlap(splits, key=lambda pair: pair),
            "training_pairs_left_out": len(splits.train) - self.sizes["train"],
            "cut": {name: part.num_cut for name, part in self._examples.items()},
            "tokenizer": self.config.tokenizer,
            "vocab_size": self.vocab_size,
            "source_vocab_size": len(self.sides.source),
            "sequence_length": self.sequence_length,
            "max_source_length": self.max_source_length,
            "mean_length": round(self.mean_length, 2),
            "metric": self._scorer.facts(),
        }

    def survey(self) -> Survey:
        splits = self.corpus.splits
        overlap = count_overlap(splits, lambda pair: pair)
        parts: dict[str, SplitSurvey] = {}
        for split, examples in self._examples.items():
            tokens, unknown = count_tokens([*examples.sources, *examples.targets])
            parts[split] = SplitSurvey(
                examples=len(examples),
                lengths_N=self._lengths[split],
                cut=examples.num_cut,
                left_out=len(splits.train) - self.sizes["train"] if split == "train" else 0,
                tokens=tokens,
                unknown=unknown,
                in_training=overlap.get(split),
            )
        return Survey(parts, noun="pair")

    def digest(self) -> str:
        settings = self.config.model_dump(
            mode="json", exclude={"data", "source", "target", "encoding"}
        )
        return digest({**settings, "sha256": self.corpus.sha256, **self.artifacts()})

    def artifacts(self) -> dict[str, str]:
        limits = {
            "max_length": self.sequence_length,
            "max_source_length": self.max_source_length,
        }
        return {
            "source": self.sides.source.to_json(),
            "target": self.sides.target.to_json(),
            "limits": json.dumps(limits),
        }

    def _encode(self, split: str) -> _Examples:
        pairs = getattr(self.corpus.splits, split)
        return _Examples(
            self.sides.source.encode_all([pair.source for pair in pairs]),
            self.sides.target.encode_all([pair.target for pair in pairs]),
        )

    def _short_enough(self, examples: _Examples) -> _Examples:
        limit = self.config.max_length
        kept = [
            (source[:limit], target, len(source) > limit)
            for source, target in zip(examples.sources, examples.targets, strict=True)
            if len(target) <= limit and (self.cuts_sources or len(source) <= limit)
        ]
        if not kept:
            shortest = min(max(len(s), len(t)) for s, t in zip(examples.sources, examples.targets))
            raise UserError(
                f"{self.name}: no training pair fits into max_length {limit}: "
                f"the shortest needs {shortest}"
            )
        found = _Examples([source for source, _, _ in kept], [target for _, target, _ in kept])
        found.num_cut = sum(was_cut for _, _, was_cut in kept)
        return found

    def _cut(
        self, examples: _Examples, pairs: Sequence[Any], source_limit: int | None = None
    ) -> _Examples:
        limit = self.config.max_length
        source_limit = min(limit, source_limit or limit)
        found = _Examples(
            [s[:source_limit] for s in examples.sources], [t[:limit] for t in examples.targets]
        )
        found.references = [normalised(pair.target) for pair in pairs]
        found.num_cut = sum(
            len(source) > source_limit or len(target) > limit
            for source, target in zip(examples.sources, examples.targets, strict=True)
        )
        return found

    def _evaluation_order(
        self, split: Split, batch_size: int, max_batches: int | None
    ) -> list[np.ndarray]:
        """The examples of each batch."""
        selected = self._num_selected(split, batch_size, max_batches)
        places = spread(self.num_evaluation_examples(split), selected)
        lengths_N = np.array([len(self._examples[split].sources[k]) for k in places])
        places = places[np.argsort(lengths_N, kind="stable")]
        return [places[first : first + batch_size] for first in range(0, selected, batch_size)]


class TranslationTask(PairsTask):
    """A sentence in another language; by default, any date as ISO writes it."""

    name = "translation"
    cuts_sources = False

    def __init__(self, config: TranslationConfig) -> None:
        self.metric, self.bleu_tokenizer = config.metric, config.bleu_tokenizer
        super().__init__(config)

    def _embedded(self) -> PairCorpus:
        return corpus_of("dates", "generated", make_dates())


class SummarisingTask(PairsTask):
    """A text in one line; by default, docstrings of the standard library."""

    name = "summarising"
    metric = "rouge_l"
    cuts_sources = True  # the head of a text tells what it is about

    def __init__(self, config: SummarisingConfig) -> None:
        super().__init__(config)

    def _embedded(self) -> PairCorpus:
        origin = f"docstrings of the standard library, Python {platform.python_version()}"
        return corpus_of("docstrings", origin, standard_library_docstrings())


def length_thirds(lengths_N: np.ndarray) -> dict[str, np.ndarray]:
    """Which examples are in each third by source length, named by their range; equal lengths are
    never parted, so that there may be fewer.

    >>> {name: here.tolist() for name, here in length_thirds(np.array([2, 9, 5])).items()}
    {'source length 2-2': [0], 'source length 5-5': [2], 'source length 9-9': [1]}
    """
    edges = np.quantile(lengths_N, (1 / 3, 2 / 3))
    third_N = np.searchsorted(edges, lengths_N, side="left")
    thirds = [np.flatnonzero(third_N == third) for third in range(3)]
    return {
        f"source length {lengths_N[here].min()}-{lengths_N[here].max()}": here
        for here in thirds
        if len(here)
    }
