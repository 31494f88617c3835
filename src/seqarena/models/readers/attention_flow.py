"""BiDAF: "Bidirectional Attention Flow for Machine Comprehension", Seo et al. 2016 (ICLR 2017).

    x    = highway(highway(word vector))                              of both texts
    H    = biLSTM(x of the passage)     U = biLSTM(x of the question)  the same LSTM
    S_tj = w . [h_t; u_j; h_t * u_j]                                  (1)
    a_t  = softmax_j(S_tj)          u~_t = sum_j a_tj u_j             context to query
    b    = softmax_t(max_j S_tj)    h~   = sum_t b_t h_t              query to context
    g_t  = [h_t; u~_t; h_t * u~_t; h_t * h~]                          (2)
    M    = biLSTM(biLSTM(G))        p1 = softmax_t(w_1 . [g_t; m_t])  (3)
    M2   = biLSTM(M)                p2 = softmax_t(w_2 . [g_t; m2_t]) (4)

The paper's word vectors are GloVe's of 100 beside a convolution over letters; here they are learnt
and as wide as D. Published: D = 100, dropout 0.2 on the input of every LSTM and before the softmax;
here there is none unless it is asked for.

    B  examples    Q  words of the question    P  words of the passage    D  width    E = 2 D
    G = 4 E        L  both directions of M2
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.mixers.base import Complexity
from seqarena.models.model import SystemOptions
from seqarena.models.readers.passage_reader import (
    LSTM_STEPS,
    PassageReader,
    Texts,
    as_span,
    shares,
)
from seqarena.models.taggers.tagger import BiLSTM
from seqarena.models.watching import Look


class AttentionFlowOptions(SystemOptions):
    """`last_width`, of each direction of the LSTM that gives M2, is the width unless given."""

    last_width: int | None = Field(None, ge=1)
    highway_layers: int = Field(2, ge=0)


class _Highway(nn.Module):
    """t * relu(W x) + (1 - t) * x with t = sigmoid(W_t x) (Srivastava et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD + self.gate(x_BTD).sigmoid() * (self.change(x_BTD).relu() - x_BTD)


class Flow(nn.Module):
    """The attention of both directions: equations (1) and (2)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.told = nn.Linear(size, 1, bias=False)  # w for h, for u and for h * u
        self.asked = nn.Linear(size, 1, bias=False)
        self.both_E = nn.Parameter(torch.empty(size).uniform_(-(size**-0.5), size**-0.5))

    def forward(
        self, h_BPE: Tensor, u_BQE: Tensor, real_BP: Tensor, real_BQ: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """G [B, P, 4 E], and the weights a [B, P, Q] and b [B, P]."""
        products_BPQ = (h_BPE * self.both_E) @ u_BQE.transpose(1, 2)
        scores_BPQ = products_BPQ + self.told(h_BPE) + self.asked(u_BQE).transpose(1, 2)
        a_BPQ = shares(scores_BPQ, real_BQ[:, None])
        lowest = torch.finfo(scores_BPQ.dtype).min
        b_BP = shares(scores_BPQ.masked_fill(~real_BQ[:, None], lowest).amax(2), real_BP)
        read_BPE = a_BPQ @ u_BQE
        asked_B1E = b_BP[:, None] @ h_BPE
        g_BPG = torch.cat((h_BPE, read_BPE, h_BPE * read_BPE, h_BPE * asked_B1E), -1)
        return g_BPG, a_BPQ, b_BP

    def flops(self, asked: int, told: int) -> int:
        """Scores, and the two weighted sums."""
        size = len(self.both_E)
        return 2 * size * (2 * asked * told + 2 * told + asked)


class AttentionFlow(PassageReader):
    """Contextual LSTM, attention flow, modelling LSTMs, two pointers; see the head of this file."""

    Options: ClassVar[type[SystemOptions]] = AttentionFlowOptions
    dial: ClassVar[str | None] = "last_width"
    equation = """
        S_tj = w . [h_t; u_j; h_t * u_j]
        a_t  = softmax_j(S_tj)          u~_t = sum_j a_tj u_j
        b    = softmax_t(max_j S_tj)    h~   = sum_t b_t h_t
        g_t  = [h_t; u~_t; h_t * u~_t; h_t * h~]
        M    = biLSTM(biLSTM(G))        p1 = softmax_t(w_1 . [g_t; m_t])
        M2   = biLSTM(M)                p2 = softmax_t(w_2 . [g_t; m2_t])
    """
    complexity: ClassVar[Complexity] = Complexity("T^2 D + T D^2", "T", "1", "none")

    def __init__(self, problem: Problem, width: int, options: AttentionFlowOptions) -> None:
        super().__init__(problem, width, options)
        size, last_width = 2 * width, options.last_width or width
        self.highway = nn.Sequential(*(_Highway(width) for _ in range(options.highway_layers)))
        self.context = BiLSTM(width, width)
        self.flow = Flow(size)
        self.modeling = nn.ModuleList((BiLSTM(4 * size, width), BiLSTM(size, width)))
        self.to_last = BiLSTM(size, last_width)
        self.first = nn.Linear(4 * size + size, 1, bias=False)
        self.last = nn.Linear(4 * size + 2 * last_width, 1, bias=False)
        self.dropout = nn.Dropout(options.dropout)

    def answer(self, batch: Batch) -> Tensor:
        return self._read(batch)[0]

    def looks(self, batch: Batch) -> list[Look]:
        """What each word of the passage reads of the question, whose own words keep to themselves;
        then b, p1 and p2 in three rows."""
        logits_B2T, texts, a_BPQ, b_BP = self._read(batch)
        size, length = batch.inputs_BT.shape
        index_BPT = texts.passage.order_BT[..., None].expand(-1, -1, length)
        to_BPQ = texts.question.order_BT[:, None].expand_as(a_BPQ)
        read_BPT = a_BPQ.new_zeros(index_BPT.shape).scatter(2, to_BPQ, a_BPQ)
        own_BTT = torch.eye(length, dtype=a_BPQ.dtype, device=a_BPQ.device).repeat(size, 1, 1)
        own_BPT = own_BTT.gather(1, index_BPT)
        read_BPT = read_BPT.where(texts.passage.real_BT[..., None], own_BPT)
        asked_BTT = own_BTT.scatter(1, index_BPT, read_BPT)
        told_BT = b_BP.new_zeros(size, length).scatter(1, texts.passage.order_BT, b_BP)
        rows_B3T = torch.cat((told_BT[:, None], logits_B2T.softmax(-1)), 1)
        return [
            Look("passage to question", 0, asked_BTT[:, None]),
            Look("looks", 0, rows_B3T[:, None]),
        ]

    def _read(self, batch: Batch) -> tuple[Tensor, Texts, Tensor, Tensor]:
        """The logits, the texts, and the weights of both directions."""
        texts, drop = self.texts(batch), self.dropout
        question, passage = texts
        told = passage.lengths_B
        h_BPE = self.context(drop(self.highway(passage.x_BTD)), told)
        u_BQE = self.context(drop(self.highway(question.x_BTD)), question.lengths_B)
        g_BPG, a_BPQ, b_BP = self.flow(h_BPE, u_BQE, passage.real_BT, question.real_BT)
        m_BPE = g_BPG
        for layer in self.modeling:
            m_BPE = layer(drop(m_BPE), told)
        last_BPL = self.to_last(drop(m_BPE), told)
        first_BP = self.first(drop(torch.cat((g_BPG, m_BPE), -1))).squeeze(-1)
        last_BP = self.last(drop(torch.cat((g_BPG, last_BPL), -1))).squeeze(-1)
        return as_span(first_BP, last_BP, texts, batch), texts, a_BPQ, b_BP

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("fused", "softmax", "fused", "fused", "fused")

    def flops(self, length: int) -> int:
        asked, told = self.lengths(length)
        highway = 2 * length * sum(p.numel() for p in self.highway.parameters() if p.dim() == 2)
        layers: list[BiLSTM] = [*self.modeling, self.to_last]  # pyright: ignore[reportAssignmentType]
        lstms = self.context.flops(asked) + self.context.flops(told)
        lstms += sum(layer.flops(told) for layer in layers)
        heads = 2 * told * (self.first.weight.numel() + self.last.weight.numel())
        return highway + lstms + self.flow.flops(asked, told) + heads

    def serial_steps(self, length: int) -> int:
        """The highway, the contextual LSTM over the longer text, the attention (product, sum,
        maximum, softmax, product, product), three LSTMs and a product."""
        asked, told = self.lengths(length)
        lstms = LSTM_STEPS * (max(asked, told) + 3 * told)
        return 3 * self.options.highway_layers + lstms + 6 + 1
