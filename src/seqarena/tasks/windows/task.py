"""Windows: a label, or a number, for many numbers over time.

Channels are standardised by the mean and the spread of the training windows, and what is more
than ten spreads from the mean is taken as ten: a sensor that fails would drown the rest. A number
that is missing becomes the mean, and a channel that misses some in training gets a second one that
says where. Labels are numbers where the file says it (`@targetLabel` of .ts), where one is
no whole number, or where more than 20 differ; a setting says otherwise.

The metric is accuracy, with slices `class X`; of numbers the mean squared error in units of the
variance of the training numbers, so that the mean of training gets about 1.

    B  examples    T  steps    C  channels    F  features
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch, Problem
from seqarena.core.config import digest
from seqarena.core.words import plural
from seqarena.data.arrays import map_array, save_array
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import complete, count_overlap, part_to_score, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.series.windows.reading import content_of, load_windows
from seqarena.data.series.windows.shapes import CHANNELS, best_accuracy, shape_windows
from seqarena.data.series.windows.tables import WindowColumns
from seqarena.data.series.windows.window import SensorWindow
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.baselines.baseline import Baseline
from seqarena.tasks.baselines.catalog import baselines_of
from seqarena.tasks.examples import ExampleTask, longest_read
from seqarena.tasks.survey import SplitSurvey, Survey, lengths_of
from seqarena.tasks.text.label import (
    LabelBatch,
    as_targets,
    class_numbers,
    known_classes,
    label_ratios,
)
from seqarena.tasks.windows.configs import WindowsConfig
from seqarena.tasks.windows.labels import are_numbers, in_order, numbers_of
from seqarena.tasks.windows.scale import ChannelScale, NumberScale


class WindowsTask(ExampleTask):
    """One label or one number for a window."""

    name = "windows"
    reading_settings = ("window", "time", "label", "encoding")
    causal = False

    def __init__(self, config: WindowsConfig) -> None:
        """Reads the windows (no data: shapes in noise).

        Raises UserError for what cannot be read (file and line), a split without any window, a
        single class, and a class that training does not have.
        """
        self.reading = None if config.data is None else Reading()
        if self.reading is None:
            self._fit(config, shape_windows(), CHANNELS, numbers=False)
            return
        found = load_windows(str(config.data), columns_of(config), self.reading)
        numbers = are_numbers(found, config, self.reading)
        splits = complete(
            *found.parts,
            class_of=None if numbers else lambda window: window.label,
            reading=self.reading,
        )
        if config.drop_overlap:
            splits = without_overlap(splits, _content, self.reading, "window")
        self._fit(config, splits._asdict(), found.channels, numbers=numbers)

    @classmethod
    def evaluation_of(
        cls, config: WindowsConfig, artifacts: Mapping[str, str], data: str
    ) -> "WindowsTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        task.scale = ChannelScale.from_json(artifacts["channels"])
        task.channels = task.scale.names
        columns = columns_of(config)._replace(channels=task.channels)
        found = load_windows(data, columns, task.reading)
        task.scale.check(found.channels, data)
        task.numbers = "number" in artifacts
        task.label_scale = NumberScale.from_json(artifacts["number"]) if task.numbers else None
        task.classes = tuple(json.loads(artifacts.get("classes", "[]")))
        task._windows = {"test": part_to_score(data, found.parts, task.reading)}
        task._set_up(artifacts)
        return task

    def _fit(
        self,
        config: WindowsConfig,
        windows: Mapping[str, Sequence[SensorWindow]],
        channels: tuple[str, ...],
        *,
        numbers: bool,
    ) -> None:
        """The windows of every split, with classes and scales of the training windows."""
        self.config, self.channels, self.numbers = config, channels, numbers
        self._windows = windows
        train = windows["train"]
        labels = {split: [w.label for w in part] for split, part in windows.items()}
        self.classes = () if numbers else in_order(known_classes(labels))
        self.scale = ChannelScale.of([w.values_TC for w in train], channels)
        self.label_scale = NumberScale.of(numbers_of(train)) if numbers else None
        self._set_up({})

    def _set_up(self, artifacts: Mapping[str, str]) -> None:
        """What follows from the windows, the classes and the scales."""
        self.metric = "mean_squared_error" if self.numbers else "accuracy"
        self.lower_is_better = self.numbers
        limit = self.config.max_length
        self._rows = {
            split: [self.scale.features(w.values_TC[:limit]) for w in part]
            for split, part in self._windows.items()
        }
        self._targets = {split: self._answers(part) for split, part in self._windows.items()}
        self.sizes = {split: len(part) for split, part in self._windows.items()}
        self.vocab_size = len(self.classes) or 1
        lengths = [len(row) for rows in self._rows.values() for row in rows]
        self.sequence_length = longest_read(lengths, artifacts)
        if "train" in self._rows:
            self.sampler = BucketSampler(lengths_of(self._rows["train"]))

    def _answers(self, windows: Sequence[SensorWindow]) -> np.ndarray:
        if self.label_scale is not None:
            return self.label_scale.standardised(numbers_of(windows))
        return class_numbers(((w.place, w.label) for w in windows), self.classes)

    @property
    def problem(self) -> Problem:
        return Problem(
            form="label",
            targets="numbers" if self.numbers else "classes",
            num_outputs=self.vocab_size,
            features=self.scale.num_features,
            max_length=self.sequence_length,
        )

    def labels(self, split: str) -> np.ndarray:
        """The numbers of the classes of a split's windows, or what is asked, standardised."""
        return self._targets[split]

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        inputs_BTF, mask_BT = pad([self._rows[split][index] for index in chosen_B])
        chosen = self._targets[split][chosen_B]
        targets_B1 = torch.from_numpy(chosen)[:, None] if self.numbers else as_targets(chosen)
        return Batch(torch.from_numpy(inputs_BTF), targets_B1, torch.from_numpy(mask_BT))

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = LabelBatch(*self.batch(split, chosen_B))
        if not self.numbers:
            numbers = self._targets[split][chosen_B]
            batch.groups_B = tuple((f"class {self.classes[number]}",) for number in numbers)
        return batch

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        if not self.numbers:
            return label_ratios(logits_BTV, batch)
        error_B = logits_BTV[:, 0, 0].float().cpu() - batch.targets_BT[:, 0].cpu()
        squared_B = error_B.double().square().numpy()
        return Ratios(squared_B, np.ones(len(squared_B)), {})

    def baselines(self) -> tuple[Baseline, ...]:
        other = "majority" if self.numbers else "mean"
        return tuple(row for row in baselines_of(self.name) if row.name != other)

    def describe(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "name": "shapes in noise" if self.config.data is None else Path(self.config.data).name,
            "origin": self.config.data or "generated",
            "channels": list(self.channels),
            "splits": {name: {"windows": size} for name, size in self.sizes.items()},
            "sequence_length": self.sequence_length,
        }
        if self.label_scale is not None:
            return facts | {"label_mean": self.label_scale.mean, "label_std": self.label_scale.std}
        if self.config.data is None:
            facts["best_accuracy"] = best_accuracy(self._windows["test"])
        return facts | {"classes": len(self.classes)}

    def survey(self) -> Survey:
        overlap = count_overlap(list(self._windows.values()), _content)
        limit = self.config.max_length
        parts = {
            split: SplitSurvey(
                examples=len(part),
                lengths_N={"steps": lengths_of([w.values_TC for w in part])},
                cut=sum(len(w.values_TC) > limit for w in part),
                in_training=overlap.get(split),
            )
            for split, part in self._windows.items()
        }
        counts = (
            np.bincount(self._targets["train"], minlength=self.vocab_size) if self.classes else ()
        )
        notes = [f"{plural(len(self.channels), 'channel')} a step"]
        if self.config.data is None:
            best = best_accuracy(self._windows["test"])
            notes.append(f"the best possible accuracy on the test windows is {best:.3f}")
        classes = dict(zip(self.classes, map(int, counts)))
        return Survey(parts, noun="window", classes=classes, notes=tuple(notes))

    def digest(self) -> str:
        # how files are read shows in the windows
        settings = self.config.model_dump(mode="json", include={"kind", "max_length"})
        content = {split: content_of(part).hex() for split, part in self._windows.items()}
        return digest({**settings, "numbers": self.numbers, "windows": content})

    def artifacts(self) -> dict[str, str]:
        found = {
            "channels": self.scale.to_json(),
            "sequence_length": str(self.sequence_length),
        }
        if self.label_scale is not None:
            return found | {"number": self.label_scale.to_json()}
        return found | {"classes": json.dumps(self.classes)}

    def save_prepared(self, folder: Path) -> bool:
        """All numbers in one array a split, and what is known of the windows beside it."""
        facts: dict[str, Any] = {"channels": self.channels, "numbers": self.numbers, "splits": {}}
        for split, part in self._windows.items():
            values = np.concatenate([w.values_TC for w in part])
            facts["splits"][split] = {
                "sha256": save_array(folder / f"{split}.npy", values),
                "windows": [(len(w.values_TC), w.place, w.name, w.label) for w in part],
            }
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return True

    @classmethod
    def load_prepared(cls, config: WindowsConfig, folder: Path) -> "WindowsTask":
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        windows = {}
        for split, part in facts["splits"].items():
            values = map_array(folder / f"{split}.npy", part["sha256"])
            ends = np.cumsum([window[0] for window in part["windows"]])
            windows[split] = [
                SensorWindow(place, name, values[end - length : end], label)
                for end, (length, place, name, label) in zip(ends, part["windows"])
            ]
        task = cls.__new__(cls)
        task._fit(config, windows, tuple(facts["channels"]), numbers=facts["numbers"])
        return task


def columns_of(config: WindowsConfig, *, labelled: bool = True) -> WindowColumns:
    """How tables are read by a configuration."""
    window, time, label = (Wanted.of(config, name) for name in ("window", "time", "label"))
    return WindowColumns(window, time, label, config.channels, config.encoding, labelled)


def _content(window: SensorWindow) -> bytes:
    return content_of([window])
