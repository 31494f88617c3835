"""Inline and worker processes: the same events, and nothing is left behind."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from job_functions import job, timing

from seqarena.core.words import duration
from seqarena.jobs.executor import Executor, run_jobs, seconds_of
from seqarena.jobs.inline import Inline
from seqarena.jobs.job import Event, Job, Needs, failure_of
from seqarena.jobs.processes import Processes

Make = Callable[[], Executor]
BOTH = pytest.mark.parametrize("make", [Inline, lambda: Processes(2)], ids=["inline", "processes"])


def ended(jobs: list[Job], executor: Executor) -> dict[str, Event]:
    """The last event of each job, by the job's label."""
    events = run_jobs(lambda: jobs, executor)
    return {event.job.key: event for event in events if event.kind not in ("started", "progress")}


@BOTH
def test_jobs_end_with_their_results_or_a_line(make: Make) -> None:
    jobs = [job("double", "a", value=4), job("refuse", "b", message="no such file")]
    found = ended(jobs, make())
    assert (found["a"].kind, found["a"].payload) == ("finished", 8)
    assert (found["b"].kind, found["b"].payload.message) == ("failed", "no such file")
    assert found["b"].payload.traceback == ""
    assert found["a"].seconds > 0


def test_an_error_in_a_worker_says_where_and_the_worker_goes_on() -> None:
    jobs = [job("divide", "a", value=0), job("divide", "b", value=2)]
    found = ended(jobs, Processes(1))
    assert "ZeroDivisionError: division by zero (job_functions.py, line" in (
        found["a"].payload.message
    )
    assert "Traceback" in found["a"].payload.traceback
    assert found["b"].payload == 0.5


def test_a_worker_that_dies_takes_only_its_own_job_along() -> None:
    jobs = [job("die"), *(job("double", f"{n}", value=n) for n in range(3))]
    found = ended(jobs, Processes(1))
    assert found.pop(jobs[0].key).payload.message == ("its process died (SIGKILL: out of memory?)")
    assert [found[f"{n}"].payload for n in range(3)] == [0, 2, 4]


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="sends signals")


def kinds(job: Job) -> list[str]:
    events = run_jobs(lambda: [job], Processes(1))
    return [event.kind for event in events if event.kind != "progress"]


@POSIX
def test_a_job_that_is_lost_runs_once_more(tmp_path: Path) -> None:
    once = job("die_once", path=str(tmp_path / "once"))
    assert kinds(once) == ["started", "retried", "started", "finished"]
    assert kinds(job("die")) == ["started", "retried", "started", "failed"]


@POSIX
def test_a_worker_that_is_terminated_lets_its_job_save_and_go_on(tmp_path: Path) -> None:
    saves = job("terminate_once", watched=True, path=str(tmp_path / "saved"))
    assert kinds(saves) == ["started", "retried", "started", "finished"]
    assert ended([saves], Processes(1))[saves.key].payload == "saved"


def test_a_job_that_takes_longer_than_it_may_is_ended() -> None:
    hangs = job("interval", "a", seconds=60.0).model_copy(
        update={"needs": Needs(timeout_seconds=0.3)}
    )
    found = ended([hangs, job("double", "b", value=1)], Processes(2))
    assert found["a"].payload.message == f"it did not end within {duration(0.3)}"
    assert found["b"].payload == 2


def test_closing_does_not_wait_for_a_watched_job_that_hangs() -> None:
    hangs, start = job("deaf", watched=True), time.monotonic()
    with closing(run_jobs(lambda: [hangs], Processes(1))) as events:
        next(events)
    assert time.monotonic() - start < 20


def test_an_error_of_the_disk_is_told_from_others() -> None:
    failure = failure_of(OSError(errno.ENOSPC, "No space left on device", "a/records.jsonl"))
    assert failure.disk == (errno.ENOSPC, "No space left on device", "a/records.jsonl")
    assert failure.message == "a/records.jsonl: No space left on device"
    with pytest.raises(FileNotFoundError) as found:
        Path("no such file").read_text()
    assert failure_of(found.value).disk is None


def test_a_worker_is_used_again() -> None:
    found = ended([job("process", f"{n}") for n in range(4)], Processes(1))
    assert len({event.payload for event in found.values()}) == 1
    assert os.getpid() not in {event.payload for event in found.values()}


