"""The attentive reader: "Teaching Machines to Read and Comprehend", Hermann et al. 2015, for spans.

    y_t = [forward LSTM; backward LSTM] of the passage      u = both ends of another, the question's
    m_t = tanh(W_ym y_t + W_um u)      s_t = softmax_t(w_ms . m_t)
    r   = sum_t s_t y_t                g = tanh(W_rg r + W_ug u)

The paper chooses a word of its vocabulary by g; entities are anonymised there. Here the answer is a
part of the passage, so that the attention itself points at it: s is the probability of its first
word, and a second attention, which g asks in the place of u, that of its last,

    m'_t = tanh(V_ym y_t + V_um g)     e_t = softmax_t(v_ms . m'_t)

Published: hidden sizes of 64 to 256, dropout 0 to 0.5.

    B  examples    Q  words of the question    P  words of the passage    D  width    E = 2 D
    A  attention width
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


class AttentiveReaderOptions(SystemOptions):
    """`attention_width` (rows of W_ym) None is twice the width."""

    attention_width: int | None = Field(None, ge=1)
    dropout: float = 0.1


class _Pointer(nn.Module):
    """w . tanh(W_y y_t + W_u u): a score of each word [B, P]."""

    def __init__(self, size: int, attention_width: int) -> None:
        super().__init__()
        self.told = nn.Linear(size, attention_width, bias=False)
        self.asked = nn.Linear(size, attention_width, bias=False)
        self.score = nn.Linear(attention_width, 1, bias=False)

    def forward(self, y_BPE: Tensor, u_BE: Tensor) -> Tensor:
        return self.score((self.told(y_BPE) + self.asked(u_BE)[:, None]).tanh()).squeeze(-1)

    def flops(self, length: int) -> int:
        told = self.told.weight.numel() + self.score.weight.numel()
        return 2 * (length * told + self.asked.weight.numel())


class AttentiveReader(PassageReader):
    """Two LSTMs each way and two attentions; see the head of this file."""

    Options: ClassVar[type[SystemOptions]] = AttentiveReaderOptions
    dial: ClassVar[str | None] = "attention_width"
    equation = """
        m_t = tanh(W_ym y_t + W_um u)      s_t = softmax_t(w_ms . m_t)
        r   = sum_t s_t y_t                g = tanh(W_rg r + W_ug u)
        m'_t = tanh(V_ym y_t + V_um g)     e_t = softmax_t(v_ms . m'_t)
    """
    complexity: ClassVar[Complexity] = Complexity("T D^2", "T", "1", "none")

    def __init__(self, problem: Problem, width: int, options: AttentiveReaderOptions) -> None:
        super().__init__(problem, width, options)
        size, attention_width = 2 * width, options.attention_width or 2 * width
        self.ask = BiLSTM(width, width)
        self.tell = BiLSTM(width, width)
        self.first = _Pointer(size, attention_width)
        self.last = _Pointer(size, attention_width)
        self.found = nn.Linear(size, size, bias=False)
        self.wanted = nn.Linear(size, size, bias=False)
        self.dropout = nn.Dropout(options.dropout)

    def answer(self, batch: Batch) -> Tensor:
        texts, first_BP, last_BP = self._read(batch)
        return as_span(first_BP, last_BP, texts, batch)

    def looks(self, batch: Batch) -> list[Look]:
        return [Look("looks", 0, self.answer(batch).softmax(-1)[:, None])]

    def _read(self, batch: Batch) -> tuple[Texts, Tensor, Tensor]:
        texts = self.texts(batch)
        u_BE = self.ask.last(self.dropout(texts.question.x_BTD), texts.question.lengths_B)
        y_BPE = self.tell(self.dropout(texts.passage.x_BTD), texts.passage.lengths_B)
        u_BE, y_BPE = self.dropout(u_BE.to(y_BPE.dtype)), self.dropout(y_BPE)
        first_BP = self.first(y_BPE, u_BE)
        r_BE = (shares(first_BP, texts.passage.real_BT)[:, None] @ y_BPE).squeeze(1)
        g_BE = torch.tanh(self.found(r_BE) + self.wanted(u_BE))
        return texts, first_BP, self.last(y_BPE, g_BE)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("fused", "fused", "softmax")

    def flops(self, length: int) -> int:
        asked, told = self.lengths(length)
        lstms = self.ask.flops(asked) + self.tell.flops(told)
        between = 2 * told * 2 * self.width + 2 * 2 * self.found.weight.numel()
        return lstms + self.first.flops(told) + self.last.flops(told) + between

    def serial_steps(self, length: int) -> int:
        """Question and passage run beside each other; then the two attentions, with product, sum,
        tanh and product each, and between them softmax, product, product, sum, tanh."""
        return LSTM_STEPS * max(self.lengths(length)) + 4 + 5 + 4
