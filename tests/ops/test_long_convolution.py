"""The long convolution: every fast form against the lags one by one."""

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.ops.long_convolution import long_convolution

ALGORITHMS = long_convolution.available("cpu", torch.float64)
FAST = ALGORITHMS[1:]


def problem(length, lags, past, dtype=torch.float64):
    generator = torch.Generator().manual_seed(length + 1000 * lags + past)
    shapes = (2, length, 3), (lags, 3), (2, past, 3)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in shapes
    ]


def run(algorithm, inputs):
    y = long_convolution(*inputs, algorithm=algorithm)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    total = (y * weights).sum()
    return y.detach(), *torch.autograd.grad(total, inputs, materialize_grads=True)


def test_the_loop_is_numpy_convolve():
    x_BTD, kernel_KD, past_BPD = (t.detach() for t in problem(20, 9, 4))
    y_BTD = long_convolution(x_BTD, kernel_KD, past_BPD, algorithm="loop")
    for d in range(3):
        known_S = torch.cat((past_BPD, x_BTD), dim=1)[1, :, d].numpy()
        expected_T = np.convolve(known_S, kernel_KD[:, d].numpy())[4:24]
        torch.testing.assert_close(y_BTD[1, :, d], torch.from_numpy(expected_T))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("lags", [1, 2, 50, 64, 65, 400])
@pytest.mark.parametrize("algorithm", FAST)
def test_equals_the_loop(algorithm, lags, dtype):
    for length in (1, 2, 63, 128, 257):
        for past in (0, 1, 100):
            inputs = problem(length, lags, past, dtype)
            for found, expected in zip(run(algorithm, inputs), run("loop", inputs)):
                scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
                tolerance = (1e-12 if dtype == torch.float64 else 1e-5) * scale
                torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("algorithm", ["loop", "halves"])
def test_later_inputs_move_no_bit_of_an_earlier_output(algorithm):
    x_BTD, kernel_KD, past_BPD = (t.detach() for t in problem(300, 300, 20))
    before = long_convolution(x_BTD, kernel_KD, past_BPD, algorithm=algorithm)
    for end in (1, 64, 130, 299):
        changed_BTD = x_BTD.clone()
        changed_BTD[:, end:] = 1e6
        after = long_convolution(changed_BTD, kernel_KD, past_BPD, algorithm=algorithm)
        assert torch.equal(after[:, :end], before[:, :end])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_gradcheck(algorithm):
    inputs = problem(70, 66, 3)
    call = lambda *tensors: long_convolution(*tensors, algorithm=algorithm)  # noqa: E731
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_autocast_does_not_reach_the_products(algorithm):
    inputs = problem(70, 70, 5, torch.float32)
    expected = long_convolution(*inputs, algorithm=algorithm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(long_convolution(*inputs, algorithm=algorithm), expected)


def test_unknown_algorithm():
    with pytest.raises(UserError, match="did you mean halves"):
        long_convolution(*problem(2, 2, 0), algorithm="halfs")


def test_serial_steps():
    assert ALGORITHMS == ("loop", "fft", "halves")
    assert [long_convolution.serial_steps(name, 64) for name in ALGORITHMS] == [64, 15, 1]
    assert [long_convolution.serial_steps(name, 1024) for name in ALGORITHMS] == [1024, 23, 28]
