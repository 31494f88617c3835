"""Workers that raise, die or hang, and signals: the others go on, and the reason is kept."""

import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from fault_runs import (
    COMPARE,
    HERE,
    NEEDS_FORK,
    SMALL,
    TRAIN,
    Call,
    call,
    num_steps,
    numbers,
    wait_for,
)

pytestmark = [NEEDS_FORK, pytest.mark.slow]
MIXERS = HERE / "fault_mixers.py"
FEW = ("compare", *SMALL, "--rates", "3e-3,1e-2", "--widen", "0", "--repeats", "0",
       "--no-measure", "--jobs", "2", "--name", "r", "--steps", "20")  # fmt: skip


def mixer(*names: str) -> list[str]:
    return [word for name in names for word in ("--mixer", f"{MIXERS}:{name}")]


def statuses(folder: Path) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "runs" / "r" / "results.sqlite")) as database:
        return set(database.execute("select architecture, status, failure from trials"))


def test_why_a_trial_failed_is_kept_and_shown_by_every_report(tmp_path: Path) -> None:
    words = (*FEW, "--models", "elman", "--seeds", "1", *mixer("Raises", "Killed"))
    made = call(words, tmp_path)
    assert made.ended() == 1, made.output  # something failed
    assert made.output.count("it is tried once more") == 2  # the dead, not those that raise
    raised, died = (
        "ValueError: axis [/D] is odd (fault_mixers.py, line",
        "(SIGKILL: out of memory?)",
    )
    found = statuses(tmp_path)
    assert {name for name, status, _ in found if status == "failed"} == {"raises", "killed"}
    assert ("elman", "finished", "") in found
    for _ in range(2):
        report = call(("report", "runs/r"), tmp_path)
        assert report.ended() == 0, report.output
        assert "elman" in report.output
        page = (tmp_path / "runs" / "r" / "report.html").read_text()
        for words_of_it in (raised, died):
            assert words_of_it in report.output
            assert words_of_it in page
    summary = call(("report", "runs/r", "--json"), tmp_path)
    failures = json.loads((tmp_path / "out").read_text())["failures"]
    assert summary.ended() == 0
    assert failures["killed, rate 0.01, seed 0"] == f"its process died {died}"
    traces = list(tmp_path.glob("runs/r/trials/*/error.txt"))
    assert len(traces) == 2
    assert all("ValueError: axis [/D] is odd" in trace.read_text() for trace in traces)


def test_a_trial_that_is_killed_once_ends_as_one_that_was_not(tmp_path: Path) -> None:
    words = (*FEW, "--seeds", "2", *mixer("KilledOnce"))
    made = call(words, tmp_path / "killed")
    assert made.ended() == 0, made.output
    assert made.output.count("it is tried once more") == 1
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "killed once").touch()
    assert call(words, whole).ended() == 0
    assert numbers(tmp_path / "killed") == numbers(whole)


def test_a_trial_that_hangs_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    words = (*FEW, "--models", "elman", "--seeds", "1", *mixer("Hangs"))
    made = Call((*words, "--trial-timeout", "8"), tmp_path)
    assert made.ended(120) == 1, made.output
    assert "it did not end within 8 s" in made.output
    assert {(name, status) for name, status, _ in statuses(tmp_path)} == {
        ("elman", "finished"), ("hangs", "failed"),
    }  # fmt: skip


def test_one_ctrl_c_ends_a_comparison_whose_worker_hangs(tmp_path: Path) -> None:
    running = Call((*FEW, "--seeds", "1", *mixer("Hangs")), tmp_path)
    assert wait_for(lambda: num_steps(tmp_path) >= 4, running), running.output
    time.sleep(1.0)
    start = time.monotonic()
    running.signal(signal.SIGINT)
    assert running.ended(30) == 130, running.output
    assert time.monotonic() - start < 10
    assert "the same command goes on" in running.errors
    assert "Traceback" not in running.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("verb", ["train", "compare"])
def test_a_signal_saves_and_the_same_command_goes_on(
    verb: str, number: int, tmp_path: Path
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("this process ignores the signal, as under nohup, and so does what it starts")
    words = (*TRAIN, "--steps", "300") if verb == "train" else (*COMPARE, "--steps", "60")
    running = Call(words, tmp_path)
    assert wait_for(lambda: num_steps(tmp_path) > 5, running), running.output
    running.signal(number)
    assert running.ended(30) == 128 + number, running.output
    assert running.errors.strip() == "seqarena: stopped; the same command goes on from here"
    (steps,) = {num_steps(tmp_path)}
    assert list(tmp_path.glob("runs/r/trials/*/checkpoint/manifest.json"))
    again = call(words, tmp_path)
    assert again.ended() == 0, again.output
    assert num_steps(tmp_path) >= steps


def in_evaluation() -> None:
    """Each batch of an evaluation takes a second."""
    from seqarena.train.loop import Trainer

    predict = Trainer.predict

    def slow(self: Trainer, batch: object) -> object:
        Path("evaluating").touch()
        time.sleep(1.0)
        return predict(self, batch)

    Trainer.predict = slow


def test_ctrl_c_in_the_last_evaluation_stops_there(tmp_path: Path) -> None:
    words = (*TRAIN, "--steps", "6", "--evaluations", "1", "--length", "8")
    running = Call(words, tmp_path, in_evaluation)
    assert wait_for((tmp_path / "evaluating").exists, running), running.output
    start = time.monotonic()
    running.signal(signal.SIGINT)
    assert running.ended(30) == 130, running.output
    assert time.monotonic() - start < 3
    again = call(words, tmp_path)
    assert again.ended() == 0, again.output
    whole = call(words, tmp_path / "whole")
    assert whole.ended() == 0
    assert numbers(tmp_path) == numbers(tmp_path / "whole")


def deaf() -> None:
    """A step takes as long as one waits for it."""
    from seqarena.train.loop import Trainer

    def forever(self: Trainer) -> None:
        Path("stepping").touch()
        while True:
            time.sleep(0.1)

    Trainer._step = forever


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    running = Call((*TRAIN, "--steps", "6"), tmp_path, deaf)
    assert wait_for((tmp_path / "stepping").exists, running), running.output
    running.signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.process.exitcode is None
    running.signal(signal.SIGTERM)
    assert running.ended(5) == 143, running.output
    assert "Traceback" not in running.output


def ignoring_hangups() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    running = Call((*TRAIN, "--steps", "60"), tmp_path, ignoring_hangups)
    assert wait_for(lambda: num_steps(tmp_path) > 3, running), running.output
    running.signal(signal.SIGHUP)
    assert running.ended() == 0, running.output


def test_memory_that_runs_out_halves_the_pieces(tmp_path: Path) -> None:
    words = (*FEW, "--rates", "1e-2", "--seeds", "1", "--batch", "8", *mixer("NoMemory"))
    made = call(words, tmp_path)
    assert made.ended() == 0, made.output
    assert "memory ran out: each batch in 4 pieces" in made.output
    (records,) = tmp_path.glob("runs/r/trials/*/records.jsonl")
    assert records.read_text().count('"pieces":4') == 21  # of 20 steps and the result
