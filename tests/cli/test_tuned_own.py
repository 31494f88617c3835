"""A mixer of the user's own is trained on, goes on and is tuned as any other."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqarena.cli import app
from tests.mixers import plain_modules

PLAIN = plain_modules.__file__
EXAMPLE = Path(__file__).parents[2] / "examples" / "own_mixer.py"
OWN = {"ema": f"{EXAMPLE}:EMA", "wrappedgru": f"{PLAIN}:WrappedGRU"}


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("own")
    mixers = [word for place in OWN.values() for word in ("--mixer", place)]
    result = call("compare", *mixers, "--width", 16, "--steps", 2, "--batch", 2, "--length", 16,
                  "--rates", "1e-2", "--widen", 0, "--seeds", 1, "--repeats", 0, "--no-measure",
                  "--no-baselines", "--runs", runs, "--name", "base")  # fmt: skip
    assert result.exit_code == 0, result.output
    return runs / "base"


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("--params", "9k", "--steps", "2"), "its task, data, batch and optimizer"),
        (("--resume", "--steps", "2"), "its weights and the optimizer's moments"),
        (("--lora", "2", "--steps", "2"), "of its matrices get an update of rank 2"),
    ],
)
def test_the_winner_is_trained_on(
    run: Path, tmp_path: Path, name: str, how: tuple[str, ...], said: str
) -> None:
    result = call("train", "--from", f"{run}:{name}", *how, "--mixer", OWN[name], "--no-baselines",
                  "--runs", tmp_path, "--name", "on")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert said in result.output
    again = call("generate", tmp_path / "on", "--count", 3, "--trust-code")
    assert again.exit_code == 0, again.output


@pytest.mark.slow
def test_its_code_runs_only_where_it_is_named(run: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "seqarena", "train", "--from", f"{run}:ema", "--lora", "2",
             "--steps", "1", "--no-baselines", "--quiet", "--runs", str(tmp_path)]  # fmt: skip
    refused = subprocess.run(words, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "is code outside of seqarena" in refused.stderr
    trusted = subprocess.run([*words, "--trust-code"], capture_output=True, text=True, check=False)
    assert trusted.returncode == 0, trusted.stderr
