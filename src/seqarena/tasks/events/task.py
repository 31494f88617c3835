"""Events: what an entity does next and when, or a label of the entity.

After every event of a history a model answers with V + 3 K numbers: logits of the next event's V
categories, NEW among them, and a law of the time to it, a mixture of K log-normal laws (gaps.py).
Both depend on the history and not on each other, as in Du et al. 2016 (RMTPP, section 3.2) and
Shchur et al. 2020. The loss and the metric are one proper score, the nats of what came,

    - ln p(next event) - ln P(recorded gap)

over events: 0 is certainty. Slices: its two parts, `event` and `time`. With a label the metric is
accuracy, with slices `class X`.

    B  examples    T  events    C  categorical fields    V  categories    K  components
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from seqarena.core.batch import Batch, Problem, asked
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.buckets import BucketSampler
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import count_overlap, part_to_score
from seqarena.data.files.reading import Reading
from seqarena.data.series.events.process import best_nats, best_persona_accuracy, customer_events
from seqarena.data.series.events.reading import EventColumns, Histories, load_histories
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.baselines.baseline import Baseline
from seqarena.tasks.baselines.catalog import baselines_of
from seqarena.tasks.events.configs import EventsConfig
from seqarena.tasks.events.encoder import NEW, EventEncoder
from seqarena.tasks.events.gaps import gap_log_probability
from seqarena.tasks.events.histories import SplitHistories, labels_of, split_histories
from seqarena.tasks.events.pieces import Piece, as_batch, label_piece, next_event_pieces
from seqarena.tasks.examples import ExampleTask, longest_read
from seqarena.tasks.survey import SplitSurvey, Survey
from seqarena.tasks.text.label import LabelBatch, class_numbers, known_classes, label_ratios

_PERSONA = "persona"  # the field of generated customers that is hidden


class EventsTask(ExampleTask):
    """The next event and its time, or one label for a history."""

    name = "events"
    reading_settings = ("entity", "time", "event", "label", "encoding")

    def __init__(self, config: EventsConfig) -> None:
        """Reads the events (no data: customers of a generated shop).

        Raises UserError for what cannot be read (file and line), a split in which nothing is asked,
        and of labels a single class and one that training does not have.
        """
        self.config = config
        self.reading = None if config.data is None else Reading()
        notes = self.reading or Reading()
        found = _generated(config) if config.data is None else _read(config, notes)
        self._splits: dict[str, SplitHistories] = {}
        if config.data is not None or config.split == "time":
            self._splits |= split_histories(found.parts, config, notes)
        else:
            names = ("train", "validation", "test")
            self._splits |= {k: SplitHistories(part) for k, part in zip(names, found.parts)}
        train = self._splits["train"].histories
        event = config.event if config.label is None else None
        self.encoder = EventEncoder.of(train, event, config, found.dates, notes)
        self.classes = () if config.label is None else known_classes(self._labels_by_split())
        self._set_up({})
        self.sampler = BucketSampler(np.array([len(piece) for piece in self._pieces["train"]]))

    @classmethod
    def evaluation_of(
        cls, config: EventsConfig, artifacts: Mapping[str, str], data: str
    ) -> "EventsTask":
        task = cls.__new__(cls)
        task.config, task.reading = config, Reading(to_score=True)
        task.encoder = EventEncoder.from_json(artifacts["fields"])
        task.classes = tuple(json.loads(artifacts.get("classes", "[]")))
        found = load_histories(data, columns_of(config), task.reading)
        if found.dates != task.encoder.dates:
            here, there = ("dates", "numbers") if found.dates else ("numbers", "dates")
            raise UserError(f"{data}: times are {here}, and the model was trained on {there}")
        task._splits = {"test": SplitHistories(part_to_score(data, found.parts, task.reading))}
        task._set_up(artifacts)
        return task

    def _set_up(self, artifacts: Mapping[str, str]) -> None:
        """What follows from the histories, the encoder and the classes."""
        self.causal = self.config.label is None
        self.metric = "nats_per_event" if self.causal else "accuracy"
        self.lower_is_better = self.causal
        self._pieces = {split: self._asked(split) for split in self._splits}
        for split, pieces in self._pieces.items():
            if not pieces:
                raise UserError(f"no entity of {split} has two events: nothing is asked there")
        self.sizes = {split: len(pieces) for split, pieces in self._pieces.items()}
        laws = 3 * self.config.components
        self.vocab_size = self.encoder.event.size + laws if self.causal else len(self.classes)
        lengths = [len(piece) for pieces in self._pieces.values() for piece in pieces]
        self.sequence_length = longest_read(lengths, artifacts)

    def _asked(self, split: str) -> list[Piece]:
        histories, asked_from = self._splits[split]
        encoded = [self.encoder.encode(history) for history in histories]
        most = self.config.max_length
        if self.config.label is not None:
            labels = labels_of({split: histories}, self.config.label)[split]
            places = [history.places[0] for history in histories]
            numbers = class_numbers(zip(places, labels), self.classes)
            return [label_piece(h, int(number), most) for h, number in zip(encoded, numbers)]
        return [
            piece
            for history, numbers in zip(histories, encoded)
            for piece in next_event_pieces(numbers, history.times_T >= asked_from, most)
        ]

    def _labels_by_split(self) -> dict[str, list[str]]:
        assert self.config.label is not None
        by_split = {split: part.histories for split, part in self._splits.items()}
        return labels_of(by_split, self.config.label)

    @property
    def problem(self) -> Problem:
        return Problem(
            form="tokens" if self.causal else "label",
            targets="numbers" if self.causal else "classes",
            num_outputs=self.vocab_size,
            features=self.encoder.num_features,
            categories=tuple(field.size for field in self.encoder.fields),
            causal=self.causal,
            max_length=self.sequence_length,
        )

    def labels(self, split: str) -> np.ndarray:
        """The numbers of the classes of a split's entities, in their order."""
        return np.array([piece.targets[0] for piece in self._pieces[split]])

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        return as_batch([self._pieces[split][index] for index in chosen_B])

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = LabelBatch(*self.batch(split, chosen_B))
        if not self.causal:
            numbers = batch.targets_BT[:, 0].tolist()
            batch.groups_B = tuple((f"class {self.classes[number]}",) for number in numbers)
        return batch

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Nats an event that is asked; of labels the cross-entropy. Raises UserError for label
        smoothing of events, whose score is then no probability."""
        if not self.causal:
            return super().loss(logits_BTV, batch, label_smoothing)
        if label_smoothing:
            raise UserError("this task asks for probabilities: leave label smoothing at 0")
        event_BT, time_BT = self._nats(logits_BTV.float(), batch)
        return (event_BT + time_BT).sum() / (asked(batch.targets_BT).sum() / 2)

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        if not self.causal:
            return label_ratios(logits_BTV, batch)
        event_BT, time_BT = self._nats(logits_BTV.float().cpu(), batch)
        count_B = asked(batch.targets_BT)[..., 0].sum(1).double().numpy()
        event, time = (part.double().sum(1).numpy() for part in (event_BT, time_BT))
        total = float(count_B.sum())
        slices = {"event": (float(event.sum()), total), "time": (float(time.sum()), total)}
        return Ratios(event + time, count_B, slices)

    def _nats(self, outputs_BTV: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the next event and of the time to it, [B, T] each; 0 where nothing is asked."""
        targets_BT2 = batch.targets_BT.to(outputs_BTV.device)
        asked_BT = asked(targets_BT2)[..., 0]
        kinds = self.encoder.event.size
        outputs_NV, targets_N2 = outputs_BTV[asked_BT], targets_BT2[asked_BT]
        chosen_N1 = targets_N2[:, :1].long()
        event_N = -outputs_NV[:, :kinds].log_softmax(-1).gather(1, chosen_N1)[:, 0]
        time_N = -gap_log_probability(outputs_NV[:, kinds:], targets_N2[:, 1], self.encoder.gaps)
        nothing_BT = outputs_BTV.new_zeros(asked_BT.shape)
        event_BT, time_BT = (nothing_BT.masked_scatter(asked_BT, x) for x in (event_N, time_N))
        return event_BT, time_BT

    def baselines(self) -> tuple[Baseline, ...]:
        of_label = ("majority",)
        rows = baselines_of(self.name)
        return tuple(row for row in rows if (row.name in of_label) != self.causal)

    def describe(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "name": "shop customers" if self.config.data is None else Path(self.config.data).name,
            "origin": self.config.data or "generated",
            "asked": self.config.label or self.encoder.event.name,
            "fields": {field.name: len(field.values) for field in self.encoder.fields},
            "numbers": [] if self.encoder.numbers is None else list(self.encoder.numbers.names),
            "resolution": self.encoder.gaps.resolution,
            "splits": {
                name: {"entities": len(part.histories), "events": sum(map(len, part.histories))}
                for name, part in self._splits.items()
            },
            "sequence_length": self.sequence_length,
        }
        if self._best is not None:
            facts["best_possible"] = self._best
        return facts

    @property
    def _best(self) -> float | None:
        """The best possible test score of generated customers who are split by entity."""
        if self.config.data is not None or self.config.split == "time":
            return None
        test = self._splits["test"].histories
        if self.config.label is None and self.config.event == "event":
            return sum(best_nats(test))
        return best_persona_accuracy(test) if self.config.label == _PERSONA else None

    def survey(self) -> Survey:
        by_split = [part.histories for part in self._splits.values()]
        by_time = self.config.split == "time"
        overlap = {} if by_time else count_overlap(by_split, lambda history: history.entity)
        most = self.config.max_length
        parts = {}
        for split, (histories, _) in self._splits.items():
            kinds = [piece.categories_TC[:, 0] for piece in self._pieces[split] if self.causal]
            parts[split] = SplitSurvey(
                examples=len(histories),
                lengths_N={"events": np.array([len(history) for history in histories])},
                cut=0 if self.causal else sum(len(history) > most for history in histories),
                tokens=sum(map(len, kinds)),
                unknown=sum(int((kinds_T == NEW).sum()) for kinds_T in kinds) or None,
                in_training=overlap.get(split),
            )
        column = self.config.label or self.encoder.event.name
        counts = Counter(
            str(value)
            for history in by_split[0]
            for value in history.fields[column][: None if self.causal else 1]
        )
        notes = [] if self._best is None else [f"the best possible test score is {self._best:.3f}"]
        return Survey(
            parts,
            noun="entity",
            how=self.reading.how if self.reading else "",
            classes=counts,
            notes=tuple(notes),
        )

    def digest(self) -> str:
        # how files are read shows in the histories
        ignored = {"data", "entity", "time", "encoding", "drop_overlap"}
        settings = self.config.model_dump(mode="json", exclude=ignored)
        content = hashlib.sha256()
        for split, (histories, asked_from) in self._splits.items():
            content.update(f"{split} {asked_from}".encode())
            for history in histories:
                content.update(repr((history.entity, history.fields)).encode())
                content.update(history.times_T.tobytes())
        return digest({**settings, "events": content.hexdigest()})

    def artifacts(self) -> dict[str, str]:
        found = {
            "fields": self.encoder.to_json(),
            "sequence_length": str(self.sequence_length),
        }
        return found if self.causal else found | {"classes": json.dumps(self.classes)}


def columns_of(config: EventsConfig, *, labelled: bool = True) -> EventColumns:
    """How tables are read by a configuration."""
    needed = [Wanted.of(config, "event")] if config.label is None else []
    if config.label is not None and labelled:
        needed = [Wanted("label", config.label, is_default=False)]
    entity, time = Wanted.of(config, "entity"), Wanted.of(config, "time")
    return EventColumns(entity, time, tuple(needed), config.encoding)


def _read(config: EventsConfig, reading: Reading) -> Histories:
    return load_histories(str(config.data), columns_of(config), reading)


def _generated(config: EventsConfig) -> Histories:
    """Without the hidden field, where it is not asked for."""
    parts = list(customer_events().values())
    if config.split == "time":  # all customers, whose events are split
        parts = [[history for part in parts for history in part], [], []]
    if config.label != _PERSONA:
        parts = [[history.without(_PERSONA) for history in part] for part in parts]
    return Histories(parts, dates=False)
