"""The examples run and are right."""

import io
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.mixers.contract import CHECKS, subject

EXAMPLES = Path(__file__).parent.parent / "examples"


class Example(NamedTuple):
    """What a run of an example gave back and printed."""

    result: Any
    printed: str


def run_example(name: str, *arguments: Any, **settings: Any) -> Example:
    main = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
    with redirect_stdout(io.StringIO()) as printed:
        result = main(*arguments, **settings)
    return Example(result, printed.getvalue())


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    """The examples that follow one another, on a text of the user's, in a folder of their own."""
    place = tmp_path_factory.mktemp("user")
    text = place / "my_text.txt"
    text.write_text("the past is what the state remembers; " * 300, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        # other tests run at the same time, and two threads that share a core wait for one another
        patch.setenv("OMP_NUM_THREADS", "1")
        return {
            "compare_text": run_example("compare_text", str(text), tokens="8k", seeds=1),
            "train_winner": run_example("train_winner", params="40k", tokens="24k"),
            "results_in_pandas": run_example("results_in_pandas"),
            "own_mixer": run_example("own_mixer", str(text), tokens="1k"),
        }


def test_own_text_is_compared_and_the_winner_writes(examples: dict[str, Example]) -> None:
    run, printed = examples["compare_text"]
    assert {row.architecture for row in run.rows} == {"gru", "mamba", "attention"}
    assert run.ranking.verdict in printed
    assert "\nThe " in printed
    assert "report.html" in printed


@pytest.mark.slow
def test_the_winner_is_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on, exported, run by onnxruntime without torch, and served: the same text."""
    for package in ("onnxruntime", "openai", "uvicorn"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    Path("my_text.txt").write_text("the past is what the state remembers; " * 300, encoding="utf-8")
    texts, printed = run_example(
        "ship_the_winner", "my_text.txt", tokens="8k", params="30k", longer="30k"
    )
    assert list(texts) == ["ours", "without torch", "served"]
    assert len(set(texts.values())) == 1
    assert "the state remembers" in texts["ours"]
    assert "trained on: " in printed


def test_the_winner_is_trained_larger_and_longer(examples: dict[str, Example]) -> None:
    first = examples["compare_text"].result.rows[0]
    printed = examples["train_winner"].printed
    assert printed.splitlines()[-2].startswith(f"{first.architecture}: bits_per_byte ")
    larger, score = re.findall(r"larger and longer: bits_per_byte ([\d.]+) -> (.*)", printed)[0]
    assert float(larger) < first.mean
    assert Path(score).name == "example-winner"


def test_results_are_read_into_pandas(examples: dict[str, Example]) -> None:
    table, printed = examples["results_in_pandas"]
    run = examples["compare_text"].result
    baselines = [row.value for row in run.ranking.baselines]
    assert list(table["mean"]) == [row.mean for row in run.rows] + baselines
    table = table[: len(run.rows)]
    assert (table["decode_seconds_per_token"] > 0).all()
    assert "count" in printed


def test_an_own_mixer_holds_the_contract_and_is_ranked(examples: dict[str, Example]) -> None:
    run, printed = examples["own_mixer"]
    checks = [line.split(": ") for line in printed.splitlines() if line.endswith(": holds")]
    assert len(checks) == len(CHECKS)
    assert "ema" in {row.architecture for row in run.rows}


def test_an_own_task_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, printed = run_example("own_task", steps=2)
    assert {row.architecture for row in run.rows} == {"gru", "conv", "attention"}
    assert re.search(r"deepest 7: \d+% right", printed)


def test_an_own_cell_is_solved_in_few_rounds_and_equals_its_loop() -> None:
    (rounds, difference), printed = run_example("own_cell", length=1024, width=8)
    assert rounds < 20
    assert difference < 1e-10
    assert f"1024 positions in {rounds} rounds" in printed
    mixer = runpy.run_path(str(EXAMPLES / "own_cell.py"))["Pulse"]
    for check in CHECKS.values():
        check(subject(mixer))


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
