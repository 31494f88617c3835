"""The results of jobs, by key. A result is written whole or not at all.

FOLDER/KEY.json     what was called, how long it took, and the error where it failed
FOLDER/KEY.jsonl    the result, one JSON value a line; only of a job that succeeded
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.jobs.files import write_atomically
from seqarena.jobs.job import Job


class JobRecord(Config):
    """One call that was made."""

    function: str
    arguments: dict[str, Any]
    seconds: float
    error: str | None = None


class Store:
    """A folder of results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lines_path(self, key: str) -> Path:
        """Where the lines of a result are, or would be."""
        return self.folder / f"{key}.jsonl"

    def keep(
        self, job: Job, seconds: float, lines: Sequence[str], error: str | None = None
    ) -> None:
        """Keeps a result, or the error instead. The record is written last: it makes both valid."""
        path = self.lines_path(job.key)
        if error is None:
            write_atomically(path, "".join(f"{line}\n" for line in lines))
        else:
            path.unlink(missing_ok=True)
        record = JobRecord(
            function=job.function, arguments=job.arguments, seconds=seconds, error=error
        )
        write_atomically(path.with_suffix(".json"), record.model_dump_json(indent=1) + "\n")

    def record(self, key: str) -> JobRecord | None:
        """The record of a call; None where it was not made or its lines are missing.

        Raises UserError for a file that is no such record.
        """
        path = self.folder / f"{key}.json"
        if not path.exists():
            return None
        try:
            record = JobRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise UserError(f"{path} is not the record of a job: delete it to run again") from error
        return None if record.error is None and not self.lines_path(key).exists() else record

    def has(self, key: str) -> bool:
        """Whether the job has run and succeeded."""
        record = self.record(key)
        return record is not None and record.error is None
