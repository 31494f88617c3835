"""End-to-End Memory Network (Sukhbaatar, Szlam, Weston and Fergus 2015, "End-To-End Memory
Networks"): every sentence is a memory, and the question reads them several times.

    u = sum_j l_j * B q_j
    m_i = sum_j l_j * A x_ij + T_A(i)     c_i = sum_j l_j * C x_ij + T_C(i)
    p_i = softmax_i(u . m_i)              o = sum_i p_i c_i                     u' = u + o
    answer = W u of the last hop

Word j of a sentence of J words (or of the longest one, as in the authors' program:
`sentence_length`) is weighed by l_kj = 2 ((1 - j/J) - (k/d)(1 - 2j/J)), k = 1 .. d
(section 4.1, "position encoding"), or by 1 ("bow"). The paper's formula lacks the 2 of the authors'
program, without which a memory begins half as strong as the initial weights are meant for, and some
bAbI tasks are not learnt. T counts sentences back from the question. Memories that no sentence
fills are zero and have their share of the softmax (section 4.2: stories are padded to a fixed size
with null sentences), so that a hop can read nothing.

Tying (section 2.2): "adjacent", C of one hop is A of the next, B is the first A and W the last C
(where the answers are words of the inputs; else W stands by itself); "layerwise", one A and one C
for all hops, and u' = H u + o. Training begins without the softmax ("linear start") and reads
memories with gaps, up to a tenth of them, in their numbers ("random noise").

    B  examples    T  positions    S  memories    K  hops    E  embedding tables    D  width
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from seqarena.core.batch import PAD, Batch, Form, Problem
from seqarena.mixers.base import Complexity
from seqarena.models.model import System, SystemOptions
from seqarena.models.watching import Look
from seqarena.ops.extent import first_in_use

INITIAL_STD = 0.1  # of every weight, section 4.2


class MemoryNetworkOptions(SystemOptions):
    """The paper's choices for question answering; width 20 there (50 for all tasks jointly)."""

    hops: int = Field(3, ge=1)
    encoding: Literal["position", "bow"] = "position"
    sentence_length: int | None = Field(None, ge=1)  # J of all sentences; None: each its own
    temporal: bool = True  # T_A and T_C
    tying: Literal["adjacent", "layerwise"] = "adjacent"
    linear_start: float = Field(0.2, ge=0, le=1)  # share of training without the softmax
    empty_memories: float = Field(0.1, ge=0, le=1)  # most gaps in training, by sentences


class _Sentences(NamedTuple):
    """A batch sentence by sentence: the memories from number `first` on, then the question. No row
    fills a memory before `first`."""

    vectors_BSED: Tensor
    filled_BS: Tensor  # whether there is such a sentence
    first: int


