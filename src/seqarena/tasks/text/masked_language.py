"""Masked language modelling: guess hidden tokens from both sides (Devlin et al. 2018, section 3.1).

Of the tokens of a window a share, 15 % as published, is asked for. Of those, 80 % are replaced by
MASK, 10 % by a random token, and 10 % stay what they are. Which ones is drawn from Philox (seed,
TRAIN, batch) in training and is fixed for every evaluation window.

MASK is one more symbol behind the tokenizer's. The metric is bits per byte of the hidden tokens, so
that it can be compared between tokenizers; it is not that of language modelling, whose guesser sees
one side alone. Slice `right`: the share of hidden tokens that are guessed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.batch import IGNORE, Batch
from seqarena.core.config import digest
from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted
from seqarena.data.streams import Stream, philox
from seqarena.data.text.tokenizers import Tokenizer, tokenizer_from_json
from seqarena.tasks.base import Answer, Codec, Ratios, Split, Task
from seqarena.tasks.configs import LanguageConfig, MaskedLanguageConfig
from seqarena.tasks.inputs import read_inputs
from seqarena.tasks.survey import Survey
from seqarena.tasks.text.language import LanguageTask

_KEPT, _RANDOM = 0.1, 0.2  # below the first a token stays, below the second it is any token
_STREAMS = {"validation": Stream.VALIDATION, "test": Stream.TEST}
BLANK = "___"


class MaskedLanguageTask(Task):
    """The windows of a language task with tokens hidden in them."""

    name = "masked_language"
    metric = "bits_per_hidden_byte"
    lower_is_better = True
    causal = False
    reading_settings = ("text_field", "encoding")

    def __init__(self, config: MaskedLanguageConfig) -> None:
        self._set_up(config, LanguageTask(_windows(config)))

    @classmethod
    def evaluation_of(
        cls, config: MaskedLanguageConfig, artifacts: Mapping[str, str], data: str
    ) -> "MaskedLanguageTask":
        task = cls.__new__(cls)
        task._set_up(config, LanguageTask.evaluation_of(_windows(config), artifacts, data))
        task.reading = task.language.reading
        return task

    def _set_up(self, config: MaskedLanguageConfig, language: LanguageTask) -> None:
        self.config = config
        self.language = language
        self.reading = language.reading
        self.mask_token = self.language.vocab_size
        self.vocab_size = self.mask_token + 1
        self.sequence_length = config.sequence_length
        tokens_V = np.arange(self.mask_token)
        self._token_bytes_V = torch.from_numpy(self.language.tokenizer.bytes_per_token(tokens_V))

    def save_prepared(self, folder: Path) -> bool:
        return self.language.save_prepared(folder)

    @classmethod
    def load_prepared(cls, config: MaskedLanguageConfig, folder: Path) -> "MaskedLanguageTask":
        task = cls.__new__(cls)
        task._set_up(config, LanguageTask.load_prepared(_windows(config), folder))
        return task

    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        plain = self.language.training_batch(index, batch_size, seed=seed)
        # a stream of its own: the windows of the batch are drawn from Stream.TRAIN
        return self._hidden(plain.inputs_BT, philox(seed, Stream.MASK, index))

    def steps_per_epoch(self, batch_size: int) -> int | None:
        return self.language.steps_per_epoch(batch_size)

    def num_evaluation_examples(self, split: Split) -> int:
        return self.language.num_evaluation_examples(split)

    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        seen = 0
        for plain in self.language.evaluation_batches(split, batch_size, max_batches):
            rows = [
                self._hidden(row_T[None], philox(1, _STREAMS[split], seen + place))
                for place, row_T in enumerate(plain.inputs_BT)
            ]
            seen += len(rows)
            yield Batch(
                torch.cat([row.inputs_BT for row in rows]),
                torch.cat([row.targets_BT for row in rows]),
            )

    def _hidden(self, tokens_BT: Tensor, draw: np.random.Generator) -> Batch:
        shape = tuple(tokens_BT.shape)
        order_BT = torch.from_numpy(draw.random(shape).argsort(1).argsort(1))
        asked_BT = order_BT < max(1, round(self.config.masked * shape[1]))
        fate_BT = torch.from_numpy(draw.random(shape))
        random_BT = torch.from_numpy(draw.integers(self.mask_token, size=shape))
        shown_BT = torch.where(fate_BT < _RANDOM, random_BT, self.mask_token)
        shown_BT = torch.where(fate_BT < _KEPT, tokens_BT, shown_BT)
        inputs_BT = torch.where(asked_BT, shown_BT, tokens_BT)
        return Batch(inputs_BT, torch.where(asked_BT, tokens_BT, IGNORE))

    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        targets_BT = batch.targets_BT.cpu()
        nats_BT = F.cross_entropy(
            logits_BTV.float().cpu().transpose(1, 2), targets_BT, reduction="none"
        )  # IGNORE gives zero
        found = self.ratios_of_nats(nats_BT, batch)
        asked_BT = targets_BT != IGNORE
        right_BT = asked_BT & (logits_BTV.argmax(-1).cpu() == targets_BT)
        slices = {"right": (float(right_BT.sum()), float(asked_BT.sum()))}
        return found._replace(slices=slices)

    def ratios_of_nats(self, nats_BT: Tensor, batch: Batch) -> Ratios:
        """The metric's sums, of the nats of every target; what is not asked does not count."""
        targets_BT = batch.targets_BT.cpu()
        asked_BT = targets_BT != IGNORE
        bytes_BT = self._token_bytes_V[targets_BT.clamp(min=0)] * asked_BT
        bits_B = (nats_BT.double() * asked_BT).sum(1).numpy() / math.log(2)
        return Ratios(bits_B, bytes_BT.sum(1).double().numpy(), {})

    def describe(self) -> dict[str, Any]:
        return {**self.language.describe(), "vocab_size": self.vocab_size,
                "masked": self.config.masked}  # fmt: skip

    def survey(self) -> Survey:
        return self.language.survey()

    def digest(self) -> str:
        return digest([self.language.digest(), self.name, self.config.masked])

    def artifacts(self) -> dict[str, str]:
        return self.language.artifacts()


