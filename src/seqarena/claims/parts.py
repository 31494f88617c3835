"""What the parts of claims found: the results of their jobs, under FOLDER/parts (jobs/store.py)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from seqarena.claims.claim import Claim, Part, Scale
from seqarena.core.results.measurement import Measurement, read_measurements
from seqarena.jobs.job import Job
from seqarena.jobs.store import JobRecord, Store


class Found(NamedTuple):
    """What one part found."""

    record: JobRecord
    measurements: tuple[Measurement, ...]


def store_of(folder: Path) -> Store:
    """The results of the parts in a ledger's folder."""
    return Store(folder / "parts")


def read_part(folder: Path, part: Part) -> Found | None:
    """What the part found or failed with; None where it has not run.

    Raises UserError for a file that is not such a record.
    """
    store, key = store_of(folder), part.job().key
    record = store.record(key)
    return record and Found(record, tuple(read_measurements(store.lines_path(key))))


def jobs_of(claims: Iterable[Claim], scale: Scale) -> list[Job]:
    """The jobs of all parts of the claims, equal ones once, in the order of the ledger."""
    jobs = (part.job() for claim in claims for part in claim.parts(scale))
    return list({job.key: job for job in jobs}.values())


def missing_jobs(folder: Path, jobs: Sequence[Job]) -> list[Job]:
    """Those that have not run, or failed when they did."""
    store = store_of(folder)
    return [job for job in jobs if not store.has(job.key)]
