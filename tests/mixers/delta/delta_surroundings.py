"""What stands around the recurrences of the delta rule, in NumPy, for tests that write out the
recurrence itself: shapes as in seqarena.mixers.delta.delta_rule, without a batch."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log1p(np.exp(x))


def unit(x):
    return x / np.sqrt((x**2).sum(-1, keepdims=True) + 1e-6)


class Case(NamedTuple):
    """A mixer's weights, an input x_TD, and its heads: q_THK, keys and values of each write."""

    mixer: nn.Module
    w: dict[str, np.ndarray]
    x_TD: np.ndarray
    q_THK: np.ndarray
    k_TNHK: np.ndarray
    v_TNHV: np.ndarray

    def check(self, read_THV, gate_TC=1.0):
        """Norm, gate and projection of what was read are the mixer's output."""
        scale = np.sqrt((read_THV**2).mean(-1, keepdims=True) + 1e-5)
        normed_TC = (read_THV / scale * self.w["norm.weight"]).reshape(len(read_THV), -1)
        expected_TD = (normed_TC * gate_TC) @ self.w["outward.weight"].T
        found_TD = self.mixer(torch.from_numpy(self.x_TD)[None])[0][0].detach().numpy()
        np.testing.assert_allclose(found_TD, expected_TD, rtol=0, atol=1e-10)


def stirred(mixer):
    """In float64, with noise on every parameter, so that zeros and ones hide nothing."""
    mixer = mixer.double()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return mixer


def case(mixer, writes=1, length=9):
    """The heads of random inputs, by projection, short convolution, silu and unit length."""
    H, mixer = mixer.config.num_heads, stirred(mixer)
    x_TD = torch.randn(length, mixer.width, dtype=torch.float64).numpy()
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    taps_CK = w["convolution.weight"][:, 0]
    u_TC = x_TD @ w["inward.weight"].T
    u_TC = np.concatenate((np.zeros((taps_CK.shape[1] - 1, u_TC.shape[1])), u_TC))
    u_TC = silu(sum(taps_CK[:, i] * u_TC[i : i + length] for i in range(taps_CK.shape[1])))
    q_TC, k_TC, v_TC = np.split(u_TC, [mixer.width, mixer.width * (1 + writes)], axis=1)
    k_TNHK, v_TNHV = (x.reshape(length, writes, H, -1) for x in (k_TC, v_TC))
    return Case(mixer, w, x_TD, unit(q_TC.reshape(length, H, -1)), unit(k_TNHK), v_TNHV)


def differences_from_transformers(mixer, theirs, names, monkeypatch):
    """The largest differences of outputs and of gradients between a mixer that has been given a
    layer's parameters and the layer. `names`: our parameter -> (theirs, joined along the first
    axis, and what reorders the result). What the layer's module computes in float32 is computed in
    float64."""
    import sys

    class Float64:
        def __getattr__(self, name):
            return torch.float64 if name == "float32" else getattr(torch, name)

    monkeypatch.setattr(sys.modules[type(theirs).__module__], "torch", Float64())
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    parameters = dict(theirs.named_parameters())

    def joined(name, of):
        parts, reorder = names[name]
        return reorder(torch.cat([of(parameters[part]) for part in parts]))

    mixer.load_state_dict({name: joined(name, lambda p: p.data) for name in names}, strict=False)
    x_BTD = torch.randn(2, 70, mixer.width, dtype=torch.float64)
    weights_BTD = torch.randn_like(x_BTD)
    mine, its = x_BTD.clone().requires_grad_(), x_BTD.clone().requires_grad_()
    y_BTD, expected_BTD = mixer(mine)[0], theirs(its)
    (y_BTD * weights_BTD).sum().backward()
    (expected_BTD * weights_BTD).sum().backward()
    pairs = [(mine.grad, its.grad)]
    pairs += [(mixer.get_parameter(name).grad, joined(name, lambda p: p.grad)) for name in names]
    output = float((y_BTD - expected_BTD).detach().abs().max())
    return output, max(float((a - b).abs().max()) for a, b in pairs)


def counted_flops(mixer, length):
    """The matrix products that the loop runs, as torch counts them, and the convolution."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, length, mixer.width, dtype=torch.float64))
    return counter.get_total_flops() + mixer.convolution.flops(length)
