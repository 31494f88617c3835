"""The legend of dimension letters. A tensor's name ends in its axes: `x_BTD`.

One axis order everywhere: batch, time, then features.

    B   batch: sequences treated together
    T   time: positions of a sequence
    D   width of the model (the residual stream)
    H   attention heads
    G   groups of heads that share keys and values
    E   features of one head, or of an expanded inner width where the file says so
    N   state size of one channel of a state-space model
    W   window: positions in reach
    K   kernel taps
    C   chunks, or slots of a cache where the file says so
    V   vocabulary
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


def state_tensors(state: Any) -> list[Tensor]:
    """Every tensor inside a (nested) state, in a fixed order."""
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor)]


def map_state(function: Any, state: Any) -> Any:
    """The same state with `function` applied to each tensor in it."""
    return pytree.tree_map(lambda leaf: function(leaf) if isinstance(leaf, Tensor) else leaf, state)


def state_leaves(state: Any) -> list[Tensor]:
    """Everything in a state as tensors, plain integers too: what a checkpoint stores."""
    return [torch.as_tensor(leaf) for leaf in pytree.tree_leaves(state) if leaf is not None]


def fill_state(like: Any, leaves: list[Tensor]) -> Any:
    """The state of `like`'s shape whose leaves `state_leaves` gave. Raises ValueError for another
    number of them."""
    found, structure = pytree.tree_flatten(like)
    held = [place for place, old in enumerate(found) if old is not None]
    for place, leaf in zip(held, leaves, strict=True):
        old = found[place]
        found[place] = leaf.to(old.device) if isinstance(old, Tensor) else int(leaf)
    return pytree.tree_unflatten(found, structure)


def measured_state_bytes(state: Any) -> int:
    """Bytes held by the tensors of a state, all sequences of the batch together."""
    return sum(leaf.numel() * leaf.element_size() for leaf in state_tensors(state))


def mask_of(mask_BT: Tensor | None, like_BT: Tensor) -> Tensor:
    """The mask; True everywhere where there is none. `like_BT` has any number of further axes."""
    return like_BT.new_ones(like_BT.shape[:2], dtype=torch.bool) if mask_BT is None else mask_BT


def lengths_to_mask(lengths_B: Tensor, length: int) -> Tensor:
    """Right padding: True at the first `lengths_B[b]` of `length` positions. Shape [B, T]."""
    return torch.arange(length, device=lengths_B.device)[None, :] < lengths_B[:, None]


def at_least_float32(x: Tensor) -> Tensor:
    """Under autocast, what an exponential or a sum over the past needs."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