class MemoryNetwork(System):
    """Reads sentences, the last of which is the question; see the head of this file."""

    Options = MemoryNetworkOptions
    forms: ClassVar[tuple[Form, ...]] = ("label",)
    needs = ("num_segments", "vocab_size")
    causal = False
    equation = """
        u = sum_j l_j * B q_j
        m_i = sum_j l_j * A x_ij + T_A(i)     c_i = sum_j l_j * C x_ij + T_C(i)
        p_i = softmax_i(u . m_i)              o = sum_i p_i c_i                     u' = u + o
        answer = W u of the last hop
    """
    complexity = Complexity(
        work="O(T D K)", serial_steps="O(K)", path_length="O(1)", state="O(S D K)"
    )

    linear: Tensor

    def __init__(self, problem: Problem, width: int, options: MemoryNetworkOptions) -> None:
        super().__init__(problem, width, options)
        self.num_memories = max(0, problem.num_segments - 1)
        adjacent = options.tying == "adjacent"
        tables = options.hops + 1 if adjacent else 3  # A C C .. C, or A C B
        self.words_VED = nn.Parameter(torch.randn(problem.vocab_size, tables, width) * INITIAL_STD)
        self.times_SED = (
            nn.Parameter(
                torch.randn(self.num_memories, tables if adjacent else 2, width) * INITIAL_STD
            )
            if options.temporal
            else None
        )
        self.between_hops = None if adjacent else _linear(width, width)
        self.head = (
            None
            if adjacent and problem.num_outputs == problem.vocab_size
            else _linear(width, problem.num_outputs)
        )
        self.dropout = nn.Dropout(options.dropout)
        self.register_buffer("linear", torch.tensor(False))  # still without the softmax

    def at_progress(self, share: float) -> None:
        self.linear.fill_(share < self.options.linear_start)

    def answer(self, batch: Batch) -> Tensor:
        return self._read(batch)[0]

    def attention(self, batch: Batch) -> Tensor:
        """What each hop looks at: weights [B, K, S], by the sentences' numbers in the batch. They
        sum to one with those of the memories that no sentence fills."""
        return self._read(batch)[1]

    def looks(self, batch: Batch) -> list[Look]:
        return [Look("looks at sentences", 0, self.attention(batch)[:, None])]

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        sentences = self._sentences(batch)
        filled_BS = sentences.filled_BS[:, :-1]
        memories = self._in_time(sentences.vectors_BSED[:, :-1], filled_BS).unbind(2)
        adjacent = self.options.tying == "adjacent"
        u_BD = sentences.vectors_BSED[:, -1, 0 if adjacent else 2]
        weights = []
        for hop in range(self.options.hops):
            inputs, outputs = (hop, hop + 1) if adjacent else (0, 1)
            score_BS = (memories[inputs] @ u_BD[..., None]).squeeze(-1)
            p_BS = self._share(score_BS, filled_BS, sentences.first)
            read_BS = p_BS[:, sentences.first :] * filled_BS
            o_BD = (read_BS[:, None] @ memories[outputs]).squeeze(1)
            u_BD = o_BD + (u_BD if self.between_hops is None else self.between_hops(u_BD))
            weights.append(p_BS)
        u_BD = self.dropout(u_BD)
        logits_BV = F.linear(u_BD, self.words_VED[:, -1]) if self.head is None else self.head(u_BD)
        return logits_BV[:, None], torch.stack(weights, 1)

    def _sentences(self, batch: Batch) -> _Sentences:
        """The weighted sums of word vectors. Numbers that no example has are left out ahead."""
        tokens_BT, segments_BT = batch.inputs_BT, batch.segments_BT
        assert segments_BT is not None
        real_BT = tokens_BT != PAD  # the null word is nothing
        if batch.mask_BT is not None:
            real_BT = real_BT & batch.mask_BT
        last = self.num_memories
        first = first_in_use(segments_BT.where(real_BT, last))
        size, num = tokens_BT.shape[0], last + 1 - first
        place_BT = (segments_BT - first).where(real_BT, 0)
        count_BS = tokens_BT.new_zeros(size, num).scatter_add_(1, place_BT, real_BT.long())
        x_BTED = F.embedding(tokens_BT, self.words_VED.flatten(1)).unflatten(-1, (-1, self.width))
        x_BTED = x_BTED * self._weights(place_BT, count_BS, real_BT)
        rows_B1 = num * torch.arange(size, device=tokens_BT.device)[:, None]
        sums = x_BTED.new_zeros(size * num, *x_BTED.shape[2:])
        sums = sums.index_add(0, (rows_B1 + place_BT).flatten(), x_BTED.flatten(0, 1))
        return _Sentences(sums.unflatten(0, (size, num)), count_BS > 0, first)

    def _weights(self, place_BT: Tensor, count_BS: Tensor, real_BT: Tensor) -> Tensor:
        """l of each word, [B, T, 1, D], or [B, T, 1, 1] where it is the same everywhere; 0 at
        padding. A sentence's words stand together, sentences in the order of their numbers."""
        dtype = self.words_VED.dtype
        weight_BT11 = real_BT[..., None, None].to(dtype)
        if self.options.encoding == "bow":
            return weight_BT11
        before_BS = count_BS.cumsum(1) - count_BS
        j_BT = real_BT.cumsum(1) - before_BS.gather(1, place_BT)
        length = self.options.sentence_length
        length_BT = count_BS.gather(1, place_BT).clamp(min=1) if length is None else length
        share_BT = j_BT.to(dtype) / length_BT
        share_BT11 = share_BT[..., None, None]
        k_D = torch.arange(1, self.width + 1, device=real_BT.device, dtype=dtype) / self.width
        return 2 * weight_BT11 * ((1 - share_BT11) - k_D * (1 - 2 * share_BT11))

    def _in_time(self, memories_BSED: Tensor, filled_BS: Tensor) -> Tensor:
        """The memories with T_A and T_C, counted back from the question."""
        if self.times_SED is None or not self.num_memories:
            return memories_BSED
        num = filled_BS.shape[1]
        age_BS = torch.arange(num - 1, -1, -1, device=filled_BS.device)[None]
        if self.training and self.options.empty_memories and num:
            age_BS = self._with_gaps(filled_BS).flip(1)
        times_BSED = self.times_SED[age_BS]
        if times_BSED.shape[2] < memories_BSED.shape[2]:  # the question's own table has no time
            return memories_BSED[:, :, :2] + times_BSED
        return memories_BSED + times_BSED

    def _with_gaps(self, filled_BS: Tensor) -> Tensor:
        """Times of the sentences, newest first, when up to a share of them is empty between."""
        count_B1 = filled_BS.sum(1, keepdim=True)
        most_B1 = (self.options.empty_memories * count_B1).ceil()
        gaps_B1 = (torch.rand_like(most_B1) * (most_B1 + 1)).floor()
        num = filled_BS.shape[1]
        slots = num + math.ceil(self.options.empty_memories * num)
        slot_L = torch.arange(slots, device=filled_BS.device)
        lot_BL = torch.rand(len(filled_BS), slots, device=filled_BS.device)
        lot_BL = lot_BL.where(slot_L < count_B1 + gaps_B1, 1.0)  # these slots are not there
        taken_BL = lot_BL.argsort(1).argsort(1) < count_B1
        times_BL = slot_L.expand_as(taken_BL).where(taken_BL, slots).sort(1).values
        return times_BL[:, :num].clamp(max=self.num_memories - 1)

    def _share(self, score_BS: Tensor, filled_BS: Tensor, first: int) -> Tensor:
        """Weights of all memories: the first `first`, which no row fills, and those scored."""
        score_BS = F.pad(score_BS * filled_BS, (first, 0))
        return score_BS if bool(self.linear) else score_BS.softmax(-1)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("vectorised",) * self.options.hops

    def flops(self, length: int) -> int:
        """Sums of words, two products of each hop with every memory, and the answer."""
        memories = min(length, self.num_memories)
        tables = self.words_VED.shape[1]
        hop = 4 * memories * self.width
        hop += 0 if self.between_hops is None else 2 * self.width**2
        words = 2 * length * tables * self.width
        return words + self.options.hops * hop + 2 * self.width * self.problem.num_outputs

    def state_bytes(self, length: int) -> int:
        """It answers once and continues nothing."""
        return 0

    def serial_steps(self, length: int) -> int:
        """The sums; of each hop the match, the softmax, the reading, the sum; the answer."""
        return 1 + 4 * self.options.hops + 1


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=INITIAL_STD)
    return layer
