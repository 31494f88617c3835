"""Matrix products inside chunks of L positions (the WY or UT transform), the recurrence between
them: T / L dependent steps.

The backward pass is written out. It keeps the matrix before each chunk, the L x L products inside
and what erasing solves for: memory T (K V / L + L + V) beside the inputs. One position is the
loop's step.

    N chunks   X sequences and heads   M = N X   L positions of a chunk
    R rows of a position (q, erase)   C columns of a position (k, direction)
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.matrix_recurrence.reference import loop
from seqarena.ops.matrix_recurrence.segment import Segment, Solved

NUMBERS_AT_ONCE = 2**18  # of one tensor: measured; fewer cost calls, more leave the caches


class _Inputs(NamedTuple):
    """What the operation was given, and in the same places the gradients."""

    q_BHTK: Tensor
    k_BHTK: Tensor
    v_BHTV: Tensor
    s_BHKV: Tensor
    log_decay: Tensor | None
    erase_BHTK: Tensor | None
    direction_BHTK: Tensor | None


def positions_of(length: int, chunk_size: int) -> int:
    """L: the largest power of two up to `chunk_size`, or the least that holds the whole length."""
    return min(1 << (chunk_size.bit_length() - 1), 1 << (length - 1).bit_length())


def serial_steps(length: int, chunk_size: int) -> int:
    """The chunks."""
    return -(-length // positions_of(length, chunk_size))


@matrix_recurrence.algorithm("chunked", serial_steps=serial_steps)
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
    """The outputs and the matrices after them."""
    if erase_BHTK is None:
        direction_BHTK = None
    given = _Inputs(q_BHTK, k_BHTK, v_BHTV, s_BHKV, log_decay, erase_BHTK, direction_BHTK)
    if q_BHTK.shape[2] == 1:
        return loop(*given, chunk_size)
    return differentiable(chunk_size, Segment, NUMBERS_AT_ONCE, *given)


@torch.compiler.allow_in_graph  # one node of a compiled graph: what is inside runs as it is
def differentiable(
    chunk_size: int, segment: type[Segment], numbers_at_once: int, *given: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The outputs and the matrices after them. `segment` computes some chunks at a time, as many as
    keep one of its tensors below `numbers_at_once`."""
    return _ChunkedRecurrence.apply(chunk_size, segment, numbers_at_once, *given)  # pyright: ignore[reportReturnType]


