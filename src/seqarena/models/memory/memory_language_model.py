"""The End-to-End Memory Network as a language model (Sukhbaatar, Szlam, Weston and Fergus 2015,
"End-To-End Memory Networks", section 5): the last N words are the memory, and a query that is the
same for every word reads it K times before it names the next one.

    m_i = A x_i + T_A(i)                  c_i = C x_i + T_C(i)             u_0 = (0.1, ..., 0.1)
    p_i = softmax_i(u_k . m_i)            o = sum_i p_i c_i
    u_(k+1) = f(H u_k + o)                logits = W u_K

T counts words back from the newest. All hops share A, C and H ("layer-wise, RNN-like" tying,
section 2.2), W stands by itself. f rectifies the second part of the units and leaves the first
part, `linear_share` of them, linear. Before the N-th word the memory holds what there is.

The scores of positions side by side are a band of one matrix product, taken in pieces of about N
positions, so that work and memory are linear in T. The state is A x_i and C x_i of N - 1 words, and
whether there is such a word.

    B  batch    T  time    N  words of memory    P  N - 1 + T    K  hops    D  width    V  answers
"""

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.mixers.base import Complexity
from seqarena.models.language.causal_system import CausalSystem, PastState, layer_pasts
from seqarena.models.model import SystemOptions
from seqarena.models.watching import Look
from seqarena.ops.history import extend

INITIAL_STD = 0.05  # of every weight, as in the authors' program
QUERY = 0.1  # every unit of u_0, section 5
_SMALLEST_PIECE = 64  # positions of one product: with few words of memory, pieces would be slow


class MemoryLanguageModelOptions(SystemOptions):
    """The paper has 2 to 7 hops over 100 to 200 words, and half of the units linear."""

    hops: int = Field(6, ge=1)
    memory: int = Field(100, ge=1)  # words
    linear_share: float = Field(0.5, ge=0, le=1)


