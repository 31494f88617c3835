"""Kim's network against its equations, one filter and one window at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.sentences.text_cnn import TextCNN

ONE = Problem(form="label", num_outputs=3, vocab_size=11, max_length=20)
TWO = Problem(form="label", num_outputs=3, vocab_size=11, num_segments=2, max_length=20)
LENGTHS = (9, 2, 1)


def made(problem: Problem, **options) -> TextCNN:
    model = build("text_cnn", problem=problem, width=6, options=options, seed=0)
    assert isinstance(model, TextCNN)
    return model.double().eval()


def ragged(seed: int = 1) -> Batch:
    """Three sentences, shorter than the widest filter too; anything behind their ends."""
    draw = torch.Generator().manual_seed(seed)
    tokens_BT = torch.randint(11, (3, 9), generator=draw)
    mask_BT = torch.arange(9) < torch.tensor(LENGTHS)[:, None]
    return Batch(tokens_BT, torch.zeros(3, 1, dtype=torch.int64), mask_BT)


def pair(first: list[int], second: list[int]) -> Batch:
    tokens = torch.tensor([first + second])
    segments = torch.tensor([[0] * len(first) + [1] * len(second)])
    return Batch(tokens, torch.zeros(1, 1, dtype=torch.int64), segments_BT=segments)


def pooled(model: TextCNN, tokens: list[int]) -> np.ndarray:
    """Equations (2) and (4): c_t = relu(w . x_{t:t+K-1} + b), and the greatest over t."""
    assert isinstance(model.input.embed, nn.Embedding)
    words = model.input.embed.weight.detach().numpy()[tokens]
    found = []
    for size, conv in zip(model.options.windows, model.filters):
        weight, bias = (p.detach().numpy() for p in conv.parameters())
        around = np.zeros((size - 1, words.shape[1]))
        text = np.concatenate((around, words, around))
        for w, b in zip(weight, bias):
            values = [
                max(0.0, (w * text[t : t + size].T).sum() + b) for t in range(len(words) + size - 1)
            ]
            found.append(max(values))
    return np.array(found)


def head(model: TextCNN, features: np.ndarray) -> np.ndarray:
    return model.head.weight.detach().numpy() @ features + model.head.bias.detach().numpy()


def test_the_equations_of_the_paper() -> None:
    model, batch = made(ONE, maps=4), ragged()
    with torch.no_grad():
        answered = model.answer(batch)
    for row, length in enumerate(LENGTHS):
        z = pooled(model, batch.inputs_BT[row, :length].tolist())
        assert z.shape == (12,)
        np.testing.assert_allclose(answered[row, 0], head(model, z), rtol=1e-12)


def test_two_sentences_are_encoded_apart_and_compared() -> None:
    model = made(TWO)
    with torch.no_grad():
        answered = model.answer(pair([5, 6, 7, 2], [8, 2]))
    u, v = pooled(model, [5, 6, 7, 2]), pooled(model, [8, 2])
    expected = head(model, np.concatenate((u, v, abs(u - v), u * v)))
    np.testing.assert_allclose(answered[0, 0], expected, rtol=1e-12)


def test_padding_and_its_place_change_nothing() -> None:
    model, batch = made(ONE), ragged()
    left = Batch(batch.inputs_BT.flip(1), batch.targets_BT, batch.mask_BT.flip(1))  # pyright: ignore
    with torch.no_grad():
        together, other_side = model.answer(batch), model.answer(left)
        for row, length in enumerate(LENGTHS):
            tokens_1T = batch.inputs_BT[row : row + 1, :length]
            alone = model.answer(Batch(tokens_1T, batch.targets_BT[:1]))
            torch.testing.assert_close(together[row], alone[0], rtol=1e-12, atol=1e-12)
            alone = model.answer(Batch(tokens_1T.flip(1), batch.targets_BT[:1]))
            torch.testing.assert_close(other_side[row], alone[0], rtol=1e-12, atol=1e-12)


def test_half_the_pooled_features_are_dropped_in_training() -> None:
    model, batch = made(ONE, maps=200, windows=[2]), ragged()
    seen: list[torch.Tensor] = []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model.answer(batch)
    model.train().answer(batch)
    whole, dropped = seen
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])
    assert 0.4 < float(kept[whole != 0].double().mean()) < 0.6


def test_long_rows_of_the_last_layer_are_scaled_back() -> None:
    model, free = made(ONE), made(ONE, max_norm=0)
    for each in (model, free):
        with torch.no_grad():
            each.head.weight[0] *= 100
        each.at_progress(0.5)
    lengths = model.head.weight.norm(dim=1)
    assert lengths[0].item() == pytest.approx(3.0, rel=1e-6)
    assert (lengths[1:] < 3).all()
    torch.testing.assert_close(
        model.head.weight[0] / lengths[0], free.head.weight[0] / free.head.weight[0].norm()
    )
    torch.testing.assert_close(model.head.weight[1:], free.head.weight[1:])


def test_sizes_and_costs() -> None:
    model = build("text_cnn", problem=ONE, width=300, seed=0)
    assert isinstance(model, TextCNN)
    assert model.maps == 100  # as published
    taps = 3 * (20 + 2) + 4 * (20 + 3) + 5 * (20 + 4)
    assert model.flops(20) == 2 * 300 * 100 * taps + 2 * 300 * 3
    assert build("text_cnn", problem=ONE, params=50_000).num_parameters == pytest.approx(
        50_000, rel=0.01
    )
    for options in ({"windows": []}, {"windows": [3, 0]}, {"maps": 0}):
        with pytest.raises(UserError, match="at least 1"):
            made(ONE, **options)
