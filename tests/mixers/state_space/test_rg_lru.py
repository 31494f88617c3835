"""RG-LRU: the contract, the equations in NumPy, and parity with RecurrentGemma in transformers."""

import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.rg_lru import RGLRU, RGLRUConfig

CONFIGS = {
    "default": RGLRUConfig(),
    "odd": RGLRUConfig(inner_width=15, num_blocks=3, kernel=2),
    "no-history": RGLRUConfig(inner_width=7, num_blocks=1, kernel=1),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(RGLRU, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return RGLRU(width, RGLRUConfig(**fields)).to(dtype)


def stirred(mixer):
    """Biases that are not zero and a convolution that is not small."""
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return mixer


def test_equals_the_equations():
    mixer = stirred(build(width=6, inner_width=9, num_blocks=3))
    x_TD = torch.randn(11, 6, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    x, sigmoid = x_TD.numpy(), lambda s: 1 / (1 + np.exp(-s))
    u, z = np.split(x @ w["in_proj.weight"].T + w["in_proj.bias"], 2, axis=1)
    u = np.concatenate((np.zeros((3, 9)), u))
    u = sum(w["convolution.weight"][:, 0, i] * u[i : i + 11] for i in range(4))
    u = u + w["convolution.bias"]
    decay = sigmoid(-w["decay"])  # the paper's a
    h, expected = np.zeros(9), []
    for t in range(11):
        r, i = np.zeros(9), np.zeros(9)
        for block in range(3):
            inside = slice(3 * block, 3 * block + 3)
            gates = u[t, inside] @ w["gate_weight"][block]
            gates = sigmoid(gates + w["gate_bias"][6 * block : 6 * block + 6])
            r[inside], i[inside] = gates[:3], gates[3:]
        a = decay ** (8 * r)
        h = a * h + np.sqrt(1 - a**2) * i * u[t]
        bent = 0.5 * z[t] * (1 + np.tanh(math.sqrt(2 / math.pi) * (z[t] + 0.044715 * z[t] ** 3)))
        expected.append((h * bent) @ w["out_proj.weight"].T + w["out_proj.bias"])
    found = mixer(x_TD[None])[0][0].detach().numpy()
    np.testing.assert_allclose(found, np.stack(expected), rtol=0, atol=1e-12)


class Reference(torch.nn.Module):
    """The recurrent block of RecurrentGemma, float64, of the same sizes and weights.

    Its recurrence accumulates in float32 by an argument that its layer leaves at the default.
    """

    def __init__(self, mixer):
        from transformers import RecurrentGemmaConfig
        from transformers.models.recurrent_gemma import modeling_recurrent_gemma as published

        super().__init__()
        config = RecurrentGemmaConfig(
            hidden_size=mixer.width,
            lru_width=mixer.inner_width,
            num_attention_heads=mixer.num_blocks,
            conv1d_width=mixer.convolution.kernel,
        )
        self.block = published.RecurrentGemmaRecurrentBlock(config, layer_idx=0).double()
        scan = self.block.rg_lru._rnn_scan
        self.block.rg_lru._rnn_scan = lambda **inputs: scan(**inputs, acc_dtype=torch.float64)
        self.block.load_state_dict(self.renamed(mixer))

    @staticmethod
    def renamed(mixer, value=lambda parameter: parameter.detach()):
        """Their names and layout of our parameters, or of what belongs to them."""
        ours = {name: value(parameter) for name, parameter in mixer.named_parameters()}
        blocks = mixer.num_blocks
        x_weight, z_weight = ours["in_proj.weight"].chunk(2)
        x_bias, z_bias = ours["in_proj.bias"].chunk(2)
        r_weight, i_weight = ours["gate_weight"].chunk(2, dim=-1)
        r_bias, i_bias = ours["gate_bias"].unflatten(0, (blocks, -1)).chunk(2, dim=-1)
        return {
            "linear_x.weight": x_weight,
            "linear_x.bias": x_bias,
            "linear_y.weight": z_weight,
            "linear_y.bias": z_bias,
            "linear_out.weight": ours["out_proj.weight"],
            "linear_out.bias": ours["out_proj.bias"],
            "conv_1d.weight": ours["convolution.weight"],
            "conv_1d.bias": ours["convolution.bias"],
            "rg_lru.recurrent_param": ours["decay"],
            "rg_lru.recurrent_gate_weight": r_weight,
            "rg_lru.recurrent_gate_bias": r_bias,
            "rg_lru.input_gate_weight": i_weight,
            "rg_lru.input_gate_bias": i_bias,
        }

    def forward(self, x_BTD):
        # position 0 would begin a text, where the reference leaves out a factor
        positions_BT = torch.arange(1, x_BTD.shape[1] + 1).expand(x_BTD.shape[:2])
        return self.block(x_BTD, positions_BT, attention_mask=None, use_cache=False)[0]


def differences(algorithm):
    """The largest of the outputs, and of the gradients of input and parameters."""
    mixer = stirred(build(algorithm=algorithm))
    theirs = Reference(mixer)
    x_BTD = torch.randn(2, 33, 24, dtype=torch.float64, requires_grad=True)
    y_BTD, expected_BTD = mixer(x_BTD)[0], theirs(x_BTD)
    weights_BTD = torch.randn_like(x_BTD)
    (dx_BTD,) = torch.autograd.grad((y_BTD * weights_BTD).sum(), x_BTD, retain_graph=True)
    (y_BTD * weights_BTD).sum().backward(inputs=list(mixer.parameters()))
    (expected_BTD * weights_BTD).sum().backward()
    found = Reference.renamed(mixer, value=lambda parameter: parameter.grad)
    gradients = [(dx_BTD, x_BTD.grad)]
    gradients += [(found[name], p.grad) for name, p in theirs.block.named_parameters()]
    return (
        float((y_BTD - expected_BTD).detach().abs().max()),
        max(float((ours - their).abs().max()) for ours, their in gradients),
    )


@pytest.mark.parametrize("algorithm", RGLRU.operation.available("cpu", torch.float64))
def test_parity_with_transformers(algorithm):
    assert max(differences(algorithm)) <= 1e-9


def test_an_open_or_closed_gate_has_finite_gradients():
    mixer = build(dtype=torch.float32)
    with torch.no_grad():
        mixer.gate_bias.fill_(-200.0)  # nothing decays: the root of zero
        mixer.gate_bias[::2] = 200.0
    x_BTD = torch.randn(1, 9, 24, requires_grad=True)
    mixer(x_BTD)[0].sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in (x_BTD, *mixer.parameters()))


def test_padding_leaves_an_empty_state_exactly_empty():
    mixer, x_BTD = stirred(build(dtype=torch.float32)), torch.randn(2, 9, 24)
    mask_BT = torch.tensor([[False] * 9, [True] * 9])
    _, state = mixer(x_BTD, mask_BT=mask_BT)
    assert float(state.h_BE[0].detach().abs().max()) == 0.0
    assert float(state.h_BE[1].detach().abs().max()) > 0.0


def test_decays_start_as_published():
    mixer = build(width=300, dtype=torch.float64)
    radii = torch.exp(-torch.nn.functional.softplus(mixer.decay.detach()))
    assert 0.9 < float(radii.min()) < 0.905 < 0.995 < float(radii.max()) < 0.999
    assert float(radii.square().mean()) == pytest.approx((0.9**2 + 0.999**2) / 2, abs=0.01)


def test_flops_are_those_of_the_matrix_products_and_the_recurrence():
    mixer = build(algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 16, 24, dtype=torch.float64))
    assert mixer.inner_width == 32
    assert mixer.flops(16) == counter.get_total_flops() + 2 * 16 * 32 * (4 + 1)


def test_costs():
    mixer = build(dtype=torch.float32, algorithm="loop")
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * 32 * (3 + 1)
    assert mixer.serial_steps(64) == 5 + 64


@pytest.mark.parametrize("algorithm", RGLRU.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = build(dtype=torch.float32, algorithm=algorithm), torch.randn(2, 20, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert state.h_BE.dtype == torch.float32
    y_BTD, expected = y_BTD.detach(), mixer(x_BTD)[0].detach()
    # bfloat16 rounds to 0.4 %, in four products one after the other
    assert float((y_BTD - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of num_blocks"):
        build(inner_width=30)
    assert [build(width=width).inner_width for width in (1, 24, 25)] == [4, 32, 36]
