"""Lin's encoder against its equations in NumPy; its BiLSTM against torch.nn."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.sentences.self_attention_encoder import SelfAttentionEncoder, overlap

ONE = Problem(form="label", num_outputs=3, vocab_size=11, max_length=20)
TWO = Problem(form="label", num_outputs=3, vocab_size=11, num_segments=2, max_length=20)
WIDTH = 5
LENGTHS = (7, 3, 1)


def made(problem: Problem, **options) -> SelfAttentionEncoder:
    options = {"rows": 4, "attention_width": 6, "hidden": 8, **options}
    model = build("self_attention_encoder", problem=problem, width=WIDTH, options=options, seed=0)
    assert isinstance(model, SelfAttentionEncoder)
    return model.double().eval()


def ragged() -> Batch:
    draw = torch.Generator().manual_seed(1)
    tokens_BT = torch.randint(11, (3, 7), generator=draw)
    mask_BT = torch.arange(7) < torch.tensor(LENGTHS)[:, None]
    return Batch(tokens_BT, torch.zeros(3, 1, dtype=torch.int64), mask_BT)


def array(x: Tensor) -> np.ndarray:
    return x.detach().numpy()


def states(model: SelfAttentionEncoder, tokens: list[int]) -> np.ndarray:
    """H [T, 2 D], by torch's own bidirectional LSTM with the model's weights."""
    lstm = nn.LSTM(WIDTH, WIDTH, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for direction, suffix in ((model.ahead, ""), (model.back, "_reverse")):
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(direction.input_FD)
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(direction.recurrent_FE)
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(direction.bias_F)
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
        return array(lstm(model.input.embed(torch.tensor([tokens])))[0][0])


def annotation(model: SelfAttentionEncoder, h: np.ndarray) -> np.ndarray:
    """Equation (6): A = softmax(W_2 tanh(W_1 H^T)), each row over the positions."""
    scores = array(model.score.weight) @ np.tanh(array(model.look.weight) @ h.T)
    weights = np.exp(scores)
    return weights / weights.sum(1, keepdims=True)


def penalty(a: np.ndarray) -> float:
    """Equation (8), entry by entry."""
    return sum((a[i] @ a[j] - (i == j)) ** 2 for i in range(len(a)) for j in range(len(a)))


def classify(model: SelfAttentionEncoder, features: np.ndarray) -> np.ndarray:
    hidden = array(model.combine.weight) @ features + array(model.combine.bias)
    return array(model.head.weight) @ np.maximum(hidden, 0) + array(model.head.bias)


def test_the_equations_of_the_paper() -> None:
    model, batch = made(ONE), ragged()
    with torch.no_grad():
        answered, weights_BRT = model.answer(batch), model.attention(batch)
    for row, length in enumerate(LENGTHS):
        h = states(model, batch.inputs_BT[row, :length].tolist())
        a = annotation(model, h)
        np.testing.assert_allclose(weights_BRT[row, :, :length], a, rtol=1e-10)
        assert (weights_BRT[row, :, length:] == 0).all()
        np.testing.assert_allclose(
            answered[row, 0], classify(model, (a @ h).reshape(-1)), rtol=1e-9
        )


def test_the_loss_has_the_penalty() -> None:
    model, batch = made(ONE, penalty=0.3), ragged()
    expected = np.mean([
        penalty(annotation(model, states(model, batch.inputs_BT[row, :length].tolist())))
        for row, length in enumerate(LENGTHS)
    ])  # fmt: skip
    with torch.no_grad():
        found = model.loss(batch, lambda logits_BTV, _: logits_BTV.sum())
        answered = model.answer(batch).sum()
    assert float(found - answered) == pytest.approx(0.3 * expected, rel=1e-9)


def test_the_penalty_wants_rows_on_different_single_words() -> None:
    apart = torch.eye(3, 5)
    same = torch.zeros(3, 5)
    same[:, 2] = 1.0
    spread = torch.full((3, 5), 0.2)
    # A A^T: the identity; all ones; all 1/5
    np.testing.assert_allclose(
        overlap(torch.stack((apart, same, spread))), [0, 6, 3 * 0.8**2 + 6 * 0.2**2], rtol=1e-6
    )


def test_two_sentences_are_encoded_apart_and_compared() -> None:
    model = made(TWO)
    first, second = [5, 6, 7, 2], [8, 2]
    batch = Batch(
        torch.tensor([first + second + [0]]),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.tensor([[True] * 6 + [False]]),
        segments_BT=torch.tensor([[0, 0, 0, 0, 1, 1, 0]]),
    )
    encoded, rows = [], []
    for tokens in (first, second):
        h = states(model, tokens)
        rows.append(annotation(model, h))
        encoded.append((rows[-1] @ h).reshape(-1))
    u, v = encoded
    expected = classify(model, np.concatenate((u, v, abs(u - v), u * v)))
    with torch.no_grad():
        np.testing.assert_allclose(model.answer(batch)[0, 0], expected, rtol=1e-9)
        weights_RT = model.attention(batch)[0]
        added = model.loss(batch, lambda logits_BTV, _: logits_BTV.sum() * 0)
    np.testing.assert_allclose(weights_RT[:, :6], np.concatenate(rows, axis=1), rtol=1e-10)
    assert (weights_RT[:, 6] == 0).all()
    assert float(added) == pytest.approx(0.1 * (penalty(rows[0]) + penalty(rows[1])) / 2)


def test_padding_and_its_place_change_nothing() -> None:
    model, batch = made(ONE), ragged()
    shifted = Batch(batch.inputs_BT.roll(2, 1), batch.targets_BT, batch.mask_BT.roll(2, 1))  # pyright: ignore
    shifted.mask_BT[0] = True  # pyright: ignore
    with torch.no_grad():
        answered, weights_BRT = model.answer(batch), model.attention(shifted)
        for row, length in enumerate(LENGTHS):
            tokens_1T = batch.inputs_BT[row : row + 1, :length]
            alone = model.answer(Batch(tokens_1T, batch.targets_BT[:1]))
            torch.testing.assert_close(answered[row], alone[0], rtol=1e-10, atol=1e-10)
        # the weights stand where the words stand
        alone = model.attention(Batch(batch.inputs_BT[1:2, :3], batch.targets_BT[:1]))
        torch.testing.assert_close(weights_BRT[1, :, 2:5], alone[0], rtol=1e-10, atol=1e-10)
        assert (weights_BRT[1, :, :2] == 0).all()


def test_numbers_are_read_as_well() -> None:
    problem = Problem(form="label", num_outputs=3, features=2, max_length=20)
    model = made(problem)
    x_BTF = torch.randn(2, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(2, 1, dtype=torch.int64)
    mask_BT = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    with torch.no_grad():
        together = model.answer(Batch(x_BTF, targets, mask_BT))
        alone = model.answer(Batch(x_BTF[1:, :4], targets[1:]))
    torch.testing.assert_close(together[1:], alone, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(together[0], together[1])


def test_sizes_and_costs() -> None:
    model = made(ONE)
    lstm = 2 * (16 * WIDTH**2 + 4 * WIDTH)
    scores, weighing = 2 * (2 * WIDTH * 6 + 6 * 4), 2 * 4 * 2 * WIDTH
    classifier = 2 * (4 * 2 * WIDTH * 8 + 8 * 3)
    assert model.flops(9) == 9 * (lstm + scores + weighing) + classifier
    solved = build("self_attention_encoder", problem=TWO, params=60_000)
    assert solved.num_parameters == pytest.approx(60_000, rel=0.01)
    for option in ("rows", "attention_width", "hidden"):
        with pytest.raises(UserError, match=f"{option} 0 must be at least 1"):
            made(ONE, **{option: 0})
