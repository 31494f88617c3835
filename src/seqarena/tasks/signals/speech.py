"""Speech: which word, command or class a recording is.

A recording becomes frames of log-mel features (data/signals/mel.py), or stays a waveform: one
number a position, as it is or mu-law companded, sign(x) ln(1 + 255 |x|) / ln 256 (van den Oord et
al. 2016, section 2.2). Features are normalised by band: over all training frames, or over each
recording, which also takes out how loud it is and what it was recorded with (a class may show in
those).

The metric is accuracy. Slices: `class X`, and `speaker X` where the data say who speaks.

    B  examples    T  frames or samples    F  features
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core import words
from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import Splits, complete, count_overlap, without_overlap
from seqarena.data.files.find import kind_of, list_files
from seqarena.data.files.reading import Reading
from seqarena.data.signals.audio import (
    Recording,
    Recordings,
    check_rate,
    load_recordings,
    read_sound,
)
from seqarena.data.signals.mel import log_mel
from seqarena.data.signals.tones import touch_tones
from seqarena.data.signals.wav import LOWEST_RATE
from seqarena.data.splits import parse_range
from seqarena.tasks.base import Answer, Codec, Split
from seqarena.tasks.configs import SpeechConfig
from seqarena.tasks.examples import longest_read
from seqarena.tasks.inputs import read_inputs
from seqarena.tasks.survey import SplitSurvey, Survey, lengths_of
from seqarena.tasks.text.label import (
    LabelTask,
    as_targets,
    class_numbers,
    known_classes,
    likeliest,
    majority,
)

_MU = 255.0
_SMALLEST_STD = 1e-3  # a band that hardly changes is left near zero, not blown up


class SpeechTask(LabelTask):
    """One label for a recording."""

    name = "speech"
    reading_settings = ("label", "encoding")

    def __init__(self, config: SpeechConfig) -> None:
        """Reads the recordings (no data: touch tones) and computes all features.

        Raises UserError for recordings that cannot be read, a split without any, a single class,
        or a class that training does not have.
        """
        self.config = config
        recordings = (
            touch_tones()
            if config.data is None
            else load_recordings(
                config.data,
                sample_rate=config.sample_rate,
                max_seconds=config.max_seconds,
                label=config.label,
                encoding=config.encoding,
            )
        )
        self._about, self.reading = recordings._replace(items=()), recordings.reading
        parts = _split(recordings, config)
        if config.drop_overlap:
            parts = without_overlap(parts, _sound, self.reading, "recording")
        splits = parts._asdict()
        labels = {name: [r.label for r in found] for name, found in splits.items()}
        self.classes = known_classes(labels)
        self._majority = majority(labels)
        self._sha256 = _content_hash(splits)
        self.frontend = Frontend(config, recordings.sample_rate)
        raw = {
            name: [self.frontend.raw(r.samples_N) for r in found] for name, found in splits.items()
        }
        self.frontend.fit(raw["train"])
        self._features = {
            name: [self.frontend.normalised(x_TF) for x_TF in rows] for name, rows in raw.items()
        }
        self._labels = {
            name: np.array([self.classes.index(label) for label in found])
            for name, found in labels.items()
        }
        self._speakers = {name: [r.speaker for r in found] for name, found in splits.items()}
        self.sizes = {name: len(found) for name, found in labels.items()}
        self._overlap = count_overlap(list(splits.values()), _sound)
        self._seconds = {
            name: sum(len(r.samples_N) for r in found) / recordings.sample_rate
            for name, found in splits.items()
        }
        self.vocab_size = len(self.classes)
        self.sequence_length = max(len(x_TF) for rows in raw.values() for x_TF in rows)
        self.sampler = BucketSampler(np.array([len(x_TF) for x_TF in raw["train"]]))

    @classmethod
    def evaluation_of(
        cls, config: SpeechConfig, artifacts: Mapping[str, str], data: str
    ) -> "SpeechTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        task.frontend = Frontend.from_json(config, artifacts["frontend"])
        rate = task.frontend.sample_rate
        found = load_recordings(
            data,
            sample_rate=rate,
            max_seconds=config.max_seconds,
            label=config.label,
            encoding=config.encoding,
            reading=task.reading,
        )
        chosen = [item for item in found.items if item.split == "test"] or list(found.items)
        if len(chosen) < len(found.items):
            task.reading.note(f"{data}: its test split is scored, {len(chosen):,} recordings")
        if found.num_cut:
            task.reading.note(f"{found.num_cut:,} recordings are cut at {config.max_seconds:g} s")
        task.classes = tuple(json.loads(artifacts["classes"]))
        given = ((item.name, item.label) for item in chosen)
        task._labels = {"test": class_numbers(given, task.classes)}
        rows = [task.frontend.normalised(task.frontend.raw(item.samples_N)) for item in chosen]
        task._features = {"test": rows}
        task._speakers = {"test": [item.speaker for item in chosen]}
        task.sizes = {"test": len(chosen)}
        task.vocab_size = len(task.classes)
        task.sequence_length = longest_read(map(len, rows), artifacts)
        return task

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label",
            num_outputs=len(self.classes),
            features=self.frontend.num_features,
            max_length=self.sequence_length,
        )

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        rows = [self._features[split][index] for index in chosen_B]
        return _as_batch(rows)._replace(targets_BT=as_targets(self._labels[split][chosen_B]))

    def groups(self, split: Split, index: int) -> tuple[str, ...]:
        speaker = self._speakers[split][index]
        own_class = f"class {self.classes[self._labels[split][index]]}"
        return (own_class,) if speaker is None else (own_class, f"speaker {speaker}")

    def describe(self) -> dict[str, Any]:
        return {
            "name": "touch tones" if self.config.data is None else Path(self.config.data).name,
            "origin": self._about.origin,
            "sha256": self._sha256,
            "sample_rate": self._about.sample_rate,
            "features": self.config.features,
            "classes": len(self.classes),
            "splits": {
                name: {"recordings": size, "seconds": round(self._seconds[name], 1)}
                for name, size in self.sizes.items()
            },
            "sequence_length": self.sequence_length,
            "cut_recordings": self._about.num_cut,
            "majority_accuracy": self._majority,
        }

    def survey(self) -> Survey:
        unit = "frames" if self.config.features == "log_mel" else "samples"
        parts = {
            split: SplitSurvey(
                examples=len(rows),
                lengths_N={unit: lengths_of(rows)},
                in_training=self._overlap.get(split),
            )
            for split, rows in self._features.items()
        }
        counts_V = np.bincount(self._labels["train"], minlength=len(self.classes))
        notes = [f"{self._about.sample_rate:,} samples a second"]
        if self._about.num_cut:
            cut = words.plural(self._about.num_cut, "recording")
            notes.append(f"{cut} cut at {self.config.max_seconds:g} seconds")
        return Survey(
            parts,
            noun="recording",
            classes=dict(zip(self.classes, counts_V.tolist())),
            notes=tuple(notes) if self.config.data else (),
        )

    def digest(self) -> str:
        # how tables are read shows in the recordings
        settings = self.config.model_dump(mode="json", exclude={"data", "label", "encoding"})
        return digest({**settings, "rate": self._about.sample_rate, "sha256": self._sha256})

    def artifacts(self) -> dict[str, str]:
        return {
            "classes": json.dumps(self.classes),
            "frontend": self.frontend.to_json(),
            "sequence_length": str(self.sequence_length),
        }


class Frontend:
    """From samples to features [T, F], float32, as the configuration says."""

    def __init__(self, config: SpeechConfig, sample_rate: int) -> None:
        """`sample_rate` is that of the recordings, before any decimation. Global normalisation
        has to be fitted first. Raises UserError where decimation leaves too few samples."""
        if sample_rate // config.decimate < LOWEST_RATE:
            raise UserError(
                f"decimate {config.decimate} leaves {sample_rate // config.decimate} of "
                f"{sample_rate} samples a second: {LOWEST_RATE} are needed"
            )
        self.config = config
        self.sample_rate = sample_rate
        self.num_features = config.bands if config.features == "log_mel" else 1
        self._mean_F = np.zeros(self.num_features, dtype=np.float32)
        self._std_F = np.ones(self.num_features, dtype=np.float32)

    def raw(self, samples_N: np.ndarray) -> np.ndarray:
        """Not yet normalised."""
        factor = self.config.decimate
        if factor > 1:
            samples_N = _decimate(samples_N, factor)
        if self.config.features == "log_mel":
            return log_mel(samples_N, self.sample_rate // factor, self.config.bands)
        if self.config.features == "mu_law":
            loud_N = np.log1p(_MU * np.minimum(1.0, np.abs(samples_N)))
            samples_N = np.sign(samples_N) * loud_N / np.log1p(_MU)
        return samples_N.astype(np.float32)[:, None]

    def fit(self, rows: Sequence[np.ndarray]) -> None:
        """Mean and spread of all frames, where they are what normalises."""
        if self.config.normalise == "global":
            frames_NF = np.concatenate(rows).astype(np.float64)
            self._mean_F = frames_NF.mean(axis=0).astype(np.float32)
            self._std_F = _spread(frames_NF)

    def normalised(self, x_TF: np.ndarray) -> np.ndarray:
        if self.config.normalise == "recording":
            return (x_TF - x_TF.mean(axis=0)) / _spread(x_TF)
        return (x_TF - self._mean_F) / self._std_F

    def to_json(self) -> str:
        return json.dumps(
            {
                "sample_rate": self.sample_rate,
                "mean": self._mean_F.tolist(),
                "std": self._std_F.tolist(),
            }
        )

    @classmethod
    def from_json(cls, config: SpeechConfig, text: str) -> "Frontend":
        fields = json.loads(text)
        frontend = cls(config, fields["sample_rate"])
        frontend._mean_F = np.array(fields["mean"], dtype=np.float32)
        frontend._std_F = np.array(fields["std"], dtype=np.float32)
        return frontend


class SpeechCodec(Codec):
    """The path of a sound file -> its class."""

    takes_paths = True
    prompt = "the path of a wav file"

    def __init__(self, config: SpeechConfig, frontend: Frontend, classes: Sequence[str]) -> None:
        self.config = config
        self.frontend = frontend
        self.classes = tuple(classes)

    @classmethod
    def from_artifacts(cls, config: SpeechConfig, artifacts: Mapping[str, str]) -> "SpeechCodec":
        frontend = Frontend.from_json(config, artifacts["frontend"])
        return cls(config, frontend, json.loads(artifacts["classes"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for a file that cannot be read, has another rate, or is too long."""
        return _as_batch([self._features(item.strip()) for item in items])

    def inputs(self, config: SpeechConfig, file: Path) -> Iterator[str]:
        """The sound files of a folder in the order of their paths, or those that a list names, by
        its column path or one a line; paths are relative to the list."""
        if file.is_dir():
            return (str(each) for each in list_files(file, ("sound",), Reading()))
        if kind_of(file) == "sound":
            return iter([str(file)])
        names = read_inputs(file, [Wanted("path", "path", is_default=True)])
        return (str(file.parent / name) if name.strip() else "" for name in names)

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        return likeliest(outputs, self.classes)

    def _features(self, name: str) -> np.ndarray:
        rate, samples_N, _ = read_sound(Path(name).expanduser(), name)
        check_rate(rate, self.frontend.sample_rate, name)
        seconds = len(samples_N) / rate
        if seconds > self.config.max_seconds:
            raise UserError(
                f"{name}: {seconds:.1f} seconds, and the model was trained on at most "
                f"{self.config.max_seconds:g}: cut it"
            )
        return self.frontend.normalised(self.frontend.raw(samples_N))


