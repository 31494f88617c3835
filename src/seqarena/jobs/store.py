"""The results of jobs, by key. A result is written whole or not at all.

FOLDER/KEY.json     what was called, how long it took, and the error where it failed; a checksum
FOLDER/KEY.jsonl    the result, one JSON value a line; only of a job that succeeded. Its SHA-256 is
                    in the record
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.results.lines import read_signed
from seqarena.jobs.files import write_atomically, write_signed
from seqarena.jobs.job import Job


class JobRecord(Config):
    """One call that was made."""

    function: str
    arguments: dict[str, Any]
    seconds: float
    error: str | None = None
    sha256: str | None = None  # of the lines of the result


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
        path, text = self.lines_path(job.key), "".join(f"{line}\n" for line in lines)
        if error is None:
            write_atomically(path, text)
        else:
            path.unlink(missing_ok=True)
        record = JobRecord(
            function=job.function,
            arguments=job.arguments,
            seconds=seconds,
            error=error,
            sha256=hashlib.sha256(text.encode("utf-8")).hexdigest() if error is None else None,
        )
        write_signed(path.with_suffix(".json"), record.model_dump_json(indent=1))

    def record(self, key: str) -> JobRecord | None:
        """The record of a call; None where it was not made or its lines are missing.

        Raises UserError for a file that is no such record, and where record or lines are damaged.
        """
        path, lines = self.folder / f"{key}.json", self.lines_path(key)
        if not path.exists():
            return None
        try:
            record = JobRecord.model_validate_json(read_signed(path, "delete it to run again"))
        except ValidationError as error:
            raise UserError(f"{path} is not the record of a job: delete it to run again") from error
        if record.error is not None:
            return record
        if not lines.exists():
            return None
        if record.sha256 not in (None, hashlib.sha256(lines.read_bytes()).hexdigest()):
            raise UserError(f"{lines} is damaged, its SHA-256 has changed: delete it to run again")
        return record

    def has(self, key: str) -> bool:
        """Whether the job has run and succeeded."""
        record = self.record(key)
        return record is not None and record.error is None
