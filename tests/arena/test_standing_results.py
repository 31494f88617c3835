"""What leaves the results of a run standing: everything that they do not depend on.

A copy of the sources runs a comparison, two parts of claims and a measurement; then the copy is
changed, and the same commands run again.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import seqarena

SOURCE = Path(seqarena.__file__).parent
SCRIPT = """
import json, os, sys
from pathlib import Path
import torch
from seqarena.claims.claim import Claim, Part
from seqarena.claims.parts import jobs_of, missing_jobs
from seqarena.claims.run import run_parts
from seqarena.claims.contents import CLAIMS
from seqarena.cli import app
from seqarena.core import runtime

def call(*words):
    try:
        app([*words, "--runs", "runs"])
    except SystemExit as end:
        assert not end.code, words

def part(architecture, alone=False):
    arguments = {"architecture": architecture, "lengths": [4, 8]}
    return Part("seqarena.measure.trained.experiments:chain", arguments, 1.0, alone)

if __name__ == "__main__":
    cores = int(sys.argv[1])
    runtime.available_cores = lambda: cores
    os.environ.pop("OMP_NUM_THREADS", None)
    torch.set_num_threads(cores)
    call("compare", "--models", "gru,elman", "--params", "8k", "--tokens", "3k", "--length", "16",
         "--rates", "3e-3", "--seeds", "1", "--repeats", "0", "--no-measure", "--name", "r",
         "--jobs", "1")
    call("measure", "gradient", "--models", "gru", "--length", "8", "--seeds", "1")
    parts = [part("gru"), part("elman"), part("gru", alone=True)]
    claim = Claim("c", *("",) * 5, lambda scale: parts, None)
    jobs = jobs_of([claim], "quick")
    ran = [job.label for job in missing_jobs(Path("ledger"), jobs)]
    for event in run_parts(Path("ledger"), jobs, 1):
        assert event.kind != "failed", event.payload
    Path("said.json").write_text(json.dumps({
        "parts": ran, "claims": len(CLAIMS), "keys": [job.key for job in jobs_of(CLAIMS, "quick")],
    }))
"""
MIXER = "from seqarena.mixers.recurrent.lstm import LSTM\n\n\nclass NotYet(LSTM):\n    pass\n"
ROW = """ROWS = (
    Architecture(
        "not_yet", "A new row", "recurrent", 2026, "nothing", "nothing",
        (layer("recurrent.not_yet:NotYet"),),
    ),
"""


class Copy:
    """A copy of the sources and a folder to run in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "src" / "seqarena"
        shutil.copytree(SOURCE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "script.py").write_text(SCRIPT)

    def run(self, cores: int = 1) -> dict[str, Any]:
        """What the parts say that ran, and every file of results with its content."""
        environment = {**os.environ, "PYTHONPATH": str(self.package.parent), "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, "script.py", str(cores)], cwd=self.folder, env=environment,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        found = json.loads((self.folder / "said.json").read_text())
        results = [
            *self.folder.glob("runs/r/trials/*/records.jsonl"),
            *self.folder.glob("runs/measurements/measurements.jsonl"),
            *self.folder.glob("ledger/parts/*"),
        ]
        return {
            **found,
            "measured again": "reused: gru" not in done.stderr,
            "files": {str(p.relative_to(self.folder)): p.read_bytes() for p in results},
        }

    def change(self, file: str, old: str, new: str) -> None:
        path = self.package / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.slow
def test_what_results_do_not_depend_on_leaves_them(copy: Copy) -> None:
    first = copy.run()
    assert len(first["parts"]) == 3
    assert first["measured again"]
    assert len(first["files"]) == 2 + 1 + 2 * 3
    # a new mixer and its row, a comment in an architecture, a new claim
    (copy.package / "mixers" / "recurrent" / "not_yet.py").write_text(MIXER)
    copy.change("mixers/recurrent/__init__.py", "ROWS = (\n", ROW)
    lenet = copy.package / "models" / "vision" / "lenet.py"
    lenet.write_text(lenet.read_text() + "\n# a comment\n")
    gru = copy.package / "mixers" / "recurrent" / "gru.py"
    gru.write_text(gru.read_text() + "\n# a comment in what the trials run\n")
    copy.change(
        "claims/contents.py",
        "CLAIMS: tuple[Claim, ...] = (\n",
        "CLAIMS: tuple[Claim, ...] = (\n    recurrence.CLAIMS[0]._replace(name='new'),\n",
    )
    again = copy.run()
    assert again["claims"] == first["claims"] + 1
    assert again["parts"] == []
    assert not again["measured again"]
    assert again["files"] == first["files"]
    assert set(again["keys"]) == set(first["keys"])
    # another machine
    moved = copy.run(cores=8)
    assert moved["parts"] == []
    assert not moved["measured again"]
    assert moved["files"] == first["files"]


@pytest.mark.slow
def test_what_results_depend_on_runs_them_again(copy: Copy) -> None:
    first = copy.run()
    copy.change("mixers/recurrent/gru.py", "class GRU(", "_NEW = 1\n\n\nclass GRU(")
    again = copy.run()
    assert again["parts"] == ["chain gru", "chain gru"]
    assert again["measured again"]
    new = {name for name in again["files"] if name not in first["files"]}
    assert len([name for name in new if name.startswith("runs/r/trials")]) == 1  # elman stands
    assert len([name for name in new if name.startswith("ledger")]) == 4
    assert first["files"].keys() <= again["files"].keys()
