"""Causal dilated convolution: the contract, WaveNet's unit and a TCN's from torch.nn, costs."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.convolution.conv import Conv, ConvConfig

CONFIGS = {
    "gated": ConvConfig(),
    "relu, dilated": ConvConfig(kernel=4, dilation=5, activation="relu"),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(Conv, config))


def build(width=12, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return Conv(width, ConvConfig(**fields)).to(dtype)


def torch_conv(weight_KDF, bias_F, x_BTD, dilation):
    """torch.nn's convolution, padded on both sides and cut on the right as TCNs do."""
    taps, width, features = weight_KDF.shape
    padding = (taps - 1) * dilation
    conv = torch.nn.Conv1d(width, features, taps, padding=padding, dilation=dilation).double()
    conv.load_state_dict({"weight": weight_KDF.permute(2, 1, 0), "bias": bias_F})
    return conv(x_BTD.transpose(1, 2))[:, :, : x_BTD.shape[1]].transpose(1, 2)


@pytest.mark.parametrize("algorithm", Conv.operation.available("cpu", torch.float64))
@pytest.mark.parametrize(("kernel", "dilation"), [(2, 1), (3, 4), (2, 30)])
def test_equals_torch_nn(kernel, dilation, algorithm):
    x_BTD = torch.randn(2, 23, 12, dtype=torch.float64)
    fields = {"kernel": kernel, "dilation": dilation, "algorithm": algorithm}
    gated, relu = build(**fields), build(**fields, activation="relu")
    c_BTF = torch_conv(gated.weight_KDF, gated.bias_F, x_BTD, dilation)
    unit = torch.tanh(c_BTF[..., :12]) * torch.sigmoid(c_BTF[..., 12:])
    expected = F.linear(unit, gated.outward.weight, gated.outward.bias)
    torch.testing.assert_close(gated(x_BTD)[0], expected, rtol=0, atol=1e-12)
    expected = torch_conv(relu.weight_KDF, relu.bias_F, x_BTD, dilation).relu()
    torch.testing.assert_close(relu(x_BTD)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", Conv.operation.available("cpu", torch.float64))
def test_flops_are_those_counted(algorithm):
    mixer = build(kernel=3, dilation=2, algorithm=algorithm)
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 12, dtype=torch.float64))
    assert mixer.flops(20) == counter.get_total_flops()


def test_sees_its_taps_and_nothing_else():
    mixer = build(kernel=3, dilation=4)
    x_BTD = torch.randn(1, 20, 12, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(mixer(x_BTD)[0][0, 15].sum(), x_BTD)
    assert gradient.abs().sum(-1)[0].nonzero().flatten().tolist() == [7, 11, 15]


def test_costs():
    mixer = build(kernel=3, dilation=4, dtype=torch.float32)
    assert mixer.reach() == 8
    assert [mixer.path_length(d) for d in (1, 8, 9)] == [1, 1, 2]
    assert mixer.state_bytes(1) == mixer.state_bytes(1000) == 8 * 12 * 4
    assert build(kernel=3, algorithm="loop").serial_steps(9) == mixer.serial_steps(9) + 2


@pytest.mark.parametrize("fields", [{"kernel": 1}, {"dilation": 0}])
def test_impossible_sizes(fields):
    with pytest.raises(UserError, match="at least"):
        build(**fields)
