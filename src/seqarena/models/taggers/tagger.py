"""Sequence taggers of 2015 and 2016: a bidirectional LSTM over words and their letters, with a tag
decided at each word alone or for the sentence as a whole.

    x_t = [word vector ; last state of an LSTM over its letters, forwards ; and backwards]
    c_t = [LSTM over x_1 .. x_t ; LSTM over x_T .. x_t]
    e_t = P tanh(H c_t)                                      a score for each tag

    p(y_t | x) = softmax(e_t)
        BiLSTMTagger: every word for itself                  Huang, Xu and Yu 2015, section 2.2
    p(y | x) = softmax over all y of sum_t e_t[y_t] + A[y_{t-1}, y_t]
        BiLSTMCRF: a linear chain (ops/crf.py)               Lample et al. 2016, sections 2.3, 4.1

Sizes as published by Lample et al.: words 100, letters 25 with an LSTM of 25 each way, the LSTM 100
each way, H as wide as it, dropout 0.5 on x. Here the LSTM's hidden size is the width; the word
vectors and H are as wide unless said otherwise. Huang et al. had hand-made spelling features in the
place of the letters and no H. With `letters="convolution"` the letters are read as in Ma and Hovy
2016. Words that the data hold once are the task's business (`min_count`), where Lample et al.
replace them at random.

Letters: D width of x, E = `width`, K tags, C letters of a word, N = B T words, L a letter's vector.
"""

import math
from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from seqarena.core.batch import IGNORE, Batch, Form, Problem
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Complexity
from seqarena.models.model import PositionVectors, System, SystemOptions
from seqarena.models.stacks.embedding import Spelling
from seqarena.ops import recurrent
from seqarena.ops.crf import CRFWeights, log_partition, max_marginals, sentence_score
from seqarena.ops.padding import Aligned, left_align, restore, reverse
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm

_ALGORITHM = "fused"
_LETTERS_A_WORD = 8  # for counting operations, as models/stacks/embedding.py does
_LSTM_STEPS = 7  # see mixers/recurrent/lstm.py
_CHAIN_STEPS = 3  # a sum, a reduction, a sum


class TaggerOptions(SystemOptions):
    """Sizes beside the width."""

    word_width: int | None = None  # None: the width
    letters: Literal["lstm", "convolution"] = "lstm"
    letter_width: int = 25  # a word gets twice as many numbers from its letters
    hidden_width: int | None = None  # of H; None: the width


class Tagger(System, ABC):
    """What the taggers share: all up to the scores of the tags."""

    Options = TaggerOptions
    forms: ClassVar[tuple[Form, ...]] = ("tokens",)
    needs = ("vocab_size",)
    dial = "hidden_width"
    causal = False

    def __init__(self, problem: Problem, width: int, options: TaggerOptions) -> None:
        super().__init__(problem, width, options)
        word_width = _at_least_one("word_width", options.word_width, width)
        hidden_width = _at_least_one("hidden_width", options.hidden_width, width)
        self.words = nn.Embedding(problem.vocab_size, word_width)
        nn.init.uniform_(self.words.weight, -math.sqrt(3 / word_width), math.sqrt(3 / word_width))
        self.letters: Spelling | LetterLSTM | None = None
        if problem.num_characters:
            letter_width = _at_least_one("letter_width", options.letter_width, width)
            self.letters = (
                LetterLSTM(problem.num_characters, letter_width)
                if options.letters == "lstm"
                else Spelling(problem.num_characters, 2 * letter_width)
            )
            word_width += 2 * letter_width
        self.dropout = nn.Dropout(options.dropout)
        self.context = BiLSTM(word_width, width)
        self.hidden = nn.Linear(2 * width, hidden_width)
        self.project = nn.Linear(hidden_width, problem.num_outputs)

    def emissions(self, batch: Batch) -> tuple[Tensor, Aligned | None]:
        """Scores of the tags [B, T, K]; where the batch has a mask, its rows with their real
        positions first, and what `restore` needs."""
        c_BTE, aligned = self._in_context(batch)
        return self.project(self.hidden(c_BTE).tanh()), aligned

    def position_vectors(self, batch: Batch) -> PositionVectors:
        """c_t of each word."""
        c_BTE, aligned = self._in_context(batch)
        lengths_B = torch.full_like(batch.inputs_BT[:, 0], c_BTE.shape[1])
        lengths_B = lengths_B if aligned is None else aligned.lengths_B
        return PositionVectors(c_BTE, lengths_to_mask(lengths_B, c_BTE.shape[1]), causal=False)

    def _in_context(self, batch: Batch) -> tuple[Tensor, Aligned | None]:
        x_BTD = self.words(batch.inputs_BT)
        if self.letters is not None:
            assert batch.characters_BTC is not None
            x_BTD = torch.cat((x_BTD, self.letters(batch.characters_BTC)), -1)
        aligned = None
        if batch.mask_BT is not None:
            aligned = left_align(x_BTD, batch.mask_BT)
            x_BTD = aligned.x_BTD
        lengths_B = None if aligned is None else aligned.lengths_B
        return self.context(self.dropout(x_BTD), lengths_B), aligned

    @property
    def algorithms(self) -> tuple[str, ...]:
        return (_ALGORITHM,)

    def flops(self, length: int) -> int:
        """Words are looked up for nothing; letters are counted as eight a word."""
        spelled = 0
        if isinstance(self.letters, LetterLSTM):
            spelled = length * self.letters.lstm.flops(_LETTERS_A_WORD)
        elif self.letters is not None:
            spelled = length * _LETTERS_A_WORD * self.letters.flops_per_letter
        outputs = sum(
            2 * layer.in_features * layer.out_features for layer in (self.hidden, self.project)
        )
        return spelled + self.context.flops(length) + length * outputs

    def state_bytes(self, length: int) -> int:
        """It reads the whole sentence, so there is nothing to continue."""
        return 0

    def serial_steps(self, length: int) -> int:
        """Letters, then words, then two products and a tanh."""
        letters = 1 + _LSTM_STEPS * _LETTERS_A_WORD if self.letters is not None else 0
        return letters + 1 + _LSTM_STEPS * length + 3


