"""Models over tokens: an embedding, a stack, a head that gives logits at every position.

`LanguageModel` is causal and carries a state, so it can generate. `Encoder` may look both ways and
has no state. Same call, same costs; which one a stack becomes follows from its mixers.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.models.channel_mixers import INITIAL_STD
from seqarena.models.embedding import Positions, TokenEmbedding
from seqarena.models.stack import Stack, StackConfig


class ModelConfig(Config):
    """A model over tokens, whole: what a checkpoint stores in order to build it again."""

    vocab_size: int
    stack: StackConfig
    positions: Positions = "none"
    max_length: int = 0  # of learned positions
    tie_embeddings: bool = True


class ModelState(NamedTuple):
    """Where a language model stands."""

    layers: tuple[Any, ...]
    position: int | Tensor  # next position; a tensor [B] once rows had different padding


class TokenModel(nn.Module):
    """What LanguageModel and Encoder share. Abstract: build one of the two."""

    def __init__(self, config: ModelConfig, stack: Stack | None = None) -> None:
        """`stack` is one that was built from `config.stack` already, if there is one."""
        super().__init__()
        self.config = config
        width = config.stack.width
        self.embedding = TokenEmbedding(
            config.vocab_size, width, config.positions, config.max_length, config.stack.dropout
        )
        self.stack = stack or Stack(config.stack)
        self.head = nn.Linear(width, config.vocab_size, bias=False)
        nn.init.normal_(self.head.weight, std=INITIAL_STD)
        if config.tie_embeddings:
            self.head.weight = self.embedding.tokens.weight

    def forward(
        self, tokens_BT: Tensor, state: ModelState | None = None, *, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, ModelState]:
        """tokens_BT [B, T] -> (logits_BTV [B, T, V], state). Padding changes nothing."""
        x_BTD, state = self.features(tokens_BT, state, mask_BT=mask_BT)
        return self.head(x_BTD), state

    def features(
        self, tokens_BT: Tensor, state: ModelState | None = None, *, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, ModelState]:
        """The stack's output [B, T, D] before the head, and the state."""
        layers, start = (None, 0) if state is None else state
        x_BTD, position = self.embedding(tokens_BT, start, mask_BT)
        x_BTD, layers = self.stack(x_BTD, layers, mask_BT=mask_BT)
        return x_BTD, ModelState(layers, position)

    @property
    def num_parameters(self) -> int:
        """Trainable numbers; tied weights count once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self.stack.algorithms

    def flops(self, length: int) -> int:
        """Forward operations over one sequence (see Mixer.flops); the embedding look-up is free."""
        head = 2 * length * self.config.stack.width * self.config.vocab_size
        return self.stack.flops(length) + head

    def training_flops(self, length: int) -> int:
        """Forward and backward: a product's two gradients cost as much as the product each."""
        return 3 * self.flops(length)

    def state_bytes(self, length: int) -> int:
        """Bytes of one sequence's state after `length` tokens."""
        return self.stack.state_bytes(length)

    def serial_steps(self, length: int) -> int:
        return self.stack.serial_steps(length)


class LanguageModel(TokenModel):
    """Causal: position t sees tokens up to t alone."""

    def __init__(self, config: ModelConfig, stack: Stack | None = None) -> None:
        super().__init__(config, stack)
        if not self.stack.causal:
            raise UserError("a language model needs causal mixers; this stack sees the future")

    def initial_state(self, batch_size: int, max_length: int = 0) -> ModelState:
        """Before the first token; caches are preallocated for `max_length` tokens."""
        return ModelState(self.stack.initial_state(batch_size, max_length), 0)


class Encoder(TokenModel):
    """Sees the whole sequence at every position; for tasks whose answer is not in the input."""


def build_model(config: ModelConfig) -> TokenModel:
    """An Encoder where any mixer sees the future, else a LanguageModel, freshly initialised."""
    stack = Stack(config.stack)
    return (LanguageModel if stack.causal else Encoder)(config, stack)
