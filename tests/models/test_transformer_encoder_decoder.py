"""The Transformer of pairs: torch's own with the same weights, caches, alignments, learning."""

import math

import pytest
import torch
from pair_checks import PROBLEM, left_padded, ragged, share_learned, small
from torch import nn

from seqarena.core.shapes import measured_state_bytes
from seqarena.models.any import count_parameters
from seqarena.models.build import build
from seqarena.models.catalog import architecture
from seqarena.models.size import Shape, solve
from seqarena.ops.positions import sinusoidal_positions

POSITIONS = ["sinusoidal", "rotary"]


def torch_layers(model, width, heads):
    """torch.nn.Transformer's layers, post-norm, without a last norm, with the model's weights."""
    common = {"dim_feedforward": 4 * width, "dropout": 0.0, "batch_first": True}
    common["dtype"] = torch.float64
    encoder = [nn.TransformerEncoderLayer(width, heads, **common) for _ in model.encoder]
    decoder = [nn.TransformerDecoderLayer(width, heads, **common) for _ in model.decoder]
    with torch.no_grad():
        for theirs, ours in zip(encoder + decoder, [*model.encoder, *model.decoder]):
            theirs.self_attn.in_proj_weight.copy_(ours.own.inward.weight)
            theirs.self_attn.out_proj.weight.copy_(ours.own.outward.weight)
            theirs.linear1.load_state_dict(ours.channel.expand.state_dict())
            theirs.linear2.load_state_dict(ours.channel.contract.state_dict())
            norms = [ours.own_norm.norm]
            if hasattr(ours, "source"):
                both = torch.cat((ours.source.query.weight, ours.source.inward.weight))
                theirs.multihead_attn.in_proj_weight.copy_(both)
                theirs.multihead_attn.out_proj.weight.copy_(ours.source.outward.weight)
                norms.append(ours.source_norm.norm)
            for index, norm in enumerate([*norms, ours.channel_norm.norm], 1):
                getattr(theirs, f"norm{index}").load_state_dict(norm.state_dict())
    return encoder, decoder


def off_one(model):
    """Norms and biases moved off one and zero, so that they show."""
    draw = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=draw, dtype=p.dtype))
    return model


def embedded(table, tokens):
    width = table.weight.shape[1]
    places = sinusoidal_positions(torch.arange(tokens.shape[1]), width, dtype=torch.float64)
    return math.sqrt(width) * table(tokens) + places


def test_the_published_form_equals_torchs_with_the_same_weights():
    model = build("transformer", problem=PROBLEM, width=8, options={"layers": 2}, seed=3)
    model, batch = off_one(model.double()).train(), ragged()  # training: torch's fast path is off
    encoder, decoder = torch_layers(model, 8, 4)
    hidden, hidden_source = ~batch.mask_BT, ~batch.source_mask_BS
    memory = embedded(model.source_tokens, batch.source_BS)
    for layer in encoder:
        memory = layer(memory, src_key_padding_mask=hidden_source)
    x = embedded(model.target_tokens, batch.inputs_BT)
    future = torch.ones(5, 5).triu(1).bool()
    for layer in decoder:
        x = layer(
            x, memory, tgt_mask=future, tgt_key_padding_mask=hidden,
            memory_key_padding_mask=hidden_source,
        )  # fmt: skip
    expected = x @ model.target_tokens.weight.T
    torch.testing.assert_close(
        model.answer(batch)[batch.mask_BT], expected[batch.mask_BT], rtol=1e-10, atol=1e-10
    )


def test_attention_is_torchs_mean_over_heads():
    model, batch = build("transformer", problem=PROBLEM, width=8, options={"layers": 1}), ragged()
    model = off_one(model.double()).train()
    encoder, decoder = torch_layers(model, 8, 4)
    memory = encoder[0](
        embedded(model.source_tokens, batch.source_BS), src_key_padding_mask=~batch.source_mask_BS
    )
    layer = decoder[0]
    x = embedded(model.target_tokens, batch.inputs_BT)
    future = torch.ones(5, 5).triu(1).bool()
    own, _ = layer.self_attn(x, x, x, attn_mask=future, need_weights=False)
    _, expected = layer.multihead_attn(
        layer.norm1(x + own), memory, memory, key_padding_mask=~batch.source_mask_BS
    )
    found = model.attention(batch)
    torch.testing.assert_close(found[batch.mask_BT], expected[batch.mask_BT])
    assert not found[~batch.mask_BT].any()
    torch.testing.assert_close(found[batch.mask_BT].sum(1), torch.ones(11).double())


