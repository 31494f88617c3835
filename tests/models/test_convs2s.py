"""ConvS2S: its equations in NumPy, weight normalisation, gradient scaling, masking, decoding."""

import numpy as np
import pytest
import torch
from causal_checks import (
    VOCAB,
    build,
    check_everything_is_trained,
    check_pairs_causality,
    check_pairs_padding,
    check_pairs_steps,
    only_sources,
    pairs_problem,
    tokens,
)
from pair_checks import share_learned

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.models.encoder_decoders.convs2s import NormalisedLinear

PLACE = "encoder_decoders.convs2s:ConvS2S"
HALF = np.sqrt(0.5)
Weights = dict[str, np.ndarray]


def linear(p: Weights, name: str, x: np.ndarray) -> np.ndarray:
    v, g = p[f"{name}.direction_FI"], p[f"{name}.gain_F"]
    rows = [g[f] * v[f] / np.sqrt((v[f] ** 2).sum()) for f in range(len(v))]
    return x @ np.stack(rows).T + p[f"{name}.bias_F"]


def gated(p: Weights, name: str, x: np.ndarray, offsets: list[int]) -> np.ndarray:
    """The convolution, tap k reading the position `offsets[k]` away, and its gate."""
    blank = np.zeros(x.shape[1])
    taps = [
        np.concatenate([x[t + o] if 0 <= t + o < len(x) else blank for o in offsets])
        for t in range(len(x))
    ]
    a, b = np.split(linear(p, name, np.stack(taps)), 2, axis=1)
    return a / (1.0 + np.exp(-b))


def by_hand(model: torch.nn.Module, source_S: np.ndarray, target_T: np.ndarray) -> np.ndarray:
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}
    e = p["source.words.weight"][source_S] + p["source.positions.weight"][: len(source_S)]
    x = linear(p, "encoder_in", e)
    for layer in range(2):
        x = (gated(p, f"encoder.{layer}", x, [-1, 0, 1]) + x) * HALF
    z = linear(p, "encoder_out", x)
    values = (z + e) * HALF
    g = p["target.words.weight"][target_T] + p["target.positions.weight"][: len(target_T)]
    x = linear(p, "decoder_in", g)
    for layer in range(3):
        y, at = gated(p, f"decoder.{layer}", x, [-2, -1, 0]), f"attention.{layer}"
        attended = []
        for t in range(len(target_T)):
            d = (linear(p, f"{at}.inward", y[t]) + g[t]) * HALF
            scores = np.array([d @ z[s] for s in range(len(source_S))])
            a = np.exp(scores - scores.max())
            c = sum(a[s] / a.sum() * values[s] for s in range(len(source_S)))
            c = c * len(source_S) * np.sqrt(1.0 / len(source_S))
            attended.append((linear(p, f"{at}.outward", c) + y[t]) * HALF)
        x = (np.stack(attended) + x) * HALF
    return linear(p, "output", linear(p, "decoder_out", x))


def small(**options: float):  # type: ignore
    sizes = {"encoder_layers": 2, "decoder_layers": 3, "channels": 5}
    return build(PLACE, pairs_problem(), **sizes | options)


def test_equals_its_equations() -> None:
    model = small()
    source_BS, target_BT = tokens(2, 7) % 11, tokens(2, 9, seed=1)
    found = model.answer(Batch(target_BT, target_BT, source_BS=source_BS)).detach().numpy()
    for row in range(2):
        expected = by_hand(model, source_BS[row].numpy(), target_BT[row].numpy())
        np.testing.assert_allclose(found[row], expected, rtol=1e-9, atol=1e-11)


