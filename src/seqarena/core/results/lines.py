"""JSON that carries a checksum, so that damage is found when it is read.

The checksum is the last field of an object, CRC-32 of all that comes before it:

    {"kind":"step","step":1,"tokens":512,"crc32":"1f0c77a2"}

A file of lines is append-only. A kill leaves at most a torn last line, which is left out; any
other line that does not match its checksum is an error that names it. An object without a checksum
is of an earlier version and is read as it is: damage to the field itself leaves a field that no
record has.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError, naming

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_CHECKSUM = re.compile(r',?\s*"crc32":\s*"([0-9a-f]{8})"\s*}\s*\Z')
_WHOLE = re.compile(rb'"crc32":"[0-9a-f]{8}"}')  # a line that holds this was written to its end
_TAIL = 40  # characters in which a checksum lies, whole or damaged


class DamagedError(ValueError):
    """A text does not match its checksum."""


def signed(text: str) -> str:
    """The text of a JSON object, with its checksum as the last field."""
    head = text.rstrip()
    assert head.endswith("}"), "not a JSON object"
    head = head[:-1].rstrip()
    comma = "" if head.endswith("{") else ","
    space = "\n " if "\n" in head else ""
    end = "\n" if "\n" in head else ""
    return f'{head}{comma}{space}"crc32":"{_crc32(head)}"{end}}}'


def verified(text: str) -> str:
    """The text of a JSON object without its checksum. Raises DamagedError where it does not match.

    >>> verified(signed('{"a": 1}'))
    '{"a": 1}'
    """
    found = _CHECKSUM.search(text)
    if found is None:
        if '"crc32"' in text[-_TAIL:]:
            raise DamagedError("its checksum is not whole")
        return text
    head = text[: found.start()]
    if _crc32(head) != found[1]:
        raise DamagedError("its checksum does not match its content")
    return head + ("\n}" if "\n" in head else "}")


def read_signed(path: Path, cure: str) -> str:
    """The text of a file that holds one JSON object. `cure` says what helps where it is damaged.

    Raises UserError that names the file where it is missing or damaged.
    """
    try:
        text = verified(path.read_bytes().decode("utf-8"))
        json.loads(text)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {cure}") from None
    except DamagedError as error:
        raise UserError(f"{path} is damaged, {error}: {cure}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged, it is not JSON: {cure}") from error
    return text


def read_lines(path: Path, parse: Callable[[str], Any], *, owner: Path | None = None) -> Iterator:
    """The parsed lines of a file, none where there is no file. A torn last line is left out.

    `owner` is what to delete where a line is damaged; default: the file. Raises UserError that
    names the file and the line where another line is damaged or not a record.
    """
    if not path.exists():
        return
    # at "\n" only: str.splitlines also cuts at U+2028, U+2029 and U+0085, which a label may hold
    *lines, rest = path.read_bytes().split(b"\n")
    for number, line in enumerate([*lines, rest] if rest else lines, start=1):
        try:
            yield parse(verified(line.decode("utf-8")))
        except ValueError as error:  # of pydantic and of decoding as well
            if number > len(lines) and not _WHOLE.search(line):
                return
            what = f"is damaged, {error}" if isinstance(error, DamagedError) else "is no record"
            start = json.dumps(line[:60].decode("utf-8", errors="replace"))
            raise UserError(
                f"{path}, line {number} {what} of this version of seqarena ({start}): delete "
                f"{owner or path} and give the same command again"
            ) from error


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Adds JSON objects as lines with checksums. What a kill left of a line is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mend_last_line(path)
    with naming(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{signed(line)}\n" for line in lines)


def mend_last_line(path: Path) -> None:
    """Cuts off what a kill left of a last line, or ends it where only its end is missing."""
    if not path.exists():
        return
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return
    if _WHOLE.search(content, end):
        with naming(path), path.open("ab") as file:
            file.write(b"\n")
    else:
        os.truncate(path, end)


def _crc32(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8')):08x}"
