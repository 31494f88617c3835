"""A sentence as a matrix: several attentions over a bidirectional LSTM (Lin et al. 2017, "A
structured self-attentive sentence embedding", ICLR).

    h_t = [forward LSTM; backward LSTM]                               H [T, 2 D]
    A   = softmax(W_2 tanh(W_1 H^T)), over the positions              (6)   A [R, T]
    M   = A H                                                         (7)   M [R, 2 D]
    y   = U_2 relu(U_1 M + b_1) + b_2                                 with dropout before each map
    training adds   penalty * || A A^T - I ||_F^2                     (8)   so that rows differ

Published for sentiment: word vectors of 100, D = 300, attention width 350, R = 30 rows, 3000 hidden
units, dropout 0.5, penalty 1. Here word vectors are as wide as D, and the defaults are smaller.
Of two sentences, each is encoded by itself and the penalty is their mean; they are compared as in
models/sentences/sentence_input.py (the paper has a product of two maps of theirs in that place).

    N  sentences     T  positions     D  width: word vectors and each direction's state
    R  rows          E = 2 D R, the encoded sentence
"""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem, Targets
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.mixers.recurrent.lstm import LSTM, LSTMConfig
from seqarena.models.model import System, SystemOptions
from seqarena.models.sentences.sentence_input import SentenceInput, Sentences
from seqarena.models.watching import Look
from seqarena.ops.padding import reverse


class SelfAttentionOptions(SystemOptions):
    """`attention_width` (rows of W_1) is the width unless given, `hidden` (of U_1) twice that."""

    rows: int = 8
    attention_width: int | None = None
    hidden: int | None = None
    penalty: float = 0.1
    dropout: float = 0.5


class SelfAttentionEncoder(System):
    """Bidirectional LSTM, rows of attention, two-layer classifier."""

    Options: ClassVar[type[SystemOptions]] = SelfAttentionOptions
    forms: ClassVar[tuple[Form, ...]] = ("label",)
    takes: ClassVar[tuple[str, ...]] = ("features",)
    targets: ClassVar[tuple[Targets, ...]] = ("classes", "numbers")
    dial: ClassVar[str | None] = "hidden"
    equation = """
        h_t = [forward LSTM; backward LSTM]
        A   = softmax(W_2 tanh(W_1 H^T)), over the positions
        M   = A H
        y   = U_2 relu(U_1 M + b_1) + b_2
        training adds   penalty * || A A^T - I ||_F^2
    """
    complexity: ClassVar[Complexity] = Complexity("T D^2 + R T D", "T", "1", "none")

    def __init__(self, problem: Problem, width: int, options: SelfAttentionOptions) -> None:
        super().__init__(problem, width, options)
        attention_width = width if options.attention_width is None else options.attention_width
        hidden = 2 * width if options.hidden is None else options.hidden
        for name, size in (
            ("rows", options.rows), ("attention_width", attention_width), ("hidden", hidden),
        ):  # fmt: skip
            if size < 1:
                raise UserError(f"self_attention_encoder: {name} {size} must be at least 1")
        self.penalty = options.penalty
        self.input = SentenceInput(problem, width)
        self.ahead = LSTM(width, LSTMConfig())
        self.back = LSTM(width, LSTMConfig())
        self.look = nn.Linear(2 * width, attention_width, bias=False)
        self.score = nn.Linear(attention_width, options.rows, bias=False)
        features = self.input.joined_size(2 * width * options.rows)
        self.combine = nn.Linear(features, hidden)
        self.head = nn.Linear(hidden, problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)

    def answer(self, batch: Batch) -> Tensor:
        return self._answer(self._read(batch)[1:])

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """The task's loss and the penalty of equation (8), its mean over the sentences."""
        _, states_NTE, weights_NRT = self._read(batch)
        answered = criterion(self._answer((states_NTE, weights_NRT)), batch)
        return answered + self.penalty * overlap(weights_NRT).mean()

    def summary_vector(self, batch: Batch) -> Tensor:
        """M, row after row."""
        _, states_NTE, weights_NRT = self._read(batch)
        return (weights_NRT @ states_NTE).flatten(1)[: len(batch.inputs_BT)]

    def attention(self, batch: Batch) -> Tensor:
        """A [B, R, T] at the batch's own positions, 0 at padding: each row sums to one over each
        sentence."""
        sentences, _, weights_NRT = self._read(batch)
        index_NRT = sentences.order_NT[:, None].expand_as(weights_NRT)
        shape = (*weights_NRT.shape[:2], batch.inputs_BT.shape[1])
        placed_NRT = weights_NRT.new_zeros(shape).scatter(2, index_NRT, weights_NRT)
        return torch.stack(placed_NRT.chunk(2)).sum(0) if self.input.two else placed_NRT

    def looks(self, batch: Batch) -> list[Look]:
        return [Look("looks", 0, self.attention(batch)[:, None])]

    def _read(self, batch: Batch) -> tuple[Sentences, Tensor, Tensor]:
        """The sentences, H [N, T, 2 D] and A [N, R, T], its weights 0 behind a sentence's end."""
        sentences = self.input(batch)
        x_NTD, real_NT, lengths_N, _ = sentences
        ahead_NTD, _ = self.ahead.mix(x_NTD, None, None)  # padding comes after what is read
        back_NTD, _ = self.back.mix(reverse(x_NTD, lengths_N), None, None)
        states_NTE = torch.cat((ahead_NTD, reverse(back_NTD, lengths_N)), dim=2)
        scores_NRT = self.score(self.look(states_NTE).tanh()).transpose(1, 2)
        hidden_N1T = ~real_NT[:, None]
        lowest = torch.finfo(scores_NRT.dtype).min
        weights_NRT = scores_NRT.masked_fill(hidden_N1T, lowest).softmax(2)
        return sentences, states_NTE, weights_NRT.masked_fill(hidden_N1T, 0.0)

    def _answer(self, read: tuple[Tensor, Tensor]) -> Tensor:
        states_NTE, weights_NRT = read
        encoded_NE = (weights_NRT @ states_NTE).flatten(1)  # (7)
        hidden_BE = self.combine(self.dropout(self.input.joined(encoded_NE))).relu()
        return self.head(self.dropout(hidden_BE))[:, None]

    @property
    def algorithms(self) -> tuple[str, ...]:
        return (self.ahead.algorithm, self.back.algorithm, "softmax")

    def flops(self, length: int) -> int:
        scores = 2 * (self.look.weight.numel() + self.score.weight.numel())
        weighing = 4 * self.width * self.options.rows
        counts = self.input.lengths(length)
        lstms = sum(self.ahead.flops(count) + self.back.flops(count) for count in counts)
        classifier = 2 * (self.combine.weight.numel() + self.head.weight.numel())
        return self.input.flops(length) + lstms + length * (scores + weighing) + classifier

    def state_bytes(self, length: int) -> int:
        """It sees the whole sentence: there is nothing to continue."""
        return 0

    def serial_steps(self, length: int) -> int:
        """The directions run beside each other, and so do two sentences; then product, tanh,
        product, softmax, product, and product, rectifier, product."""
        return self.ahead.serial_steps(max(self.input.lengths(length))) + 8 + self.input.two


def overlap(weights_NRT: Tensor) -> Tensor:
    """|| A A^T - I ||_F^2 of each sentence: [N]. Zero where each row looks at one position alone
    and no two rows at the same."""
    products_NRR = weights_NRT @ weights_NRT.transpose(1, 2)
    identity_RR = torch.eye(weights_NRT.shape[1], device=weights_NRT.device)
    return (products_NRR - identity_RR.to(products_NRR.dtype)).square().sum((1, 2))
