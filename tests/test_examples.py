"""The examples run and are right."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_elman_by_hand_equals_automatic_differentiation() -> None:
    example = runpy.run_path(str(EXAMPLES / "elman_numpy.py"))
    draw = np.random.default_rng(1)
    weights = example["initial_weights"](7, 5, seed=2)
    inputs, targets = draw.integers(7, size=(2, 30))
    start_H = draw.normal(size=5)
    loss, gradient = example["loss_and_gradients"](weights, inputs, targets, start_H)

    leaves = [torch.from_numpy(weight.copy()).requires_grad_() for weight in weights]
    input_HV, recurrent_HH, bias_H, output_VH, output_bias_V = leaves
    h_H, logits = torch.from_numpy(start_H), []
    for symbol in inputs:
        h_H = torch.tanh(input_HV[:, symbol] + recurrent_HH @ h_H + bias_H)
        logits.append(output_VH @ h_H + output_bias_V)
    expected = torch.nn.functional.cross_entropy(
        torch.stack(logits), torch.from_numpy(targets), reduction="sum"
    )
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-13)
    for found, leaf in zip(gradient, leaves, strict=True):
        np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)


def test_elman_by_hand_learns_its_text() -> None:
    example = runpy.run_path(str(EXAMPLES / "elman_numpy.py"))
    run = subprocess.run(
        [sys.executable, EXAMPLES / "elman_numpy.py"], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == example["TEXT"].rstrip("\n")
