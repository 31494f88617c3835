"""Bengio's language model: its equation by hand, its window, its state."""

import numpy as np
import pytest
import torch
from causal_checks import (
    VOCAB,
    build,
    check_everything_is_trained,
    check_padding,
    check_reach,
    check_split_anywhere,
    tokens,
)

from seqarena.core.batch import Batch, own_inputs
from seqarena.core.errors import UserError
from seqarena.models.model import SystemConfig, build_system

PLACE = "language.nnlm:NNLM"


@pytest.mark.parametrize("direct", [False, True])
def test_equals_equation_1(direct: bool) -> None:
    model = build(PLACE, own_inputs(VOCAB), width=4, order=4, hidden=5, direct=direct)
    tokens_BT = tokens(2, 7)
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}
    expected = np.zeros((2, 7, VOCAB))
    for b in range(2):
        for t in range(7):
            words = [p["words.weight"][tokens_BT[b, s]] if s >= 0 else np.zeros(4)
                     for s in range(t - 2, t + 1)]  # fmt: skip
            x = np.concatenate(words)
            hidden = np.tanh(p["hidden.bias"] + p["hidden.weight"] @ x)
            y = p["output.bias"] + p["output.weight"][:, :5] @ hidden
            expected[b, t] = y + (p["output.weight"][:, 5:] @ x if direct else 0.0)
    found = model.answer(Batch(tokens_BT, tokens_BT)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("order", [2, 5])
def test_contract(order: int) -> None:
    model = build(PLACE, own_inputs(VOCAB), order=order, direct=True)
    assert model.receptive_field == order - 1
    check_reach(model)
    check_split_anywhere(model)
    check_padding(model)
    check_everything_is_trained(model, Batch(tokens(2, 9), tokens(2, 9)))


def test_flops_are_those_of_its_products() -> None:
    model = build(PLACE, own_inputs(VOCAB), width=6, order=4, hidden=7)
    assert model.flops(10) == 10 * 2 * (3 * 6 * 7 + 7 * VOCAB)


def test_an_order_without_words_is_told() -> None:
    config = SystemConfig(
        system=f"seqarena.models.{PLACE}", problem=own_inputs(5), width=4, options={"order": 1}
    )
    with pytest.raises(UserError, match="sees no word"):
        build_system(config)


def test_dropout_acts_in_training_alone() -> None:
    model = build(PLACE, own_inputs(VOCAB), dropout=0.5)
    tokens_BT = tokens(1, 5)
    assert torch.equal(model(tokens_BT)[0], model(tokens_BT)[0])
    model.train()
    assert not torch.equal(model(tokens_BT)[0], model(tokens_BT)[0])
