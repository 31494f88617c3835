"""Files of examples: which of them are training, validation and test, and how they are read.

`data` is a folder, one file, or a pattern with * in it. A file belongs to the split that its name
says: train; val, valid, validation, dev or trial; test, t10k or eval. Names that say nothing are
left alone in a folder that has a training file (a README, a licence). One file alone is training
data. What is missing is cut off the training examples, a tenth for each, by a fixed permutation.

Files that end in .gz are unpacked while they are read.
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.files.examples import Splits, complete
from seqarena.data.files.find import SplitFiles

__all__ = ["Splits", "complete"]  # their home is data/files/examples.py

_WORDS = (
    ("train", r"train"),
    ("validation", r"(?<![a-z])(valid(ation)?|val|dev|trial)(?![a-z])"),
    ("test", r"(?<![a-z])(test|t10k|eval)"),
)


def find_split_files(data: str | Path, suffixes: Sequence[str] = ()) -> SplitFiles:
    """The files that `data` names, by split. With `suffixes`, others in a folder are left out
    (`.gz` is not counted: `.de` finds `train.de.gz`).

    Raises UserError when nothing is there, or no file of several is for training.
    """
    path = Path(data).expanduser()
    if path.is_file():
        return SplitFiles((path,))
    files = _files_at(path)
    if suffixes:
        files = [f for f in files if plain_suffix(f) in suffixes]
    found: dict[str, list[Path]] = {"train": [], "validation": [], "test": []}
    for file in files:
        split = split_of(file)
        if split is not None:
            found[split].append(file)
    if not found["train"]:
        if len(files) == 1:
            return SplitFiles((files[0],))
        listed = ", ".join(file.name for file in files[:5]) or "nothing that fits"
        raise UserError(f"{data}: no file has 'train' in its name (found: {listed})")
    return SplitFiles(*(tuple(found[split]) for split in SplitFiles._fields))


def split_of(file: Path) -> str | None:
    """The split that a file's name says, or None.

    >>> split_of(Path("en_ewt-ud-dev.conllu.gz")), split_of(Path("README.md"))
    ('validation', None)
    """
    name = file.name.lower()
    return next((split for split, word in _WORDS if re.search(word, name)), None)


def plain_suffix(file: Path) -> str:
    """The suffix without .gz: `.de` of `train.de.gz`."""
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def read_lines(file: Path, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of a text file.

    Raises UserError with file and line for bytes that are not in the encoding.
    """
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    text = line.decode(encoding)
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{file}, line {number}: not {encoding}: convert the file, or name its "
                        "encoding with --set encoding=NAME"
                    ) from error
                yield number, (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
    except (OSError, EOFError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error


def json_objects(
    file: Path, lines: Iterable[tuple[int, str]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place for errors, object) of every line of JSON lines that is not blank. `lines` are those
    of the file with their numbers, as `read_lines` gives them.

    Raises UserError with file and line for what is not JSON, or no object.
    """
    for number, line in lines:
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(entry, dict):
            raise UserError(f"{place}: a JSON object is needed, not {type(entry).__name__}")
        yield place, entry


def _files_at(path: Path) -> list[Path]:
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
    elif "*" in path.name:
        files = list(path.parent.glob(path.name))
    else:
        raise UserError(f"{path}: no such file or folder")
    if not files:
        raise UserError(f"{path}: no file there")
    return sorted(file for file in files if not file.name.startswith("."))