def test_weight_normalisation_is_torch_s_with_its_gradients() -> None:
    ours = NormalisedLinear(4, 3, 1.0).double()
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3).double())
    ours.gain_F.data = torch.rand(3, dtype=torch.float64)
    weight = theirs.parametrizations.weight  # type: ignore
    weight.original0.data = ours.gain_F.data[:, None].clone()
    weight.original1.data = ours.direction_FI.data.clone()
    theirs.bias.data = ours.bias_F.data.clone()
    x = torch.randn(5, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    ours(x).square().sum().backward()
    theirs(x).square().sum().backward()
    torch.testing.assert_close(ours.direction_FI.grad, weight.original1.grad)
    torch.testing.assert_close(ours.gain_F.grad, weight.original0.grad[:, 0])


def test_a_fresh_weight_is_the_one_that_was_drawn() -> None:
    layer = NormalisedLinear(64, 50, 0.25)
    torch.testing.assert_close(layer.weight(), layer.direction_FI)
    assert abs(float(layer.weight().detach().std()) - 0.25) < 0.02


def test_variance_is_kept_from_layer_to_layer() -> None:
    """What the initialisation and the factors sqrt(.5) are for: no layer swells or fades."""
    model = build(PLACE, pairs_problem(), width=96, encoder_layers=12)
    for name, parameter in model.named_parameters():
        if name.endswith("bias_F"):
            parameter.data.zero_()
        if name.endswith("gain_F"):
            at = name.removesuffix("gain_F") + "direction_FI"
            parameter.data = model.get_parameter(at).detach().norm(dim=1)
    sizes = []
    for layer in model.encoder:
        layer.register_forward_hook(lambda _, x, y: sizes.append(float(x[0].detach().std())))
    model.encode(tokens(4, 16) % 11, None)
    assert 0.5 < sizes[-1] / sizes[0] < 2.0


def test_gradients_into_the_encoder_are_scaled_and_those_into_words_are_not() -> None:
    model = small()
    source_1S = tokens(1, 5) % 11
    batch = Batch(tokens(1, 6), tokens(1, 6), source_BS=source_1S)
    model.answer(batch).square().sum().backward()
    scaled = model.encoder_out.bias_F.grad.clone()
    words = model.source.words.weight.grad.clone()

    # the same without the scaling: keys and values as leaves, their gradients carried back by hand
    model.zero_grad()
    found = model.encode(source_1S, None)
    keys, values = (x.detach().requires_grad_() for x in (found.keys_BSD, found.values_BSD))
    y_BTD, _ = model.decode(
        model.target.words(batch.inputs_BT), found._replace(keys_BSD=keys, values_BSD=values),
        (None,) * 3, 0, None,
    )  # fmt: skip
    model.output(y_BTD).square().sum().backward()
    into_keys = keys.grad + values.grad * HALF
    torch.testing.assert_close(scaled, into_keys.sum((0, 1)) / 6)
    direct = torch.zeros_like(words).index_add(0, source_1S[0], values.grad[0] * HALF)
    assert not torch.allclose(words, direct)  # the path through the layers is there as well
    model.zero_grad()
    embedded = model.source.words(source_1S)
    x = model.source.place(embedded, 0, None)
    for_layers = torch.autograd.grad(_encoded(model, x), embedded, into_keys / 6)[0]
    through = torch.zeros_like(words).index_add(0, source_1S[0], for_layers[0])
    torch.testing.assert_close(words, direct + through)


def _encoded(model, embedded_BSD: torch.Tensor) -> torch.Tensor:  # type: ignore
    x = model.encoder_in(embedded_BSD)
    for convolution in model.encoder:
        padded = torch.nn.functional.pad(x, (0, 0, 1, 1))
        taps = torch.cat([padded[:, k : k + x.shape[1]] for k in range(3)], -1)
        x = (torch.nn.functional.glu(convolution(taps)) + x) * HALF
    return model.encoder_out(x)


@pytest.mark.parametrize("kernel", [3, 5])
def test_contract(kernel: int) -> None:
    model = small(kernel=kernel)
    check_pairs_padding(model)
    check_pairs_steps(model)
    check_pairs_causality(model)
    batch = Batch(tokens(2, 9), tokens(2, 9), source_BS=tokens(2, 8) % 11)
    check_everything_is_trained(model, batch)


def test_costs_are_those_of_its_products_and_state() -> None:
    model = small()
    D, C, L = 6, 5, 10
    convolutions = 5 * 3 * C * 2 * C
    maps = 4 * D * C + 3 * 2 * D * C + D * VOCAB
    assert model.flops(L) == 2 * L * (convolutions + maps) + 3 * 4 * L * L * D
    state = model.begin(only_sources(tokens(3, L) % 11), L)
    assert measured_state_bytes(state) == 3 * model.state_bytes(L)


def test_longer_texts_than_trained_on_are_told() -> None:
    model = small()
    with pytest.raises(UserError, match="vectors for 16 positions, but position 17"):
        model.encode(tokens(1, 17) % 11, None)
    mask_BS = torch.ones(1, 20, dtype=torch.bool)
    mask_BS[0, 16:] = False
    model.encode(tokens(1, 20) % 11, mask_BS)  # padding needs no position
    state = model.begin(only_sources(tokens(1, 4) % 11), 20)._replace(position=16)
    with pytest.raises(UserError, match="position 17"):
        model.step(torch.tensor([1]), state)


def test_impossible_options_are_told() -> None:
    with pytest.raises(UserError, match="odd number"):
        small(kernel=2)
    with pytest.raises(UserError, match="at least one layer"):
        small(decoder_layers=0)


def test_learns_to_write_words_backwards() -> None:
    assert share_learned("convs2s", steps=80, rate=3e-3) == 1.0
