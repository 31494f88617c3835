"""Classification: one label for a sentence, or for two sentences together.

    one sentence    w_1 .. w_n
    two sentences   a_1 .. a_n END b_1 .. b_m END       segments 0 .. 0 and 1 .. 1

Both sentences end alike, so that swapping them swaps what a model that reads each by itself finds.
Words come from the training texts; what they lack is UNKNOWN. A model that starts from a language
model reads as that one does instead (reading.py). Labels are numbered in the order of the alphabet.

The metric is accuracy, the share of examples whose greatest logit is right; logits that are not
numbers are wrong. Slices give the same for the examples of each class (its recall).

    B  examples      T  positions      V  labels
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.examples import count_overlap, part_to_score, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format
from seqarena.data.text.labelled import (
    Labelled,
    LabelledData,
    labelled_parts,
    load_labelled,
    wanted_columns,
)
from seqarena.data.text.vocabulary import Vocabulary
from seqarena.tasks.base import Answer, Codec, Split
from seqarena.tasks.configs import ClassificationConfig
from seqarena.tasks.examples import longest_read
from seqarena.tasks.inputs import read_inputs
from seqarena.tasks.survey import SplitSurvey, Survey
from seqarena.tasks.text.label import LabelTask, class_numbers
from seqarena.tasks.text.reading import (
    Reader,
    WordReader,
    reader_from_artifacts,
    reader_of_checkpoint,
    split_units,
)


class _Encoded(NamedTuple):
    """One example in numbers. `segments` is None where there is one sentence."""

    tokens_T: np.ndarray
    segments_T: np.ndarray | None


class ClassificationTask(LabelTask):
    """Labelled texts. The vocabulary is `task.vocabulary`, the names of the answers `classes`."""

    name = "classification"
    reading_settings = ("format", "text", "text_pair", "label", "label_part", "encoding")

    def __init__(self, config: ClassificationConfig, data: LabelledData | None = None) -> None:
        """Loads `config.data` unless data are handed in.

        Raises UserError, with file and line, for data that are not what they should be.
        """
        self.config = config
        self.data = data or load_labelled(config.data, config)
        self.reading = self.data.reading
        if config.drop_overlap:
            kept = without_overlap(self.data.splits, _texts, self.reading)
            self.data = self.data._replace(splits=kept)
        splits = self.data.splits._asdict()
        self.reader = (
            reader_of_checkpoint(config.reads_like)
            if config.reads_like
            else _learnt_reader(self.data.splits.train, config)
        )
        tokens = {
            split: [[self.reader(text) for text in _texts(example)] for example in examples]
            for split, examples in splits.items()
        }
        self.classes = tuple(sorted({example.label for example in self.data.splits.train}))
        number = {label: index for index, label in enumerate(self.classes)}
        self._examples = {
            split: [_encode(example, self.reader, config.max_length) for example in examples]
            for split, examples in tokens.items()
        }
        self._labels = {
            split: np.array([number[example.label] for example in examples])
            for split, examples in splits.items()
        }
        self._lengths = {
            split: np.array([sum(map(len, example)) for example in examples])
            for split, examples in tokens.items()
        }
        self._cut = {
            split: sum(any(len(s) > config.max_length for s in example) for example in examples)
            for split, examples in tokens.items()
        }
        self.sampler = BucketSampler(np.array([len(x.tokens_T) for x in self._examples["train"]]))
        self.sizes = {split: len(examples) for split, examples in splits.items()}
        self.vocab_size = self.reader.vocab_size
        self.sequence_length = max(
            len(x.tokens_T) for examples in self._examples.values() for x in examples
        )

    @classmethod
    def evaluation_of(
        cls, config: ClassificationConfig, artifacts: Mapping[str, str], data: str
    ) -> "ClassificationTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        parts, _ = labelled_parts(data, config, task.reading)
        examples = part_to_score(data, parts, task.reading)
        task.reader = reader_from_artifacts(config, artifacts)
        task.classes = tuple(json.loads(artifacts["labels"]))
        given = ((example.place, example.label) for example in examples)
        task._labels = {"test": class_numbers(given, task.classes)}
        tokens = [[task.reader(text) for text in _texts(example)] for example in examples]
        cut = sum(any(len(s) > config.max_length for s in example) for example in tokens)
        if cut:
            task.reading.note(f"{cut:,} texts are cut at {config.max_length} tokens")
        encoded = [_encode(example, task.reader, config.max_length) for example in tokens]
        task._examples = {"test": encoded}
        task.sizes = {"test": len(examples)}
        task.vocab_size = task.reader.vocab_size
        task.sequence_length = longest_read(
            (len(example.tokens_T) for example in encoded), artifacts
        )
        return task

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the words that were learnt from the training texts."""
        assert isinstance(self.reader, WordReader)
        return self.reader.vocabulary

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label",
            num_outputs=len(self.classes),
            vocab_size=self.vocab_size,
            num_segments=2 if self.config.text_pair else 0,
            max_length=self.sequence_length,
        )

    def groups(self, split: Split, index: int) -> tuple[str, ...]:
        return (f"class {self.classes[self._labels[split][index]]}",)

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        examples = [self._examples[split][k] for k in chosen_B]
        return _as_batch(examples, torch.from_numpy(self._labels[split][chosen_B])[:, None])

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.data.name,
            "origin": self.data.origin,
            "sha256": self.data.sha256,
            "format": self.data.format,
            "labels": {
                label: int((self._labels["train"] == k).sum())
                for k, label in enumerate(self.classes)
            },
            "tokenizer": self.reader.name,
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
            "mean_length": round(self.mean_length, 1),
            "splits": {split: self._split_facts(split) for split in self._examples},
            "also_in_training": count_overlap(
                self.data.splits, key=lambda example: (example.text, example.text_pair)
            ),
            "baseline": self.baseline(),
        }

    def survey(self) -> Survey:
        overlap = count_overlap(self.data.splits, _texts)
        facts = {split: self._split_facts(split) for split in self._examples}
        parts = {
            split: SplitSurvey(
                examples=self.sizes[split],
                lengths_N={f"{self.reader.unit}s": self._lengths[split]},
                cut=self._cut[split],
                tokens=facts[split]["tokens"],
                unknown=facts[split]["unknown_tokens"] if self.reader.unknown is not None else None,
                in_training=overlap.get(split),
            )
            for split in self._examples
        }
        counts_V = np.bincount(self._labels["train"], minlength=len(self.classes))
        return Survey(parts, classes=dict(zip(self.classes, counts_V.tolist())))

    def baseline(self) -> dict[str, Any]:
        """Always the most frequent label of the training examples: its accuracy on the test."""
        most = int(np.bincount(self._labels["train"]).argmax())
        share = float((self._labels["test"] == most).mean())
        return {"label": self.classes[most], "accuracy": round(share, 4)}

    def digest(self) -> str:
        settings = self.config.model_dump(mode="json", exclude={"data", "reads_like"})
        vocabulary = digest(self.reader.artifacts())
        return digest({**settings, "sha256": self.data.sha256, "vocabulary": vocabulary})

    def artifacts(self) -> dict[str, str]:
        return {
            **self.reader.artifacts(),
            "labels": json.dumps(self.classes),
            "sequence_length": str(self.sequence_length),
        }

    def _split_facts(self, split: str) -> dict[str, Any]:
        examples = self._examples[split]
        tokens_N = np.concatenate([example.tokens_T for example in examples])
        return {
            "examples": len(examples),
            "tokens": len(tokens_N),
            "unknown_tokens": int((tokens_N == self.reader.unknown).sum())
            if self.reader.unknown is not None
            else 0,
            "cut_at_max_length": self._cut[split],
        }


