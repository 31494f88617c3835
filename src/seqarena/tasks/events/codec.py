"""The history of an entity in a file -> its next event and when, or its label."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqarena.core import words
from seqarena.core.batch import IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.series.events.history import History
from seqarena.data.series.events.reading import read_history_file
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.events.configs import EventsConfig
from seqarena.tasks.events.encoder import EventEncoder
from seqarena.tasks.events.gaps import median_gap
from seqarena.tasks.events.pieces import Piece, as_batch
from seqarena.tasks.events.task import columns_of
from seqarena.tasks.text.label import likeliest


class EventsCodec(Codec):
    """`FILE` that holds one entity, or `FILE:ENTITY`."""

    takes_paths = True
    prompt = "a table of one entity's events, or FILE:ENTITY of one of the entities in a table"

    def __init__(self, config: EventsConfig, encoder: EventEncoder, classes: Sequence[str]) -> None:
        self.config = config
        self.encoder = encoder
        self.classes = tuple(classes)
        self._files: dict[str, dict[str, History]] = {}  # by entity

    @classmethod
    def from_artifacts(cls, config: EventsConfig, artifacts: Mapping[str, str]) -> "EventsCodec":
        encoder = EventEncoder.from_json(artifacts["fields"])
        return cls(config, encoder, json.loads(artifacts.get("classes", "[]")))

    def encode(self, items: Sequence[str]) -> Batch:
        """The newest events of each. Raises UserError for an entity that is not there."""
        batch = as_batch([self._piece(item.strip()) for item in items])
        if self.config.label is None:
            return batch
        return batch._replace(targets_BT=torch.full((len(items), 1), IGNORE))

    def inputs(self, config: EventsConfig, file: Path) -> Iterator[str]:
        """Every entity of a table, in the order of their first rows."""
        self.config = config
        return (f"{file}:{entity}" for entity in self._read(str(file)))

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """The most probable event and the median of the time to it: "buy after 2.4" """
        if self.config.label is not None:
            return likeliest(outputs, self.classes)
        assert batch.mask_BT is not None
        last_B = batch.mask_BT.sum(1).cpu() - 1
        outputs_BV = outputs[torch.arange(len(outputs)), last_B].float()
        field = self.encoder.event
        confidence_B, best_B = outputs_BV[:, : field.size].softmax(-1).max(-1)
        gap_B = median_gap(outputs_BV[:, field.size :], self.encoder.gaps)
        names = (f"another {field.name}", *field.values)
        return [
            Answer(f"{names[best]} after {self._said(gap)}", confidence)
            for best, gap, confidence in zip(best_B.tolist(), gap_B.tolist(), confidence_B.tolist())
        ]

    def _said(self, gap: float) -> str:
        return words.duration(gap) if self.encoder.dates else f"{gap:.4g}"

    def _piece(self, item: str) -> Piece:
        encoded = self.encoder.encode(self._history(item))
        newest = slice(max(0, len(encoded) - self.config.max_length), None)
        features_TF = encoded.features_TF[newest]
        nothing_T2 = np.full((len(features_TF), 2), np.nan, dtype=np.float32)
        return Piece(encoded.categories_TC[newest], features_TF, nothing_T2)

    def _history(self, item: str) -> History:
        if Path(item).expanduser().is_file():
            histories = self._read(item)
            if len(histories) > 1:
                first = next(iter(histories))
                raise UserError(
                    f"{item}: {len(histories):,} entities: name one of them, {item}:{first}"
                )
            return next(iter(histories.values()))
        file, colon, entity = item.rpartition(":")
        if not colon or not Path(file).expanduser().is_file():
            raise UserError(f"{item[:80]!r}: no such file: give {self.prompt}")
        histories = self._read(file)
        if entity not in histories:
            raise UserError(f"{file}: no entity {entity!r} in it")
        return histories[entity]

    def _read(self, name: str) -> dict[str, History]:
        """A file is read once, and not for each of its entities."""
        if name not in self._files:
            columns = columns_of(self.config, labelled=False)
            found = read_history_file(Path(name).expanduser(), columns, Reading())
            if found.dates != self.encoder.dates:
                kinds = ("dates", "numbers") if found.dates else ("numbers", "dates")
                raise UserError(
                    f"{name}: times are {kinds[0]}, and the model was trained on {kinds[1]}"
                )
            self._files[name] = {history.entity: history for history in found.parts[0]}
        return self._files[name]
