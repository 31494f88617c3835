"""Asks before it trains on splits that overlap, where a person is there to answer."""

import sys

from rich.console import Console

from seqarena.arena.baselines.overlap import REMEDY
from seqarena.arena.prepare import Prepared
from seqarena.core.errors import UserError
from seqarena.engine.planned import say


def ask_about_overlap(console: Console, prepared: Prepared, *, agreed: bool) -> None:
    """Asks whether to go on where much of a user's own test data is in the training data too. Of
    the embedded data there is nothing that a user could mend, and a run that has begun was agreed
    to. Without a terminal it goes on: the verdict says it.

    Raises UserError where the answer is not yes.
    """
    overlap = prepared.summary.large_overlap
    begun = prepared.folder.plan_path.exists()
    if overlap is None or agreed or begun or not prepared.plan.task.get("data"):
        return
    if console.quiet or not (console.is_terminal and sys.stdin.isatty()):
        return
    say(console, f"{overlap}. {REMEDY}; --yes goes on without this question.", "bold yellow")
    answer = console.input("continue? [y/N] ", markup=False)
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError(f"stopped before anything was trained: {REMEDY}, or split the data again")
