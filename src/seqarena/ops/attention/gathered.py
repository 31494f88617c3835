"""BigBird's pattern by blocks of queries, each with the slots of the blocks that it sees: work
T * (window + global + random) * L.

    N blocks of queries   L positions of a block   M blocks that a query block sees   S = M L
"""

import torch
from torch import Tensor

from seqarena.ops.attention import block_attention
from seqarena.ops.attention.blocks import BlockPattern
from seqarena.ops.attention.shared import sdpa


@block_attention.algorithm("gathered", serial_steps=lambda length: 3)
def gathered(
    q_BHTE: Tensor, k_BGCE: Tensor, v_BGCE: Tensor, pattern: BlockPattern, starts_B: Tensor | None
) -> Tensor:
    """y_BHTE."""
    (B, H, T, _), C, device = q_BHTE.shape, k_BGCE.shape[2], q_BHTE.device
    if starts_B is None:  # one row stands for all
        starts_B = torch.full((1,), C - T, device=device)
    rows = 1 if T == 1 else pattern.size
    block_B = starts_B // pattern.size
    # a call may begin inside a block: its first block of queries is then padded in front
    offset_B = starts_B % pattern.size if rows > 1 else torch.zeros_like(starts_B)
    N = -(-(T + rows - 1) // rows)  # one more than needed, where the call begins with a block
    # places before and behind the call repeat its first and last query, and are dropped
    step_BN = (torch.arange(N * rows, device=device) - offset_B[:, None]).clamp(0, T - 1)
    index = step_BN[:, None, :, None].expand(B, H, -1, q_BHTE.shape[3])
    q_blocks = q_BHTE.gather(2, index).unflatten(2, (N, rows))
    position = (starts_B[:, None] + step_BN).view(-1, 1, N, rows, 1)

    block_BN = block_B[:, None] + torch.arange(N, device=device)
    slot = _slots(pattern, block_BN, H, -(-C // pattern.size))  # [B, H, N, S], -1: none
    seen = (slot >= 0)[..., None, :] & (slot[..., None, :] <= position)
    slot = slot.clamp(0, C - 1).expand(B, -1, -1, -1)
    keys, values = (_taken(x, slot) for x in (k_BGCE, v_BGCE))
    y = sdpa(
        q_blocks.flatten(0, 1),
        keys.flatten(0, 1),
        values.flatten(0, 1),
        seen.expand(B, H, -1, -1, -1).flatten(0, 1),
    )
    y_BHNE = y.unflatten(0, (B, H)).flatten(2, 3)
    back_BT = (torch.arange(T, device=device) + offset_B[:, None])[:, None, :, None]
    return y_BHNE.gather(2, back_BT.expand(B, H, T, y_BHNE.shape[3]))


def _slots(pattern: BlockPattern, block_BN: Tensor, num_heads: int, num_blocks: int) -> Tensor:
    """The slots of the blocks that each block sees, [B, H, N, S]; -1 where there is none."""
    device = block_BN.device
    window = block_BN[..., None] - torch.arange(pattern.num_window, device=device)
    glob = torch.arange(pattern.num_global, device=device).expand(*block_BN.shape, -1)
    glob = glob.where(glob < window[..., -1:], -1)  # else it is in the window
    random_HNR = pattern.random_blocks(num_heads, num_blocks + 1, device)
    random = random_HNR[:, block_BN].transpose(0, 1)  # [B, H, N, R]
    shared = torch.cat((window, glob), dim=-1)[:, None].expand(-1, num_heads, -1, -1)
    seen_BHNM = torch.cat((shared, random), dim=-1)[..., None]
    place_L = torch.arange(pattern.size, device=device)
    return (seen_BHNM * pattern.size + place_L).where(seen_BHNM >= 0, -1).flatten(-2)


def _taken(x_BGCE: Tensor, slot_BHNS: Tensor) -> Tensor:
    """Keys or values at the slots: [B, H, N, S, E]."""
    (B, G, C, E), (_, H, N, S) = x_BGCE.shape, slot_BHNS.shape
    if N == 1:  # a few slots of a long cache, which is not to be copied
        index = slot_BHNS.reshape(B, G, -1, 1).expand(-1, -1, -1, E)
        return x_BGCE.gather(2, index).view(B, H, N, S, E)
    row_B1 = torch.arange(B, device=x_BGCE.device)[:, None] * G
    group_BH = row_B1 + torch.arange(H, device=x_BGCE.device) // (H // G)
    index = (group_BH[..., None, None] * C + slot_BHNS).flatten()
    return x_BGCE.reshape(B * G * C, E).index_select(0, index).view(B, H, N, S, E)
