"""One GPU in a few minutes: do the kernels keep the contract, what trains how fast beside what, and
does a million tokens fit. Without CUDA it says so in one line and measures nothing.

    python -m benchmarks.gpu [--out build/gpu] [--seconds 480] [--parts contract training ...]
    python -m benchmarks.gpu --device cpu --small        the same script at tiny sizes, to try it

A part (gpu_parts.py) is a list of rows, the most important first, and has its share of the seconds.
Each part runs in a process of its own and writes OUT/PART.json after every row, so that a cut
loses one row. A row that fails is recorded with its error; after an error of CUDA, from which a
process does not recover, the part goes on in a new one. What there was no time for is named in
`left_out`, and a further call with the same OUT goes on with it.

Facts, settings, every repeat and the peak memory stand in the files. The rows of
src/seqarena/ops/measured.py come from here.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.gpu_parts import PARTS, Part, Sizes
from seqarena.core import runtime
from seqarena.core.errors import UserError, one_line
from seqarena.ops.registry import installed

BROKEN = 3  # exit code of a part whose process CUDA left unusable
MOST_STARTS = 4  # processes of one part
GRACE = 10.0  # seconds that a process has beyond its time


class OutOfTimeError(Exception):
    """A row took longer than its part had left."""


class PartFile:
    """What is known of one part, on disk after every row."""

    def __init__(self, folder: Path, part: str) -> None:
        self.path = folder / f"{part}.json"
        self.content: dict[str, Any] = {"facts": {}, "rows": [], "left_out": []}
        if self.path.exists():
            self.content = json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def done(self) -> set[str]:
        """The names of the rows that are there, failed ones too."""
        return {row["name"] for row in self.content["rows"]}

    def add(self, row: dict[str, Any]) -> None:
        """Keeps a row."""
        self.content["rows"].append(row)
        self.save()

    def save(self) -> None:
        """Replaces the file whole, so that a cut leaves the one before."""
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.content, indent=1), encoding="utf-8")
        os.replace(fresh, self.path)


def run_part(part: Part, file: PartFile, sizes: Sizes, seconds: float) -> int:
    """Measures the rows that are not there yet; the exit code of this process."""
    end = time.monotonic() + seconds
    rows = dict(part.rows(sizes))
    file.content["facts"] = facts(sizes)
    missing = [name for name in rows if name not in file.done]
    file.content["left_out"] = list(missing)
    file.save()
    for name in missing:
        left = end - time.monotonic()
        if left <= 0:
            break
        file.content["left_out"].remove(name)
        row = measured(name, rows[name], left)
        print(f"  {name:<44} {row.get('says', row.get('error'))}", flush=True)
        file.add(row)
        if sizes.device == "cuda" and not usable():
            return BROKEN
    return 0


def measured(name: str, measure: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The row, or its error in one line."""
    start = time.monotonic()
    try:
        with alarm(seconds):
            found = measure()
    except OutOfTimeError:
        found = {"error": f"not finished after {seconds:.0f} seconds"}
    except (AssertionError, ArithmeticError, ImportError, RuntimeError, TypeError, UserError,
            ValueError) as error:  # fmt: skip
        found = {"error": one_line(error)}
    runtime.free_memory()
    return {"name": name, **found, "took_seconds": round(time.monotonic() - start, 2)}


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises OutOfTimeError in what runs inside, between two of its steps."""

    def ring(_signal: int, _frame: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def usable() -> bool:
    """Whether CUDA still answers."""
    try:
        torch.cuda.synchronize()
        torch.zeros(1, device="cuda").item()
    except RuntimeError:
        return False
    return True


def facts(sizes: Sizes) -> dict[str, Any]:
    """What the numbers were measured with."""
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda}
    for package in ("triton", "fla"):
        if installed(package):
            versions[package] = getattr(__import__(package), "__version__", "?")
    return {
        "device": runtime.processor_name(sizes.device),
        "versions": versions,
        "code": runtime.code_digest(),
        "when": runtime.now(),
        "sizes": sizes._asdict(),
    }


class Plan(NamedTuple):
    """What one call does."""

    out: Path
    seconds: float
    parts: list[str]
    device: str
    small: bool

    def child(self, part: str, seconds: float) -> list[str]:
        """The command of one part's process."""
        options = ["--small"] if self.small else []
        return [
            sys.executable, "-m", "benchmarks.gpu", "--out", str(self.out), "--device", self.device,
            "--parts", part, "--seconds", f"{seconds:.1f}", "--here", *options,
        ]  # fmt: skip


def run_parts(plan: Plan) -> bool:
    """Each part in a process of its own, within the seconds of the whole. Whether every row is
    there and none failed."""
    end = time.monotonic() + plan.seconds
    shares = sum(PARTS[name].share for name in plan.parts)
    whole = True
    for name in plan.parts:
        # what an earlier part did not need is divided among the later ones
        allowed = max(0.0, end - time.monotonic()) * PARTS[name].share / shares
        shares -= PARTS[name].share
        part_end = time.monotonic() + allowed
        print(f"{name}: {PARTS[name].title} ({allowed:.0f} s)", flush=True)
        for _ in range(MOST_STARTS):
            left = part_end - time.monotonic()
            if left <= 0 or start(plan.child(name, left), left) != BROKEN:
                break
        file = PartFile(plan.out, name)
        content = file.content
        failed = [row["name"] for row in content["rows"] if "error" in row]
        whole = whole and file.path.exists() and not failed and not content["left_out"]
        if failed:
            print(f"  failed: {', '.join(failed)}")
        if content["left_out"]:
            print(f"  no time for: {', '.join(content['left_out'])}")
    return whole


def start(command: list[str], seconds: float) -> int:
    """Runs a part's process and ends it where it does not end by itself."""
    with subprocess.Popen(command) as process:
        try:
            return process.wait(seconds + GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def main() -> int:
    """0 where everything was measured, or where there is no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="folder of the results")
    parser.add_argument("--seconds", type=float, default=480.0, help="of all parts together")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the script")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: PyTorch finds no CUDA device, and nothing is measured")
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    if given.here:
        (name,) = given.parts
        file, sizes = PartFile(given.out, name), Sizes.of(given.device, given.small)
        return run_part(PARTS[name], file, sizes, given.seconds)
    plan = Plan(given.out, given.seconds, given.parts, given.device, given.small)
    complete = run_parts(plan)
    print(f"results: {given.out}")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
