"""BERT: "Pre-training of Deep Bidirectional Transformers", Devlin et al. 2018.

    x = norm(token + position + segment)                                     embeddings
    x = norm(x + attention(x));  x = norm(x + W_2 gelu(W_1 x))               a layer, post-norm
    tokens that are inputs again   norm(gelu(W x)) E^T + b                   masked language model
    other tokens                   W x                                       tagging
    one label                      W tanh(W_p x_1)                           the first position
    a span                         S x and E x, softmax over positions       section 4.2

Layers are those of a stack (models/stacks/stack.py) with attention that sees everything. Weights
go to and from the layout of the authors' later releases in models/exchange.
"""

from typing import Any, ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem, span_logits
from seqarena.core.shapes import mask_of
from seqarena.mixers.attention.attention import Attention
from seqarena.mixers.base import Mixer
from seqarena.models.model import PositionVectors, System, SystemConfig, SystemOptions, too_long
from seqarena.models.stacks.channel_mixers import ACTIVATIONS, INITIAL_STD, Activation
from seqarena.models.stacks.stack import LayerConfig, Stack, StackConfig
from seqarena.ops.padding import real_positions


class BertOptions(SystemOptions):
    """`hidden_width` None is four times the width. Published (base): 12 layers, 12 heads, 768."""

    layers: int = Field(2, ge=1)
    num_heads: int = Field(4, ge=1)
    hidden_width: int | None = Field(None, ge=1)
    num_segments: int = Field(2, ge=1)
    max_positions: int | None = Field(None, ge=1)  # None: the task's longest input
    activation: Activation = "gelu"
    norm_epsilon: float = Field(1e-12, gt=0)


class Bert(System):
    """An encoder with the head that the form of the task asks for."""

    Options = BertOptions
    forms = ("tokens", "label", "span")
    needs = ("vocab_size",)
    targets = ("classes", "numbers")
    dial = "hidden_width"
    causal: ClassVar[bool] = False
    head_modules: ClassVar[tuple[str, ...]] = (
        "transform", "transform_norm", "output_bias_V", "pooler", "classifier",
    )  # fmt: skip
    equation = """
        x = norm(token + position + segment)
        x = norm(x + attention(x));  x = norm(x + W_2 gelu(W_1 x))
        tokens that are inputs again   norm(gelu(W x)) E^T + b
        other tokens                   W x
        one label                      W tanh(W_p x_1)
        a span                         S x and E x, softmax over positions
    """
    complexity = Attention.complexity

    @classmethod
    def options_for(cls, trained: SystemConfig, problem: Problem) -> dict[str, Any]:
        """As many positions as were trained, of which the task may use fewer."""
        known = trained.options.get("max_positions") or trained.problem.max_length
        if problem.max_length > known:
            raise too_long(known, problem)
        return {**trained.options, "max_positions": known}

    def __init__(self, problem: Problem, width: int, options: BertOptions) -> None:
        super().__init__(problem, width, options)
        attention = LayerConfig(
            mixer="seqarena.mixers.attention.attention:Attention",
            options={
                "num_heads": options.num_heads, "positions": "none", "bias": True, "causal": False
            },
        )  # fmt: skip
        self.tokens = nn.Embedding(problem.vocab_size, width)
        self.positions = nn.Embedding(options.max_positions or problem.max_length, width)
        self.segments = nn.Embedding(options.num_segments, width)
        self.norm = nn.LayerNorm(width, eps=options.norm_epsilon)
        self.dropout = nn.Dropout(options.dropout)
        self.stack = Stack(
            StackConfig(
                width=width,
                layers=(attention,) * options.layers,
                channel_width=options.hidden_width or 4 * width,
                norm_position="post",
                norm_epsilon=options.norm_epsilon,
                activation=options.activation,
                dropout=options.dropout,
            )
        )
        words = problem.form == "tokens" and problem.targets == "classes"
        self.activation = ACTIVATIONS[options.activation]
        self.is_masked_lm = words and problem.num_outputs == problem.vocab_size
        if self.is_masked_lm:
            self.transform = nn.Linear(width, width)
            self.transform_norm = nn.LayerNorm(width, eps=options.norm_epsilon)
            self.output_bias_V = nn.Parameter(self.tokens.weight.new_zeros(problem.vocab_size))
        else:
            self.pooler = nn.Linear(width, width) if problem.form == "label" else None
            self.classifier = nn.Linear(width, problem.num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=INITIAL_STD)

    def features(
        self, tokens_BT: Tensor, segments_BT: Tensor | None = None, mask_BT: Tensor | None = None
    ) -> Tensor:
        """The last layer [B, T, D]. Padding does not count as a position."""
        index_BT = real_positions(tokens_BT, mask_BT)
        x_BTD = self.tokens(tokens_BT) + self.positions(index_BT)
        if segments_BT is None:
            x_BTD = x_BTD + self.segments.weight[0]
        else:
            x_BTD = x_BTD + self.segments(segments_BT.clamp(max=self.segments.num_embeddings - 1))
        x_BTD, _ = self.stack(self.dropout(self.norm(x_BTD)), mask_BT=mask_BT)
        return x_BTD

    def answer(self, batch: Batch) -> Tensor:
        x_BTD = self.features(batch.inputs_BT, batch.segments_BT, batch.mask_BT)
        if self.is_masked_lm:
            x_BTD = self.transform_norm(self.activation(self.transform(x_BTD)))
            return F.linear(x_BTD, self.tokens.weight, self.output_bias_V)
        if self.pooler is not None:
            x_BTD = self.pooler(x_BTD[:, :1]).tanh()
        logits_BTV = self.classifier(self.dropout(x_BTD))
        return span_logits(logits_BTV, batch) if self.problem.form == "span" else logits_BTV

    def position_vectors(self, batch: Batch) -> PositionVectors:
        x_BTD = self.features(batch.inputs_BT, batch.segments_BT, batch.mask_BT)
        return PositionVectors(x_BTD, mask_of(batch.mask_BT, x_BTD), causal=False)

    def summary_vector(self, batch: Batch) -> Tensor | None:
        if self.is_masked_lm or self.pooler is None:
            return None
        x_BTD = self.features(batch.inputs_BT, batch.segments_BT, batch.mask_BT)
        return self.pooler(x_BTD[:, 0]).tanh()

    @property
    def most_positions(self) -> int:
        return self.positions.num_embeddings

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        return self.stack.mixers

    @property
    def algorithms(self) -> tuple[str, ...]:
        return self.stack.algorithms

    def flops(self, length: int) -> int:
        """The stack and the head; look-ups are free."""
        width, outputs = self.width, self.problem.num_outputs
        if self.is_masked_lm:
            head = 2 * length * width * (width + outputs)
        elif self.pooler is not None:
            head = 2 * width * (width + outputs)
        else:
            head = 2 * length * width * outputs
        return self.stack.flops(length) + head

    def state_bytes(self, length: int) -> int:
        return 0

    def serial_steps(self, length: int) -> int:
        return self.stack.serial_steps(length)