class BiLSTMTagger(Tagger):
    """Each word's tag for itself."""

    targets = ("classes", "numbers")
    equation = """
        x_t = [word vector ; last state of an LSTM over its letters, forwards ; and backwards]
        c_t = [LSTM over x_1 .. x_t ; LSTM over x_T .. x_t]
        e_t = P tanh(H c_t)
        p(y_t | x) = softmax(e_t)
    """
    complexity = Complexity("T D^2", "T", "T", "none")

    def answer(self, batch: Batch) -> Tensor:
        emissions_BTK, aligned = self.emissions(batch)
        return emissions_BTK if aligned is None else restore(emissions_BTK, aligned)


class BiLSTMCRF(Tagger):
    """The tags of a sentence together.

    `answer` gives max-marginals, whose argmax at each position is the best sequence's tag (while
    training, which does not decode, the emissions). Their softmax is no probability of a tag.
    """

    equation = """
        x_t = [word vector ; last state of an LSTM over its letters, forwards ; and backwards]
        c_t = [LSTM over x_1 .. x_t ; LSTM over x_T .. x_t]
        e_t = P tanh(H c_t)
        p(y | x) = softmax over all y of sum_t e_t[y_t] + A[y_{t-1}, y_t]
    """
    complexity = Complexity("T (D^2 + V^2)", "T", "T", "none")

    def __init__(self, problem: Problem, width: int, options: TaggerOptions) -> None:
        super().__init__(problem, width, options)
        tags = problem.num_outputs
        self.start_K = nn.Parameter(torch.zeros(tags))
        self.end_K = nn.Parameter(torch.zeros(tags))
        self.transitions_JK = nn.Parameter(torch.zeros(tags, tags))

    @property
    def chain(self) -> CRFWeights:
        """What tags score beside their emissions."""
        return CRFWeights(self.start_K, self.end_K, self.transitions_JK)

    def answer(self, batch: Batch) -> Tensor:
        scores_BTK, aligned = self.emissions(batch)
        if not self.training:
            lengths_B = None if aligned is None else aligned.lengths_B
            scores_BTK = max_marginals(_wide(scores_BTK), self.chain, lengths_B)
        return scores_BTK if aligned is None else restore(scores_BTK, aligned)

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """Minus the log-likelihood of the sentences' tags, in nats for each word asked.

        Where a word inside a sentence is not asked (IGNORE), all of its tags count as right. The
        task's criterion is not used, so label smoothing does nothing here.
        """
        emissions_BTK, aligned = self.emissions(batch)
        emissions_BTK = _wide(emissions_BTK)
        targets_BT = batch.targets_BT
        lengths_B = None if aligned is None else aligned.lengths_B
        if aligned is not None:
            targets_BT = targets_BT.gather(1, aligned.order_BT)
        asked_BT = targets_BT != IGNORE
        real_BT = torch.ones_like(asked_BT)
        if lengths_B is not None:
            real_BT = lengths_to_mask(lengths_B, real_BT.shape[1])
        safe_BT = targets_BT.masked_fill(~asked_BT, 0)
        if bool((asked_BT | ~real_BT).all()):
            right_B = sentence_score(emissions_BTK, safe_BT, self.chain, lengths_B)
        else:
            wrong_BTK = asked_BT[..., None] & (
                safe_BT[..., None] != torch.arange(emissions_BTK.shape[2], device=safe_BT.device)
            )
            allowed_BTK = emissions_BTK.masked_fill(wrong_BTK, -torch.inf)
            right_B = log_partition(allowed_BTK, self.chain, lengths_B)
        all_B = log_partition(emissions_BTK, self.chain, lengths_B)
        return (all_B - right_B).sum() / (asked_BT & real_BT).sum().clamp(min=1)

    def flops(self, length: int) -> int:
        """And the chain: two sums and an exponential's place for each pair of tags and word."""
        return super().flops(length) + 2 * length * self.problem.num_outputs**2

    def serial_steps(self, length: int) -> int:
        """And the chain, which waits for the network."""
        return super().serial_steps(length) + _CHAIN_STEPS * length