def _windows(config: MaskedLanguageConfig) -> LanguageConfig:
    """The language task in whose windows tokens are hidden."""
    return LanguageConfig(**config.model_dump(exclude={"kind", "masked"}))


class MaskedLanguageCodec(Codec):
    """A text with blanks, `___`, to the same text with the likeliest token in each blank."""

    prompt = f"a text with blanks, {BLANK}"

    def __init__(self, tokenizer: Tokenizer, longest: int) -> None:
        self.tokenizer = tokenizer
        self.mask_token = tokenizer.vocab_size
        self.longest = longest

    @classmethod
    def from_artifacts(cls, config: Any, artifacts: Mapping[str, str]) -> "MaskedLanguageCodec":
        return cls(tokenizer_from_json(artifacts["tokenizer"]), config.sequence_length)

    def encode(self, items: Sequence[str]) -> Batch:
        return tokens_as_batch([self._tokens(item) for item in items])

    def texts(self, texts: Sequence[str]) -> Batch:
        """Without blanks. Raises UserError for an empty text."""
        return tokens_as_batch([whole_text(text, self.tokenizer) for text in texts])

    def inputs(self, config: Any, file: Path) -> Iterator[str]:
        wanted = [Wanted.of(config, "text_field")]
        return read_inputs(file, wanted, encoding=config.encoding)

    def _tokens(self, item: str) -> list[int]:
        if BLANK not in item:
            raise UserError(f"{item!r} has no blank: write {BLANK} where a token is to be guessed")
        tokens: list[int] = []
        for number, part in enumerate(item.split(BLANK)):
            tokens += [self.mask_token] * (number > 0) + [
                int(t) for t in self.tokenizer.encode(part)
            ]
        if len(tokens) > self.longest:
            raise UserError(
                f"the text has {len(tokens)} tokens, more than the {self.longest} that the model "
                "was trained on: shorten it"
            )
        return tokens

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        assert batch.mask_BT is not None
        answers = []
        probabilities_BTV = outputs[..., : self.mask_token].float().softmax(-1).cpu()
        for tokens_T, mask_T, row_TV in zip(
            batch.inputs_BT.cpu(),
            batch.mask_BT.cpu(),
            probabilities_BTV,
        ):
            best_T = torch.where(tokens_T == self.mask_token, row_TV.argmax(-1), tokens_T)
            sure = row_TV.amax(-1)[(tokens_T == self.mask_token) & mask_T].prod()
            answers.append(Answer(self.tokenizer.decode(best_T[mask_T].tolist()), float(sure)))
        return answers


def whole_text(text: str, tokenizer: Tokenizer) -> list[int]:
    """Its tokens. Raises UserError where there is none."""
    tokens = [int(token) for token in tokenizer.encode(text)]
    if not tokens:
        raise UserError("there is no text in it")
    return tokens


def tokens_as_batch(rows: Sequence[Sequence[int]]) -> Batch:
    """Padded on the right, with nothing asked."""
    longest = max(len(row) for row in rows)
    inputs_BT = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    for place, row in enumerate(rows):
        inputs_BT[place, : len(row)] = torch.tensor(row)
        mask_BT[place, : len(row)] = True
    return Batch(inputs_BT, torch.full_like(inputs_BT, IGNORE), mask_BT)