def test_jobs_that_become_ready_are_asked_for_once_others_have_ended() -> None:
    results: dict[str, int] = {}

    def ready() -> list[Job]:
        if "first" not in results:
            return [job("double", "first", value=3)]
        return [job("double", "second", value=results["first"])]

    for event in run_jobs(ready, Processes(1)):
        if event.kind == "finished":
            results[event.job.key] = event.payload
    assert results == {"first": 6, "second": 12}


def test_a_timing_runs_while_nothing_else_does() -> None:
    jobs = [timing(job("interval", "timed", seconds=0.2))]
    jobs += [job("interval", f"{n}", seconds=0.2) for n in range(3)]
    jobs += [timing(job("interval", "timed too", seconds=0.2))]
    found = {key: event.payload for key, event in ended(jobs, Processes(2)).items()}
    for key in ("timed", "timed too"):
        start, end = found.pop(key)
        assert all(last <= start or end <= first for first, last in found.values())
    assert len(found) == 3


def test_the_longest_starts_first() -> None:
    jobs = [
        job("double", f"{seconds}", value=1).model_copy(update={"needs": Needs(seconds=seconds)})
        for seconds in (1.0, 5.0, 3.0)
    ]
    started = [e.job.key for e in run_jobs(lambda: jobs, Inline()) if e.kind == "started"]
    assert started == ["5.0", "3.0", "1.0"]
    assert seconds_of(jobs, 2) == 5.0
    assert seconds_of([*jobs, *(timing(job) for job in jobs[:1])], 1) == 9.0


def test_a_worker_has_its_budget_of_threads() -> None:
    one, three = job("threads", "a"), job("threads", "b")
    three = three.model_copy(update={"needs": Needs(threads=3)})
    found = ended([one, three, job("threads", "c")], Processes(1))
    assert {key: event.payload for key, event in found.items()} == {
        "a": ("1", 1), "b": ("1", 3), "c": ("1", 1),
    }  # fmt: skip


def test_closing_lets_a_watched_job_save_and_ends_the_others_at_once(tmp_path: Path) -> None:
    place = tmp_path / "count"
    saves = job("count", "a", watched=True, path=str(place), limit=10_000)
    jobs = [saves, job("interval", "b", seconds=60.0)]
    start = time.monotonic()
    with closing(run_jobs(lambda: jobs, Processes(2))) as events:
        for event in events:
            if event.kind == "progress" and event.payload.share > 0:
                break
    assert time.monotonic() - start < 30
    assert 0 < int(place.read_text()) < 10_000


@pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="SIGINT is ignored, as in `job &`"
)
def test_inline_shows_progress_and_stops_when_it_is_interrupted(tmp_path: Path) -> None:
    place, shown = tmp_path / "count", []

    def show(event: Event) -> None:
        shown.append(event.payload.words)
        if len(shown) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    counting = job("count", watched=True, path=str(place), limit=100)
    with pytest.raises(KeyboardInterrupt):
        ended([counting], Inline(show))
    assert place.read_text() in ("3", "4")
    assert shown[:3] == ["1 counted", "2 counted", "3 counted"]
    assert ended([counting], Inline())[counting.key].payload == 100


ORPHAN = """
import sys
sys.path.insert(0, {tests!r})
from job_functions import job
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.processes import Processes
if __name__ == "__main__":
    executor = Processes(1)
    jobs = [job("process", "a"), job("interval", "b", seconds=60.0)]
    for event in run_jobs(lambda: jobs, executor):
        print(event.kind, event.payload, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its number")
def test_a_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHAN.format(tests=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = iter(parent.stdout)
        number = next(int(line.split()[1]) for line in lines if line.startswith("finished"))
        assert next(lines) == "started None\n"
        os.kill(number, 0)  # it lives
        parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the worker outlives its parent")


UNGUARDED = """
import sys
sys.path.insert(0, {tests!r})
from job_functions import job
from seqarena.jobs.executor import run_jobs
from seqarena.jobs.processes import Processes
print("top level", flush=True)
for event in run_jobs(lambda: [job("double", "a", value=4)], Processes(1)):
    print(event.kind, event.payload, flush=True)
"""


@pytest.mark.parametrize("through", ["file", "standard input"])
def test_a_worker_does_not_run_the_users_script_again(through: str, tmp_path: Path) -> None:
    """So that a script needs no `if __name__ == "__main__"`."""
    text = UNGUARDED.format(tests=str(Path(__file__).parent))
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script) if through == "file" else "-"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["top level", "started None", "finished 8"]
