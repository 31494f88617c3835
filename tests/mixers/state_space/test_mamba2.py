"""Mamba-2: the contract, the equations in NumPy, and parity with transformers and with the paper's
listing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.mamba2 import Mamba2, Mamba2Config
from seqarena.ops.matrix_recurrence import matrix_recurrence

CONFIGS = {
    "default": Mamba2Config(state_size=5),
    "odd": Mamba2Config(num_heads=3, expand=1, state_size=3, kernel=2, chunk_size=4),
    "no-history": Mamba2Config(num_heads=1, expand=1, state_size=1, kernel=1),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Mamba2, config))


def build(width=24, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return Mamba2(width, Mamba2Config(**{"state_size": 8} | fields)).to(dtype)


def stirred(mixer):
    """Biases that are not zero."""
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return mixer


def test_equals_the_equations():
    mixer = stirred(build(width=6, num_heads=3, state_size=5))
    x_TD = torch.randn(11, 6, dtype=torch.float64)
    w = {name: p.detach().numpy() for name, p in mixer.named_parameters()}
    x, silu = x_TD.numpy(), lambda z: z / (1 + np.exp(-z))
    u = np.concatenate((np.zeros((3, 22)), x @ w["inward.weight"].T))
    u = sum(w["convolution.weight"][:, 0, i] * u[i : i + 11] for i in range(4))
    v, b, c = np.split(silu(u + w["convolution.bias"]), (12, 17), axis=1)
    steps = np.log1p(np.exp(x @ w["steps.weight"].T + w["step_bias"]))
    read = np.zeros((11, 12))
    for head in range(3):
        S, inside = np.zeros((5, 4)), slice(4 * head, 4 * head + 4)
        for t in range(11):
            S = np.exp(-steps[t, head] * np.exp(w["a_log"][head])) * S
            S = S + steps[t, head] * np.outer(b[t], v[t, inside])
            read[t, inside] = S.T @ c[t] + w["skip"][head] * v[t, inside]
    gated = read * silu(x @ w["gate.weight"].T)
    normed = gated / np.sqrt((gated**2).mean(-1, keepdims=True) + 1e-5) * w["norm.weight"]
    found = mixer(x_TD[None])[0][0].detach().numpy()
    np.testing.assert_allclose(found, normed @ w["outward.weight"].T, rtol=0, atol=1e-12)


class Reference(torch.nn.Module):
    """The mixer of transformers, of the same sizes and weights."""

    def __init__(self, mixer):
        from transformers import Mamba2Config as PublishedConfig
        from transformers.models.mamba2 import modeling_mamba2 as published

        super().__init__()
        config = PublishedConfig(
            hidden_size=mixer.width,
            num_heads=mixer.num_heads,
            head_dim=mixer.value_features,
            state_size=mixer.key_features,
            expand=mixer.config.expand,
            n_groups=1,
            chunk_size=8,
            num_hidden_layers=1,
        )
        dtype = mixer.a_log.dtype
        self.mixer = published.Mamba2Mixer(config, layer_idx=0).to(dtype).eval()
        self.mixer.load_state_dict(self.renamed(mixer))

    @staticmethod
    def renamed(mixer, value=lambda parameter: parameter.detach()):
        """Their names and layout of our parameters, or of what belongs to them."""
        ours = {name: value(parameter) for name, parameter in mixer.named_parameters()}
        inward = ("gate.weight", "inward.weight", "steps.weight")
        return {
            "in_proj.weight": torch.cat([ours[name] for name in inward]),
            "conv1d.weight": ours["convolution.weight"],
            "conv1d.bias": ours["convolution.bias"],
            "dt_bias": ours["step_bias"],
            "A_log": ours["a_log"],
            "D": ours["skip"],
            "norm.weight": ours["norm.weight"],
            "out_proj.weight": ours["outward.weight"],
        }


def differences(algorithm, dtype):
    """The largest of the outputs, and of the gradients of input and parameters as a share of the
    largest number of each."""
    mixer = stirred(build(algorithm=algorithm, dtype=dtype))
    theirs = Reference(mixer).mixer
    x_BTD = torch.randn(2, 33, 24, dtype=dtype, requires_grad=True)
    y_BTD, expected_BTD = mixer(x_BTD)[0], theirs(x_BTD)
    weights_BTD = torch.randn_like(x_BTD)
    (dx_BTD,) = torch.autograd.grad((y_BTD * weights_BTD).sum(), x_BTD, retain_graph=True)
    (y_BTD * weights_BTD).sum().backward(inputs=list(mixer.parameters()))
    (expected_BTD * weights_BTD).sum().backward()
    found = Reference.renamed(mixer, value=lambda parameter: parameter.grad)
    gradients = [(dx_BTD, x_BTD.grad)]
    gradients += [(found[name], p.grad) for name, p in theirs.named_parameters()]
    return (
        float((y_BTD - expected_BTD).detach().abs().max()),
        max(float((a - b).abs().max() / b.abs().max()) for a, b in gradients),
    )


# The reference computes recurrence and norm in float32 whatever its dtype: 6e-8 an operation, over
# 33 positions and, for gradients, sums over 66. That is all that separates the two in either dtype.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("algorithm", Mamba2.operation.available("cpu", torch.float64))
def test_parity_with_transformers(algorithm, dtype):
    outputs, gradients = differences(algorithm, dtype)
    assert outputs <= 2e-5
    assert gradients <= 2e-5


STORED = load_file(Path(__file__).parents[1] / "references/mamba2_ssd.safetensors")


def listing_differences(algorithm):
    """The largest of outputs and final state, and of gradients, against the paper's listing."""
    names = ("x", "step", "a", "b", "c", "start")
    leaves = {name: STORED[name].clone().requires_grad_() for name in names}
    step_BHT1 = leaves["step"].transpose(1, 2)[..., None]
    c_B1TK, b_B1TK = (leaves[name][:, None] for name in ("c", "b"))
    y_BHTV, s_BHKV = matrix_recurrence(
        c_B1TK,
        b_B1TK,
        step_BHT1 * leaves["x"].transpose(1, 2),
        leaves["start"].transpose(-1, -2),
        log_decay=step_BHT1 * leaves["a"][:, None, None],
        algorithm=algorithm,
        chunk_size=4,
    )
    outputs = (y_BHTV.transpose(1, 2), s_BHKV.transpose(-1, -2))
    expected = (STORED["y"], STORED["state"])
    weights = (STORED["weights"], STORED["state_weights"])
    total = sum((found * weight).sum() for found, weight in zip(outputs, weights))
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return (
        max(float((a - b).detach().abs().max()) for a, b in zip(outputs, expected)),
        max(float((g - STORED[f"d_{n}"]).abs().max()) for n, g in zip(names, gradients)),
    )


