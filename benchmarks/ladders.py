"""`python -m benchmarks.ladders ROOT`: trains the ladders that forecasts are judged by.

Eight data sets x eight architectures x three seeds at growing size, tokens growing with the
parameters, and a verification at ten times the compute of the top rung. Each rung is a comparison
in a run folder of its own, ROOT/DATA/rung-PARAMS; the same command goes on where it was stopped,
over days of machine time. A data set whose ladder is whole is verified in ROOT/DATA/verify-PARAMS.
Learning rates are chosen again on every rung by the rule of every comparison.

The data sets are those of SEQARENA_DATA (README there); `code` is the library of this Python.
"""

import argparse
import gzip
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

import seqarena as sa

MODELS = "gru,lstm,attention,mamba,conv,mingru,linear_attention,s4d"
RUNGS = (6_250, 12_500, 25_000, 50_000)
VERIFIED = 158_000  # with as many tokens each: ten times the compute of 50,000
TOKENS_PER_PARAMETER = 10
SEEDS = 3
CODE_BYTES = 2_000_000
SOURCES = Path(os.environ.get("SEQARENA_DATA", "../shared/data"))


class DataSet(NamedTuple):
    """One data set of the ladders: its task, and where its data are or how they are made."""

    task: str
    make: Callable[[Path], str | None]
    options: dict[str, Any] = {}


def unpacked(name: str) -> Callable[[Path], str]:
    """A text that is packed among the sources, unpacked into the folder of the ladder."""

    def make(folder: Path) -> str:
        path = folder / Path(name).stem
        path.write_bytes(gzip.decompress((SOURCES / name).read_bytes()))
        return str(path)

    return make


def joined(*names: str) -> Callable[[Path], str]:
    """Several texts, one after the other."""

    def make(folder: Path) -> str:
        path = folder / "joined.txt"
        path.write_bytes(b"".join((SOURCES / name).read_bytes() for name in names))
        return str(path)

    return make


def library(folder: Path) -> str:
    """The modules of Python's library in the order of their names, as many as make CODE_BYTES."""
    path, text = folder / "library.txt", b""
    for module in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if len(text) < CODE_BYTES:
            text += module.read_bytes()
    path.write_bytes(text)
    return str(path)


def given(name: str) -> Callable[[Path], str]:
    """What lies among the sources."""
    return lambda folder: str(SOURCES / name)


DATA = {
    "prose": DataSet("language", given("tinyshakespeare/input.txt")),
    "german": DataSet("language", unpacked("multi30k-en-de/train.de.gz")),
    "code": DataSet("language", library),
    "table": DataSet("language", joined("sick/SICK_train.txt", "sick/SICK_test_annotated.txt")),
    "tagging": DataSet("tagging", given("ud-english-ewt")),
    "speech": DataSet("speech", given("fsdd")),
    "probe": DataSet("selective_copying", lambda folder: None),
    "pixels": DataSet("pixels", given("mnist")),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladders")
    parser.add_argument("root", type=Path)
    parser.add_argument("--data", nargs="*", default=list(DATA), choices=list(DATA))
    parser.add_argument("--no-verify", action="store_true")
    chosen = parser.parse_args()
    console = Console()
    for name in chosen.data:
        folder = chosen.root / name
        folder.mkdir(parents=True, exist_ok=True)
        source = DATA[name].make(folder)
        for params in RUNGS:
            train(name, source, params, folder, f"rung-{params}", console)
        if not chosen.no_verify:
            train(name, source, VERIFIED, folder, f"verify-{VERIFIED}", console)


def train(
    name: str, source: str | None, params: int, folder: Path, run: str, console: Console
) -> sa.Run:
    """One comparison of the ladder, or what an earlier call has left of it."""
    data = DATA[name]
    options: dict[str, Any] = {
        "task": data.task, "models": MODELS.split(","), "params": params,
        "tokens": TOKENS_PER_PARAMETER * params, "seeds": SEEDS, "leader_seeds": SEEDS,
        "repeats": 0, "warmup": 0.2, "batch": 8, "dtype": "float32", "widen": 2,
        "measure": False, "runs": folder, "name": run, **data.options,
    }  # fmt: skip
    console.print(f"{name}, {run}", style="bold")
    return sa.compare(source, console=console, **options)


if __name__ == "__main__":
    main()
