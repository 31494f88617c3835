"""Two powers of a number, drawn as the gradients of a network.

The longest text, "The Vanishing Gradient Problem". No network is there: one number is multiplied by

    gradient *= W_hh * 0.25  # 0.25 approximates tanh derivative
    gradient *= W_hh_exploding * 0.8

0.25 is the largest slope of the logistic function; that of tanh is 1. Here the same two weights are
given to a network of one tanh unit, and automatic differentiation goes back through 50 steps.

    python examples/texts/fading_gradients.py
"""

from typing import NamedTuple

import torch

import seqarena as sa

STEPS = 50  # of the program, as are the weights
SMALL, LARGE = 0.5, 1.5


class Finding(NamedTuple):
    """Gradients are d h_T / d h_0 of 49 steps: what the program prints at its end."""

    slope_of_tanh: float
    slope_of_logistic: float
    drawn_small: float
    drawn_large: float
    silent_small: float  # of the unit, its state and its inputs at zero: the most that it can be
    driven_small: float  # of the unit with random inputs, the median over draws
    driven_large: float
    capped: bool  # whether the program's cap of 1e10 is ever reached
    per_step: float  # measured: what a step multiplies, in a network of spectral radius 1.5


def largest_slope(function) -> float:
    x = torch.linspace(-5, 5, 10_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(function(x).sum(), x)
    return float(slope.max())


def drawn(weight: float, slope: float) -> float:
    """The program's last gradient."""
    return (weight * slope) ** (STEPS - 1)


def of_the_unit(weight: float, inputs_TB: torch.Tensor) -> float:
    """|d h_T / d h_0| of h = tanh(weight h + x): the median over the columns of `inputs_TB`."""
    start_B = torch.zeros(inputs_TB.shape[1], dtype=torch.float64, requires_grad=True)
    h_B = start_B
    for x_B in inputs_TB:
        h_B = torch.tanh(weight * h_B + x_B)
    (gradient_B,) = torch.autograd.grad(h_B.sum(), start_B)
    return float(gradient_B.abs().median())


def measured(runs: str) -> float:
    """lambda of norm ~ lambda^k of an Elman network whose recurrent matrix has radius 1.5."""
    found = sa.measure("gradient", models="elman", radius=LARGE, seeds=1, runs=runs, verbose=False)
    (series,) = found.measurements
    far, near = series.points[-1], series.points[0]
    return (far.repeats[0] / near.repeats[0]) ** (1 / (far.x - near.x))


def main(runs: str = "runs") -> Finding:
    draw = torch.Generator().manual_seed(0)
    noise_TB = torch.randn(STEPS - 1, 1_000, generator=draw, dtype=torch.float64)
    found = Finding(
        largest_slope(torch.tanh),
        largest_slope(torch.sigmoid),
        drawn(SMALL, 0.25),
        drawn(LARGE, 0.8),
        of_the_unit(SMALL, torch.zeros_like(noise_TB)),
        of_the_unit(SMALL, noise_TB),
        of_the_unit(LARGE, noise_TB),
        (LARGE * 0.8) ** STEPS > 1e10,
        measured(runs),
    )
    print(f"largest slope of tanh {found.slope_of_tanh:.2f}, of the logistic function "
          f"{found.slope_of_logistic:.2f}")  # fmt: skip
    print(f"weight {SMALL}, drawn: {found.drawn_small:.1e}")
    print(f"weight {SMALL}, one tanh unit, silent: {found.silent_small:.1e}")
    print(f"weight {SMALL}, one tanh unit, random inputs: {found.driven_small:.1e}")
    print(f"weight {LARGE}, drawn, exploding: {found.drawn_large:.1e}")
    print(f"weight {LARGE}, one tanh unit, random inputs: {found.driven_large:.1e}")
    print(f"the cap at 1e10 is reached: {'yes' if found.capped else 'no'}")
    print(
        f"measured: an Elman network, spectral radius {LARGE}, a step: times {found.per_step:.2f}"
    )
    return found


if __name__ == "__main__":
    main()
