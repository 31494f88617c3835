"""Multi-head latent attention: the contract, parity with DeepSeek-V3's layer, the cache, costs."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.deepseek_v3.modeling_deepseek_v3 import (
    DeepseekV3Attention,
    DeepseekV3Config,
)

from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.mixers.attention.latent_attention import LatentAttention, LatentAttentionConfig
from seqarena.mixers.contract import CHECKS, subject
from tests.mixers.attention.parity import same_outputs_and_gradients
from tests.mixers.attention.ragged import continues_ragged

CONFIGS = {
    "default": LatentAttentionConfig(),
    "queries compressed": LatentAttentionConfig(
        num_heads=2, latent_rank=5, query_rank=7, rotary_features=4
    ),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_contract(config, check):
    check(subject(LatentAttention, config))


def build(width=48, dtype=torch.float64, **fields):
    torch.manual_seed(0)
    return LatentAttention(width, LatentAttentionConfig(**fields)).to(dtype)


def angles(length, features, base):
    """Cosines and sines as the reference takes them, [1, T, features], in float64."""
    frequency = base ** (-torch.arange(0, features, 2).double() / features)
    angle = torch.arange(length).double()[:, None] * frequency
    return angle.cos().repeat(1, 2)[None], angle.sin().repeat(1, 2)[None]


def neighbours_to_halves(weight, heads, plain, rotary):
    """Rows of a matrix whose last `rotary` rows of each head pair neighbours, as ours pairs them:
    the first of each pair, then the second."""
    rows = weight.unflatten(0, (heads, plain + rotary))
    order = [*range(plain), *range(plain, plain + rotary, 2), *range(plain + 1, plain + rotary, 2)]
    return rows[:, order].flatten(0, 1)


@pytest.mark.usefixtures("exact_softmax")
@pytest.mark.parametrize("algorithm", ["explicit", "fused"])
@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("query_rank", [None, 7])
def test_equals_deepseek_v3(query_rank, interleaved, algorithm):
    H, E, P, R, T = 4, 12, 6, 10, 37
    config = DeepseekV3Config(
        hidden_size=48, num_attention_heads=H, num_key_value_heads=H, q_lora_rank=query_rank,
        kv_lora_rank=R, qk_nope_head_dim=E, qk_rope_head_dim=P, v_head_dim=E,
        rope_interleave=interleaved, attention_bias=False,
    )  # fmt: skip
    config._attn_implementation = "eager"
    torch.manual_seed(1)
    theirs = DeepseekV3Attention(config, layer_idx=0)
    # its norms compute in float32: torch's are the same in float64
    theirs.kv_a_layernorm = nn.RMSNorm(R, eps=1e-6)
    if query_rank is not None:
        theirs.q_a_layernorm = nn.RMSNorm(query_rank, eps=1e-6)
    theirs = theirs.double().eval()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    ours = build(
        latent_rank=R, query_rank=query_rank, rotary_features=P, rotary_base=500.0,
        algorithm=algorithm,
    )  # fmt: skip

    def queries(weight):
        return neighbours_to_halves(weight, H, E, P) if interleaved else weight

    def down(weight):
        return neighbours_to_halves(weight, 1, R, P) if interleaved else weight

    theirs_query = theirs.q_proj if query_rank is None else theirs.q_b_proj
    same = [
        (ours.query.weight, theirs_query.weight, queries),
        (ours.down.weight, theirs.kv_a_proj_with_mqa.weight, down),
        (ours.norm.weight, theirs.kv_a_layernorm.weight, lambda weight: weight),
        (ours.up.weight, theirs.kv_b_proj.weight, lambda weight: weight),
        (ours.outward.weight, theirs.o_proj.weight, lambda weight: weight),
    ]
    if query_rank is not None:
        linear, norm = ours.query_down
        same += [
            (linear.weight, theirs.q_a_proj.weight, lambda weight: weight),
            (norm.weight, theirs.q_a_layernorm.weight, lambda weight: weight),
        ]
    with torch.no_grad():
        for mine, its, change in same:
            mine.copy_(change(its))
    assert {id(mine) for mine, _, _ in same} == {id(p) for p in ours.parameters()}
    mask = torch.full((T, T), -math.inf).double().triu(1)[None, None]

    same_outputs_and_gradients(
        lambda x: ours(x)[0],
        lambda x: theirs(x, position_embeddings=angles(T, P, 500.0), attention_mask=mask)[0],
        torch.randn(2, T, 48, dtype=torch.float64),
        {mine: lambda its=its, change=change: change(its.grad) for mine, its, change in same},
    )


def test_decoding_makes_no_past_key_or_value_again():
    mixer = build(latent_rank=6)
    x_BTD = torch.randn(2, 1, 48, dtype=torch.float64)
    operations = []
    for length in (10, 11):
        state = mixer.initial_state(2, max_length=20)._replace(length=length)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            mixer(x_BTD, state)
        operations.append(counter.get_total_flops())
    # a slot more: a score and a mean over R + P features in each of 4 heads of 2 rows
    assert operations[1] - operations[0] <= 2 * 4 * 4 * (6 + 6)


@pytest.mark.parametrize("grad", [True, False])
def test_ragged_continuation_equals_each_row_alone(grad):
    mixer = build()
    start = mixer.initial_state(3, max_length=4)
    continues_ragged(mixer, (7, 1, 5, 1, 1), start=start, grad=grad)


@pytest.mark.parametrize("query_rank", [None, 7])
def test_flops(query_rank):
    mixer = build(query_rank=query_rank, algorithm="explicit")
    with FlopCounterMode(display=False) as counter:
        mixer(torch.randn(1, 20, 48, dtype=torch.float64))
    # the counter sees the whole square of pairs, the definition those that may see each other
    a_pair = 4 * (2 * 12 + 2 * 6 + 2 * 12)
    assert mixer.flops(20) == counter.get_total_flops() - 20 * 19 // 2 * a_pair


def test_costs():
    mixer = build(dtype=torch.float32)
    assert mixer.state_bytes(10) == 10 * (12 + 6) * 4  # a quarter of the width, half of a head
    assert mixer.state_bytes(10) == measured_state_bytes(mixer.initial_state(1, max_length=10))
    assert mixer.reach() == math.inf


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UserError, match="multiple of the heads"):
        build(50)


def test_each_matrix_of_the_paper_is_drawn_by_itself():
    mixer = build(256, query_rank=80)
    E, P, R = 64, 32, 64
    rotary_key = mixer.down.weight[R:]
    key = mixer.up.weight.unflatten(0, (4, 2 * E))[:, :E]
    rotary_query = mixer.query.weight.unflatten(0, (4, E + P))[:, E:]
    for weight, rows, columns in ((rotary_key, P, 256), (key, 256, R), (rotary_query, 4 * P, 80)):
        deviation = math.sqrt(2 / (rows + columns))  # Xavier
        assert float(weight.detach().std()) == pytest.approx(deviation, rel=0.05)
