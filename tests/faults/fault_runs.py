"""The command line in processes of its own, which start at once: they are forked from a server that
has imported everything, and so are their workers. Small trainings on one thread, which are saved
often, on a text of a few kilobytes; and what is left of them."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seqarena.core.results.lines import read_lines
from seqarena.core.results.records import ResultRecord, StepRecord, parse_record

NEEDS_FORK = pytest.mark.skipif(sys.platform == "win32", reason="forks, and sends signals")
HERE = Path(__file__).parent
TEXT = "".join(f"{n} foxes jump over {n * n % 97} lazy dogs. " for n in range(400))
SMALL = ("text.txt", "--params", "8k", "--length", "16", "--batch", "4", "--dtype", "float32",
         "--evaluations", "3")  # fmt: skip
TRAIN = ("train", "--model", "gru", *SMALL, "--name", "r")
COMPARE = ("compare", "--models", "elman,mingru", *SMALL, "--rates", "3e-3,1e-2", "--widen", "0",
           "--seeds", "2", "--repeats", "0", "--no-measure", "--jobs", "2",
           "--name", "r")  # fmt: skip
Prepare = Callable[[], None]


def forked(function: Callable[..., None], *arguments: Any) -> Any:
    """A process that was started to call a function. The server that it is forked from has this
    folder on its path: it does not take over sys.path."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqarena.cli", "seqarena.engine.compare", "fault_warm"])
    process = context.Process(target=function, args=arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        process.start()
    return process


class Call:
    """One call of the command line, in a process that is a group of its own as a shell makes it."""

    def __init__(self, words: Sequence[str], folder: Path, prepare: Prepare | None = None) -> None:
        """Starts it in `folder`; `prepare` runs in the process before."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "text.txt").write_text(TEXT)
        self.folder = folder
        self.process = forked(_call, list(words), folder, prepare)

    def ended(self, seconds: float = 60.0) -> int:
        """Its exit code, when it has ended by itself."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it still runs: {self.output}"
        return self.process.exitcode

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    @property
    def output(self) -> str:
        return (self.folder / "out").read_text() + self.errors

    @property
    def errors(self) -> str:
        return (self.folder / "err").read_text()


def _call(words: list[str], folder: Path, prepare: Prepare | None) -> None:
    os.setsid()
    os.chdir(folder)
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
    os.environ["COLUMNS"] = "200"
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _make_quick()
    sys.argv = ["seqarena", *words]
    if prepare is not None:
        prepare()
    from seqarena.cli import main

    main()


def call(words: Sequence[str], folder: Path, prepare: Prepare | None = None) -> Call:
    """A call that has ended."""
    made = Call(words, folder, prepare)
    made.ended()
    return made


def _make_quick() -> None:
    """One thread, whatever the machine has: others may use it. A checkpoint every 50 ms. Workers
    that are forked."""
    import seqarena.arena.trial
    from seqarena.core import runtime
    from seqarena.jobs import processes

    runtime.available_cores = lambda: 1
    seqarena.arena.trial.CHECKPOINT_SECONDS = 0.05
    fork = multiprocessing.get_context("fork")
    processes.multiprocessing = SimpleNamespace(get_context=lambda kind: fork)
    processes._LEAVE_SECONDS = 0.05  # a forked worker holds the pipes of those before it open


def wait_for(found: Callable[[], object], running: Call, seconds: float = 60.0) -> bool:
    """Waits until something is found; False where the call has ended before."""
    deadline = time.monotonic() + seconds
    while not found():
        if running.process.exitcode is not None:
            return False
        assert time.monotonic() < deadline, running.output
        time.sleep(0.01)
    return True


def records_of(folder: Path) -> Iterator[Path]:
    return folder.glob("runs/r/trials/*/records.jsonl")


def num_steps(folder: Path) -> int:
    """How many steps have been written so far."""
    return sum(path.read_bytes().count(b'"kind":"step"') for path in records_of(folder))


def numbers(folder: Path) -> dict[str, tuple[Any, ...]]:
    """All that each trial has found but for seconds: losses, values, chunks."""
    found = {}
    for path in records_of(folder):
        records = list(read_lines(path, parse_record))
        losses = [
            (r.step, r.loss_nats, r.gradient_norm) for r in records if isinstance(r, StepRecord)
        ]
        (result,) = (r for r in records if isinstance(r, ResultRecord))
        others = [
            json.dumps(record.model_dump(mode="json"))
            for record in records
            if record.kind == "evaluation"
        ]
        found[path.parent.name] = (losses, others, result.validation_value, result.test_value)
    return found


def temporary(folder: Path) -> list[str]:
    """What a write left beside the file that it was to become."""
    return [str(path) for path in folder.rglob("*") if path.name.endswith((".new", ".old"))]
