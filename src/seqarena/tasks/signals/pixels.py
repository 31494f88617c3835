"""Pixels: what a picture shows, read as a sequence of numbers, one pixel a position (Le et al.
2015, section 4.2: MNIST row by row, 784 steps, or in one fixed random order).

Pixels lie between -0.1 (paper) and 1.175 (ink), so that pictures of digits have a mean near 0 and
a variance near 1 (LeCun et al. 1998, section II.B). `pool` takes the mean of squares of pixels:
2 makes 196 steps of MNIST's 784. In a fixed random order the pictures are no pictures any more,
and models that need rows and columns cannot enter.

The metric is accuracy. Slices: `class X`.

    B  examples    T  pixels    H  rows    W  columns
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.buckets import BucketSampler
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import complete, count_overlap, without_overlap
from seqarena.data.files.find import kind_of, list_files
from seqarena.data.files.reading import Reading
from seqarena.data.signals.digits import drawn_digits
from seqarena.data.signals.idx import is_idx, read_idx
from seqarena.data.signals.images import Images, content_hash, load_images, read_picture
from seqarena.data.streams import Stream, philox
from seqarena.tasks.base import Answer, Codec, Split
from seqarena.tasks.configs import PixelsConfig
from seqarena.tasks.inputs import read_inputs
from seqarena.tasks.survey import SplitSurvey, Survey
from seqarena.tasks.text.label import (
    LabelTask,
    as_targets,
    class_numbers,
    known_classes,
    likeliest,
    majority,
)

_PAPER, _INK = -0.1, 1.175


class PixelsTask(LabelTask):
    """One label for a picture."""

    name = "pixels"
    reading_settings = ("label", "encoding")

    def __init__(self, config: PixelsConfig) -> None:
        """Reads the pictures (no data: drawn digits).

        Raises UserError for files that cannot be read or do not fit each other, a pool that does
        not divide the picture, and more training examples than there are.
        """
        self.config = config
        if config.data is None:
            found = drawn_digits()
        else:
            self.reading = Reading()
            found = load_images(
                config.data, label=config.label, encoding=config.encoding, reading=self.reading
            )
        splits = _split(found, self.reading)
        if config.drop_overlap:
            splits["train"] = _new(splits, self.reading)
        splits["train"] = _first(splits["train"], config.train_examples)
        labels = {name: [str(k) for k in images.labels_N] for name, images in splits.items()}
        known = known_classes(labels)
        are_numbers = all(name.isascii() and name.isdecimal() for name in known)
        self.classes = tuple(sorted(known, key=int)) if are_numbers else known
        self._majority = majority(labels)
        self._sha256 = content_hash(splits)
        self._read = PixelReader(config, splits["train"].pixels_NHW.shape[1:])
        self._images = splits
        number = {label: index for index, label in enumerate(self.classes)}
        self._labels = {
            name: np.array([number[label] for label in found]) for name, found in labels.items()
        }
        self.sizes = {name: len(images) for name, images in splits.items()}
        self.vocab_size = len(self.classes)
        self.sequence_length = self._read.height * self._read.width
        self.sampler = BucketSampler(np.full(self.sizes["train"], self.sequence_length))

    @classmethod
    def evaluation_of(
        cls, config: PixelsConfig, artifacts: Mapping[str, str], data: str
    ) -> "PixelsTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        images = _to_score(data, config, task.reading)
        size = tuple(json.loads(artifacts["size"]))
        if images.pixels_NHW.shape[1:] != size:
            raise UserError(
                f"{data}: pictures of {images.pixels_NHW.shape[1:]} pixels, and the model reads "
                f"{size}"
            )
        task.classes = tuple(json.loads(artifacts["classes"]))
        given = ((data, str(label)) for label in images.labels_N)
        task._labels = {"test": class_numbers(given, task.classes)}
        task._read = PixelReader(config, size)
        task._images = {"test": images}
        task.sizes = {"test": len(images)}
        task.vocab_size = len(task.classes)
        task.sequence_length = task._read.height * task._read.width
        return task

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label",
            num_outputs=len(self.classes),
            features=1,
            image=None if self.config.permuted else (self._read.height, self._read.width),
            max_length=self.sequence_length,
        )

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        inputs_BT1 = self._read(self._images[split].pixels_NHW[chosen_B])
        return Batch(inputs_BT1, as_targets(self._labels[split][chosen_B]))

    def groups(self, split: Split, index: int) -> tuple[str, ...]:
        return (f"class {self.classes[self._labels[split][index]]}",)

    def describe(self) -> dict[str, Any]:
        return {
            "name": "drawn digits" if self.config.data is None else Path(self.config.data).name,
            "origin": self.config.data or "generated",
            "sha256": self._sha256,
            "classes": len(self.classes),
            "splits": {name: {"pictures": size} for name, size in self.sizes.items()},
            "height": self._read.height,
            "width": self._read.width,
            "permuted": self.config.permuted,
            "sequence_length": self.sequence_length,
            "majority_accuracy": self._majority,
        }

    def survey(self) -> Survey:
        pictures = [[each.tobytes() for each in x.pixels_NHW] for x in self._images.values()]
        overlap = count_overlap(pictures, lambda pixels: pixels)
        parts = {
            split: SplitSurvey(
                examples=size,
                lengths_N={"pixels": np.array([self.sequence_length])},
                in_training=overlap.get(split),
            )
            for split, size in self.sizes.items()
        }
        counts_V = np.bincount(self._labels["train"], minlength=len(self.classes))
        classes = dict(zip(self.classes, counts_V.tolist()))
        return Survey(parts, noun="picture", classes=classes)

    def digest(self) -> str:
        # how tables are read shows in the pictures
        read_only = {"data", "train_examples", "label", "encoding"}
        settings = self.config.model_dump(mode="json", exclude=read_only)
        return digest({**settings, "sha256": self._sha256})

    def artifacts(self) -> dict[str, str]:
        return {
            "classes": json.dumps(self.classes),
            "size": json.dumps([self._read.full_height, self._read.full_width]),
        }


class PixelReader:
    """From pictures [B, H, W], 0 to 255, to the sequence that a model reads, float32 [B, T, 1]."""

    def __init__(self, config: PixelsConfig, size: Sequence[int]) -> None:
        """`size` is that of the pictures as they come. Raises UserError for a pool that does not
        divide it."""
        self.full_height, self.full_width = size
        self.pool = config.pool
        if self.full_height % self.pool or self.full_width % self.pool:
            raise UserError(
                f"pool {self.pool} does not divide pictures of {self.full_height} x "
                f"{self.full_width} pixels"
            )
        self.height, self.width = self.full_height // self.pool, self.full_width // self.pool
        # seed 0 and a stream of its own place: the order is part of the task, not of a training
        generator = philox(0, Stream.TRAIN, 0)
        count = self.height * self.width
        self._order_T = generator.permutation(count) if config.permuted else None

    def __call__(self, pictures_BHW: np.ndarray) -> Tensor:
        pooled_BHW = pictures_BHW.astype(np.float32).reshape(
            -1, self.height, self.pool, self.width, self.pool
        )
        pixels_BT = pooled_BHW.mean(axis=(2, 4)).reshape(len(pictures_BHW), -1)
        if self._order_T is not None:
            pixels_BT = pixels_BT[:, self._order_T]
        return torch.from_numpy(_PAPER + (_INK - _PAPER) / 255 * pixels_BT)[..., None]


class PixelsCodec(Codec):
    """A picture in a file -> its class."""

    takes_paths = True
    prompt = "a picture: a PNG, an .npy file (height, width), or FILE.gz:17 of an idx file"

    def __init__(self, reader: PixelReader, classes: Sequence[str]) -> None:
        self.reader = reader
        self.classes = tuple(classes)
        self._opened: tuple[str, np.ndarray] = ("", np.empty(0))

    @classmethod
    def from_artifacts(cls, config: PixelsConfig, artifacts: Mapping[str, str]) -> "PixelsCodec":
        reader = PixelReader(config, json.loads(artifacts["size"]))
        return cls(reader, json.loads(artifacts["classes"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for a picture that cannot be read or has another size."""
        pictures = []
        size = (self.reader.full_height, self.reader.full_width)
        for item in items:
            pictures.append(self._picture(item))
            if pictures[-1].shape != size:
                raise UserError(f"{item}: {pictures[-1].shape} pixels, and the model reads {size}")
        return Batch(self.reader(np.stack(pictures)), torch.full((len(items), 1), IGNORE))

    def _picture(self, item: str) -> np.ndarray:
        name, pictures_NHW = self._opened
        file, _, number = item.rpartition(":")
        if file == name and number.isdecimal() and int(number) < len(pictures_NHW):
            return pictures_NHW[int(number)]
        return read_picture(item)

    def inputs(self, config: PixelsConfig, file: Path) -> Iterator[str]:
        """Every picture of an idx file or of a folder, or those that a list names, by its column
        path or one a line; paths are relative to the list."""
        if file.is_dir():
            return (str(each) for each in list_files(file, ("picture",), Reading()))
        if kind_of(file) == "picture":
            return iter([str(file)])
        if is_idx(file):
            self._opened = (str(file), read_idx(file))  # once, and not for each of its pictures
            return (f"{file}:{number}" for number in range(len(self._opened[1])))
        names = read_inputs(file, [Wanted("path", "path", is_default=True)])
        return (str(file.parent / name) if name.strip() else "" for name in names)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        return likeliest(outputs, self.classes)


