"""Transcription: what is said in a recording, as text, without an alignment of the two.

A recording becomes positions of stacked log-mel frames (listening.py), a model gives logits of
every symbol and of a blank at each position, and training sums over all alignments (ops/ctc,
Graves et al. 2006). The answer is spelled by the best path, or found by prefix beam search
(ops/ctc_search).

The metric is WER or CER, edits over the whole split to its words or characters (error_rates.py).
Slices: both of them, and the metric of each `speaker X` where the data say who speaks.

    B  examples    T  positions    F  features    U  symbols
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.arrays import map_array, save_array
from seqarena.data.buckets import BucketSampler, pad
from seqarena.data.files.reading import Reading
from seqarena.data.streams import Stream, philox
from seqarena.ops.ctc import positions_needed
from seqarena.ops.ctc_search import Spelled, best_path, prefix_beam
from seqarena.tasks.base import Ratios, Split
from seqarena.tasks.examples import ExampleTask, longest_read
from seqarena.tasks.signals.configs import TranscriptionConfig
from seqarena.tasks.signals.error_rates import characters_of, edit_distance, words_of
from seqarena.tasks.signals.listening import Listener
from seqarena.tasks.signals.spoken_splits import Spoken, split_utterances, to_score
from seqarena.tasks.signals.symbols import Symbols
from seqarena.tasks.survey import SplitSurvey, Survey
from seqarena.tasks.transcript_loss import transcript_loss


class TranscriptBatch(Batch):
    """A batch that knows its texts and speakers: what scoring needs and models are not told."""

    texts_B: tuple[str, ...] = ()
    speakers_B: tuple[str | None, ...] = ()


class TranscriptionTask(ExampleTask):
    """Recordings with their texts."""

    name = "transcription"
    lower_is_better = True
    causal = False
    reading_settings = ("text", "encoding", "resample")

    def __init__(self, config: TranscriptionConfig) -> None:
        """Reads the recordings (no data: dialled numbers) and computes their features.

        Raises UserError for recordings that cannot be read, and for a split without any.
        """
        self.reading = Reading()
        parts = split_utterances(config, self.reading)
        self._set_up(config, parts, Symbols.learn(config.units, (s.text for s in parts["train"])))
        self.listener = Listener.at_rate(config, self._rate)
        raw = {
            split: [self.listener.frontend.raw(item.samples_N) for item in found]
            for split, found in parts.items()
        }
        self.listener.frontend.fit(raw["train"])
        self._positions = {
            split: [self.listener.features(x_TM) for x_TM in found] for split, found in raw.items()
        }
        self._ready()

    @classmethod
    def evaluation_of(
        cls, config: TranscriptionConfig, artifacts: Mapping[str, str], data: str
    ) -> "TranscriptionTask":
        task = cls.__new__(cls)
        task.reading = Reading(to_score=True)
        task.listener = Listener.from_json(config, artifacts["frontend"])
        rate = task.listener.frontend.sample_rate
        found = to_score(config, data, rate, task.reading)
        task._set_up(config, {"test": found}, Symbols.from_json(artifacts["symbols"]))
        raw = (task.listener.frontend.raw(item.samples_N) for item in found)
        task._positions = {"test": [task.listener.features(x_TM) for x_TM in raw]}
        task.sequence_length = longest_read(map(len, task._positions["test"]), artifacts)
        return task

    def _set_up(
        self, config: TranscriptionConfig, parts: Mapping[str, list[Spoken]], symbols: Symbols
    ) -> None:
        self.config, self.symbols = config, symbols
        self.metric = config.metric
        self._parts = dict(parts)
        self._rate = next(item.sample_rate for part in parts.values() for item in part)
        self.vocab_size = len(symbols)
        self.sizes = {split: len(part) for split, part in parts.items()}
        self._symbols = {
            split: [symbols.encode(item.text) for item in part] for split, part in parts.items()
        }

    def _ready(self) -> None:
        """Leaves out of training what cannot be learnt, and orders the rest by length."""
        config = self.config
        fits = [
            _fits(x_TF, symbols_U) and len(item.samples_N) <= config.max_seconds * self._rate
            for x_TF, symbols_U, item in zip(
                self._positions["train"], self._symbols["train"], self._parts["train"]
            )
        ]
        self._left_out = fits.count(False)
        self._kept = np.flatnonzero(fits)
        if not len(self._kept):
            raise UserError(
                f"no training recording is of use: each is longer than {config.max_seconds:g} "
                f"seconds (max_seconds), or has more symbols than positions (stack {config.stack})"
            )
        self.sizes["train"] = len(self._kept)
        lengths_N = np.array([len(self._positions["train"][k]) for k in self._kept])
        self.sampler = BucketSampler(lengths_N)
        slowest = int(np.ceil(lengths_N.max() * self.listener.slowest)) + 1
        scored = (len(x) for name in ("validation", "test") for x in self._positions[name])
        self.sequence_length = max(slowest if self.listener.varies else 0, *lengths_N, *scored)

    @property
    def problem(self) -> Problem:
        return Problem(
            form="transcript",
            num_outputs=len(self.symbols),
            features=self.listener.num_features,
            max_length=int(self.sequence_length),
        )

    def batch(self, split: str, chosen_B: np.ndarray) -> Batch:
        if split == "train":
            chosen_B = self._kept[chosen_B]
        rows = [self._positions[split][k] for k in chosen_B]
        return as_batch(rows, [self._symbols[split][k] for k in chosen_B])

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        chosen_B = self.sampler.batch(index, batch_size, seed=seed)
        if not self.listener.varies:
            return self.batch("train", chosen_B)
        draw, rows, symbols = philox(seed, Stream.MASK, index), [], []
        for k in self._kept[chosen_B]:
            rows.append(self.listener.varied(self._parts["train"][k].samples_N, draw))
            symbols.append(self._symbols["train"][k])
        return as_batch(rows, symbols)

    def scored_batch(self, split: Split, chosen_B: np.ndarray) -> Batch:
        batch = TranscriptBatch(*self.batch(split, chosen_B))
        batch.texts_B = tuple(self._parts[split][k].text for k in chosen_B)
        batch.speakers_B = tuple(self._parts[split][k].speaker for k in chosen_B)
        return batch

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return transcript_loss(logits_BTV.float(), batch, label_smoothing)

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        found = spell(logits_BTV, batch, self.config.beam)
        return self.edits([self.symbols.decode(each.symbols) for each in found], batch)

    def edits(self, written: Sequence[str], batch: Batch) -> Ratios:
        """The metric's sums of texts that were written for the recordings of a scored batch."""
        assert isinstance(batch, TranscriptBatch)
        pairs = list(zip(batch.texts_B, written, strict=True))
        by_kind = {
            kind: np.array([(edit_distance(of(a), of(b)), len(of(a))) for a, b in pairs], float)
            for kind, of in (("wer", words_of), ("cer", characters_of))
        }
        slices = {kind: sums_B2.sum(0) for kind, sums_B2 in by_kind.items()}
        own_B2 = by_kind[self.metric]
        for speaker, sums in zip(batch.speakers_B, own_B2):
            if speaker is not None:
                name = f"speaker {speaker}"
                slices[name] = slices.get(name, np.zeros(2)) + sums
        as_pairs = {name: (float(a), float(b)) for name, (a, b) in slices.items()}
        return Ratios(own_B2[:, 0], own_B2[:, 1], as_pairs)

    def texts(self, split: str) -> list[str]:
        """What is said in each recording of a split; of training, in those that are trained on."""
        items = self._parts[split]
        chosen = self._kept.tolist() if split == "train" else range(len(items))
        return [items[k].text for k in chosen]

    def describe(self) -> dict[str, Any]:
        return {
            "name": "dialled numbers" if self.config.data is None else Path(self.config.data).name,
            "origin": self.config.data or "generated",
            "sample_rate": self._rate,
            "units": self.config.units,
            "symbols": len(self.symbols) - 1,
            "splits": {
                name: {
                    "recordings": len(part),
                    "seconds": round(sum(len(x.samples_N) for x in part) / self._rate, 1),
                    "words": sum(len(words_of(x.text)) for x in part),
                }
                for name, part in self._parts.items()
            },
            "sequence_length": int(self.sequence_length),
            "stack": self.config.stack,
            "left_out": self._left_out,
        }

    def survey(self) -> Survey:
        known = set(self.texts("train"))
        parts = {}
        for split, items in self._parts.items():
            lengths = {
                "positions": np.array([len(x_TF) for x_TF in self._positions[split]]),
                "words": np.array([len(words_of(item.text)) for item in items]),
            }
            parts[split] = SplitSurvey(
                examples=len(items),
                lengths_N=lengths,
                left_out=self._left_out if split == "train" else 0,
                tokens=sum(map(len, self._symbols[split])),
                unknown=sum(self.symbols.unknown(item.text) for item in items) or None,
                in_training=None if split == "train" else sum(x.text in known for x in items),
            )
        speakers = {str(item.speaker) for item in self._parts["train"] if item.speaker is not None}
        notes = [f"{self._rate:,} samples a second"]
        if speakers:
            notes.append(f"{len(speakers)} speakers in training")
        return Survey(
            parts, noun="recording", compared="text", notes=tuple(notes) if self.config.data else ()
        )

    def digest(self) -> str:
        # how files are read shows in the recordings
        read_only = {"data", *self.reading_settings}
        settings = self.config.model_dump(mode="json", exclude=read_only)
        content = hashlib.sha256()
        for split, part in self._parts.items():
            for item in part:
                content.update(f"{split}\0{item.text}\0{item.speaker}\0".encode())
                content.update(item.samples_N.tobytes())
        return digest({**settings, "rate": self._rate, "sha256": content.hexdigest()})

    def artifacts(self) -> dict[str, str]:
        return {
            "symbols": self.symbols.to_json(),
            "frontend": self.listener.frontend.to_json(),
            "sequence_length": str(self.sequence_length),
        }

    def save_prepared(self, folder: Path) -> bool:
        """The samples and the positions of each split end to end, and the rest beside them."""
        sums, facts = {}, {}
        for split, items in self._parts.items():
            arrays = {
                "samples": [item.samples_N for item in items],
                "positions": self._positions[split],
            }
            facts[split] = {
                "items": [(item.name, item.text, item.speaker) for item in items],
                **{name: [len(row) for row in rows] for name, rows in arrays.items()},
            }
            for name, rows in arrays.items():
                file = folder / f"{split}_{name}.npy"
                sums[file.name] = save_array(file, np.concatenate(rows))
        facts = {"rate": self._rate, "splits": facts, "sha256": sums, **self.artifacts()}
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return True

    @classmethod
    def load_prepared(cls, config: TranscriptionConfig, folder: Path) -> "TranscriptionTask":
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        task = cls.__new__(cls)
        parts: dict[str, list[Spoken]] = {}
        task._positions = {}
        for split, found in facts["splits"].items():
            rows = {}
            for name in ("samples", "positions"):
                file = f"{split}_{name}.npy"
                array = map_array(folder / file, facts["sha256"][file])
                rows[name] = np.split(array, np.cumsum(found[name])[:-1])
            task._positions[split] = rows["positions"]
            parts[split] = [
                Spoken(name, text, samples_N, facts["rate"], speaker)
                for (name, text, speaker), samples_N in zip(found["items"], rows["samples"])
            ]
        task._set_up(config, parts, Symbols.from_json(facts["symbols"]))
        task.listener = Listener.from_json(config, facts["frontend"])
        task._ready()
        return task


