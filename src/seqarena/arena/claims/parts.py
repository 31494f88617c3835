"""The records of parts: one file a part, written whole or not at all.

FOLDER/parts/HASH.json     what was called, how long it took, and its error where it failed
FOLDER/parts/HASH.jsonl    its measurements, one a line; only of a part that succeeded
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from seqarena.arena.claims.claim import Claim, Part, Scale
from seqarena.arena.folder import write_atomically
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.measurement import Measurement, read_measurements


class About(Config):
    """One call of a measuring function."""

    function: str
    arguments: dict[str, Any]
    seconds: float
    error: str | None = None


class Found(NamedTuple):
    """What one call found."""

    about: About
    measurements: tuple[Measurement, ...]


def records_path(folder: Path, part: Part) -> Path:
    """Where the part's measurements are, or would be."""
    return folder / "parts" / f"{part.hash}.jsonl"


def write_part(folder: Path, part: Part, about: About, lines: Sequence[str]) -> None:
    """Keeps what a part found. `about` comes last: a part stands when that does."""
    path = records_path(folder, part)
    if about.error is None:
        write_atomically(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)
    write_atomically(path.with_suffix(".json"), about.model_dump_json(indent=1) + "\n")


def read_part(folder: Path, part: Part) -> Found | None:
    """What the part found or failed with; None where it has not run.

    Raises UserError for a file that is not such a record.
    """
    about = _about(folder, part)
    return about and Found(about, tuple(read_measurements(records_path(folder, part))))


def stands(folder: Path, part: Part) -> bool:
    """Whether the part has run and succeeded."""
    about = _about(folder, part)
    return about is not None and about.error is None


def parts_of(claims: Iterable[Claim], scale: Scale) -> list[Part]:
    """Every part of the claims, equal ones once, in the order of the ledger."""
    return list({part.hash: part for claim in claims for part in claim.parts(scale)}.values())


def _about(folder: Path, part: Part) -> About | None:
    """What its own file says of the part; None where that, or what it found, is missing."""
    path = records_path(folder, part)
    place = path.with_suffix(".json")
    if not place.exists():
        return None
    try:
        about = About.model_validate_json(place.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise UserError(f"{place} is not the record of a part: delete it to measure again") from (
            error
        )
    return None if about.error is None and not path.exists() else about
