"""WaveNet: its equations in a loop over positions, its reach, its state, labels from frames."""

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

from seqarena.core.batch import Batch, Problem, own_inputs
from seqarena.core.errors import UserError

PLACE = "language.wavenet:WaveNet"


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def skip_sum(model: object, x: np.ndarray, dilations: list[int], kernel: int) -> np.ndarray:
    """The stack on inputs [T, D], position after position, by equation 2 and figure 4."""
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}  # type: ignore

    def convolve(x: np.ndarray, t: int, dilation: int, name: str) -> np.ndarray:
        total = p[f"{name}.bias"].copy()
        width = x.shape[1]
        for k in range(kernel):
            source = t - (kernel - 1 - k) * dilation
            if source >= 0:
                total += p[f"{name}.weight"][:, k * width : (k + 1) * width] @ x[source]
        return total

    length = len(x)
    x = np.stack([convolve(x, t, 1, "first") for t in range(length)])
    skips = 0.0
    for index, dilation in enumerate(dilations):
        at = f"layers.{index}"
        both = np.stack([convolve(x, t, dilation, f"{at}.gates") for t in range(length)])
        half = both.shape[1] // 2
        z = np.tanh(both[:, :half]) * sigmoid(both[:, half:])
        skips = skips + z @ p[f"{at}.skip.weight"].T + p[f"{at}.skip.bias"]
        if index < len(dilations) - 1:
            x = x + z @ p[f"{at}.residual.weight"].T + p[f"{at}.residual.bias"]
    return np.asarray(skips)


def head(model: object, y: np.ndarray) -> np.ndarray:
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}  # type: ignore
    y = np.maximum(np.maximum(y, 0) @ p["narrow.weight"].T + p["narrow.bias"], 0)
    return y @ p["output.weight"].T + p["output.bias"]


def test_equals_its_equations_position_by_position() -> None:
    options = {"kernel": 3, "layers_per_cycle": 3, "cycles": 2, "skip": 5}
    model = build(PLACE, own_inputs(VOCAB), width=4, **options)
    tokens_BT = tokens(2, 19)
    words = model.tokens.weight.detach().numpy()
    found = model.answer(Batch(tokens_BT, tokens_BT)).detach().numpy()
    for row in range(2):
        y = skip_sum(model, words[tokens_BT[row]], [1, 2, 4, 1, 2, 4], kernel=3)
        np.testing.assert_allclose(found[row], head(model, y), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kernel", "layers", "cycles"), [(2, 4, 1), (2, 2, 2), (3, 2, 1)])
def test_contract(kernel: int, layers: int, cycles: int) -> None:
    options = {"kernel": kernel, "layers_per_cycle": layers, "cycles": cycles}
    model = build(PLACE, own_inputs(VOCAB), **options)
    reach = (kernel - 1) * (1 + cycles * (2**layers - 1))
    assert model.receptive_field == 1 + reach
    check_reach(model)
    check_split_anywhere(model)
    check_padding(model)
    check_everything_is_trained(model, Batch(tokens(2, 9), tokens(2, 9)))


def raw(form: str = "label") -> Problem:
    return Problem(form=form, num_outputs=4, features=1, max_length=64)  # type: ignore


def test_a_label_is_read_from_frames_by_hand() -> None:
    model = build(PLACE, raw(), width=3, layers_per_cycle=3, frame=4)
    samples_1TF = torch.randn(1, 10, 1, dtype=torch.float64)
    y = skip_sum(model, samples_1TF[0].numpy(), [1, 2, 4], kernel=2)
    x = np.stack([y[0:4].mean(0), y[4:8].mean(0), y[8:10].mean(0)])
    for convolution in model.frames:
        weight, bias = (p.detach().numpy() for p in (convolution.weight, convolution.bias))
        padded = np.concatenate((np.zeros((1, 3)), x, np.zeros((1, 3))))
        x = np.stack([weight @ padded[n : n + 3].reshape(-1) + bias for n in range(3)]).clip(0)
    found = model.answer(Batch(samples_1TF, torch.zeros(1, 1))).detach().numpy()
    np.testing.assert_allclose(found[0, 0], head(model, x.mean(0)), rtol=1e-10, atol=1e-12)


def test_padding_changes_no_label() -> None:
    model = build(PLACE, raw(), layers_per_cycle=3, frame=4)
    samples_BTF = torch.randn(4, 21, 1, dtype=torch.float64)
    mask_BT = torch.ones(4, 21, dtype=torch.bool)
    mask_BT[0, 9:], mask_BT[1, :8], mask_BT[2, 3:] = False, False, False
    found_B1V = model.answer(Batch(samples_BTF, torch.zeros(4, 1), mask_BT))
    for row in range(4):
        alone = samples_BTF[row : row + 1, mask_BT[row]]
        torch.testing.assert_close(
            found_B1V[row : row + 1], model.answer(Batch(alone, torch.zeros(1, 1)))
        )


def test_labels_of_tokens_and_answers_at_every_sample() -> None:
    words = Problem(form="label", num_outputs=4, vocab_size=VOCAB, max_length=32)
    model = build(PLACE, words, layers_per_cycle=2)
    batch = Batch(tokens(3, 9), torch.zeros(3, 1))
    assert model.answer(batch).shape == (3, 1, 4)
    check_everything_is_trained(model, batch)
    model = build(PLACE, raw("tokens"), layers_per_cycle=2)
    samples_BTF = torch.randn(2, 9, 1, dtype=torch.float64)
    assert model.answer(Batch(samples_BTF, torch.zeros(2, 9))).shape == (2, 9, 4)


def test_flops_are_those_of_its_products() -> None:
    model = build(PLACE, own_inputs(VOCAB), width=4, layers_per_cycle=2, skip=5)
    layers = 2 * (2 * 4 * 8 + 4 * 5) + 4 * 4  # the last has no residual
    assert model.flops(7) == 7 * 2 * (2 * 4 * 4 + layers + 5 * 5 + 5 * VOCAB)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 1}, "mixes no positions"),
        ({"cycles": 0}, "at least one layer"),
        ({"frame": 0}, "holds nothing"),
    ],
)
def test_impossible_options_are_told(options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(PLACE, own_inputs(VOCAB), **options)
