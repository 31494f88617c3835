"""Every verb with a call of it that ends soon, for tests that walk over all verbs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner, Result

from seqarena.cli import app

TINY = "--width 8 --depth 1"
_MEASURED = f"--models gru {TINY} --threads 1"
_RUN = "--steps 2 --length 8 --dtype float32 --device cpu --evaluations 1"


def commands() -> Iterator[tuple[str, Any]]:
    """(name, click command) of each verb."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner, verb in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", verb
        if not hasattr(command, "commands"):
            yield name, command


def calls(folder: Path, runs: Path, trained: Path, tagger: Path) -> dict[str, list[str]]:
    """A call of each verb, small enough to end within a second or two. `trained` is the run of a
    language model and `tagger` one that predicts."""
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat and ran. " * 40)
    recipe = folder / "recipe.toml"
    options = f'data = "{text}"\nwidth = 8\nsteps = 2\nlength = 8\nname = "w"\nruns = "{runs}"'
    recipe.write_text(f'verb = "train"\n[options]\nmodel = "gru"\n{options}\n')
    out = f"--runs {runs}"
    found = {
        "models": "models",
        "tasks": "tasks",
        "train": f"train {text} --model gru {TINY} {_RUN} --name w {out}",
        "compare": f"compare {text} --models gru {TINY} {_RUN} --rates 1e-2 --seeds 1 --repeats 0 "
        f"--jobs 1 --no-measure --name w {out}",
        # of data that it has read; a whole ladder takes longer
        "forecast": f"forecast {text} --models gru --length 8 --rungs 1500,1800,2100,2400 "
        f"--dtype float32 --device cpu --rates 1e-2 --seeds 1 --dry-run --name f {out}",
        "evaluate": f"evaluate {trained}",
        "predict": f"predict {tagger} word",
        "embed": f"embed {trained} {text} --out {folder / 'vectors.npy'}",
        "generate": f"generate {trained} --count 3",
        "export": f"export {trained} --out {folder / 'gru.onnx'}",
        "serve": f"serve {trained} --port 0 --dry-run",
        "report": f"report {trained}",
        "recipe": f"recipe {recipe}",
        "claims": f"claims --list {out}",
        "check": "check minlstm",
        "measure speed": f"measure speed {_MEASURED} --lengths 8 --repeats 2 --seconds 0.001 {out}",
        "measure memory": f"measure memory {_MEASURED} --lengths 8 {out}",
        "measure utilisation": f"measure utilisation {_MEASURED} --lengths 8 --batches 1 {out}",
        "measure gradient": f"measure gradient {_MEASURED} --length 8 --of loss {out}",
        "measure reach": f"measure reach --models gru --width 8 --threads 1 --depths 1 "
        f"--length 8 {out}",
        "measure recall": f"measure recall {_MEASURED} --steps 2 --batch 2 --distances 2 {out}",
        "measure length": f"measure length {_MEASURED} --steps 2 --batch 2 --train-length 4 "
        f"--factors 1 {out}",
        "measure maps": f"measure maps {_MEASURED} --text abc {out}",
    }
    return {name: words.split() for name, words in found.items()}


def call(words: list[str]) -> Result:
    return CliRunner().invoke(app, words)


def faults(result: Result) -> str:
    """What is wrong with an answer to bad input; "" where it is clean or was accepted."""
    error = result.exception
    if error is not None and not isinstance(error, SystemExit):
        return f"{type(error).__name__}: {error}"
    if "Traceback" in result.output:
        return "a traceback"
    if result.exit_code not in (0, 1, 2):
        return f"exit code {result.exit_code}"
    lines = result.stderr.strip().splitlines()
    if result.exit_code == 2 and not (
        lines and (lines[-1].startswith("seqarena: ") or "Usage:" in result.stderr)
    ):
        return f"not one line: {result.stderr[-300:]}"
    return ""
