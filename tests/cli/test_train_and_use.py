"""Train, evaluate, generate and report on one small run, through the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqarena.cli import app
from seqarena.use.generate import generate_text, load_language_model
from seqarena.use.sample import Sampling

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    words = (
        "train --model mingru --params 40k --steps 150 --length 32 --rate 1e-2 --name r "
        # in float32, as `evaluate` computes: on some processors training is in bfloat16 otherwise
        f"--dtype float32 --accumulation 2 --dropout 0.05 --runs {runs}"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    assert "algorithms: mingru" in result.output
    return runs / "r"


@pytest.fixture
def call() -> Call:
    def invoke(*words: object) -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result

    return invoke


def test_evaluate_agrees_with_the_record(run: Path, call: Call) -> None:
    found = json.loads(call("evaluate", run, "--json").output)
    (records,) = run.glob("trials/*/records.jsonl")
    result = json.loads(records.read_text().splitlines()[-1])
    assert found["value"] == pytest.approx(result["test_value"], abs=1e-6)
    assert found["value"] < 4.5  # it learned something: untrained is 8


def test_evaluate_on_another_text(run: Path, call: Call, tmp_path: Path) -> None:
    text = tmp_path / "other.txt"
    text.write_text("zqxj " * 300)
    strange = json.loads(call("evaluate", run, text, "--json").output)
    own = json.loads(call("evaluate", run, "--json").output)
    assert strange["value"] > own["value"] + 1
    assert "bits_per_byte" in call("evaluate", run, text).output


def test_generate_streams_reproducibly(run: Path, call: Call) -> None:
    words = ("generate", run, "--prompt", "The ", "--count", 40, "--top-k", 20, "--top-p", 0.9)
    first, second = call(*words).output, call(*words).output
    assert first == second
    assert first.startswith("The ")
    assert len(first) > 20
    assert call(*words, "--seed", 1).output != first
    assert call(*words[:6], "--greedy").output == call(*words[:6], "--greedy", "--seed", 2).output


def test_generation_equals_scoring_the_whole_again(run: Path) -> None:
    """Greedy text from the carried state is the argmax of one pass over the whole text."""
    (place,) = run.glob("trials/*/checkpoint")
    model, tokenizer, _ = load_language_model(place)
    text = "".join(generate_text(model, tokenizer, "class", 12, Sampling(temperature=0.0)))
    import torch

    tokens = torch.from_numpy(tokenizer.encode("class" + text)).long()[None]
    with torch.no_grad():
        argmax = model(tokens)[0].argmax(dim=-1)[0]
    assert tokens[0, 5:].tolist() == argmax[4:-1].tolist()


def test_report_can_be_drawn_again(run: Path, call: Call) -> None:
    (run / "report.html").unlink()
    assert "mingru" in call("report", run).output
    assert "mingru" in (run / "report.html").read_text()


def test_a_flipped_bit_is_reported_in_one_line(run: Path) -> None:
    (weights,) = run.glob("trials/*/checkpoint/model.safetensors")
    whole = weights.read_bytes()
    broken = bytearray(whole)
    broken[-3] ^= 4
    weights.write_bytes(broken)
    try:
        result = CliRunner().invoke(app, ["generate", str(run)])
    finally:
        weights.write_bytes(whole)
    assert result.exit_code == 2
    assert "is damaged" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_models_lists_the_catalog(call: Call) -> None:
    found = json.loads(call("models", "--json").output)
    assert {"lstm", "attention", "mamba"} <= set(found)
    assert "lstm" in call("models").output


def test_a_diverged_architecture_is_excluded_with_the_reason(tmp_path: Path, call: Call) -> None:
    words = (
        "compare --models irnn,mingru --params 40k --steps 40 --length 32 --seeds 1 --repeats 0 "
        f"--rates 1e9 --no-measure --jobs 1 --name d --runs {tmp_path}"
    )
    output = call(*words.split()).output
    assert "diverged" in output
    assert "Nothing is ranked" in output or "irnn" in output
    assert (tmp_path / "d" / "report.html").exists()
