"""What a task has made of its data, on disk: prepared once, and read by every process of a run.

FOLDER/DIGEST/           what the task's `save_prepared` wrote; the digest is the task's own
FOLDER/DIGEST/sums.json  file -> SHA-256
"""

import json
import shutil
from pathlib import Path

from seqarena.core.errors import UserError, naming
from seqarena.data.arrays import file_sha256
from seqarena.tasks.base import Task
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import build_task, task_class

_SUMS = "sums.json"


def save_prepared(task: Task, folder: Path) -> None:
    """Writes the task's data unless they are there whole; nothing for a task that writes none.

    Raises OSError that names the folder where that cannot be done; nothing is then left of it.
    """
    place = folder / task.digest()
    if damage(place) is None:
        return
    fresh = folder / f"{place.name}.new"
    with naming(place):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        try:
            if task.save_prepared(fresh):
                sums = {file.name: file_sha256(file) for file in sorted(fresh.iterdir())}
                (fresh / _SUMS).write_text(json.dumps(sums, indent=1), encoding="utf-8")
                shutil.rmtree(place, ignore_errors=True)
                fresh.replace(place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def damage(place: Path) -> str | None:
    """What is wrong with a folder of prepared data, in words; None: it is whole."""
    try:
        sums = json.loads((place / _SUMS).read_text(encoding="utf-8"))
        changed = [name for name, sha256 in sums.items() if file_sha256(place / name) != sha256]
    except (OSError, ValueError, AttributeError) as error:
        return str(error)
    return f"{changed[0]} has changed" if changed else None


def load_prepared(config: TaskConfig, task_digest: str, folder: Path | None) -> Task:
    """The task of that digest: from the folder where its data are there, else built from the
    source.

    Raises UserError where the data there are damaged, and where it is another task than the digest
    says: its data have changed.
    """
    place = None if folder is None else folder / task_digest
    if place is not None and place.exists():
        if (what := damage(place)) is not None:
            raise UserError(f"{place} is damaged: delete it to prepare the data again ({what})")
        task = task_class(config.kind).load_prepared(config, place)
    else:
        task = build_task(config)
    if task.digest() != task_digest:
        raise UserError("the data has changed since the comparison was planned")
    return task