def as_batch(rows: list[np.ndarray], symbols: list[np.ndarray] | None = None) -> Batch:
    """Positions, and the symbols where they are known: IGNORE behind the last."""
    inputs_BTF, mask_BT = pad(rows)
    targets_BU = np.full((len(rows), 1), IGNORE, dtype=np.int64)
    if symbols is not None:
        targets_BU, _ = pad([np.asarray(s, np.int64) for s in symbols], value=IGNORE)
    return Batch(
        torch.from_numpy(inputs_BTF), torch.from_numpy(targets_BU), torch.from_numpy(mask_BT)
    )


def spell(logits_BTV: Tensor, batch: Batch, width: int) -> list[Spelled]:
    """What is written for each row of a batch: by the best path where `width` is 1, else by prefix
    beam search. Logits that are not numbers write nothing."""
    log_probs_BTV = logits_BTV.float().log_softmax(-1).cpu().numpy()
    mask_BT = batch.mask_BT
    found = []
    for row, log_probs_TV in enumerate(log_probs_BTV):
        if mask_BT is not None:
            log_probs_TV = log_probs_TV[mask_BT[row].cpu().numpy()]
        if np.isnan(log_probs_TV).any():
            found.append(Spelled((), -np.inf))
            continue
        found.append(best_path(log_probs_TV) if width == 1 else prefix_beam(log_probs_TV, width))
    return found


def _fits(x_TF: np.ndarray, symbols_U: np.ndarray) -> bool:
    """Whether a path of so many positions can spell the symbols."""
    return int(positions_needed(torch.from_numpy(symbols_U)[None])) <= len(x_TF)