class MemoryLanguageModel(CausalSystem):
    """Reads a rolling memory of words in several hops; see the head of this file."""

    Options = MemoryLanguageModelOptions
    options: MemoryLanguageModelOptions
    forms = ("tokens",)
    needs = ("vocab_size",)
    targets = ("classes", "numbers")
    equation = """
        m_i = A x_i + T_A(i)                  c_i = C x_i + T_C(i)             u_0 = (0.1, ..., 0.1)
        p_i = softmax_i(u_k . m_i)            o = sum_i p_i c_i
        u_(k+1) = f(H u_k + o)                logits = W u_K
    """
    complexity = Complexity(
        work="T (N D + D^2) K", serial_steps="K", path_length="1 within N, else none", state="N"
    )

    def __init__(self, problem: Problem, width: int, options: MemoryLanguageModelOptions) -> None:
        super().__init__(problem, width, options)
        self.memory = options.memory
        self.num_linear = round(options.linear_share * width)
        # of A and C side by side: one look-up serves both
        self.words = nn.Embedding(problem.vocab_size, 2 * width)
        self.times = nn.Parameter(torch.empty(options.memory, 2 * width))  # oldest first
        self.between_hops = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, problem.num_outputs, bias=False)
        for weight in self.parameters():
            nn.init.normal_(weight, std=INITIAL_STD)
        self.dropout = nn.Dropout(options.dropout)

    @property
    def pasts(self) -> tuple[tuple[int, int], ...]:
        return ((self.memory - 1, 2 * self.width + 1),)

    def embed(self, inputs_BT: Tensor) -> Tensor:
        """A x, C x and 1: there is a word."""
        return F.pad(self.words(inputs_BT), (0, 1), value=1.0)

    def mix(
        self, x_BTD: Tensor, state: PastState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PastState]:
        """What `embed` gives -> u_K [B, T, D]."""
        (past_BPD,) = layer_pasts(state, 1)
        x_BPD, past_BPD = extend(x_BTD, past_BPD, self.memory - 1, lengths_B)
        u_BTD, _ = self._read(x_BPD, self._most_words(x_BTD, state))
        return self.dropout(u_BTD), PastState((past_BPD,))

    def head(self, y_BTD: Tensor) -> Tensor:
        return self.output(y_BTD)

    def attention(self, batch: Batch) -> Tensor:
        """What each hop reads at each position: [B, T, K, N], the oldest word first, where N is T
        at most. Rows of the batch are whole, or padded on the right."""
        x_BTD = self.embed(batch.inputs_BT)
        x_BPD, _ = extend(x_BTD, None, self.memory - 1, None)
        return self._read(x_BPD, self._most_words(x_BTD, None))[1]

    def looks(self, batch: Batch) -> list[Look]:
        p_BTKN = self.attention(batch)
        before = p_BTKN.shape[-1] - 1
        return [
            Look("", hop, _unband(p_BTKN[:, :, hop])[:, None, :, before:])
            for hop in range(self.options.hops)
        ]

    def _most_words(self, x_BTD: Tensor, state: PastState | None) -> int:
        """How many words the memory can hold at the last position."""
        return self.memory if state is not None else min(self.memory, x_BTD.shape[1])

    def _read(self, x_BPD: Tensor, memory: int) -> tuple[Tensor, Tensor]:
        """u_K [B, T, D] and the weights of every hop [B, T, K, N]: every position reads its word
        and the N - 1 before it, where N is `memory`."""
        length = x_BPD.shape[1] - self.memory + 1
        x_BPD = x_BPD[:, self.memory - memory :]
        size = max(memory, _SMALLEST_PIECE)
        pieces = [
            self._hops(x_BPD[:, first : first + size + memory - 1], memory)
            for first in range(0, length, size)
        ]
        u_BTD, p_BTKN = (torch.cat(parts, 1) for parts in zip(*pieces))
        return u_BTD, p_BTKN

    def _hops(self, x_BPD: Tensor, memory: int) -> tuple[Tensor, Tensor]:
        """`_read` of some positions side by side, all of whose words are given."""
        keys_BPD, values_BPD, there_BP1 = x_BPD.split((self.width, self.width, 1), -1)
        key_times_ND, value_times_ND = self.times[-memory:].chunk(2, -1)
        there_BTN = (there_BP1[..., 0] > 0).unfold(1, memory, 1)
        u_BTD = keys_BPD.new_full((*there_BTN.shape[:2], self.width), QUERY)
        weights = []
        for _ in range(self.options.hops):
            score_BTN = _band(u_BTD @ keys_BPD.mT, memory) + u_BTD @ key_times_ND.mT
            lowest = torch.finfo(score_BTN.dtype).min  # not -inf: at padding no word may be there
            p_BTN = score_BTN.masked_fill(~there_BTN, lowest).softmax(-1)
            o_BTD = _unband(p_BTN) @ values_BPD + p_BTN @ value_times_ND
            u_BTD = self._rectified(self.between_hops(u_BTD) + o_BTD)
            weights.append(p_BTN)
        return u_BTD, torch.stack(weights, 2)

    def _rectified(self, u_BTD: Tensor) -> Tensor:
        linear_BTL, rest_BTR = u_BTD.tensor_split([self.num_linear], -1)
        return torch.cat((linear_BTL, rest_BTR.relu()), -1)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("banded",) * self.options.hops

    def flops(self, length: int) -> int:
        """Of each hop two products with every word and every time, and H; then W."""
        full = max(0, length - self.memory)
        seen = full * self.memory + (length - full) * (length - full + 1) // 2
        hop = 8 * seen * self.width + 2 * length * self.width**2
        return self.options.hops * hop + 2 * length * self.output.weight.numel()

    def serial_steps(self, length: int) -> int:
        """The words; of each hop the match, the softmax, the reading, the sum, f; the answer."""
        return 1 + 5 * self.options.hops + 1


def _band(full_BTP: Tensor, size: int) -> Tensor:
    """The `size` entries of row t that begin at column t: [B, T, P] -> [B, T, N], P = N - 1 + T."""
    B, T, P = full_BTP.shape
    return full_BTP.contiguous().as_strided((B, T, size), (T * P, P + 1, 1))


def _unband(band_BTN: Tensor) -> Tensor:
    """The inverse of `_band`, with zeros beside the band."""
    _, T, N = band_BTN.shape
    wide = F.pad(band_BTN, (0, T))  # rows one longer than P: each begins one column later
    return wide.flatten(1)[:, : T * (N - 1 + T)].unflatten(1, (T, N - 1 + T))
