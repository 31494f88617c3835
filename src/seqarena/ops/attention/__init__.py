"""Softmax attention (Vaswani et al. 2017) over all, a window of, or a sparse part of the past.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c     over the slots c that query t may see

Each pattern has its slow truth, `explicit`: the whole T x C matrix of scores, masked. Slots are
positions: slot c of a row holds its position c, and query t of row b is at `starts_B[b] + t`
(None: the queries are the last T of the C slots). A query always sees itself, so that no row of
the softmax is empty and padding queries stay finite.

    C   slots: keys and values at hand
    L   stride of the strided pattern

Four operations: `attention`, `window_attention`, `strided_attention` and `block_attention`.
"""

from torch import Tensor

from seqarena.ops.attention.blocks import BlockPattern
from seqarena.ops.attention.shared import FirstSlots
from seqarena.ops.registry import operation, register_files


@operation("attention")
def attention(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    algorithm: str = "auto",
    *,
    causal: bool = True,
    starts_B: Tensor | None = None,
    lengths_B: Tensor | None = None,
    slopes_H: Tensor | None = None,
    bias_BHC: Tensor | None = None,
) -> Tensor:
    """Attention to every slot up to the query's own (causal) or to all slots.

    `lengths_B` hides slots beyond a row's length (for non-causal rows with padding). `slopes_H`
    subtracts ALiBi's penalty. `bias_BHC` is added to every score of its slot; what a query adds to
    all its scores changes no softmax. Returns y_BHTE. Raises UserError for an unknown algorithm.
    """
    form = attention.form(algorithm, q_BHTE)
    return form(
        q_BHTE,
        k_BGCE,
        v_BGCE,
        causal=causal,
        starts_B=starts_B,
        lengths_B=lengths_B,
        slopes_H=slopes_H,
        bias_BHC=bias_BHC,
    )


@operation("window_attention")
def window_attention(
    q_BTHE: Tensor,
    k_BCGE: Tensor,
    v_BCGE: Tensor,
    window: int,
    algorithm: str = "auto",
    empty: int | Tensor = 0,
    first: FirstSlots | None = None,
    sinks_H: Tensor | None = None,
) -> Tensor:
    """Attention to the last `window` positions, the query's own among them.

    Keys and values hold window - 1 slots of history before the T of the call; the first `empty`
    of them (one number, or one a row) lie before the sequence's start and are hidden. `first` are
    the sequence's first positions, which stay in sight behind the window. A score of `sinks_H`
    joins each head's softmax and adds no value. Returns y_BTHE. Raises UserError for an unknown
    algorithm.
    """
    form = window_attention.form(algorithm, q_BTHE)
    return form(q_BTHE, k_BCGE, v_BCGE, window, empty, first, sinks_H)


@operation("strided_attention")
def strided_attention(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    stride: int,
    algorithm: str = "auto",
    starts_B: Tensor | None = None,
) -> Tensor:
    """Strided sparse attention (Child et al. 2019, section 4.2, both parts in every head).

    A query sees the last `stride` positions, its own among them, and every position whose
    distance is a multiple of `stride`. Returns y_BHTE. Raises UserError for an unknown algorithm.
    """
    form = strided_attention.form(algorithm, q_BHTE)
    return form(q_BHTE, k_BGCE, v_BGCE, stride, starts_B)


@operation("block_attention")
def block_attention(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    pattern: BlockPattern,
    algorithm: str = "auto",
    starts_B: Tensor | None = None,
) -> Tensor:
    """Sparse attention to a window of blocks, the first blocks and random ones (Zaheer 2020).

    Returns y_BHTE. Raises UserError for an unknown algorithm.
    """
    form = block_attention.form(algorithm, q_BHTE)
    return form(q_BHTE, k_BGCE, v_BGCE, pattern, starts_B)


register_files(__name__, __path__)
