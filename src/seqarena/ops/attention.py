"""Softmax attention (Vaswani et al. 2017) over all, a window of, or a strided part of the past.

    y_t = sum_c softmax_c(q_t . k_c / sqrt(E)) v_c     over the slots c that query t may see

Each pattern has its slow truth, `explicit`: the whole T x C matrix of scores, masked. Slots are
positions: slot c of a row holds its position c, and query t of row b stands at `starts_B[b] + t`
(None: the queries are the last T of the C slots). A query always sees itself, so that no row of
the softmax is empty and padding queries stay finite.

    C   slots: keys and values at hand
    L   stride of the strided pattern
    N   blocks of queries
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NEGATIVE_INFINITY = float("-inf")


def attention(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    algorithm: str,
    *,
    causal: bool = True,
    starts_B: Tensor | None = None,
    lengths_B: Tensor | None = None,
    slopes_H: Tensor | None = None,
) -> Tensor:
    """Attention to every slot up to the query's own (causal) or to all slots.

    `lengths_B` hides slots beyond a row's length (for non-causal rows with padding). `slopes_H`
    subtracts ALiBi's penalty. `algorithm` is "explicit" or "fused" (PyTorch's
    scaled_dot_product_attention). Returns y_BHTE.
    """
    T, C = q_BHTE.shape[2], k_BGCE.shape[2]
    plain = starts_B is None and lengths_B is None and slopes_H is None
    if algorithm == "fused" and plain and T == 1:
        return _single_query(q_BHTE, k_BGCE, v_BGCE)
    if algorithm == "fused" and plain and (C == T or not causal):
        return _sdpa(q_BHTE, k_BGCE, v_BGCE, None, causal=causal)
    distance = slot_distance(T, C, starts_B, q_BHTE.device)
    seen = _seen(distance, causal, lengths_B)
    bias = None if slopes_H is None else _penalty(distance, slopes_H, q_BHTE.dtype)
    if algorithm == "explicit":
        return attention_weights(q_BHTE, k_BGCE, seen, bias) @ _per_head(v_BGCE, q_BHTE)
    if bias is None:
        return _sdpa(q_BHTE, k_BGCE, v_BGCE, seen)
    return _sdpa(q_BHTE, k_BGCE, v_BGCE, bias.masked_fill(~seen, NEGATIVE_INFINITY))


def attention_weights(
    q_BHTE: Tensor, k_BGCE: Tensor, seen: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """The softmax itself, written out: a_BHTC. `seen` (True: may look) and `bias` broadcast."""
    score_BHTC = q_BHTE @ _per_head(k_BGCE, q_BHTE).transpose(2, 3) / math.sqrt(q_BHTE.shape[-1])
    if bias is not None:
        score_BHTC = score_BHTC + bias
    if seen is not None:
        score_BHTC = score_BHTC.masked_fill(~seen, NEGATIVE_INFINITY)
    return score_BHTC.softmax(dim=-1)


def slot_distance(length: int, slots: int, starts_B: Tensor | None, device: torch.device) -> Tensor:
    """How far back slot c lies from query t: [T, C], or [B, 1, T, C] where rows differ."""
    step_T1 = torch.arange(length, device=device)[:, None]
    slot_C = torch.arange(slots, device=device)
    if starts_B is None:
        return step_T1 + (slots - length) - slot_C
    return starts_B[:, None, None, None] + step_T1 - slot_C


def window_attention(
    q_BTHE: Tensor,
    k_BCGE: Tensor,
    v_BCGE: Tensor,
    window: int,
    algorithm: str,
    empty: int | Tensor = 0,
) -> Tensor:
    """Attention to the last `window` positions, the query's own among them.

    Keys and values hold window - 1 slots of history before the T of the call; the first `empty`
    of them (one number, or one a row) stand before the sequence's start and are hidden.
    `algorithm` is "explicit" or "banded": blocks of W queries against two blocks of keys, work
    T * 2W. Returns y_BTHE.
    """
    T = q_BTHE.shape[1]
    if algorithm == "banded" and window < T:
        return _banded(q_BTHE, k_BCGE, v_BCGE, window, empty)
    q_BHTE, k_BGCE, v_BGCE = (x.transpose(1, 2) for x in (q_BTHE, k_BCGE, v_BCGE))
    if algorithm == "banded" and T == 1 and isinstance(empty, int):
        return _single_query(q_BHTE, k_BGCE[:, :, empty:], v_BGCE[:, :, empty:]).transpose(1, 2)
    distance_TC = slot_distance(T, k_BGCE.shape[2], None, q_BTHE.device)
    seen = (distance_TC >= 0) & (distance_TC < window)
    seen = seen & _real(torch.arange(k_BGCE.shape[2], device=q_BTHE.device), empty)
    if algorithm == "explicit":
        y_BHTE = attention_weights(q_BHTE, k_BGCE, seen) @ _per_head(v_BGCE, q_BHTE)
    else:
        y_BHTE = _sdpa(q_BHTE, k_BGCE, v_BGCE, seen)
    return y_BHTE.transpose(1, 2)


def strided_attention(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    stride: int,
    algorithm: str,
    starts_B: Tensor | None = None,
) -> Tensor:
    """Strided sparse attention (Child et al. 2019, section 4.2, both parts in every head).

    A query sees the last `stride` positions, its own among them, and every position whose
    distance is a multiple of `stride`. `algorithm` is "explicit" or "blocked", work
    T * (2 stride + C / stride). Returns y_BHTE.
    """
    T, C = q_BHTE.shape[2], k_BGCE.shape[2]
    if algorithm == "explicit":
        distance = slot_distance(T, C, starts_B, q_BHTE.device)
        seen = (distance >= 0) & ((distance < stride) | (distance % stride == 0))
        return attention_weights(q_BHTE, k_BGCE, seen) @ _per_head(v_BGCE, q_BHTE)
    if T == 1 and starts_B is None:
        k_BGCE, v_BGCE = _strided_slots(k_BGCE, stride), _strided_slots(v_BGCE, stride)
        return _single_query(q_BHTE, k_BGCE, v_BGCE)
    return _strided_blocks(q_BHTE, k_BGCE, v_BGCE, stride, starts_B)


def _seen(distance: Tensor, causal: bool, lengths_B: Tensor | None) -> Tensor:
    seen = distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)
    if lengths_B is None:
        return seen
    slot_C = torch.arange(distance.shape[-1], device=distance.device)
    return seen & ((slot_C < lengths_B[:, None, None, None]) | (distance == 0))


def _penalty(distance: Tensor, slopes_H: Tensor, dtype: torch.dtype) -> Tensor:
    return (-slopes_H[:, None, None] * distance.abs()).to(dtype)


def _real(slot_C: Tensor, empty: int | Tensor) -> Tensor:
    return slot_C >= (empty if isinstance(empty, int) else empty[:, None, None, None])


def _per_head(x_BGCE: Tensor, q_BHTE: Tensor) -> Tensor:
    """Keys or values of grouped heads, repeated for the queries that share them."""
    shared = q_BHTE.shape[1] // x_BGCE.shape[1]
    return x_BGCE if shared == 1 else x_BGCE.repeat_interleave(shared, dim=1)


def _single_query(q_BH1E: Tensor, k_BGCE: Tensor, v_BGCE: Tensor) -> Tensor:
    """One query that sees every slot; heads that share keys stand where time would stand."""
    B, H, _, E = q_BH1E.shape
    q_BGRE = q_BH1E.reshape(B, k_BGCE.shape[1], -1, E)
    return _sdpa(q_BGRE, k_BGCE, v_BGCE, None).reshape(B, H, 1, v_BGCE.shape[-1])


def _sdpa(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    if mask is not None and mask.dim() == 2:
        mask = mask[None, None]
    grouped = q_BHTE.shape[1] != k_BGCE.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTE, k_BGCE, v_BGCE, attn_mask=mask, is_causal=causal, enable_gqa=grouped
    )


def _banded(
    q_BTHE: Tensor, k_BCGE: Tensor, v_BCGE: Tensor, window: int, empty: int | Tensor
) -> Tensor:
    """Query block n of W positions against key blocks n and n + 1 (shifted by one slot)."""
    B, T, H, _ = q_BTHE.shape
    N = -(-T // window)
    q_NWHE = F.pad(q_BTHE, (0, 0, 0, 0, 0, N * window - T)).reshape(B * N, window, H, -1)

    def pairs(x_BCGE: Tensor) -> Tensor:
        # one slot in front makes the history a whole block of W
        x_BCGE = F.pad(x_BCGE, (0, 0, 0, 0, 1, N * window - T))
        blocks = x_BCGE.unflatten(1, (N + 1, window))
        return torch.cat((blocks[:, :-1], blocks[:, 1:]), dim=2).flatten(0, 1)

    i_W1 = torch.arange(window, device=q_BTHE.device)[:, None]
    j = torch.arange(2 * window, device=q_BTHE.device)
    distance = window + i_W1 - j
    seen = (distance >= 0) & (distance < window)
    if not (isinstance(empty, int) and empty == 0):
        slot = j - 1 + window * torch.arange(N, device=q_BTHE.device)[:, None, None]
        seen = seen & _real(slot, empty)  # [N, W, 2W] or [B, N, W, 2W]
        seen = seen.expand(B, N, window, 2 * window).reshape(B * N, 1, window, 2 * window)
    k_NUGE, v_NUGE = pairs(k_BCGE), pairs(v_BCGE)
    y = _sdpa(q_NWHE.transpose(1, 2), k_NUGE.transpose(1, 2), v_NUGE.transpose(1, 2), seen)
    return y.transpose(1, 2).reshape(B, N * window, H, -1)[:, :T]


def _strided_slots(x_BGCE: Tensor, stride: int) -> Tensor:
    """What the last of C positions sees: the strided columns, then the last `stride` slots."""
    last = x_BGCE.shape[2] - 1
    if last < stride:
        return x_BGCE
    return torch.cat(
        (x_BGCE[:, :, last % stride : last : stride], x_BGCE[:, :, last - stride + 1 :]), dim=2
    )


def _strided_blocks(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, stride: int, starts_B: Tensor | None
) -> Tensor:
    """Blocks of `stride` queries, aligned to the first query of the call, whatever its position.

    A block's local keys are its own and the previous block. Its strided keys are, for the query
    at place r of the block, place r of every earlier block. One softmax runs over both.
    """
    T, C = q_BHTE.shape[2], k_BGCE.shape[2]
    rows = min(T, stride)  # queries of a block; fewer than a stride of them make a single block
    N = -(-T // rows)
    M = max(1, -(-(C - T) // stride))  # blocks of history
    before, after = M * stride, N * rows - T
    device = q_BHTE.device

    def blocks(x_BGCE: Tensor) -> tuple[Tensor, Tensor]:
        """Local [B, H, N, stride + rows, E] and strided [B, H, rows, M + N, E]."""
        x = _per_head(_aligned_slots(x_BGCE, T, before, starts_B), q_BHTE)
        x = F.pad(x, (0, 0, 0, after))
        past = x[:, :, :before].unflatten(2, (M, stride))
        own = x[:, :, before:].unflatten(2, (N, rows))
        previous = torch.cat((past[:, :, -1:], own[:, :, :-1]), dim=2) if N > 1 else past[:, :, -1:]
        local = torch.cat((previous, own), dim=3)
        columns = torch.cat((past[:, :, :, :rows], own), dim=2).transpose(2, 3)
        return local, columns

    k_local, k_columns = blocks(k_BGCE)
    v_local, v_columns = blocks(v_BGCE)
    q_blocks = F.pad(q_BHTE, (0, 0, 0, after)).unflatten(2, (N, rows)) / math.sqrt(q_BHTE.shape[-1])
    local = q_blocks @ k_local.transpose(-1, -2)
    columns = (q_blocks.transpose(2, 3) @ k_columns.transpose(-1, -2)).transpose(2, 3)

    starts = C - T if starts_B is None else starts_B[:, None, None, None, None]
    n, r = torch.arange(N, device=device)[:, None, None], torch.arange(rows, device=device)[:, None]
    j = torch.arange(stride + rows, device=device) - stride
    m = torch.arange(M + N, device=device) - M
    seen_local = (r >= j) & (r - j < stride) & (n * stride + j >= -starts)
    seen_columns = (m < n) & (m * stride + r >= -starts)
    score = torch.cat(
        (
            local.masked_fill(~seen_local, NEGATIVE_INFINITY),
            columns.masked_fill(~seen_columns, NEGATIVE_INFINITY),
        ),
        dim=-1,
    )
    weight_local, weight_columns = score.softmax(dim=-1).split((stride + rows, M + N), dim=-1)
    y = weight_local @ v_local + (weight_columns.transpose(2, 3) @ v_columns).transpose(2, 3)
    return y.flatten(2, 3)[:, :, :T]


def _aligned_slots(x_BGCE: Tensor, length: int, before: int, starts_B: Tensor | None) -> Tensor:
    """Slots from `before` positions ahead of each row's first query to its last query."""
    C = x_BGCE.shape[2]
    if starts_B is None:
        return F.pad(x_BGCE, (0, 0, before - (C - length), 0))
    offset = torch.arange(-before, length, device=x_BGCE.device)
    index = (starts_B[:, None] + offset).clamp(min=0)[:, None, :, None]
    return x_BGCE.gather(2, index.expand(-1, x_BGCE.shape[1], -1, x_BGCE.shape[3]))
