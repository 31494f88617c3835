"""What readers of passages share: question and passage apart, and spans at the batch's positions.

    B  examples    Q  words of the question    P  words of the passage    T  positions of both
    D  width: word vectors, and the state of each direction of an LSTM
"""

from abc import ABC
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from seqarena.core.batch import Batch, Form, Problem, span_logits
from seqarena.models.model import System, SystemOptions
from seqarena.models.sentences.sentence_input import SentenceInput

LSTM_STEPS = 7  # dependent operations of one position, see mixers/recurrent/lstm.py


class Texts(NamedTuple):
    """Question and passage of a batch, each from its first word on; padding is zeros."""

    question_BQD: Tensor
    question_lengths_B: Tensor
    passage_BPD: Tensor
    passage_lengths_B: Tensor
    real_BQ: Tensor
    real_BP: Tensor
    question_order_BQ: Tensor  # where each word stood in the batch
    passage_order_BP: Tensor


class PassageReader(System, ABC):
    """Abstract. A subclass scores each word of the passage as the first and as the last of the
    answer; the first sentence of an example is the question, the second the passage."""

    forms: ClassVar[tuple[Form, ...]] = ("span",)
    needs = ("num_segments", "vocab_size")
    causal = False

    def __init__(self, problem: Problem, width: int, options: SystemOptions) -> None:
        super().__init__(problem, width, options)
        self.input = SentenceInput(problem, width)

    def texts(self, batch: Batch) -> Texts:
        """The word vectors of both."""
        x_NTD, real_NT, lengths_N, order_NT = self.input(batch)
        (question_BTD, passage_BTD), (asked_B, told_B) = x_NTD.chunk(2), lengths_N.chunk(2)
        words, places = max(1, int(asked_B.max())), max(1, int(told_B.max()))
        real_BQ, real_BP = real_NT.chunk(2)
        order_BQ, order_BP = order_NT.chunk(2)
        return Texts(
            question_BTD[:, :words], asked_B, passage_BTD[:, :places], told_B,
            real_BQ[:, :words], real_BP[:, :places],
            order_BQ[:, :words], order_BP[:, :places],
        )  # fmt: skip

    def state_bytes(self, length: int) -> int:
        """It sees the whole passage: there is nothing to continue."""
        return 0


def as_span(first_BP: Tensor, last_BP: Tensor, texts: Texts, batch: Batch) -> Tensor:
    """Scores of the passage's words as logits [B, 2, T] at the batch's positions."""
    scores_BP2 = torch.stack((first_BP, last_BP), -1)
    placed_BT2 = scores_BP2.new_zeros(*batch.inputs_BT.shape, 2)
    index_BP2 = texts.passage_order_BP[..., None].expand_as(scores_BP2)
    return span_logits(placed_BT2.scatter(1, index_BP2, scores_BP2), batch)


def shares(scores: Tensor, real: Tensor) -> Tensor:
    """Softmax over the last axis, over what is real: 0 elsewhere."""
    return scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~real, 0)
