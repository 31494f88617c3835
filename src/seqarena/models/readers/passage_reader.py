"""What readers of passages share: question and passage apart, and spans at the batch's positions.

B  examples    Q  words of the question    P  words of the passage    T  positions of both
D  width: word vectors, and the state of each direction of an LSTM
"""

from abc import ABC
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem, span_logits
from seqarena.core.shapes import lengths_to_mask, mask_of
from seqarena.models.model import System, SystemOptions
from seqarena.ops.extent import longest
from seqarena.ops.padding import left_align

LSTM_STEPS = 7  # dependent operations of one position, see mixers/recurrent/lstm.py


class Text(NamedTuple):
    """The word vectors of one text, from its first word on."""

    x_BTD: Tensor  # zeros behind the end
    lengths_B: Tensor
    real_BT: Tensor  # True at the `lengths_B` first positions
    order_BT: Tensor  # where each word stood in the batch


class Texts(NamedTuple):
    """Question and passage of a batch."""

    question: Text
    passage: Text


class PassageReader(System, ABC):
    """Abstract. A subclass scores each word of the passage as the first and as the last of the
    answer; the first sentence of an example is the question, the second the passage."""

    forms: ClassVar[tuple[Form, ...]] = ("span",)
    needs = ("num_segments", "vocab_size")
    causal = False

    def __init__(self, problem: Problem, width: int, options: SystemOptions) -> None:
        super().__init__(problem, width, options)
        # from N(0, 1): in +-0.25, BiDAF compares words too faintly to begin to learn
        self.tokens = nn.Embedding(problem.vocab_size, width)

    def texts(self, batch: Batch) -> Texts:
        """The word vectors of both."""
        assert batch.segments_BT is not None
        x_BTD = self.tokens(batch.inputs_BT)
        mask_BT = mask_of(batch.mask_BT, x_BTD)
        question, passage = (
            _from_first_word(x_BTD, mask_BT & (batch.segments_BT == number)) for number in (0, 1)
        )
        return Texts(question, passage)

    @staticmethod
    def lengths(length: int) -> tuple[int, int]:
        """The words of question and passage in an example of that length, for counting costs."""
        return length - length // 2, length // 2

    def state_bytes(self, length: int) -> int:
        """It sees the whole passage: there is nothing to continue."""
        return 0


def _from_first_word(x_BTD: Tensor, mask_BT: Tensor) -> Text:
    aligned = left_align(x_BTD, mask_BT)
    end = longest(aligned.lengths_B, x_BTD.shape[1])
    real_BT = lengths_to_mask(aligned.lengths_B, end)
    return Text(aligned.x_BTD[:, :end], aligned.lengths_B, real_BT, aligned.order_BT[:, :end])


def as_span(first_BP: Tensor, last_BP: Tensor, texts: Texts, batch: Batch) -> Tensor:
    """Scores of the passage's words as logits [B, 2, T] at the batch's positions."""
    scores_BP2 = torch.stack((first_BP, last_BP), -1)
    placed_BT2 = scores_BP2.new_zeros(*batch.inputs_BT.shape, 2)
    index_BP2 = texts.passage.order_BT[..., None].expand_as(scores_BP2)
    return span_logits(placed_BT2.scatter(1, index_BP2, scores_BP2), batch)


def shares(scores: Tensor, real: Tensor) -> Tensor:
    """Softmax over the last axis, over what is real: 0 elsewhere."""
    return (
        scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~real, 0)
    )
