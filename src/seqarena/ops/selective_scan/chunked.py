"""One in-place step after the other; the backward pass recomputes states chunk by chunk from those
at the chunks' starts: memory B T E N / 16. L positions of a chunk."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.core.products import small_products
from seqarena.ops.selective_scan import selective_scan

CHUNK_LENGTH = 16


@selective_scan.algorithm("chunked", serial_steps=lambda length: length)
def chunked(
    x_BTE: Tensor, step_BTE: Tensor, a_NE: Tensor, b_BTN: Tensor, c_BTN: Tensor, start_BNE: Tensor
) -> tuple[Tensor, Tensor]:
    """The outputs and the final state."""
    return _ChunkedScan.apply(x_BTE, step_BTE, a_NE, b_BTN, c_BTN, start_BNE)  # pyright: ignore[reportReturnType]


class _ChunkedScan(torch.autograd.Function):
    """The scan in bounded memory, with its backward pass written out.

    With g_t the gradient of h_t, u_t = step_t x_t and decay_t = exp(step_t A), from the end:

        g_t = C_t dy_t + q_{t+1},   q_t = decay_t g_t,   w_t = q_t h_{t-1}
        dC_t = h_t dy_t,   dB_t = g_t u_t,   du_t = B_t g_t,   dA = sum step_t w_t
        dstep_t = sum over n of A w_t, and x_t du_t;   dx_t = step_t du_t
    """

    @staticmethod
    def forward(
        ctx,
        x_BTE: Tensor,
        step_BTE: Tensor,
        a_NE: Tensor,
        b_BTN: Tensor,
        c_BTN: Tensor,
        start_BNE: Tensor,
    ) -> tuple[Tensor, Tensor]:
        h_BNE, decay_BNE = start_BNE.clone(), torch.empty_like(start_BNE)
        y_BTE = torch.empty_like(x_BTE, memory_format=torch.contiguous_format)
        starts = []
        for chunk in _chunks(x_BTE.shape[1]):
            starts.append(h_BNE.clone())
            step_BLE = step_BTE[:, chunk]
            steps, inputs = _rows(step_BLE), _rows(step_BLE * x_BTE[:, chunk])
            y_LB1E = y_BTE.new_empty(len(steps), y_BTE.shape[0], 1, y_BTE.shape[2])
            with small_products(h_BNE.numel()):
                for step, u, b, c, y in zip(
                    steps, inputs, _columns(b_BTN[:, chunk]), _rows(c_BTN[:, chunk]),
                    y_LB1E.unbind(0),
                ):  # fmt: skip
                    _advance(h_BNE, decay_BNE, h_BNE, step, a_NE, b, u)
                    torch.bmm(c, h_BNE, out=y)
            y_BTE[:, chunk] = y_LB1E.squeeze(2).transpose(0, 1)
        ctx.save_for_backward(x_BTE, step_BTE, a_NE, b_BTN, c_BTN, *starts)
        return y_BTE, h_BNE

    @staticmethod
    @once_differentiable
    def backward(ctx, dy_BTE: Tensor, dstate_BNE: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        x_BTE, step_BTE, a_NE, b_BTN, c_BTN, *starts = ctx.saved_tensors
        small = small_products(starts[0].numel())
        with torch.autocast(x_BTE.device.type, enabled=False), small:
            length = min(CHUNK_LENGTH, x_BTE.shape[1])
            buffers = _Buffers(starts[0], length)
            buffers.g_BNE.copy_(dstate_BNE)
            dx_BTE, dstep_BTE = torch.empty_like(x_BTE), torch.empty_like(step_BTE)
            db_BTN, dc_BTN = torch.empty_like(b_BTN), torch.empty_like(c_BTN)
            chunks = list(_chunks(x_BTE.shape[1]))
            for chunk, start_BNE in zip(reversed(chunks), reversed(starts)):
                x_BLE, step_BLE = x_BTE[:, chunk], step_BTE[:, chunk]
                parts = (step_BLE, step_BLE * x_BLE, a_NE, b_BTN[:, chunk])
                buffers.recompute(start_BNE, *parts)
                du_BLE, dw_BLE, db_BLN, dc_BLN = buffers.back(
                    *parts, c_BTN[:, chunk], dy_BTE[:, chunk]
                )
                torch.mul(step_BLE, du_BLE, out=dx_BTE[:, chunk])
                torch.addcmul(dw_BLE, x_BLE, du_BLE, out=dstep_BTE[:, chunk])
                db_BTN[:, chunk], dc_BTN[:, chunk] = db_BLN, dc_BLN
            return dx_BTE, dstep_BTE, buffers.da_BNE.sum(0), db_BTN, dc_BTN, buffers.g_BNE


class _Buffers:
    """What the backward pass holds: the states and decays of one chunk, and the running sums.

    `g_BNE` enters `back` as q of the position after the chunk and leaves it as q of its first.
    """

    def __init__(self, like_BNE: Tensor, length: int) -> None:
        self.h_LBNE = like_BNE.new_empty(length + 1, *like_BNE.shape)
        self.decay_LBNE = like_BNE.new_empty(length, *like_BNE.shape)
        self.g_BNE = torch.empty_like(like_BNE)
        self.w_BNE = torch.empty_like(like_BNE)
        self.da_BNE = torch.zeros_like(like_BNE)

    def recompute(
        self, start_BNE: Tensor, step_BLE: Tensor, u_BLE: Tensor, a_NE: Tensor, b_BLN: Tensor
    ) -> None:
        """Fills in the decays, and the states with the chunk's start before them."""
        states, decays = self.h_LBNE.unbind(0), self.decay_LBNE.unbind(0)
        states[0].copy_(start_BNE)
        for index, (step, u, b) in enumerate(zip(_rows(step_BLE), _rows(u_BLE), _columns(b_BLN))):
            _advance(states[index], decays[index], states[index + 1], step, a_NE, b, u)

    def back(
        self,
        step_BLE: Tensor,
        u_BLE: Tensor,
        a_NE: Tensor,
        b_BLN: Tensor,
        c_BLN: Tensor,
        dy_BLE: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """du, the part of dstep that comes through the decay, dB and dC of one chunk."""
        states, decays = self.h_LBNE.unbind(0), self.decay_LBNE.unbind(0)
        steps, rows_b, columns_c = _rows(step_BLE), _rows(b_BLN), _columns(c_BLN)
        rows_dy, rows_u = _rows(dy_BLE), _rows(u_BLE)
        g_BNE, g_BEN, w_BNE = self.g_BNE, self.g_BNE.mT, self.w_BNE
        size, batch = len(steps), g_BNE.shape[0]
        du = g_BNE.new_empty(size, batch, 1, a_NE.shape[1])
        dw = g_BNE.new_empty(size, batch, a_NE.shape[1])
        db, dc = (g_BNE.new_empty(size, batch, 1, a_NE.shape[0]) for _ in range(2))
        du_steps, dw_steps, db_steps, dc_steps = (s.unbind(0) for s in (du, dw, db, dc))
        for t in reversed(range(size)):
            g_BNE.addcmul_(columns_c[t], rows_dy[t])
            # a row times a matrix: three times as fast as the matrix times a column
            torch.bmm(rows_dy[t], states[t + 1].mT, out=dc_steps[t])
            torch.bmm(rows_u[t], g_BEN, out=db_steps[t])
            torch.bmm(rows_b[t], g_BNE, out=du_steps[t])
            g_BNE.mul_(decays[t])
            torch.mul(g_BNE, states[t], out=w_BNE)
            self.da_BNE.addcmul_(w_BNE, steps[t])
            torch.sum(w_BNE.mul_(a_NE), 1, out=dw_steps[t])
        found = (du.squeeze(2), dw, db.squeeze(2), dc.squeeze(2))
        return tuple(s.transpose(0, 1) for s in found)  # pyright: ignore[reportReturnType]


def _advance(
    h_BNE: Tensor,
    decay_BNE: Tensor,
    next_BNE: Tensor,
    step_B1E: Tensor,
    a_NE: Tensor,
    b_BN1: Tensor,
    u_B1E: Tensor,
) -> None:
    """One step of the recurrence, written into `decay_BNE` and `next_BNE` (which may be h)."""
    torch.mul(step_B1E, a_NE, out=decay_BNE).exp_()
    torch.mul(decay_BNE, h_BNE, out=next_BNE).addcmul_(b_BN1, u_B1E)


def _chunks(length: int) -> Sequence[slice]:
    return [slice(t, min(t + CHUNK_LENGTH, length)) for t in range(0, length, CHUNK_LENGTH)]


def _rows(x_BLE: Tensor) -> tuple[Tensor, ...]:
    """The positions as views [B, 1, E]."""
    return x_BLE.unsqueeze(2).unbind(1)


def _columns(x_BLE: Tensor) -> tuple[Tensor, ...]:
    """The positions as views [B, E, 1]."""
    return x_BLE.unsqueeze(3).unbind(1)