class _ChunkedRecurrence(torch.autograd.Function):
    """(chunk_size, segment, numbers_at_once, q, k, v, s, log_decay, erase, direction) -> (y_BHTV,
    s_BHKV)."""

    @staticmethod
    def forward(
        ctx, chunk_size: int, segment: type[Segment], numbers_at_once: int, *inputs: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        given = _Inputs(*inputs)  # pyright: ignore[reportArgumentType]
        plan = _Plan.of(given, chunk_size, segment, numbers_at_once)
        records = any(ctx.needs_input_grad)
        y_BHTV = torch.empty_like(given.v_BHTV)
        after_BHKV = torch.empty_like(given.s_BHKV, memory_format=torch.contiguous_format)
        saved: list[Tensor | None] = []
        for batch in plan.batches:
            s_XKV = given.s_BHKV[batch].flatten(0, 1)
            for span in plan.spans(batch):
                states = s_XKV.new_empty(span.chunks + 1, *s_XKV.shape)
                states[0] = s_XKV
                v_MLV = span.take(given.v_BHTV)
                y_MLV, kept = span.segment(given).forward(v_MLV, states)
                span.put(y_MLV, y_BHTV)
                s_XKV = states[-1]
                if records:
                    saved += [states, *kept]
            after_BHKV[batch] = s_XKV.view(after_BHKV[batch].shape)
        if records:
            ctx.plan = plan
            ctx.save_for_backward(*given, *saved)
        return y_BHTV, after_BHKV

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BHTV: Tensor, ds_BHKV: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        plan, tensors = ctx.plan, ctx.saved_tensors
        given, saved = _Inputs(*tensors[:7]), list(tensors[7:])
        grads = _Inputs(*(None if x is None else torch.empty_like(x) for x in given))  # pyright: ignore[reportArgumentType]
        with torch.autocast(dy_BHTV.device.type, enabled=False):  # the caller's may be on
            for batch in reversed(plan.batches):
                ds_XKV = ds_BHKV[batch].flatten(0, 1)
                for span in reversed(plan.spans(batch)):
                    states, kept = saved[-4], Solved(*saved[-3:])
                    del saved[-4:]
                    ds_XKV = _span_backward(span, given, grads, states, kept, dy_BHTV, ds_XKV)
                grads.s_BHKV[batch] = ds_XKV.view(grads.s_BHKV[batch].shape)
        return None, None, None, *grads


class _Span(NamedTuple):
    """Some sequences and some of their chunks: `start` to `end` of `length` positions a chunk."""

    batch: slice
    start: int
    end: int
    length: int
    chunks: int
    shared: bool  # q and k are one for all heads, and stay so
    segment_class: type[Segment]

    def segment(self, given: _Inputs) -> Segment:
        """What the pass through these chunks needs, the values apart."""
        heads = 1 if self.shared else given.v_BHTV.shape[1]
        rows, columns = [given.q_BHTK], [given.k_BHTK]
        if given.erase_BHTK is not None:
            rows.append(given.erase_BHTK)
        if given.direction_BHTK is not None:
            columns.append(given.direction_BHTK)
        rows_MLRK, columns_MLCK = (self._side_by_side(x, heads) for x in (rows, columns))
        if len(rows) > len(columns):
            rows_MLRK[:, :, 1].neg_()
        log_decay = given.log_decay
        if log_decay is not None:
            log_decay = self.take(log_decay)
        return self.segment_class(rows_MLRK, columns_MLCK, log_decay, self.chunks)

    def _side_by_side(self, inputs: list[Tensor], heads: int) -> Tensor:
        """The span's part of each input as [M, L, R, K]."""
        K = inputs[0].shape[-1]
        B = len(range(*self.batch.indices(inputs[0].shape[0])))
        found = inputs[0].new_empty(self.chunks, B, heads, self.length, len(inputs), K)
        for index, x_BHTK in enumerate(inputs):
            self._read(x_BHTK.expand(-1, heads, -1, -1), found[..., index, :])
        return found.flatten(0, 2)

    def take(self, x_BHTK: Tensor) -> Tensor:
        """The span's part of an input as [M, L, K], zeros beyond the end."""
        return self._side_by_side([x_BHTK], x_BHTK.shape[1])[:, :, 0]

    def take_first(self, x_BHTV: Tensor, rows: int) -> Tensor:
        """[M, L, R, V], the span's part of an input in the first row."""
        B, H, _, V = x_BHTV[self.batch].shape
        found = x_BHTV.new_empty(self.chunks, B, H, self.length, rows, V)
        self._read(x_BHTV, found[..., 0, :])
        return found.flatten(0, 2)

    def put(self, found_MLK: Tensor, into_BHTK: Tensor) -> None:
        """Writes the span's part of a result, summed over the heads that share it."""
        (B, H, _, _), heads = into_BHTK[self.batch].shape, -1
        found = found_MLK.unflatten(0, (self.chunks, B, heads))
        if found.shape[2] != H:
            found = found.sum(2, keepdim=True)
        for outside, inside in self._parts(into_BHTK, found):
            outside.copy_(inside)

    def _read(self, x_BHTK: Tensor, found: Tensor) -> None:
        for outside, inside in self._parts(x_BHTK, found):
            inside.copy_(outside)
        rest = (self.end - self.start) % self.length
        if rest:
            found[-1, :, :, rest:] = 0.0

    def _parts(self, x_BHTK: Tensor, found: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """What of an input lies where in [N, B, H, L, K]: the whole chunks, and the last."""
        whole, rest = divmod(self.end - self.start, self.length)
        x_BHTK = x_BHTK[self.batch, :, self.start : self.end]
        if whole:
            chunks = x_BHTK[:, :, : whole * self.length].unflatten(2, (whole, self.length))
            yield chunks.permute(2, 0, 1, 3, 4), found[:whole]
        if rest:
            yield x_BHTK[:, :, whole * self.length :], found[whole, :, :, :rest]


class _Plan(NamedTuple):
    """How the work is divided: `batches` of sequences, and `chunks` chunks at once."""

    batches: list[slice]
    chunks: int
    length: int
    total: int
    shared: bool
    segment: type[Segment]

    @classmethod
    def of(
        cls, given: _Inputs, chunk_size: int, segment: type[Segment], numbers_at_once: int
    ) -> "_Plan":
        (B, H, T, V), K = given.v_BHTV.shape, given.q_BHTK.shape[-1]
        length = positions_of(T, chunk_size)
        room = max(1, numbers_at_once // (length * max(K, V, length)))
        batch = min(B, max(1, room // H))
        chunks = max(1, min(room // (H * batch), -(-T // length)))
        one = given.q_BHTK.shape[1] == given.k_BHTK.shape[1] == 1
        by_head = given.log_decay is not None and given.log_decay.shape[-1] == 1
        shared = one and by_head and given.erase_BHTK is None
        batches = [slice(b, min(b + batch, B)) for b in range(0, B, batch)]
        return cls(batches, chunks, length, T, shared, segment)

    def spans(self, batch: slice) -> list[_Span]:
        """The pieces of these sequences in the order of time."""
        found = []
        for start in range(0, self.total, self.chunks * self.length):
            end = min(start + self.chunks * self.length, self.total)
            chunks = -(-(end - start) // self.length)
            found.append(_Span(batch, start, end, self.length, chunks, self.shared, self.segment))
        return found


def _span_backward(
    span: _Span, given: _Inputs, grads: _Inputs, states: Tensor, kept: Solved, dy_BHTV: Tensor,
    ds_XKV: Tensor,
) -> Tensor:  # fmt: skip
    """Writes the span's gradients into `grads`; that of its first matrices."""
    segment = span.segment(given)
    along_key = given.erase_BHTK is not None and given.direction_BHTK is None
    v_MLV = None if along_key else span.take(given.v_BHTV)
    dread_MLRV = span.take_first(dy_BHTV, segment.sizes[1])
    drows, dcolumns, dv_MLV, dlog, ds_XKV = segment.backward(
        v_MLV, kept, dread_MLRV, states, ds_XKV
    )
    span.put(drows[:, :, 0], grads.q_BHTK)
    span.put(dcolumns[:, :, 0], grads.k_BHTK)
    span.put(dv_MLV, grads.v_BHTV)
    if grads.log_decay is not None and dlog is not None:
        span.put(dlog, grads.log_decay)
    if grads.erase_BHTK is not None:
        span.put(drows[:, :, 1].neg_() if along_key else drows[:, :, 1], grads.erase_BHTK)
    if grads.direction_BHTK is not None:
        span.put(dcolumns[:, :, 1], grads.direction_BHTK)
    return ds_XKV
