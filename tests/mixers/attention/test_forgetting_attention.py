"""Forgetting attention: the contract, its equation, the naive form of fla, ALiBi, costs."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.shapes import measured_state_bytes
from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.attention.forgetting_attention import (
    ForgettingAttention,
    ForgettingAttentionConfig,
)
from seqarena.mixers.contract import CHECKS, subject
from tests.mixers.attention.ragged import continues_ragged
from tests.mixers.references.arrays import differences

CONFIGS = {
    "default": ForgettingAttentionConfig(),
    "grouped": ForgettingAttentionConfig(num_heads=2, num_groups=1, positions="rotary", bias=True),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(ForgettingAttention, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    mixer = ForgettingAttention(width, ForgettingAttentionConfig(**fields)).to(dtype)
    torch.nn.init.normal_(mixer.gate.bias)
    return mixer


@pytest.mark.parametrize("algorithm", ["explicit", "fused"])
def test_equals_the_naive_form_of_flash_linear_attention(algorithm):
    mixer = build(24, num_groups=2, algorithm=algorithm)
    output, gradient = differences(mixer, "forgetting_attention")
    assert output < 1e-11
    assert gradient < 1e-11


@pytest.mark.parametrize("algorithm", ["explicit", "fused"])
def test_its_equation_one_pair_at_a_time(algorithm):
    mixer = build(algorithm=algorithm)
    x_BTD = torch.randn(1, 9, 48, dtype=torch.float64)
    q, k, v = (x[0].detach() for x in mixer.projections.split(x_BTD))  # [T, H, E]
    gate_TH = torch.sigmoid(mixer.gate(x_BTD)[0]).detach()
    heads = torch.zeros(9, 4, 12, dtype=torch.float64)
    for h in range(4):
        for t in range(9):
            scores = [
                float(q[t, h] @ k[c, h]) / math.sqrt(12)
                + sum(math.log(gate_TH[step, h]) for step in range(c + 1, t + 1))
                for c in range(t + 1)
            ]
            weights = torch.tensor(scores, dtype=torch.float64).softmax(0)
            heads[t, h] = weights @ v[: t + 1, h]
    expected = heads.flatten(1) @ mixer.projections.outward.weight.T
    torch.testing.assert_close(mixer(x_BTD)[0][0], expected, rtol=0, atol=1e-12)


def test_constant_gates_are_alibi_and_open_gates_attention_without_positions():
    """Section 3 of the paper: the log of a constant gate is ALiBi's slope."""
    mixer = build()
    x_BTD = torch.randn(2, 33, 48, dtype=torch.float64)
    for positions, slope_H in (
        ("alibi", torch.tensor([1 / 4, 1 / 16, 1 / 64, 1 / 256])),
        ("none", torch.zeros(4)),
    ):
        other = Attention(48, AttentionConfig(positions=positions)).double()
        other.projections.load_state_dict(mixer.projections.state_dict())
        gate_H = torch.exp(-slope_H.double())
        with torch.no_grad():
            mixer.gate.weight.zero_()
            mixer.gate.bias.copy_(torch.logit(gate_H.clamp(max=1 - 1e-15)))
        torch.testing.assert_close(mixer(x_BTD)[0], other(x_BTD)[0], rtol=0, atol=1e-11)


def test_sums_of_gates_stay_exact_under_autocast():
    """Gates near 0.5 over 300 positions: the sums reach 200, where bfloat16 has steps of one."""
    mixer = build(dtype=torch.float32)
    x_BTD = torch.randn(2, 300, 48)
    expected = mixer(x_BTD)[0]
    for algorithm in ("explicit", "fused"):
        mixer = build(dtype=torch.float32, algorithm=algorithm)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found, state = mixer(x_BTD)
        assert state.log_gates_BHC1.dtype == torch.float32
        assert float(state.log_gates_BHC1.detach().min()) < -150
        # bfloat16 keeps 8 bits: 0.4 % a rounding, a few of them in a row
        torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("grad", [True, False])
def test_ragged_continuation_equals_each_row_alone(grad):
    mixer = build(num_groups=2)
    start = mixer.initial_state(3, max_length=4)
    continues_ragged(mixer, (7, 1, 5, 1, 1), start=start, grad=grad)


def test_the_gate_starts_as_the_authors_have_it():
    torch.manual_seed(0)
    mixer = ForgettingAttention(512, ForgettingAttentionConfig())
    assert mixer.gate.bias.abs().max() == 0
    assert float(mixer.gate.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    gate = torch.sigmoid(mixer.gate(torch.zeros(1, 512)))
    torch.testing.assert_close(gate, torch.full((1, 4), 0.5))


def test_flops():
    mixer = build(num_groups=2, algorithm="explicit")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 48, dtype=torch.float64))
    # the counter sees the whole square of pairs, the definition those that may see each other
    assert mixer.flops(20) == counter.get_total_flops() - 20 * 19 // 2 * 4 * 48


def test_costs():
    mixer = build(dtype=torch.float32, num_groups=2)
    assert mixer.state_bytes(10) == 2 * 2 * 10 * 12 * 4 + 4 * 10 * 4
    assert mixer.state_bytes(10) == measured_state_bytes(mixer.initial_state(1, max_length=10))
    assert mixer.reach() == math.inf