@pytest.mark.parametrize("name", ["transformer", "transformer_modern"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_one_step_at_a_time_and_other_padding_are_the_same(name, positions):
    model, batch = off_one(small(name, positions=positions)), ragged()
    moved = left_padded(batch)
    with torch.no_grad():
        whole = model.answer(batch)
        torch.testing.assert_close(model.answer(moved)[moved.mask_BT], whole[batch.mask_BT])
        state = model.begin(moved, 2)  # a cache that must grow
        for t in range(5):
            logits, state = model.step(batch.inputs_BT[:, t], state)
            real = batch.mask_BT[:, t]
            torch.testing.assert_close(logits[real], whole[real, t])


@pytest.mark.parametrize("positions", POSITIONS)
def test_order_matters_to_the_encoder(positions):
    model, batch = small("transformer", positions=positions), ragged()
    turned = batch._replace(source_BS=batch.source_BS.flip(1), source_mask_BS=None)
    plain = batch._replace(source_mask_BS=None)
    assert not torch.allclose(model.answer(turned), model.answer(plain), atol=1e-6)


@pytest.mark.parametrize("name", ["transformer", "transformer_modern"])
def test_the_state_is_as_large_as_stated(name):
    model, batch = small(name), ragged()
    state = model.begin(batch, 6)
    assert measured_state_bytes(state) == 3 * model.state_bytes(6)


def test_one_vocabulary_is_one_matrix():
    one = PROBLEM.model_copy(update={"source_vocab_size": 13, "shared_vocabulary": True})
    tied = build("transformer", problem=one, width=8)
    free = build("transformer", problem=one, width=8, options={"share": False})
    assert tied.output.weight is tied.source_tokens.weight
    assert free.num_parameters == tied.num_parameters + 2 * 13 * 8 + 13
    apart = build("transformer", problem=PROBLEM, width=8)
    assert apart.source_tokens.weight is not apart.target_tokens.weight
    assert apart.output.weight is apart.target_tokens.weight


def test_weights_are_drawn_alike_each_time_and_stacked_ones_apart():
    first, second = (build("transformer", problem=PROBLEM, width=64, seed=1) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters()):
        assert torch.equal(a, b)
    own = first.encoder[0].own
    limit = math.sqrt(6 / (64 + 64))
    for weight in (*own.inward.weight.chunk(3), own.outward.weight):
        assert 0.95 * limit < weight.detach().abs().max() <= limit
    assert float(first.target_tokens.weight.detach().std()) == pytest.approx(1 / 8, rel=0.1)


@pytest.mark.parametrize("name", ["transformer", "transformer_modern"])
def test_any_size_can_be_had(name):
    params = 100_000
    problem = PROBLEM.model_copy(update={"vocab_size": 300, "num_outputs": 300})
    config = solve(architecture(name), Shape(problem, 2), params)
    assert count_parameters(config) == pytest.approx(params, rel=0.01)


def test_flops_count_the_pairs_in_sight():
    model = build("transformer", problem=PROBLEM, width=8, options={"layers": 1})
    L, D = 5, 8
    projections = 3 * 4 * 2 * L * D * D
    pairs = (L * L + L * (L + 1) // 2 + L * L) * 4 * D
    feed_forward = 2 * 2 * 2 * L * D * 4 * D
    assert model.flops(L) == projections + pairs + feed_forward + 2 * L * D * 13


@pytest.mark.parametrize("name", ["transformer", "transformer_modern"])
def test_it_learns_to_write_words_backwards(name):
    assert share_learned(name, steps=80, rate=3e-3, layers=1) == 1.0
