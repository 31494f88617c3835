"""Mamba: the contract, and parity with the implementation in transformers."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.mixers.contract import CHECKS, subject
from seqarena.mixers.state_space.mamba import Mamba, MambaConfig

CONFIGS = {
    "default": MambaConfig(state_size=4),
    "biased": MambaConfig(
        expand=1, state_size=3, kernel=2, time_step_rank=2, bias=True, convolution_bias=False
    ),
    "no-history": MambaConfig(state_size=1, kernel=1),
    "signed": MambaConfig(state_size=3, negative_eigenvalues=True),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Mamba, config))


NAMES = {
    "in_proj.weight": "in_proj.weight",
    "convolution.weight": "conv1d.weight",
    "convolution.bias": "conv1d.bias",
    "x_proj.weight": "x_proj.weight",
    "step_proj.weight": "dt_proj.weight",
    "step_proj.bias": "dt_proj.bias",
    "a_log": "A_log",
    "skip": "D",
    "out_proj.weight": "out_proj.weight",
}
# The reference computes A and the discretised B in float32 whatever its dtype: about 1e-7 of
# relative error a position, which is all that separates the two in either dtype.
TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


@pytest.fixture(scope="module")
def reference():
    from transformers import MambaConfig as ReferenceConfig
    from transformers.models.mamba import modeling_mamba

    torch.manual_seed(0)
    config = ReferenceConfig(hidden_size=24, state_size=8, num_hidden_layers=1)
    return modeling_mamba.MambaMixer(config, layer_idx=0), config


def like(reference, algorithm, dtype):
    mixer = Mamba(24, MambaConfig(state_size=8, algorithm=algorithm))
    theirs = reference.state_dict()
    mixer.load_state_dict({ours: theirs[name] for ours, name in NAMES.items()})
    return mixer.to(dtype), reference.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("algorithm", Mamba.operation.available("cpu", torch.float64))
def test_parity_with_transformers(reference, algorithm, dtype):
    mixer, theirs = like(reference[0], algorithm, dtype)
    x_BTD = torch.randn(2, 33, 24, dtype=dtype, requires_grad=True)
    weights = torch.randn(2, 33, 24, dtype=dtype)
    y_BTD, expected_BTD = mixer(x_BTD)[0], theirs(x_BTD)
    torch.testing.assert_close(y_BTD, expected_BTD, **TOLERANCE)
    found = torch.autograd.grad((y_BTD * weights).sum(), (x_BTD, *mixer.parameters()))
    parameters = dict(theirs.named_parameters())
    wanted = [parameters[NAMES[name]] for name, _ in mixer.named_parameters()]
    expected = torch.autograd.grad((expected_BTD * weights).sum(), (x_BTD, *wanted))
    for name, x, y in zip(("input", *dict(mixer.named_parameters())), found, expected):
        # gradients are sums over 66 positions: compared relative to their largest number
        assert float((x - y).abs().max()) <= 3e-6 * float(y.abs().max()) + 1e-7, name


def test_cached_decoding_equals_transformers(reference):
    from transformers.cache_utils import DynamicCache

    mixer, theirs = like(reference[0], "chunked", torch.float32)
    x_BTD, cache = torch.randn(2, 12, 24), DynamicCache(config=reference[1])
    with torch.no_grad():
        _, state = mixer(x_BTD[:, :9])
        theirs(x_BTD[:, :9], cache)
        for t in range(9, 12):
            y_B1D, state = mixer(x_BTD[:, t : t + 1], state)
            expected_B1D = theirs(x_BTD[:, t : t + 1], cache)
            torch.testing.assert_close(y_B1D, expected_B1D, **TOLERANCE)


def test_initial_steps_lie_between_the_bounds():
    mixer = Mamba(64, MambaConfig())
    steps = torch.nn.functional.softplus(mixer.step_proj.bias.detach())
    assert 0.00099 < float(steps.min()) < 0.01 < 0.05 < float(steps.max()) < 0.101


def test_flops_are_those_of_the_matrix_products_and_the_scan():
    mixer = Mamba(24, MambaConfig(state_size=8, algorithm="loop"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 16, 24))
    scanned = 2 * 16 * 48 * (4 + 4 * 8 + 1)
    assert mixer.flops(16) == counter.get_total_flops() + scanned


@pytest.mark.parametrize("algorithm", Mamba.operation.available("cpu", torch.float64))
def test_autocast_keeps_the_state_in_float32(algorithm):
    mixer, x_BTD = Mamba(24, MambaConfig(algorithm=algorithm)), torch.randn(2, 20, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y_BTD, state = mixer(x_BTD)
        again_BTD, _ = mixer(x_BTD, state)
    (y_BTD.float().sum() + again_BTD.float().sum()).backward()
    assert {leaf.dtype for leaf in state} == {torch.float32}
    y_BTD, expected = y_BTD.detach(), mixer(x_BTD)[0].detach()
    # bfloat16 rounds to 0.4 %, in five products one after the other
    assert float((y_BTD - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_steps_out_of_order():
    with pytest.raises(UserError, match="swap them"):
        Mamba(8, MambaConfig(time_step_min=0.2))


def test_signed_decays_equal_the_equation_and_change_the_sign():
    torch.manual_seed(0)
    config = MambaConfig(state_size=4, kernel=1, negative_eigenvalues=True)
    mixer, x_BTD = Mamba(8, config).double(), torch.randn(1, 6, 8, dtype=torch.float64)
    mixer.step_proj.bias.data += 3  # long steps: the decays come near -1
    signed, usual = mixer(x_BTD), Mamba(8, MambaConfig(state_size=4, kernel=1)).double()
    usual.load_state_dict(mixer.state_dict())
    u_TE, gate_TE = mixer.in_proj(x_BTD[0]).chunk(2, dim=-1)
    v_TE = torch.nn.functional.silu(
        u_TE * mixer.convolution.weight[:, 0, 0] + mixer.convolution.bias
    )
    step_TR, b_TN, c_TN = mixer.x_proj(v_TE).split((mixer.rank, 4, 4), dim=-1)
    step_TE = torch.nn.functional.softplus(mixer.step_proj(step_TR))
    for sign, (y_BTD, state) in ((True, signed), (False, usual(x_BTD))):
        h_EN, read = torch.zeros(16, 4, dtype=torch.float64), []
        lowest = 1.0
        for t in range(6):
            decay_EN = torch.exp(-step_TE[t][:, None] * mixer.a_log.exp())
            if sign:
                decay_EN = 2 * decay_EN - 1
            lowest = min(lowest, float(decay_EN.detach().min()))
            h_EN = decay_EN * h_EN + (step_TE[t] * v_TE[t])[:, None] * b_TN[t]
            read.append(h_EN @ c_TN[t])
        y_TE = (torch.stack(read) + v_TE * mixer.skip) * torch.nn.functional.silu(gate_TE)
        torch.testing.assert_close(y_BTD[0], mixer.out_proj(y_TE), rtol=0, atol=1e-12)
        torch.testing.assert_close(state.h_BNE[0], h_EN.T, rtol=0, atol=1e-12)
        assert (lowest < -0.9) == sign