class ClassificationCodec(Codec):
    """A line, or two sentences with a tab between, -> the label and its probability."""

    def __init__(self, config: ClassificationConfig, reader: Reader, labels: Sequence[str]) -> None:
        self.config = config
        self.reader = reader
        self.labels = self.classes = tuple(labels)
        if config.text_pair:
            self.prompt = "two sentences with a tab between them"
        else:
            self.prompt = "a sentence"

    @classmethod
    def from_artifacts(cls, config: ClassificationConfig, artifacts: Mapping[str, str]) -> Self:
        reader = reader_from_artifacts(config, artifacts)
        return cls(config, reader, json.loads(artifacts["labels"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for an input that is empty, too long, or not the right number of
        sentences."""
        examples = [self._encoded(self._parts(item)) for item in items]
        return _as_batch(examples, torch.full((len(items), 1), IGNORE))

    def texts(self, texts: Sequence[str]) -> Batch:
        """One sentence each, which is the first of two where the model was trained on two."""
        examples = [self._encoded([text]) for text in texts]
        return _as_batch(examples, torch.full((len(texts), 1), IGNORE))

    def inputs(self, config: ClassificationConfig, file: Path) -> Iterator[str]:
        """Of a file whose lines all begin with a class of the model (label_first), what follows."""
        wanted = [each for each in wanted_columns(config) if each.setting != "label"]
        table = None if config.format in ("auto", "label_first", "class_folders") else config.format
        found = read_inputs(file, wanted, encoding=config.encoding, format=table)
        if file.is_dir() or table or table_format(file) or len(wanted) > 1:
            return found
        lines = list(found)
        firsts = [_first_label(line, config) for line in lines if line.strip()]
        labelled = set(firsts) <= set(self.classes)
        return (line.lstrip().partition(" ")[2] if labelled else line for line in lines)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        probabilities_BV = outputs[:, 0].float().softmax(-1)
        best_B = probabilities_BV.max(-1)
        return [
            Answer(self.labels[index], confidence)
            for index, confidence in zip(best_B.indices.tolist(), best_B.values.tolist())
        ]

    def _parts(self, item: str) -> list[str]:
        parts = item.split("\t") if self.config.text_pair else [item]
        wanted = 2 if self.config.text_pair else 1
        if len(parts) != wanted:
            raise UserError(f"{item!r}: {self.prompt} are needed, not {len(parts)}")
        return parts

    def _encoded(self, parts: Sequence[str]) -> _Encoded:
        item = "\t".join(parts)
        sentences = [self.reader(part) for part in parts]
        for part, sentence in zip(parts, sentences):
            if not (len(sentence) and part.strip()):
                raise UserError(f"{item!r}: no word in it: {self.prompt} is needed")
            if len(sentence) > self.config.max_length:
                raise UserError(
                    f"{item[:40]!r}...: {len(sentence)} {self.reader.unit}s, but this model "
                    f"was made for {self.config.max_length} at most: shorten it"
                )
        return _encode(
            sentences, self.reader, self.config.max_length, two=self.config.text_pair is not None
        )


def _first_label(line: str, config: ClassificationConfig) -> str:
    label = line.split(maxsplit=1)[0].removeprefix("__label__")
    return label.partition(":")[0] if config.label_part == "coarse" else label


def _texts(example: Labelled) -> tuple[str, ...]:
    """Its one or two sentences."""
    return (example.text,) if example.text_pair is None else (example.text, example.text_pair)


def _learnt_reader(train: Sequence[Labelled], config: ClassificationConfig) -> WordReader:
    """Of the words of the training texts, as far as they are not cut."""
    sentences = (
        split_units(text, config.tokenizer, lowercase=config.lowercase)[: config.max_length]
        for example in train
        for text in _texts(example)
    )
    vocabulary = Vocabulary.build(sentences, min_count=config.min_count)
    return WordReader(vocabulary, config.tokenizer, lowercase=config.lowercase)


def _encode(
    sentences: Sequence[np.ndarray], reader: Reader, limit: int, *, two: bool = False
) -> _Encoded:
    """Each sentence cut at `limit` tokens; see the head of this file. With `two`, a single sentence
    is written as the first of two."""
    parts = [sentence[:limit] for sentence in sentences]
    if len(parts) == 1 and not two:
        return _Encoded(parts[0], None)
    parts = [np.append(part, reader.separator) for part in parts]
    segments = [np.full(len(part), number) for number, part in enumerate(parts)]
    return _Encoded(np.concatenate(parts), np.concatenate(segments))


def _as_batch(examples: Sequence[_Encoded], targets_B1: Tensor) -> Batch:
    tokens_BT, mask_BT = pad([example.tokens_T for example in examples])
    rows = [example.segments_T for example in examples if example.segments_T is not None]
    return Batch(
        inputs_BT=torch.from_numpy(tokens_BT),
        targets_BT=targets_B1,
        mask_BT=torch.from_numpy(mask_BT),
        segments_BT=torch.from_numpy(pad(rows)[0]) if rows else None,
    )
