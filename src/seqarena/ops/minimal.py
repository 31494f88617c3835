"""The recurrence of the minimal gated networks: a blend of the old state and a candidate.

    h_t = (1 - z_t) h_{t-1} + z_t c_t,   z = sigmoid(gate),   c = g(value)

Feng et al. 2024, "Were RNNs All We Needed?", arXiv:2410.01201. g is x + 1/2 for x >= 0 and
sigmoid(x) below (`positive`, Appendix B.3), or the identity (`linear`, section 3).

    loop, scan, chunked   the coefficients 1 - z and z c written out, then ops/scan
    fused                 one in-place interpolation a step, gates and candidate differentiated by
                          hand, so that few tensors of the sequence's size are ever made

Letters: B batch, T time, E channels.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seqarena.core.shapes import lengths_to_mask
from seqarena.ops.scan import ALGORITHMS, linear_recurrence, reversed_recurrence

__all__ = ["ALGORITHMS", "candidate_value", "minimal_recurrence"]


def minimal_recurrence(
    gate_BTE: Tensor,
    value_BTE: Tensor,
    start_BE: Tensor | None = None,
    lengths_B: Tensor | None = None,
    *,
    candidate: str,
    algorithm: str,
) -> Tensor:
    """Every h_t: [B, T, E] in at least float32; beyond a row's length the state stays still.

    Gradients of first order flow to gate, value and start. Raises UserError for an unknown
    algorithm.
    """
    dtype = torch.promote_types(gate_BTE.dtype, torch.float32)
    gate_BTE, value_BTE = gate_BTE.to(dtype), value_BTE.to(dtype)
    if start_BE is not None:
        start_BE = start_BE.to(dtype)
    if lengths_B is not None:
        padding_BT = ~lengths_to_mask(lengths_B, gate_BTE.shape[1])
        gate_BTE = gate_BTE.masked_fill(padding_BT[..., None], -torch.inf)
    if algorithm == "fused":
        start_BE = torch.zeros_like(value_BTE[:, 0]) if start_BE is None else start_BE
        return _Blend.apply(gate_BTE, value_BTE, start_BE, candidate)  # pyright: ignore[reportReturnType]
    a_BTE = torch.sigmoid(-gate_BTE)  # 1 - z without its rounding
    b_BTE = torch.sigmoid(gate_BTE) * candidate_value(value_BTE, candidate)
    return linear_recurrence(a_BTE, b_BTE, start_BE, algorithm=algorithm)


def candidate_value(value: Tensor, candidate: str) -> Tensor:
    """g of Appendix B.3 for `positive`, the identity for `linear`."""
    if candidate == "linear":
        return value
    return torch.where(value >= 0, value + 0.5, torch.sigmoid(value))


class _Blend(torch.autograd.Function):
    """Gates, candidate and recurrence at once. With g_t the gradient of h_t, from the end:

    g_t = dh_t + (1 - z_{t+1}) g_{t+1}
    dgate_t = g_t (c_t - h_{t-1}) z_t (1 - z_t),   dvalue_t = g_t z_t g'(value_t)
    """

    @staticmethod
    def forward(
        ctx, gate_BTE: Tensor, value_BTE: Tensor, start_BE: Tensor, candidate: str
    ) -> Tensor:
        z_BTE = torch.sigmoid(gate_BTE)
        c_BTE = value_BTE
        if candidate == "positive":
            # g is the larger of its two branches everywhere
            c_BTE = torch.sigmoid(value_BTE)
            torch.maximum(c_BTE, value_BTE + 0.5, out=c_BTE)
        h_BTE = torch.empty_like(value_BTE, memory_format=torch.contiguous_format)
        h_BE = start_BE
        for z_BE, c_BE, out_BE in zip(z_BTE.unbind(1), c_BTE.unbind(1), h_BTE.unbind(1)):
            h_BE = torch.lerp(h_BE, c_BE, z_BE, out=out_BE)
        ctx.candidate = candidate
        ctx.save_for_backward(z_BTE, c_BTE, h_BTE, start_BE)
        return h_BTE

    @staticmethod
    @once_differentiable
    def backward(ctx, dh_BTE: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        z_BTE, c_BTE, h_BTE, start_BE = ctx.saved_tensors
        a_BTE = 1 - z_BTE
        g_BTE = reversed_recurrence(a_BTE, dh_BTE, "fused")
        dstart_BE = a_BTE[:, 0] * g_BTE[:, 0]
        dgate_BTE = torch.empty_like(g_BTE)
        torch.sub(c_BTE[:, 1:], h_BTE[:, :-1], out=dgate_BTE[:, 1:])
        torch.sub(c_BTE[:, 0], start_BE, out=dgate_BTE[:, 0])
        dvalue_BTE = g_BTE.mul_(z_BTE)
        dgate_BTE.mul_(dvalue_BTE).mul_(a_BTE)
        if ctx.candidate == "positive":
            # c (1 - c) is 1/4 where the branches meet at c = 1/2; above, the slope is one
            slope_BTE = torch.addcmul(c_BTE, c_BTE, c_BTE, value=-1, out=a_BTE)
            dvalue_BTE.mul_(slope_BTE.masked_fill_(c_BTE >= 0.5, 1.0))
        return dgate_BTE, dvalue_BTE, dstart_BE, None
