"""States of several sequences as one batch, and back: rows join and leave while a model writes.

    if kind(one) == kind(other):
        both = joined([one, other])            a batch; its rows may have read any number of tokens
    some = chosen(both, [1])                   those rows
    few = compact(some)                        without free slots, in memory of its own

The contract of mixers and models says what may be done, and no type is asked for:

- A tensor has the batch first. One that holds a slot for every position (C among the letters of its
  name, core/shapes.py) gets as many as the longest has: slots behind a row's own are free.
- A whole number that may be one a row (`int | Tensor`) becomes one a row. Where a cache counts its
  rows' positions (`lengths_B`), its `length` bounds them all.
- Any other whole number is the same in all rows, or they are of another kind: those of Hyena, whose
  past ends in one slot for all rows, join where they have read equally many tokens.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.core.shapes import map_state, state_tensors
from seqarena.models.model import select

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def kind(state: Any) -> Any:
    """What states must have in common to be joined; it can be hashed."""
    if isinstance(state, Tensor):
        return tuple(state.shape[1:]), state.dtype
    if not isinstance(state, tuple | list):
        return state
    if not hasattr(state, "_fields"):
        return tuple(kind(part) for part in state)
    found: list[Any] = [type(state)]
    for name, part in _parts(state):
        if name in _counts(type(state)):
            continue
        slots = _slot_axis(name)
        if isinstance(part, Tensor) and slots is not None:
            part = part.select(slots, 0) if part.shape[slots] else _without(part, slots)
        found.append(kind(part))
    return tuple(found)


def joined(states: Sequence[Any]) -> Any:
    """One state whose rows are theirs, in that order. They are of one kind."""
    sizes = [_rows(state) for state in states]
    return _joined(states, sizes) if len(states) > 1 else states[0]


def chosen(state: Any, rows: Sequence[int]) -> Any:
    """The state of these rows, in this order, in memory of its own."""
    return _bounded(select(state, torch.tensor(rows, dtype=torch.int64, device=_device(state))))


def compact(state: Any) -> Any:
    """A copy without slots that no row uses."""
    return map_state(torch.clone, _cut(state))


def _joined(states: Sequence[Any], sizes: list[int]) -> Any:
    first = states[0]
    if isinstance(first, Tensor):
        return torch.cat(list(states))
    if not isinstance(first, tuple | list):
        return first
    if not hasattr(first, "_fields"):
        return type(first)(_joined(parts, sizes) for parts in zip(*states, strict=True))
    counts, fields = _counts(type(first)), {}
    for name in first._fields:  # pyright: ignore[reportAttributeAccessIssue]
        parts = [getattr(state, name) for state in states]
        if name == "length" and "lengths_B" in counts:
            fields[name] = max(parts)
        elif name in counts:
            ends = [
                getattr(state, "length", 0) if part is None else part
                for state, part in zip(states, parts)
            ]
            fields[name] = _one_a_row(ends, sizes, _device(states))
        else:
            fields[name] = _joined(_equally_long(parts, _slot_axis(name)), sizes)
    return type(first)(**fields)


def _one_a_row(counts: Sequence[int | Tensor], sizes: list[int], device: torch.device) -> Tensor:
    return torch.cat(
        [
            count if isinstance(count, Tensor) else torch.full((size,), count, device=device)
            for count, size in zip(counts, sizes, strict=True)
        ]
    )


def _equally_long(parts: Sequence[Any], axis: int | None) -> Sequence[Any]:
    if axis is None or not isinstance(parts[0], Tensor):
        return parts
    most = max(part.shape[axis] for part in parts)
    return [
        part
        if part.shape[axis] == most
        else F.pad(part, [0, 0] * (part.dim() - 1 - axis) + [0, most - part.shape[axis]])
        for part in parts
    ]


def _bounded(state: Any) -> Any:
    """With each cache's bound as low as its rows allow."""
    if not isinstance(state, tuple | list):
        return state
    if not hasattr(state, "_fields"):
        return type(state)(map(_bounded, state))
    fields = {name: _bounded(part) for name, part in _parts(state)}
    if fields.get("lengths_B") is not None and "lengths_B" in _counts(type(state)):
        fields["length"] = int(fields["lengths_B"].max())
    return type(state)(**fields)


def _cut(state: Any) -> Any:
    """Without the free slots of its caches, and of what lies beside a cache slot by slot."""
    if not isinstance(state, tuple | list):
        return state
    if not hasattr(state, "_fields"):
        return type(state)(map(_cut, state))
    parts = dict(_parts(state))
    caches = [part for part in (state, *parts.values()) if "lengths_B" in _counts(type(part))]
    ends = [getattr(cache, "length", 0) for cache in caches]
    fields = {}
    for name, part in parts.items():
        axis = _slot_axis(name) if ends and isinstance(part, Tensor) else None
        fields[name] = _cut(part) if axis is None else part.narrow(axis, 0, ends[0])
    return type(state)(**fields)


def _without(part: Tensor, axis: int) -> Tensor:
    """An example of one slot of a cache that has none."""
    return part.new_empty(*part.shape[:axis], *part.shape[axis + 1 :])


def _parts(state: Any) -> list[tuple[str, Any]]:
    return list(zip(state._fields, state))


@cache
def _counts(kind: type) -> frozenset[str]:
    """The fields that count positions and may be one number a row."""
    if not hasattr(kind, "_fields"):
        return frozenset()
    hints = get_type_hints(kind)
    found = {name for name, hint in hints.items() if hint == int | Tensor}
    if hints.get("lengths_B") == Tensor | None and hints.get("length") is int:
        found |= {"length", "lengths_B"}
    return frozenset(found)


@cache
def _slot_axis(name: str) -> int | None:
    """Which axis holds a slot for every position, by the letters that end a tensor's name."""
    axes = name.rpartition("_")[2]
    return axes.index("C") if axes.startswith("B") and "C" in axes else None


def _rows(state: Any) -> int:
    return len(_first_tensor(state))


def _device(state: Any) -> torch.device:
    return _first_tensor(state).device


def _first_tensor(state: Any) -> Tensor:
    return state_tensors(state)[0]