class BiLSTM(nn.Module):
    """Two LSTMs, one for each direction, side by side: [B, T, D] -> [B, T, 2 E]. Rows are
    right-padded where lengths are given; outputs at the padding are free."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.ahead = _weights(inputs, hidden)
        self.back = _weights(inputs, hidden)
        self.inputs = inputs
        self.hidden = hidden

    def forward(self, x_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
        ahead_BTE = self._run(x_BTD, self.ahead)
        back_BTE = reverse(self._run(reverse(x_BTD, lengths_B), self.back), lengths_B)
        return torch.cat((ahead_BTE, back_BTE), -1)

    def last(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """What each direction knows at its end, [B, 2 E]; zeros for a row without positions."""
        start_BE = x_BTD.new_zeros(x_BTD.shape[0], self.hidden)
        ahead_BTE = self._run(x_BTD, self.ahead)
        back_BTE = self._run(reverse(x_BTD, lengths_B), self.back)
        ends = [
            recurrent.pick_last(y_BTE.to(start_BE.dtype), start_BE, lengths_B)
            for y_BTE in (ahead_BTE, back_BTE)
        ]
        return torch.cat(ends, -1)

    def _run(self, x_BTD: Tensor, weights: nn.ParameterList) -> Tensor:
        # padding stands behind a row's end in either direction, so no length is needed
        dtype = recurrent.state_dtype(weights[0].dtype)
        zeros_BE = torch.zeros(len(x_BTD), self.hidden, dtype=dtype, device=x_BTD.device)
        y_BTE, _ = lstm(
            x_BTD, LSTMState(zeros_BE, zeros_BE), LSTMWeights(*weights), algorithm=_ALGORITHM
        )
        return y_BTE.to(x_BTD.dtype)

    def flops(self, length: int) -> int:
        """Four gates from input and state, and the cell, in both directions."""
        return 2 * length * (8 * self.hidden * (self.inputs + self.hidden) + 4 * self.hidden)


class LetterLSTM(nn.Module):
    """A word from its letters (Lample et al. 2016, section 4.1): characters_BTC [B, T, C], 0 behind
    the last letter -> [B, T, 2 L]."""

    def __init__(self, num_characters: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(num_characters, width, padding_idx=0)
        with torch.no_grad():
            self.table.weight.uniform_(-math.sqrt(3 / width), math.sqrt(3 / width))
            self.table.weight[0] = 0.0
        self.lstm = BiLSTM(width, width)

    def forward(self, characters_BTC: Tensor) -> Tensor:
        letters_NC = characters_BTC.flatten(0, 1)
        ends_NE = self.lstm.last(self.table(letters_NC), (letters_NC != 0).sum(1))
        return ends_NE.unflatten(0, characters_BTC.shape[:2])


def _weights(inputs: int, hidden: int) -> nn.ParameterList:
    """Input, recurrent and bias weights as mixers/recurrent/lstm.py draws them; the forget bias is
    one."""
    bound = 1 / math.sqrt(hidden)
    shapes = ((4 * hidden, inputs), (4 * hidden, hidden), (4 * hidden,))
    weights = [nn.init.uniform_(torch.empty(shape), -bound, bound) for shape in shapes]
    weights[2][hidden : 2 * hidden] = 1.0
    return nn.ParameterList(weights)


def _wide(scores: Tensor) -> Tensor:
    """Sums over a sentence need float32 at least."""
    return scores.to(recurrent.state_dtype(scores.dtype))


def _at_least_one(name: str, value: Any, width: int) -> int:
    if value is None:
        return width
    if value < 1:
        raise UserError(f"tagger: {name} = {value} must be at least 1")
    return value
