"""Matrix products inside chunks of L positions (the WY or UT transform), the recurrence between
them: T / L dependent steps.

The backward pass computes each chunk anew from the matrix before it: memory T K V / L, whatever
decays or is erased. One position is the loop's step.

    N chunks   X sequences and heads   M = N X   L positions of a chunk
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.core.errors import UserError
from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.matrix_recurrence.reference import loop
from seqarena.ops.matrix_recurrence.segment import Segment, Solved

ELEMENTS = 2**17  # of one tensor that is worked on at once: about what a core's cache holds
LEAST_LOGARITHM = -1e3  # its exponential is zero in every dtype


@matrix_recurrence.algorithm(
    "chunked", serial_steps=lambda length, chunk_size: -(-length // chunk_size)
)
def chunked(
    q_BHTK: Tensor,
    k_BHTK: Tensor,
    v_BHTV: Tensor,
    s_BHKV: Tensor,
    log_decay: Tensor | None,
    erase_BHTK: Tensor | None,
    direction_BHTK: Tensor | None,
    chunk_size: int,
) -> tuple[Tensor, Tensor]:
    """The outputs and the matrices after them. Raises UserError where `chunk_size` is no power
    of two."""
    if chunk_size < 1 or chunk_size & (chunk_size - 1):
        raise UserError(f"chunk_size is {chunk_size}: use a power of two, such as 64")
    given = (q_BHTK, k_BHTK, v_BHTV, s_BHKV, log_decay, erase_BHTK, direction_BHTK)
    if q_BHTK.shape[2] == 1:
        return loop(*given, chunk_size)
    if erase_BHTK is None:
        given = (*given[:6], None)
    return _ChunkedRecurrence.apply(chunk_size, *given)  # pyright: ignore[reportReturnType]


class _Span(NamedTuple):
    """Some sequences and some of their chunks."""

    batch: slice
    start: int  # positions
    end: int
    chunks: int


class _Sizes(NamedTuple):
    """How the work is divided: `batch` sequences and `chunks` chunks of `positions` at once."""

    batch: int
    chunks: int
    positions: int

    @classmethod
    def of(cls, v_BHTV: Tensor, features: int, chunk_size: int) -> "_Sizes":
        B, H, T, V = v_BHTV.shape
        positions = min(chunk_size, 1 << (T - 1).bit_length())
        room = max(1, ELEMENTS // (positions * max(features, V, positions)))
        batch = min(B, max(1, room // H))
        return cls(batch, max(1, min(room // (H * batch), -(-T // positions))), positions)

    def groups(self, batch_size: int) -> Iterator[slice]:
        for start in range(0, batch_size, self.batch):
            yield slice(start, min(start + self.batch, batch_size))

    def spans(self, batch: slice, length: int) -> list[_Span]:
        found, width = [], self.chunks * self.positions
        for start in range(0, length, width):
            end = min(start + width, length)
            found.append(_Span(batch, start, end, -(-(end - start) // self.positions)))
        return found


class _ChunkedRecurrence(torch.autograd.Function):
    """(chunk_size, q, k, v, s, log_decay, erase, direction) -> (y_BHTV, s_BHKV)."""

    @staticmethod
    def forward(ctx, chunk_size: int, *given: Tensor | None) -> tuple[Tensor, Tensor]:
        q, k, v_BHTV, s_BHKV, *_ = given
        assert q is not None and k is not None and v_BHTV is not None and s_BHKV is not None
        (B, H, T, V), K = v_BHTV.shape, q.shape[-1]
        sizes = _Sizes.of(v_BHTV, K, chunk_size)
        records = any(ctx.needs_input_grad)
        y_BHTV, after_BHKV = torch.empty_like(v_BHTV), torch.empty_like(s_BHKV)
        saved, solved = [], []
        for batch in sizes.groups(B):
            X = (batch.stop - batch.start) * H
            first = s_BHKV[batch].reshape(1, X, K, V)
            count = -(-T // sizes.positions) if records else sizes.chunks
            states = first.new_empty(count + 1, X, K, V)
            states[0] = first[0]
            at = 0
            for span in sizes.spans(batch, T):
                if not records:
                    at = 0
                segment = _load(given, span, sizes.positions, None)
                y_MLV = segment.forward(states[at : at + span.chunks + 1])
                if records and segment.solved is not None:
                    solved += segment.solved
                _store(y_BHTV, y_MLV, span)
                at += span.chunks
                if not records:
                    states[0] = states[at]
            after_BHKV[batch] = states[at].view(-1, H, K, V)
            saved.append(states)
        if records:
            ctx.sizes = sizes
            ctx.save_for_backward(*given, *saved, *solved)
        return y_BHTV, after_BHKV

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BHTV: Tensor, ds_BHKV: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        given, saved = ctx.saved_tensors[:7], list(ctx.saved_tensors[7:])
        q, k, v_BHTV, s_BHKV, log_decay, erase, direction = given
        sizes = ctx.sizes
        groups = list(sizes.groups(v_BHTV.shape[0]))
        solved, saved = saved[len(groups) :], saved[: len(groups)]
        B, H, T, V = v_BHTV.shape
        grads = [None if x is None else torch.empty_like(x) for x in given]
        for x in (0, 1):
            if given[x].shape[1] != H:
                grads[x].zero_()
        for batch, states in zip(groups, saved):
            spans = sizes.spans(batch, T)
            own, solved = solved[: 2 * len(spans)], solved[2 * len(spans) :]
            at = states.shape[0] - 1
            d = ds_BHKV[batch].reshape(-1, *s_BHKV.shape[2:])
            for span in reversed(spans):
                at -= span.chunks
                last = Solved(*own[-2:]) if own else None
                own = own[:-2]
                segment = _load(given, span, sizes.positions, last)
                here = states[at : at + span.chunks + 1]
                dy = _take(dy_BHTV, span, sizes.positions)
                drows, dcolumns, dv, dlog, d = segment.backward(dy, here, d)
                _store(grads[0], drows[0], span)
                _store(grads[1], dcolumns[0], span)
                _store(grads[2], dv, span)
                if log_decay is not None:
                    _store(grads[4], dlog, span)
                if erase is not None:
                    _store(grads[5], drows[1].neg_() if direction is None else drows[1], span)
                if direction is not None:
                    _store(grads[6], dcolumns[1], span)
            grads[3][batch] = d.view(-1, H, *d.shape[1:])
        return None, *grads


def _load(given, span: _Span, positions: int, solved: Solved | None) -> Segment:
    q, k, v, _, log_decay, erase, direction = given
    H = v.shape[1]
    rows = [_take(q.expand(-1, H, -1, -1), span, positions)]
    columns = [_take(k.expand(-1, H, -1, -1), span, positions)]
    if erase is not None:
        rows.append(_take(erase, span, positions))
        if direction is None:
            rows[1].neg_()
        else:
            columns.append(_take(direction, span, positions))
    g = None
    if log_decay is not None:
        g = _take(log_decay, span, positions).clamp_(min=LEAST_LOGARITHM)
    return Segment(rows, columns, _take(v, span, positions), g, span.chunks, solved)


def _take(x_BHTK: Tensor, span: _Span, positions: int) -> Tensor:
    """The span's part as [M, L, K], zeros beyond its end."""
    x_BHTK = x_BHTK[span.batch, :, span.start : span.end]
    B, H, length, K = x_BHTK.shape
    found = x_BHTK.new_empty(span.chunks, B, H, positions, K)
    _copy(x_BHTK, found, length)
    if length < span.chunks * positions:
        found[-1, :, :, length - (span.chunks - 1) * positions :].zero_()
    return found.flatten(0, 2)


def _copy(x_BHTK: Tensor, found: Tensor, length: int, back: bool = False) -> None:
    size = found.shape[3]
    whole = length // size
    pairs = []
    if whole:
        pairs.append((x_BHTK[:, :, : whole * size].unflatten(2, (whole, size)).permute(2, 0, 1, 3, 4), found[:whole]))
    if whole * size < length:
        pairs.append((x_BHTK[:, :, whole * size :], found[whole, :, :, : length - whole * size]))
    for outside, inside in pairs:
        if back:
            outside.copy_(inside)
        else:
            inside.copy_(outside)


def _store(x_BHTK: Tensor, found_MLK: Tensor, span: _Span) -> None:
    x_BHTK = x_BHTK[span.batch, :, span.start : span.end]
    B, H, length, K = x_BHTK.shape
    H_found = found_MLK.shape[0] // (span.chunks * B)
    found = found_MLK.view(span.chunks, B, H_found, -1, K)
    if H_found != H:
        found = found.sum(2, keepdim=True)
    _copy(x_BHTK, found, length, back=True)
