"""Stacks as whole models: an input module, a stack, a head. They differ in the form of the task.

    LanguageModel   tokens, causal: continues from a state
    Encoder         tokens where any position may see all; or one label for the whole, from the last
                    position of a causal stack and from the mean of all positions of any other;
                    or a span: two scores at every position
    PrefixModel     pairs: the source, then the target, read as one sequence by a causal stack

Same call, same costs; which one a stack becomes follows from its form and its mixers.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem, Targets, span_logits
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.shapes import mask_of
from seqarena.mixers.base import Mixer
from seqarena.models.model import Model, PositionVectors, StatefulModel
from seqarena.models.stacks.channel_mixers import INITIAL_STD
from seqarena.models.stacks.embedding import FeatureEmbedding, Positions, TokenEmbedding
from seqarena.models.stacks.stack import Stack, StackConfig


class ModelConfig(Config):
    """A stack as a model, whole: what a checkpoint stores in order to build it again."""

    vocab_size: int  # of the inputs (of pairs: target, then source); 0 where they are features
    stack: StackConfig
    positions: Positions = "none"
    max_length: int = 0  # of learned positions
    tie_embeddings: bool = True  # where outputs are inputs as well
    form: Form = "tokens"
    targets: Targets = "classes"
    num_outputs: int | None = None  # None: the vocabulary
    features: int = 0  # numbers at each position
    categories: tuple[int, ...] = ()  # beside features: sizes of the categorical fields
    num_characters: int = 0  # letters in spellings
    num_segments: int = 0  # sentences that get a vector each
    source_offset: int = 0  # pairs: what is added to a source token

    @property
    def width(self) -> int:
        return self.stack.width

    @property
    def problem(self) -> Problem:
        """The problem that the model was built for, as far as its sizes say."""
        pairs = self.form == "pairs"
        return Problem(
            form=self.form,
            targets=self.targets,
            num_outputs=self.num_outputs or self.vocab_size,
            vocab_size=self.source_offset or self.vocab_size,  # source tokens come behind it
            source_vocab_size=self.vocab_size - self.source_offset if pairs else 0,
            shared_vocabulary=pairs and not self.source_offset,
            features=self.features,
            categories=self.categories,
            num_segments=self.num_segments,
            num_characters=self.num_characters,
            max_length=self.max_length or 1 << 20,
        )


class ModelState(NamedTuple):
    """The state of a causal stack after some positions."""

    layers: tuple[Any, ...]
    position: int | Tensor  # next position; a tensor [B] once rows had different padding


class TokenModel(Model):
    """What the models over stacks share. Abstract: build one of them."""

    config: ModelConfig
    head_modules: ClassVar[tuple[str, ...]] = ("head",)

    def __init__(self, config: ModelConfig, stack: Stack | None = None) -> None:
        """`stack` is one that was built from `config.stack` already, if there is one."""
        super().__init__()
        self.config = config
        self.problem = config.problem
        width, dropout = config.stack.width, config.stack.dropout
        self.embedding = (
            FeatureEmbedding(
                config.features, width, config.positions, config.max_length, dropout,
                categories=config.categories,
            )
            if config.features
            else TokenEmbedding(
                config.vocab_size, width, config.positions, config.max_length, dropout,
                num_characters=config.num_characters, num_segments=config.num_segments,
            )
        )  # fmt: skip
        self.stack = stack or Stack(config.stack)
        self.num_outputs = config.num_outputs or config.vocab_size
        self.head = self._head()

    def _head(self) -> nn.Linear | None:
        """None where the head's rows are those of the embedding."""
        config = self.config
        classes = config.form in ("tokens", "pairs") and config.targets == "classes"
        same = classes and config.num_outputs in (None, config.vocab_size)
        table = getattr(self.embedding, "tokens", None)
        if config.form == "pairs" and config.tie_embeddings:
            return None
        head = nn.Linear(config.stack.width, self.num_outputs, bias=not same)
        nn.init.normal_(head.weight, std=INITIAL_STD)
        if head.bias is not None:
            nn.init.zeros_(head.bias)
        if same and config.tie_embeddings and table is not None:
            head.weight = table.weight
        return head

    def logits(self, x_BTD: Tensor) -> Tensor:
        """The head: [..., D] -> [..., V]."""
        if self.head is not None:
            return self.head(x_BTD)
        assert isinstance(self.embedding, TokenEmbedding)
        return F.linear(x_BTD, self.embedding.tokens.weight[: self.num_outputs])

    def forward(
        self,
        tokens_BT: Tensor,
        state: ModelState | None = None,
        *,
        mask_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        characters_BTC: Tensor | None = None,
        categories_BTC: Tensor | None = None,
    ) -> tuple[Tensor, ModelState]:
        """tokens_BT [B, T] -> (logits_BTV [B, T, V], state). Padding changes nothing."""
        x_BTD, state = self.features(
            tokens_BT,
            state,
            mask_BT=mask_BT,
            segments_BT=segments_BT,
            characters_BTC=characters_BTC,
            categories_BTC=categories_BTC,
        )
        return self.logits(x_BTD), state

    def features(
        self,
        tokens_BT: Tensor,
        state: ModelState | None = None,
        *,
        mask_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        characters_BTC: Tensor | None = None,
        categories_BTC: Tensor | None = None,
    ) -> tuple[Tensor, ModelState]:
        """The stack's output [B, T, D] before the head, and the state."""
        layers, start = (None, 0) if state is None else state
        x_BTD, position = self.embedding(
            tokens_BT,
            start,
            mask_BT,
            segments_BT=segments_BT,
            characters_BTC=characters_BTC,
            categories_BTC=categories_BTC,
        )
        x_BTD, layers = self.stack(x_BTD, layers, mask_BT=mask_BT)
        return x_BTD, ModelState(layers, position)

    def answer(self, batch: Batch) -> Tensor:
        x_BTD = self._read(batch)
        if self.config.form == "label":
            x_BTD = self._pooled(x_BTD, batch.mask_BT)
        logits_BTV = self.logits(x_BTD)
        return span_logits(logits_BTV, batch) if self.config.form == "span" else logits_BTV

    def _read(self, batch: Batch) -> Tensor:
        x_BTD, _ = self.features(
            batch.inputs_BT,
            mask_BT=batch.mask_BT,
            segments_BT=batch.segments_BT if self.config.num_segments else None,
            characters_BTC=batch.characters_BTC,
            categories_BTC=batch.categories_BTC,
        )
        return x_BTD

    def position_vectors(self, batch: Batch) -> PositionVectors:
        x_BTD = self._read(batch)
        return PositionVectors(x_BTD, mask_of(batch.mask_BT, x_BTD), self.stack.causal)

    def summary_vector(self, batch: Batch) -> Tensor | None:
        if self.config.form != "label":
            return None
        return self._pooled(self._read(batch), batch.mask_BT)[:, 0]

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        loss = criterion(self.answer(batch), batch)
        balance = self.stack.balance_loss
        return loss if balance is None else loss + balance

    def _pooled(self, x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        """One vector a sequence, [B, 1, D]: all that a causal stack knows stands at the end."""
        mask_BT = mask_of(mask_BT, x_BTD)
        if self.stack.causal:
            last_B = (mask_BT * torch.arange(mask_BT.shape[1], device=mask_BT.device)).argmax(1)
            return x_BTD[torch.arange(len(x_BTD), device=x_BTD.device), last_B][:, None]
        weight_BT1 = mask_BT[..., None].to(x_BTD.dtype)
        return (x_BTD * weight_BT1).sum(1, keepdim=True) / weight_BT1.sum(1, keepdim=True)

    @property
    def most_positions(self) -> int | None:
        return self.embedding.most_positions

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self.stack.algorithms

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        return self.stack.mixers

    def reach(self) -> float | None:
        return None if "reach" in self.unknown_costs else self.stack.reach()

    def flops(self, length: int) -> int:
        """Forward operations over one sequence (see Mixer.flops); the embedding look-up is free."""
        answers = 1 if self.config.form == "label" else length
        head = 2 * answers * self.config.stack.width * self.num_outputs
        return self.stack.flops(length) + self.embedding.flops(length) + head

    def state_bytes(self, length: int) -> int:
        """Bytes of one sequence's state after `length` tokens."""
        return self.stack.state_bytes(length)

    def serial_steps(self, length: int) -> int:
        return self.stack.serial_steps(length)


class LanguageModel(TokenModel, StatefulModel):
    """Causal: position t sees tokens up to t alone."""

    def __init__(self, config: ModelConfig, stack: Stack | None = None) -> None:
        super().__init__(config, stack)
        if not self.stack.causal:
            raise UserError("a language model needs causal mixers; this stack sees the future")

    def initial_state(self, batch_size: int, max_length: int = 0) -> ModelState:
        return ModelState(self.stack.initial_state(batch_size, max_length), 0)

    def keep(self, state: ModelState) -> ModelState:
        return ModelState(self.stack.keep(state.layers), state.position)

    def rewound(self, state: ModelState, kept: ModelState, count: int) -> ModelState:
        return ModelState(self.stack.rewound(state.layers, kept.layers, count), kept.position)

    @property
    def writes(self) -> bool:
        """A step is given a token, or numbers, alone: a model that reads more cannot take one."""
        config = self.config
        more = config.num_characters or config.num_segments or config.categories
        return super().writes and not more


class Encoder(TokenModel):
    """Sees the whole sequence, or answers with one label or one span of it."""


class PrefixModel(LanguageModel):
    """Pairs by one causal stack: the source is a prefix, and the target goes on from it."""

    def answer(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        length = batch.source_BS.shape[1]
        tokens_BT = torch.cat((batch.source_BS + self.config.source_offset, batch.inputs_BT), 1)
        masks = (
            mask_of(batch.source_mask_BS, batch.source_BS),
            mask_of(batch.mask_BT, batch.inputs_BT),
        )
        x_BTD, _ = self.features(tokens_BT, mask_BT=torch.cat(masks, 1))
        return self.logits(x_BTD[:, length:])

    def position_vectors(self, batch: Batch) -> PositionVectors:
        assert batch.source_BS is not None
        source_BS = batch.source_BS + self.config.source_offset
        x_BSD, _ = self.features(source_BS, mask_BT=batch.source_mask_BS)
        return PositionVectors(x_BSD, mask_of(batch.source_mask_BS, x_BSD), causal=True)

    @property
    def writes(self) -> bool:
        return True

    def begin(self, batch: Batch, max_length: int = 0) -> ModelState:
        assert batch.source_BS is not None
        source_BS = batch.source_BS + self.config.source_offset
        state = self.initial_state(len(source_BS), source_BS.shape[1] + max_length)
        return self.features(source_BS, state, mask_BT=batch.source_mask_BS)[1]

    def flops(self, length: int) -> int:
        """`length` source positions and `length` target positions."""
        head = 2 * length * self.config.stack.width * self.num_outputs
        return self.stack.flops(2 * length) + head

    def state_bytes(self, length: int) -> int:
        return self.stack.state_bytes(2 * length)

    def serial_steps(self, length: int) -> int:
        return self.stack.serial_steps(2 * length)


def build_stack_model(config: ModelConfig) -> TokenModel:
    """The model of that form, freshly initialised: see the head of this file."""
    stack = Stack(config.stack)
    if config.form == "pairs":
        return PrefixModel(config, stack)
    if config.form in ("label", "span") or not stack.causal:
        return Encoder(config, stack)
    return LanguageModel(config, stack)
