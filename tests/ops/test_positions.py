"""Positions: the waves, rotations and slopes of the papers, number by number."""

import math

import pytest
import torch

from seqarena.ops.positions import alibi_slopes, rotate, rotation, sinusoidal_positions

CPU = torch.device("cpu")


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoids_as_in_the_paper(width):
    position = torch.tensor([[0, 3], [17, 4]])
    found = sinusoidal_positions(position, width, dtype=torch.float64)
    for b in range(2):
        for t in range(2):
            for feature in range(width):
                angle = int(position[b, t]) / 10_000 ** (2 * (feature // 2) / width)
                wave = math.cos(angle) if feature % 2 else math.sin(angle)
                assert float(found[b, t, feature]) == pytest.approx(wave, abs=1e-12)


def test_rotation_turns_each_pair_by_its_angle():
    x = torch.randn(1, 5, 2, 6, dtype=torch.float64)
    found = rotate(x, rotation(7, 5, 6, 100.0, torch.float64, CPU))
    for t in range(5):
        for i in range(3):
            angle = (7 + t) * 100.0 ** (-2 * i / 6)
            pair = torch.complex(x[0, t, :, i], x[0, t, :, i + 3]) * complex(
                math.cos(angle), math.sin(angle)
            )
            torch.testing.assert_close(found[0, t, :, i], pair.real, rtol=0, atol=1e-12)
            torch.testing.assert_close(found[0, t, :, i + 3], pair.imag, rtol=0, atol=1e-12)


def test_scores_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64)
    scores = []
    for start in (0, 100_000):
        turned = [
            rotate(x, rotation(start + offset, 1, 8, 1e4, torch.float64, CPU))
            for x, offset in ((q, 9), (k, 2))
        ]
        scores.append(float((turned[0] * turned[1]).sum()))
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


def test_rows_of_their_own_equal_one_start_each():
    x = torch.randn(2, 4, 3, 6)
    found = rotate(x, rotation(torch.tensor([5, 11]), 4, 6, 1e4, torch.float32, CPU))
    for b, start in enumerate((5, 11)):
        alone = rotate(x[b : b + 1], rotation(start, 4, 6, 1e4, torch.float32, CPU))
        assert torch.equal(found[b : b + 1], alone)


def test_gradients_by_hand_are_right_twice():
    x = torch.randn(1, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    turn = rotation(2, 3, 4, 10.0, torch.float64, CPU)
    assert torch.autograd.gradcheck(lambda x: rotate(x, turn), (x,))
    assert torch.autograd.gradgradcheck(lambda x: rotate(x, turn), (x,))


def test_remembered_in_inference_mode_can_still_train():
    with torch.inference_mode():
        rotation(0, 13, 4, 77.0, torch.float32, CPU)
    x = torch.randn(1, 13, 2, 4, requires_grad=True)
    rotate(x, rotation(0, 13, 4, 77.0, torch.float32, CPU)).sum().backward()
    assert x.grad is not None


def test_slopes():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    # six heads: the sequence of four, then the first and third of the sequence of eight
    assert alibi_slopes(6).tolist() == [2.0**-e for e in (2, 4, 6, 8, 1, 3)]
    assert alibi_slopes(1).tolist() == [2.0**-8]
