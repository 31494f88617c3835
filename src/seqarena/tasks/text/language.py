"""Language modelling: predict each token of a text from the tokens before it.

With `carry_state` the training text is cut into as many lanes as a batch has rows; each window goes
on where the last one stopped, in order, and a recurrent state goes along without its gradient
(Zaremba et al. 2014). Otherwise windows come in random order and each starts from nothing.

The text is cut into train, validation and test by position, before any tokenizer sees it, unless
the files say which is which. The metric is bits per byte,

    total nats of the target tokens / ln 2 / total bytes of the target tokens,

which means the same under every tokenizer (bits per character counts characters, perplexity
counts tokens: both change when the tokenizer does).

Evaluation windows `k T .. k T + T` do not overlap, and each starts without context: a model that
needs context is charged for it, and the slices by position show how much. The first token of a
split is never a target, nor are the fewer than T tokens behind the last whole window.

Slices: `position a-b` in bits per byte, and `nats_per_token` for comparison with recipes that
report the mean cross-entropy.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.arrays import map_array, save_array
from seqarena.data.batches import WindowSampler, count_evaluation_windows, spread, windows_at
from seqarena.data.files.reading import Reading
from seqarena.data.splits import TextSplits
from seqarena.data.text.corpora import (
    Corpus,
    load_corpus,
    repeated_lines,
    split_corpus,
    without_repeated_lines,
)
from seqarena.data.text.tokenizers import Tokenizer, tokenizer_from_json, train_tokenizer
from seqarena.tasks.base import IGNORE, Batch, Ratios, Split, Task
from seqarena.tasks.configs import LanguageConfig
from seqarena.tasks.survey import SplitSurvey, Survey


class LanguageTask(Task):
    """Next-token prediction over one corpus. Its tokenizer is `task.tokenizer`."""

    name = "language"
    metric = "bits_per_byte"
    lower_is_better = True
    causal = True
    reading_settings = ("text_field", "encoding")

    def __init__(
        self,
        config: LanguageConfig,
        corpus: Corpus | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """Loads `config.data` unless a corpus is handed in. With a tokenizer that was trained
        before, nothing is trained here and every split is the whole text.

        Raises UserError when a split is too short for one window, with the longest length that
        would do.
        """
        corpus = corpus or load_corpus(
            config.data, text_field=config.text_field, encoding=config.encoding
        )
        if tokenizer is not None:
            splits, how, repeated = TextSplits(*[corpus.text] * 3), "", {}
        else:
            splits, how = split_corpus(corpus, config.validation_fraction, config.test_fraction)
            if config.drop_overlap:
                splits, dropped = without_repeated_lines(splits)
                how += f"; {plural(dropped, 'line')} left out of training, repeated in the rest"
            repeated = repeated_lines(splits)
            tokenizer = train_tokenizer(
                config.tokenizer, splits.train, splits.validation + splits.test
            )
        tokens = _encode_splits(splits, tokenizer)
        facts = {**_corpus_facts(corpus), "how_split": how, "lines_also_in_training": repeated}
        self._set_up(config, facts, tokenizer, tokens, _split_facts(splits, tokens))
        if corpus.reading is not None:
            self.reading = replace(corpus.reading, how=facts.get("how_split", corpus.reading.how))

    @classmethod
    def evaluation_of(
        cls, config: LanguageConfig, artifacts: Mapping[str, str], data: str
    ) -> "LanguageTask":
        reading = Reading(to_score=True)
        corpus = load_corpus(
            data, text_field=config.text_field, encoding=config.encoding, reading=reading
        )
        if corpus.parts is not None and corpus.parts.test:
            if corpus.parts.train or corpus.parts.validation:
                reading.note(f"{data}: its test split is scored")
            corpus = replace(corpus, text=corpus.parts.test)
        elif len(reading.files) > 1:
            reading.note(f"{data}: all {len(reading.files):,} files are scored, none says test")
        return cls(config, corpus, stored_tokenizer(artifacts))

    def _set_up(
        self,
        config: LanguageConfig,
        corpus_facts: dict[str, Any],
        tokenizer: Tokenizer,
        tokens: dict[str, np.ndarray],
        split_facts: dict[str, Any],
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.vocab_size = tokenizer.vocab_size
        self.sequence_length = config.sequence_length
        self._corpus_facts = corpus_facts
        self._tokens = tokens
        self._split_facts = split_facts
        self._check_lengths()
        self._sampler = WindowSampler(self._tokens["train"], self.sequence_length)
        self._token_bytes_V = torch.from_numpy(
            self.tokenizer.bytes_per_token(np.arange(self.vocab_size))
        )

    def save_prepared(self, folder: Path) -> bool:
        """One array of tokens a split, and what is known of the text beside it."""
        facts = {
            "corpus": self._corpus_facts,
            "splits": self._split_facts,
            "tokenizer": self.tokenizer.to_json(),
            "sha256": {
                name: save_array(folder / f"{name}.npy", tokens)
                for name, tokens in self._tokens.items()
            },
        }
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
        return True

    @classmethod
    def load_prepared(cls, config: LanguageConfig, folder: Path) -> "LanguageTask":
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        tokens = {
            name: map_array(folder / f"{name}.npy", sha256)
            for name, sha256 in facts["sha256"].items()
        }
        task = cls.__new__(cls)
        tokenizer = tokenizer_from_json(facts["tokenizer"])
        task._set_up(config, facts["corpus"], tokenizer, tokens, facts["splits"])
        return task

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        if not self.config.carry_state:
            return _as_batch(self._sampler.batch(index, batch_size, seed=seed))
        lane, windows = self._lanes(batch_size)
        starts_B = np.arange(batch_size) * lane + index % windows * self.sequence_length
        return _as_batch(windows_at(self._tokens["train"], starts_B, self.sequence_length))

    def continues(self, index: int, batch_size: int) -> bool:
        return self.config.carry_state and index % self._lanes(batch_size)[1] != 0

    def _lanes(self, batch_size: int) -> tuple[int, int]:
        """The text in `batch_size` lanes that are read side by side: tokens and windows of each."""
        lane = (len(self._tokens["train"]) - 1) // batch_size
        if lane < self.sequence_length:
            raise UserError(
                f"the training text has {len(self._tokens['train'])} tokens, too few for "
                f"{batch_size} lanes of {self.sequence_length}: lower --batch or --length"
            )
        return lane, lane // self.sequence_length

    def split_tokens(self, split: str) -> np.ndarray:
        """The text of `train`, `validation` or `test` as tokens [N]."""
        return self._tokens[split]

    def steps_per_epoch(self, batch_size: int) -> int:
        if self.config.carry_state:
            return self._lanes(batch_size)[1]
        return math.ceil(self._sampler.windows_per_epoch / batch_size)

    def num_evaluation_examples(self, split: Split) -> int:
        return count_evaluation_windows(len(self._tokens[split]), self.sequence_length)

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        selected = self._num_selected(split, batch_size, max_batches)
        starts = self.sequence_length * spread(self.num_evaluation_examples(split), selected)
        for first in range(0, selected, batch_size):
            here = starts[first : first + batch_size]
            yield _as_batch(windows_at(self._tokens[split], here, self.sequence_length))

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        targets_BT = batch.targets_BT.to(logits_BTV.device)
        nats_BT = F.cross_entropy(
            logits_BTV.float().transpose(1, 2), targets_BT, ignore_index=IGNORE, reduction="none"
        )
        return self.ratios_of_nats(nats_BT, batch)

    def ratios_of_nats(self, nats_BT: Tensor, batch: Batch) -> Ratios:
        """The metric's sums, of the nats of every target."""
        bits_BT = nats_BT.double().cpu().numpy() / math.log(2)
        bytes_BT = self._token_bytes_V[batch.targets_BT.cpu()].numpy()
        slices = {
            f"position {first}-{last}": (
                float(bits_BT[:, first : last + 1].sum()),
                float(bytes_BT[:, first : last + 1].sum()),
            )
            for first, last in position_ranges(bits_BT.shape[1])
        }
        slices["nats_per_token"] = (float(bits_BT.sum() * math.log(2)), float(bits_BT.size))
        return Ratios(bits_BT.sum(axis=1), bytes_BT.sum(axis=1), slices)

    def describe(self) -> dict[str, Any]:
        return {
            **self._corpus_facts,
            "tokens": sum(len(tokens) for tokens in self._distinct_splits().values()),
            "tokenizer": self.tokenizer.name,
            "vocab_size": self.vocab_size,
            "sequence_length": self.sequence_length,
            "splits": self._split_facts,
            "test_is_validation": self.config.test_fraction == "validation",
        }

    def survey(self) -> Survey:
        repeated = self._corpus_facts["lines_also_in_training"]
        parts: dict[str, SplitSurvey] = {}
        for split, tokens_N in self._tokens.items():
            lines = repeated.get(split, {})
            parts[split] = SplitSurvey(
                examples=count_evaluation_windows(len(tokens_N), self.sequence_length),
                lengths_N={"tokens": np.array([self.sequence_length])},
                tokens=len(tokens_N),
                in_training=lines.get("repeated"),
                compared=lines.get("of"),
            )
        how = self._corpus_facts["how_split"]
        return Survey(parts, noun="sequence", in_files="document", compared="long line", how=how)

    def digest(self) -> str:
        settings = self.config.model_dump(mode="json", exclude={"data", "text_field", "encoding"})
        tokenizer = hashlib.sha256(self.tokenizer.to_json().encode()).hexdigest()
        return digest({**settings, "sha256": self._corpus_facts["sha256"], "vocabulary": tokenizer})

    def artifacts(self) -> dict[str, str]:
        return {"tokenizer": self.tokenizer.to_json()}

    def _distinct_splits(self) -> dict[str, np.ndarray]:
        if self.config.test_fraction != "validation":
            return self._tokens
        return {name: tokens for name, tokens in self._tokens.items() if name != "test"}

    def _check_lengths(self) -> None:
        longest = min(len(tokens) for tokens in self._tokens.values()) - 1
        if self.sequence_length <= longest:
            return
        name = min(self._tokens, key=lambda split: len(self._tokens[split]))
        remedy = (
            f"the longest possible is {longest}" if longest > 0 else "no length would do, add text"
        )
        raise UserError(
            f"sequence_length {self.sequence_length} is too long for this text "
            f"({len(self._tokens[name])} tokens in the {name} split): {remedy}"
        )