@pytest.mark.parametrize("algorithm", matrix_recurrence.available("cpu", torch.float64))
def test_the_recurrence_equals_the_listing_of_the_paper(algorithm):
    assert max(listing_differences(algorithm)) <= 1e-9


def test_starts_as_published():
    mixer = build(width=64, dtype=torch.float32, num_heads=32)
    step_H = torch.nn.functional.softplus(mixer.step_bias.detach())
    assert 0.00099 < float(step_H.min()) < 0.01 < float(step_H.max()) < 0.101
    rates_H = mixer.a_log.detach().exp()
    assert 1 <= float(rates_H.min()) < 4 < 12 < float(rates_H.max()) <= 16.001


def test_flops():
    """The loop's own products, counted: reading. Writing and fading cost as much again."""
    mixer = build(algorithm="loop")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 16, 24, dtype=torch.float64))
    matrix = 4 * 8 * 12
    written = 16 * (2 + 1) * matrix
    assert mixer.flops(16) == counter.get_total_flops() + written + mixer.convolution.flops(16)


def test_costs():
    mixer = build(dtype=torch.float32, algorithm="loop")
    assert mixer.state_bytes(3) == mixer.state_bytes(3000) == 4 * (4 * 8 * 12 + 3 * 64)
    assert mixer.serial_steps(64) == 5 + 64


@pytest.mark.parametrize("algorithm", Mamba2.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = build(dtype=torch.float32, algorithm=algorithm), torch.randn(2, 20, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert state.s_BHKV.dtype == torch.float32
    y_BTD, expected = y_BTD.detach(), mixer(x_BTD)[0].detach()
    # bfloat16 rounds to 0.4 %, in four products one after the other
    assert float((y_BTD - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_impossible_sizes():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(width=25)
    with pytest.raises(UserError, match="swap them"):
        build(time_step_min=0.2)