def _to_score(data: str, config: PixelsConfig, reading: Reading) -> Images:
    """The test pictures, or all of them where there are none; the reading says which."""
    found = load_images(data, label=config.label, encoding=config.encoding, reading=reading)
    if "test" in found:
        if len(found) > 1:
            reading.note(f"{data}: its test split is scored")
        return found["test"]
    parts = list(found.values())
    return Images(
        np.concatenate([part.pixels_NHW for part in parts]),
        np.concatenate([part.labels_N for part in parts]),
    )


def _split(found: dict[str, Images], reading: Reading | None) -> dict[str, Images]:
    """What is missing is cut off the training pictures."""
    missing = [split for split in ("validation", "test") if split not in found]
    if not missing:
        return {split: found[split] for split in ("train", "validation", "test")}
    # numbers stand for pictures; those of a split that is there already are never looked up
    given = {split: [] if split in missing else [-1] for split in ("validation", "test")}
    labels = found["train"].labels_N.tolist()
    cut = complete(
        list(range(len(labels))),
        given["validation"],
        given["test"],
        class_of=lambda number: labels[number],
        reading=reading,
    )
    chosen = {name: np.array(numbers) for name, numbers in cut._asdict().items()}
    return {
        name: found["train"].take(numbers) if name == "train" or name in missing else found[name]
        for name, numbers in chosen.items()
    }


def _new(splits: Mapping[str, Images], reading: Reading | None) -> Images:
    """The training pictures that validation and test do not hold."""
    numbered = [list(enumerate(part.pixels_NHW)) for part in splits.values()]
    kept = without_overlap(numbered, lambda pair: pair[1].tobytes(), reading, "picture")
    return splits["train"].take(np.array([number for number, _ in kept.train]))


def _first(train: Images, limit: int | None) -> Images:
    if limit is not None and limit > len(train):
        raise UserError(f"train_examples {limit:,}: there are {len(train):,} after validation")
    return train.take(np.arange(limit or len(train)))