def stored_tokenizer(artifacts: Mapping[str, str]) -> Tokenizer:
    """The tokenizer that a checkpoint carries (see LanguageTask.artifacts)."""
    return tokenizer_from_json(artifacts["tokenizer"])


def position_ranges(length: int) -> list[tuple[int, int]]:
    """First and last position of each slice: 0-7, 8-31, 32-127, each end four times the last.

    >>> position_ranges(100)
    [(0, 7), (8, 31), (32, 99)]
    """
    ranges, first, end = [], 0, 8
    while first < length:
        ranges.append((first, min(end, length) - 1))
        first, end = end, end * 4
    return ranges


def _encode_splits(splits: TextSplits, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """Each split as tokens of the smallest sufficient integer type."""
    smallest = np.min_scalar_type(tokenizer.vocab_size - 1)
    return {
        name: tokenizer.encode(part).astype(smallest) for name, part in splits._asdict().items()
    }


def _corpus_facts(corpus: Corpus) -> dict[str, Any]:
    """What is known of a text, without the text."""
    return {
        "name": corpus.name,
        "origin": corpus.origin,
        "sha256": corpus.sha256,
        "documents": corpus.num_documents,
        "bytes": corpus.num_bytes,
    }


def _split_facts(splits: TextSplits, tokens: dict[str, np.ndarray]) -> dict[str, Any]:
    return {
        name: {
            "characters": len(part),
            "bytes": len(part.encode()),
            "tokens": len(tokens[name]),
        }
        for name, part in zip(TextSplits._fields, splits)
    }


def _as_batch(windows: np.ndarray) -> Batch:
    windows_BT = torch.from_numpy(windows)
    return Batch(windows_BT[:, :-1].contiguous(), windows_BT[:, 1:].contiguous())