def _sound(item: Recording) -> bytes:
    return item.samples_N.tobytes()


def _split(recordings: Recordings, config: SpeechConfig) -> Splits:
    """By index where the settings say so, else as the data say; the rest of what is missing is
    cut off the training recordings."""
    by_index = [
        (split, parse_range(str(text)))
        for split, text in (("test", config.test_index), ("validation", config.validation_index))
        if text is not None
    ]
    found: dict[str, list[Recording]] = {"train": [], "validation": [], "test": []}
    for item in recordings.items:
        chosen = next((split for split, numbers in by_index if item.index in numbers), None)
        found[chosen or item.split or "train"].append(item)
    for split, numbers in by_index:
        if not found[split]:
            raise UserError(
                f"{split}_index {numbers[0]}-{numbers[-1]}: no recording's name ends in such a "
                "number, as in {class}_{speaker}_{index}.wav"
            )
    if not found["train"]:
        raise UserError("no recording is left for training: name fewer for validation and test")
    reading = recordings.reading
    if reading is not None:
        for split, part in found.items():
            if part:
                reading.read(Path(str(config.data)), split, recordings.format, len(part))
        if by_index:
            names = " and ".join(f"{split}_index" for split, _ in by_index)
            reading.how = f"by the numbers that names end in ({names})"
        elif not reading.how:
            said = len([part for part in found.values() if part]) > 1
            reading.how = "by the folders' names" if said else "all are for training"
    return complete(*found.values(), class_of=lambda item: item.label, reading=reading)


def _decimate(samples_N: np.ndarray, factor: int) -> np.ndarray:
    """Every `factor`-th sample after a low-pass filter without delay."""
    from scipy.signal import resample_poly

    return resample_poly(samples_N.astype(np.float64), 1, factor)


def _spread(x_TF: np.ndarray) -> np.ndarray:
    return np.maximum(x_TF.std(axis=0), _SMALLEST_STD).astype(np.float32)


def _as_batch(rows: list[np.ndarray]) -> Batch:
    inputs_BTF, mask_BT = pad(rows)
    targets_B1 = torch.full((len(rows), 1), IGNORE)
    return Batch(torch.from_numpy(inputs_BTF), targets_B1, torch.from_numpy(mask_BT))


def _content_hash(splits: Mapping[str, Sequence[Recording]]) -> str:
    """Of everything that the examples are: sound, label, speaker, split and order."""
    found = hashlib.sha256()
    for split, recordings in splits.items():
        for item in recordings:
            found.update(f"{split}\0{item.label}\0{item.speaker}\0".encode())
            found.update(item.samples_N.tobytes())
    return found.hexdigest()
