"""Append-only files of one record a line, as they are read after a kill."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def read_lines(path: Path, parse: Callable[[str], Any]) -> Iterator[Any]:
    """The parsed lines of a file, none where there is no file.

    A torn last line (killed while writing) is left out. Raises UserError when a line before the
    last is not a record.
    """
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            yield parse(line)
        except ValidationError as error:
            if number == len(lines) and not line.endswith("\n"):
                return
            raise UserError(
                f"{path}, line {number}: not a record of this version of seqarena: "
                f"{json.dumps(line[:80])}"
            ) from error
