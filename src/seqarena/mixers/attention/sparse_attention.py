"""Strided sparse attention: "Generating Long Sequences with Sparse Transformers", Child 2019.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
    A_t = {c <= t : t - c < L, or t - c a multiple of L}

The two parts of the paper's strided pattern (section 4.2) in every head ("merged heads", section
4.3): a local window of L positions and every L-th position before it. With L near sqrt(T) the
work grows as T sqrt(T), and two layers connect any two positions. A position that is out of
sight comes back into sight every L steps.

    B batch   T time   D width   H heads   G groups   E features of a head   C cache slots

    paper     here
    l         stride
"""

from typing import ClassVar

from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.mixers.attention.selective import SelectiveAttention, SelectiveAttentionConfig
from seqarena.mixers.base import Complexity
from seqarena.ops.attention import strided_attention


class SparseAttentionConfig(SelectiveAttentionConfig):
    """`stride` is both the local window and the distance between the columns seen before it."""

    stride: int = 16


class SparseAttention(SelectiveAttention):
    """Softmax attention over a local window and every `stride`-th position before it."""

    Config = SparseAttentionConfig
    operation = strided_attention
    equation: ClassVar[str] = """\
y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c      over c in A_t
A_t = {c <= t : t - c < L, or t - c a multiple of L}"""
    complexity = Complexity(
        work="T (L + T / L) D + T D^2", serial_steps="1", path_length="2", state="T D"
    )

    def __init__(self, width: int, config: SparseAttentionConfig) -> None:
        super().__init__(width, config)
        if config.stride < 2:
            raise UserError(
                f"a stride of {config.stride} leaves nothing out: use at least 2, or attention"
            )
        self.stride = config.stride

    def attend(
        self, q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, algorithm: str, starts: Tensor | None
    ) -> Tensor:
        return strided_attention(q_BHTE, k_BGCE, v_BGCE, self.stride, algorithm, starts)

    def pairs(self, length: int) -> int:
        inside = min(length, self.stride)
        local = inside * (inside + 1) // 2 + (length - inside) * self.stride
        # position t sees t // stride columns: whole rounds of 0, 1, 2, ..., then the rest
        rounds, rest = divmod(length, self.stride)
        columns = self.stride * rounds * (rounds - 1) // 2 + rest * rounds
        return local + columns

    def path_length(self, distance: int) -> int:
        # any distance is a multiple of the stride and a local step
        return 1 if distance < self.stride or distance % self.stride == 0 else 2
