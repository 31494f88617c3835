"""The one display: sparse lines without a terminal, a table with one."""

import io
import time

import pytest
from job_functions import Counted, job
from rich.console import Console

from seqarena.core.words import duration
from seqarena.jobs.display import Display
from seqarena.jobs.job import Event, Failure, Job, Needs


def shown(*events: Event, terminal: bool = False, **options: object) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    with Display(console, **{"total": len(events), **options}) as display:  # pyright: ignore
        for event in events:
            display.show(event)
    return output.getvalue()


def test_lines_say_what_ended_and_failures_why() -> None:
    one, two = job("first", "a"), job("second", "b")
    said = shown(
        Event("started", one), Event("progress", one, Counted(0.5, "half")),
        Event("finished", one, 1, 65.0), Event("failed", two, Failure("no such file"), 1.0),
        total=2,
    )  # fmt: skip
    lines = said.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("    1/2  first  1 min 5 s")
    assert lines[1].startswith("    2/2  second  failed: no such file")


def test_short_jobs_get_no_line_where_it_is_asked() -> None:
    events = (Event("finished", job("x", "a"), 1, 0.5), Event("finished", job("y", "b"), 1, 3.0))
    said = shown(*events, quiet_seconds=2.0)
    assert "x" not in said
    assert "y  3 s" in said


def test_a_single_job_says_each_tenth() -> None:
    only = job("only")
    progress = [Event("progress", only, Counted(n / 100, f"{n} done")) for n in range(100)]
    lines = shown(*progress, total=1).splitlines()
    assert len(lines) == 9
    assert lines[0] == " 10%  10 done"


def test_a_terminal_shows_groups_with_their_summary() -> None:
    ones = [
        job("train", f"{group}{n}").model_copy(update={"group": group, "label": f"{group} {n}"})
        for group in ("gru", "lstm")
        for n in range(2)
    ]
    said = shown(
        *(Event("started", one) for one in ones), Event("finished", ones[0], 1, 1.0),
        Event("progress", ones[3], Counted(0.25, "loss 2.5")),
        terminal=True, total=4, groups=["gru", "lstm"], summary=lambda group: f"best of {group}",
        noun="trials",
    )  # fmt: skip
    for words in ("best of gru", "best of lstm", "1/4 trials", "1   25%  loss 2.5"):
        assert words in said


def timed(key: str, seconds: float, alone: bool = False) -> Job:
    needs = Needs(seconds=seconds, alone=alone)
    return job("work", key).model_copy(update={"needs": needs})


def test_time_left_follows_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO())
    unknown = Display(console, total=4)
    assert duration(unknown.seconds_left()) == "? min"
    clock[0] = 10.0
    unknown.show(Event("reused", job("a", "a")))
    unknown.show(Event("finished", job("b", "b"), 1, 10.0))
    assert unknown.seconds_left() == 20.0
    clock[0] = 0.0
    expected = Display(console, total=2, workers=2, expected_seconds=40.0)
    assert expected.seconds_left() == 40.0
    clock[0] = 20.0  # half of it was expected to take half as long
    expected.show(Event("finished", timed("a", 20.0), 1, 20.0))
    assert expected.seconds_left() == 60.0
