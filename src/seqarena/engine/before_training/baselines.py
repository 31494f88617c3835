"""Computes the baselines of a plan and says them, before minutes are spent on training."""

from contextlib import closing

from rich.console import Console

from seqarena.arena.baselines.jobs import current_baselines, missing_baselines, run_baselines
from seqarena.arena.prepare import Prepared
from seqarena.core import words
from seqarena.core.results.baselines import BaselineRecord
from seqarena.engine.planned import say
from seqarena.jobs.display import Display


def compute_baselines(console: Console, prepared: Prepared) -> dict[str, str]:
    """Computes those that the folder lacks and says all; what could not be computed, and why."""
    plan, folder, task = prepared.plan, prepared.folder, prepared.task
    missing = missing_baselines(plan, folder, task)
    display = Display(console, total=len(missing), noun="baselines", quiet_seconds=float("inf"))
    failures: dict[str, str] = {}
    with display, closing(run_baselines(folder, plan, task, missing)) as events:
        for event in events:
            display.show(event)
            if event.kind == "failed":
                failures[f"{event.job.label} baseline"] = event.payload.message
    for record in current_baselines(folder, plan):
        say(console, f"baseline: {baseline_in_words(record)}")
    if left_out := task.baselines_left_out():
        say(console, left_out)
    if not task.baselines():
        say(console, f"task {task.name} has no baseline: a good score may be an easy one")
    return failures


def baseline_in_words(record: BaselineRecord) -> str:
    """ "n-gram (order 5), 2.10 bits per byte on the test split, in 1.2 s: interpolated ..."."""
    detail = f" ({record.detail})" if record.detail else ""
    value = f"{words.significant(record.value)} {words.of_name(record.metric)}"
    seconds = words.with_unit(record.seconds, "seconds")
    return f"{record.name}{detail}, {value} on the test split, in {seconds}: {record.idea}"
