"""What a task has made of its data, on disk: prepared once, and read by every process of a run.

FOLDER/DIGEST/    what the task's `save_prepared` wrote; the digest is the task's own
"""

import shutil
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.tasks.base import Task
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import build_task, task_class


def save_prepared(task: Task, folder: Path) -> None:
    """Writes the task's data unless they are there; nothing for a task that writes none."""
    place = folder / task.digest()
    if place.exists():
        return
    fresh = folder / f"{place.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    if task.save_prepared(fresh):
        fresh.replace(place)
    else:
        fresh.rmdir()


def load_prepared(config: TaskConfig, task_digest: str, folder: Path | None) -> Task:
    """The task of that digest: from the folder where its data are there, else built from the
    source.

    Raises UserError where it is another task than the digest says: its data have changed.
    """
    place = None if folder is None else folder / task_digest
    if place is not None and place.exists():
        task = task_class(config.kind).load_prepared(config, place)
    else:
        task = build_task(config)
    if task.digest() != task_digest:
        raise UserError("the data has changed since the comparison was planned")
    return task
