"""The chunked form with its walk over the chunks in one kernel on a GPU, in Triton: that of the
diagonal recurrence where nothing is erased, else ops/triton_kernels/matrix_walk.py. Products inside
the chunks are PyTorch's, for all chunks at once; float32."""

import torch
from torch import Tensor

from seqarena.ops.matrix_recurrence import matrix_recurrence
from seqarena.ops.matrix_recurrence.chunked import differentiable, serial_steps
from seqarena.ops.matrix_recurrence.reference import loop
from seqarena.ops.matrix_recurrence.segment import Segment
from seqarena.ops.registry import TRITON

NUMBERS_AT_ONCE = 2**26  # of one tensor, 256 MiB: what bounds memory on a long input


@matrix_recurrence.algorithm("triton", **TRITON, serial_steps=serial_steps)
def block_kernel(
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
    given = (q_BHTK, k_BHTK, v_BHTV, s_BHKV, log_decay, erase_BHTK, direction_BHTK)
    if q_BHTK.shape[2] == 1:
        return loop(*given, chunk_size)
    return _by_kernels(chunk_size, *given)


@torch.compiler.allow_in_graph  # as the form in PyTorch
def _by_kernels(chunk_size: int, *given: Tensor | None) -> tuple[Tensor, Tensor]:
    return differentiable(chunk_size, _KernelSegment, NUMBERS_AT_ONCE, *given)


class _KernelSegment(Segment):
    """A segment whose walks over the chunks are kernels."""

    def _advance(self, states: Tensor, added_MKV: Tensor) -> None:
        self._scan(added_MKV, states[0], states[1:], from_the_end=False)

    def _retreat(self, dy_MLV: Tensor, dstates: Tensor) -> None:
        added_MKV = torch.bmm(self.scores.reads_MLRK[:, :, 0].mT, dy_MLV)
        self._scan(added_MKV, dstates[-1], dstates[:-1], from_the_end=True)

    def _scan(
        self, added_MKV: Tensor, start_XKV: Tensor, into_NXKV: Tensor, *, from_the_end: bool
    ) -> None:
        """The diagonal recurrence over the chunks, of each row of each matrix."""
        from seqarena.ops.triton_kernels.diagonal import states

        M, K, V = added_MKV.shape
        kept = self.scores.kept
        kept = added_MKV.new_ones(1, 1, 1) if kept is None else kept
        a_NY1 = kept.expand(M, K, 1).reshape(self.chunks, -1, 1)
        b_NYV, h_NYV = added_MKV.view(self.chunks, -1, V), into_NXKV.flatten(1, 2)
        states(
            a_NY1.transpose(0, 1).expand(-1, -1, V), b_NYV.transpose(0, 1),
            start_XKV.reshape(-1, V), h_NYV.transpose(0, 1), from_the_end=from_the_end,
        )  # fmt: skip

    def _solve(
        self, inverse_MLL: Tensor, known_MLV: Tensor, v_MLV: Tensor, states: Tensor
    ) -> Tensor:
        from seqarena.ops.triton_kernels.matrix_walk import walk

        scores = self.scores
        reads, writes = scores.reads_MLRK.contiguous(), scores.writes_MLCK.contiguous()
        given = (known_MLV.contiguous(), v_MLV.contiguous())
        return walk(reads, writes, scores.kept, inverse_MLL, *given, states)

    def _solve_back(
        self, inverse_MLL: Tensor, dread_MLRV: Tensor, dvalues: Tensor, dstates: Tensor
    ) -> None:
        from seqarena.ops.triton_kernels.matrix_walk import walk_back

        scores = self.scores
        reads, writes = scores.reads_MLRK.contiguous(), scores.writes_MLCK.contiguous()
        assert dread_MLRV.is_contiguous()
        assert dvalues.is_contiguous()
        walk_back(reads, writes, scores.kept, inverse_MLL, dread_MLRV, dvalues, dstates)
