"""What the forms of attention share: the softmax written out, masks, and PyTorch's kernel."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.ops.attention import small_tiles

NEGATIVE_INFINITY = float("-inf")


class FirstSlots(NamedTuple):
    """The first S positions of each sequence, for the queries whose window they have left.

    `q_BTHE` are the queries as these slots meet them, which may be turned to other positions than
    the window meets. `start` is the position of the call's first query: one, or [B].
    """

    q_BTHE: Tensor
    k_BSGE: Tensor
    v_BSGE: Tensor
    start: int | Tensor

    def seen(self, length: int, window: int) -> Tensor:
        """True where a slot lies behind the window of a query: [T, S], or [B, 1, T, S]."""
        device, slots = self.k_BSGE.device, self.k_BSGE.shape[1]
        step_T1 = torch.arange(length, device=device)[:, None]
        start = self.start if isinstance(self.start, int) else self.start[:, None, None, None]
        return start + step_T1 - torch.arange(slots, device=device) >= window


def attention_weights(
    q_BHTE: Tensor, k_BGCE: Tensor, seen: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """The softmax itself, written out: a_BHTC. `seen` (True: may look) and `bias` broadcast."""
    score_BHTC = scores(q_BHTE, per_head(k_BGCE, q_BHTE))
    if bias is not None:
        score_BHTC = score_BHTC + bias
    if seen is not None:
        score_BHTC = score_BHTC.masked_fill(~seen, NEGATIVE_INFINITY)
    return score_BHTC.softmax(dim=-1)


def scores(q_BHTE: Tensor, k_BHCE: Tensor) -> Tensor:
    """q . k / sqrt(E) of every pair."""
    return q_BHTE @ k_BHCE.transpose(-1, -2) / math.sqrt(q_BHTE.shape[-1])


def masked_part(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, seen: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores and values of one set of slots, as `joint_attention` takes them."""
    score_BHTC = scores(q_BHTE, per_head(k_BGCE, q_BHTE)).masked_fill(~seen, NEGATIVE_INFINITY)
    return score_BHTC, per_head(v_BGCE, q_BHTE)


def joint_attention(
    parts: Sequence[tuple[Tensor, Tensor]], sinks_H: Tensor | None = None
) -> Tensor:
    """One softmax over several sets of slots, each (scores, values), and its mean of their values.

    Scores end in [H, T, C], values in [H, C, E]. A score of `sinks_H` takes its share of the
    softmax and adds no value.
    """
    score = [score for score, _ in parts]
    if sinks_H is not None:
        score.append(sinks_H[:, None, None].expand(*score[0].shape[:-1], 1))
    weights = torch.cat(score, dim=-1).softmax(dim=-1).split([s.shape[-1] for s in score], dim=-1)
    first, *others = (weight @ value for weight, (_, value) in zip(weights, parts))
    return sum(others, first)


def slot_distance(length: int, slots: int, starts_B: Tensor | None, device: torch.device) -> Tensor:
    """How far back slot c lies from query t: [T, C], or [B, 1, T, C] where rows differ."""
    step_T1 = torch.arange(length, device=device)[:, None]
    slot_C = torch.arange(slots, device=device)
    if starts_B is None:
        return step_T1 + (slots - length) - slot_C
    return starts_B[:, None, None, None] + step_T1 - slot_C


def seen_slots(distance: Tensor, causal: bool, lengths_B: Tensor | None) -> Tensor:
    """True where a query at that distance from a slot may look at it."""
    seen = distance >= 0 if causal else torch.ones_like(distance, dtype=torch.bool)
    if lengths_B is None:
        return seen
    slot_C = torch.arange(distance.shape[-1], device=distance.device)
    return seen & ((slot_C < lengths_B[:, None, None, None]) | (distance == 0))


def penalty(distance: Tensor, slopes_H: Tensor, dtype: torch.dtype) -> Tensor:
    """ALiBi's bias: [H, T, C], or [B, H, T, C]."""
    return (-slopes_H[:, None, None] * distance.abs()).to(dtype)


def bias_features(q_BHTE: Tensor, k_BGCE: Tensor, bias_BHC: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys with features more, whose product adds sqrt(E) times a slot's bias.

    16 bits cannot hold a bias: there it is the sum of three features, 24 bits as in float32.
    """
    k_BHCE = per_head(k_BGCE, q_BHTE)
    rest_BHC1 = (bias_BHC * math.sqrt(q_BHTE.shape[-1]))[..., None]
    added = []
    for _ in range(3 if q_BHTE.dtype.itemsize == 2 else 1):
        added.append(rest_BHC1.to(q_BHTE.dtype))
        rest_BHC1 = rest_BHC1 - added[-1]
    ones = q_BHTE.new_ones(*q_BHTE.shape[:-1], len(added))
    return torch.cat((q_BHTE, ones), dim=-1), torch.cat((k_BHCE, *added), dim=-1)


def real_slots(slot_C: Tensor, empty: int | Tensor) -> Tensor:
    """True at the slots that lie in the sequence: all but the first `empty` ones."""
    return slot_C >= (empty if isinstance(empty, int) else empty[:, None, None, None])


def per_head(x_BGCE: Tensor, q_BHTE: Tensor) -> Tensor:
    """Keys or values of grouped heads, repeated for the queries that share them."""
    shared = q_BHTE.shape[1] // x_BGCE.shape[1]
    return x_BGCE if shared == 1 else x_BGCE.repeat_interleave(shared, dim=1)


def single_query(q_BH1E: Tensor, k_BGCE: Tensor, v_BGCE: Tensor) -> Tensor:
    """One query that sees every slot; heads that share keys take the place of time."""
    B, H, _, E = q_BH1E.shape
    q_BGRE = q_BH1E.reshape(B, k_BGCE.shape[1], -1, E)
    return sdpa(q_BGRE, k_BGCE, v_BGCE, None).reshape(B, H, 1, v_BGCE.shape[-1])


def sdpa(
    q_BHTE: Tensor,
    k_BGCE: Tensor,
    v_BGCE: Tensor,
    mask: Tensor | None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """PyTorch's scaled_dot_product_attention, with heads that share keys and values. The mask is
    [T, C], [H, T, C] or [B, H, T, C]."""
    while mask is not None and mask.dim() < 4:
        mask = mask[None]
    grouped = q_BHTE.shape[1] != k_BGCE.shape[1]
    values, missing = v_BGCE.shape[-1], q_BHTE.shape[-1] - v_BGCE.shape[-1]
    if missing > 0:  # its fast kernels want as many features of values as of keys
        v_BGCE = F.pad(v_BGCE, (0, missing))
    if small_tiles.applies(q_BHTE, k_BGCE, v_BGCE, mask):
        y_BHTE = small_tiles.attend(q_BHTE, k_BGCE, v_BGCE, mask, causal, scale)
    else:
        y_BHTE = F.scaled_dot_product_attention(
            q_BHTE,
            k_BGCE,
            v_BGCE,
            attn_mask=mask,
            is_causal=causal,
            scale=scale,
            enable_gqa=grouped,
        )
    return y_BHTE[..., :values] if missing > 0 else y_BHTE
