"""ByteNet: blocks in a loop over positions, unfolding, reach, masking, decoding."""

import numpy as np
import pytest
import torch
from causal_checks import (
    VOCAB,
    build,
    check_everything_is_trained,
    check_padding,
    check_pairs_causality,
    check_pairs_padding,
    check_pairs_steps,
    check_reach,
    check_split_anywhere,
    only_sources,
    pairs_problem,
    tokens,
)
from pair_checks import share_learned

from seqarena.core.batch import Batch, own_inputs
from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes

PLACE = "language.bytenet:ByteNet"
Weights = dict[str, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def weights(model: torch.nn.Module) -> Weights:
    return {name: value.detach().numpy() for name, value in model.named_parameters()}


def linear(p: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm(p: Weights, name: str, x: np.ndarray) -> np.ndarray:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def block(p: Weights, at: str, x: np.ndarray, offsets: list[int], multiplicative: bool):  # type: ignore
    """Figure 3 on a sequence [T, 2d]; tap k reads the position `offsets[k]` away."""
    h = linear(p, f"{at}.narrow", np.maximum(norm(p, f"{at}.outer_norm", x), 0))
    h = norm(p, f"{at}.inner_norm", h)
    h = h if multiplicative else np.maximum(h, 0)
    width, found = h.shape[1], []
    for t in range(len(x)):
        total = p[f"{at}.convolution.bias"].copy()
        for k, offset in enumerate(offsets):
            if 0 <= t + offset < len(x):
                tap = p[f"{at}.convolution.weight"][:, k * width : (k + 1) * width]
                total += tap @ h[t + offset]
        found.append(total)
    y = np.stack(found)
    if multiplicative:
        g1, g2, g3, u = np.split(y, 4, axis=1)
        y = sigmoid(g1) * np.tanh(sigmoid(g2) * h + sigmoid(g3) * np.tanh(u))
    else:
        y = np.maximum(norm(p, f"{at}.last_norm", y), 0)
    return x + linear(p, f"{at}.widen", y)


def head(p: Weights, x: np.ndarray) -> np.ndarray:
    return linear(p, "output", np.maximum(linear(p, "narrow", x), 0))


@pytest.mark.parametrize("kind", ["relu", "multiplicative"])
def test_the_decoder_alone_equals_its_equations(kind: str) -> None:
    model = build(PLACE, own_inputs(VOCAB), width=5, largest_dilation=4, decoder_sets=2, block=kind)
    p, tokens_BT = weights(model), tokens(2, 19)
    found = model.answer(Batch(tokens_BT, tokens_BT)).detach().numpy()
    for row in range(2):
        x = p["target_words.weight"][tokens_BT[row]]
        for index, dilation in enumerate([1, 2, 4, 1, 2, 4]):
            offsets = [-2 * dilation, -dilation, 0]
            x = block(p, f"decoder.{index}", x, offsets, kind == "multiplicative")
        np.testing.assert_allclose(found[row], head(p, x), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["relu", "multiplicative"])
@pytest.mark.parametrize("target_length", [4, 7, 12])
def test_pairs_equal_their_equations(kind: str, target_length: int) -> None:
    """Source of 5, a = 1.2 and b = 1: 7 columns; targets within the source, at n and beyond."""
    model = build(
        PLACE, pairs_problem(), width=5, largest_dilation=2, block=kind, unfold_extra=1
    )  # fmt: skip
    p = weights(model)
    source_1S, target_1T = tokens(1, 5) % 11, tokens(1, target_length, seed=1)
    x = np.zeros((7, 10))
    x[:5] = p["source_words.weight"][source_1S[0]]
    for index, dilation in enumerate([1, 2]):
        offsets = [-dilation, 0, dilation]
        x = block(p, f"encoder.{index}", x, offsets, kind == "multiplicative")
    columns = np.zeros((target_length, 10))
    columns[:7] = x[:target_length]
    both = np.concatenate((columns, p["target_words.weight"][target_1T[0]]), axis=1)
    x = linear(p, "stacked", both)
    for index, dilation in enumerate([1, 2]):
        offsets = [-2 * dilation, -dilation, 0]
        x = block(p, f"decoder.{index}", x, offsets, kind == "multiplicative")
    found = model.answer(Batch(target_1T, target_1T, source_BS=source_1S)).detach().numpy()
    np.testing.assert_allclose(found[0], head(p, x), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("kernel", "largest", "sets"), [(3, 4, 1), (3, 2, 2), (5, 2, 1)])
def test_language_model_contract(kernel: int, largest: int, sets: int) -> None:
    options = {"kernel": kernel, "largest_dilation": largest, "decoder_sets": sets}
    model = build(PLACE, own_inputs(VOCAB), **options)
    assert model.block == "multiplicative"
    assert model.receptive_field == 1 + (kernel - 1) * sets * (2 * largest - 1)
    check_reach(model)
    check_split_anywhere(model)
    check_padding(model)
    check_everything_is_trained(model, Batch(tokens(2, 30), tokens(2, 30)))


def test_the_published_set_reaches_63_positions() -> None:
    assert build(PLACE, own_inputs(VOCAB)).receptive_field == 63


@pytest.mark.parametrize("kind", ["relu", "multiplicative"])
def test_pairs_contract(kind: str) -> None:
    model = build(PLACE, pairs_problem(), width=8, largest_dilation=4, block=kind)
    check_pairs_padding(model)
    check_pairs_steps(model)
    check_pairs_causality(model)
    batch = Batch(tokens(2, 9), tokens(2, 9), source_BS=tokens(2, 8) % 11)
    check_everything_is_trained(model, batch)


def test_columns_are_counted_without_rounding_up_what_is_whole() -> None:
    model = build(PLACE, pairs_problem(), unfold_ratio=1.1)
    for length, columns in ((10, 11), (11, 13), (1, 2)):
        assert model.encode(tokens(1, length) % 11, None).shape[1] == columns


def test_costs_are_those_of_its_products_and_state() -> None:
    model = build(PLACE, pairs_problem(), width=4, largest_dilation=2)
    inner = 8 * 4 + 3 * 4 * 4 + 4 * 8
    decoder = 2 * inner + 16 * 8 + 8 * 8 + 8 * VOCAB
    assert model.flops(10) == 2 * (10 * decoder + 12 * 2 * inner)
    state = model.begin(only_sources(tokens(3, 10) % 11), 10)
    assert measured_state_bytes(state) == 3 * model.state_bytes(10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 4}, "odd number"),
        ({"largest_dilation": 6}, "power of two"),
        ({"decoder_sets": 0}, "at least one set"),
        ({"unfold_ratio": 0.9}, "cut sources off"),
    ],
)
def test_impossible_options_are_told(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(PLACE, pairs_problem(), **options)


def test_learns_to_write_words_backwards() -> None:
    assert share_learned("bytenet", steps=80, rate=3e-3) == 1.0
