"""The examples run and are right."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from seqarena.cli import app

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


@pytest.mark.slow
def test_predictions_from_python_and_from_the_command_line(tmp_path: Path) -> None:
    """A translation, tags, an answer and a digit from a wav file, by models trained on the spot."""
    run = subprocess.run(
        [sys.executable, EXAMPLES / "predict.py"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    lines = run.stdout.splitlines()
    answers = dict(line.split("  ->  ") for line in lines if "  ->  " in line)
    (date,) = (a for q, a in answers.items() if q.startswith("translation"))
    (tags,) = (a for q, a in answers.items() if q.startswith("tagging"))
    (place,) = (a for q, a in answers.items() if q.startswith("question_answering"))
    (key,) = (a for q, a in answers.items() if q.startswith("speech"))
    assert date == "2019-03-03"
    assert tags.split()[0] == "for/keyword"
    assert tags.split()[2] == "in/keyword"
    assert place.startswith("library ")
    assert key.startswith("5 ")

    def predicted(task: str, *inputs: str) -> str:
        place = str(tmp_path / "runs" / f"example-{task}")
        result = CliRunner().invoke(app, ["predict", place, *inputs])
        assert result.exit_code == 0, result.output
        return result.output

    assert predicted("translation", "3. März 2019") == "2019-03-03\n"
    assert predicted("speech", str(tmp_path / "runs" / "five.wav")).startswith("5\t")
    assert predicted("tagging", "for name in names :").startswith("for/keyword ")
    refused = CliRunner().invoke(app, ["predict", str(tmp_path / "runs/example-speech"), "no.wav"])
    assert refused.exit_code == 2
    assert "no.wav" in refused.output
