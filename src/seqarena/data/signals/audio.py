"""Recordings with a label each: a folder or archive of wav files, or a list of them.

    folder or .tar.gz   the class is the folder that a file lies in, where there are several; else
                        the name's first part: {class}_{speaker}_{index}.wav
    .tsv .csv .jsonl    columns path and label, and if known speaker and split; paths are relative
                        to the list

A file belongs to the split that a folder above it names (train; val, valid, validation or dev;
test), or that its list says.
"""

import csv
import io
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.sources import json_objects, read_lines

_SPLITS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_LISTS = {".tsv": "\t", ".csv": ",", ".jsonl": ""}


class Recording(NamedTuple):
    """One example."""

    name: str  # where it was found
    label: str
    samples_N: np.ndarray  # float32, -1 to 1, mono
    speaker: str | None = None
    index: int | None = None  # the number that ends its name
    split: str | None = None  # where the data say


class Recordings(NamedTuple):
    """All of them, at one rate."""

    items: tuple[Recording, ...]
    sample_rate: int  # Hz
    num_cut: int = 0  # longer than the limit: the rest was left out
    origin: str = ""


class _Found(NamedTuple):
    """A file before it is read."""

    name: str
    content: bytes
    label: str | None = None
    speaker: str | None = None
    split: str | None = None


def load_recordings(
    data: str | Path, *, sample_rate: int | None = None, max_seconds: float = 10.0
) -> Recordings:
    """Reads every recording, ordered by name. `sample_rate` None: that of the first.

    Raises UserError naming the file that is broken, empty or of another rate.
    """
    path = Path(data).expanduser()
    found = sorted(_files(path), key=lambda file: file.name)
    if not found:
        raise UserError(f"{path}: no .wav file in it")
    in_folders = len({_class_folder(file) for file in found}) > 1
    items, num_cut = [], 0
    for file in found:
        if file.label is None:
            file = _labelled(file, in_folders)
        rate, samples_N = read_wav(file.content, file.name)
        sample_rate = sample_rate or rate
        check_rate(rate, sample_rate, file.name)
        limit = round(max_seconds * rate)
        num_cut += len(samples_N) > limit
        assert file.label is not None
        index = _last_number(file.name)
        items.append(
            Recording(file.name, file.label, samples_N[:limit], file.speaker, index, file.split)
        )
    assert sample_rate is not None
    return Recordings(tuple(items), sample_rate, num_cut, str(data))


def read_wav(content: bytes | Path, name: str) -> tuple[int, np.ndarray]:
    """(samples a second, samples_N float32 in -1 to 1) of a wav file with whole numbers of 8 to 32
    bits or floats; several channels become their mean. Raises UserError naming the file."""
    from scipy.io import wavfile

    try:
        stream = io.BytesIO(content if isinstance(content, bytes) else content.read_bytes())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", wavfile.WavFileWarning)
            rate, samples = wavfile.read(stream)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error}") from error
    except Exception as error:  # scipy answers bytes that are no wav with errors of many kinds
        raise UserError(f"{name}: not a wav file that can be read: {error}") from error
    if any("premature" in str(w.message) for w in told):
        raise UserError(f"{name}: the wav file ends before its samples do: copy it again")
    if samples.size == 0:
        raise UserError(f"{name}: no sound in it (0 samples): leave the file out")
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        raise UserError(f"{name}: samples that are no numbers: write the file again")
    return int(rate), samples if samples.ndim == 1 else samples.mean(axis=1)


def check_rate(rate: int, wanted: int, name: str) -> None:
    """Raises UserError when a recording has another rate than the rest."""
    if rate != wanted:
        raise UserError(
            f"{name}: {rate} samples a second, and {wanted} are wanted: resample it so that all "
            "have the same"
        )


def _files(path: Path) -> Iterator[_Found]:
    name = path.name.lower()
    if path.is_dir():
        for file in path.rglob("*"):
            inside = file.relative_to(path)
            if file.suffix.lower() == ".wav" and not _hidden(PurePosixPath(inside)):
                yield _Found(inside.as_posix(), file.read_bytes())
    elif not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    elif name.endswith(_ARCHIVES):
        yield from _files_in_archive(path)
    elif path.suffix.lower() in _LISTS:
        yield from _files_in_list(path)
    else:
        raise UserError(
            f"{path}: recordings come as a folder of .wav files, as a .tar.gz of them, or as a "
            ".tsv, .csv or .jsonl list"
        )


def _files_in_archive(path: Path) -> Iterator[_Found]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = PurePosixPath(member.name)
                if not member.isfile() or inside.suffix.lower() != ".wav" or _hidden(inside):
                    continue
                stream = archive.extractfile(member)
                assert stream is not None
                yield _Found(inside.as_posix(), stream.read())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{path}: not an archive that can be read: {error}") from error


def _files_in_list(path: Path) -> Iterator[_Found]:
    for where, row in _rows(path):
        for field in ("path", "label"):
            if row.get(field) in (None, ""):
                raise UserError(f"{where}: no {field}: each recording needs a path and a label")
        split = row.get("split") or None
        if split is not None and str(split).lower() not in _SPLITS:
            raise UserError(f"{where}: split {split!r}: use train, validation or test")
        file = path.parent / str(row["path"])
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"{where}: {file} cannot be read: {error.strerror}") from error
        yield _Found(
            str(row["path"]),
            content,
            str(row["label"]),
            str(row["speaker"]) if row.get("speaker") else None,
            _SPLITS[str(split).lower()] if split else None,
        )


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    """(place for errors, the fields of one recording)."""
    delimiter = _LISTS[path.suffix.lower()]
    if not delimiter:
        yield from json_objects(path, read_lines(path))
        return
    lines = [line for line in read_lines(path) if line[1].strip()]
    header, *rest = csv.reader((text for _, text in lines), delimiter=delimiter)
    for (number, _), row in zip(lines[1:], rest):
        yield f"{path}, line {number}", dict(zip(header, row))


def _hidden(inside: PurePosixPath) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def _class_folder(file: _Found) -> str | None:
    """The folder that a file lies in, unless it is the name of a split."""
    parts = [p for p in PurePosixPath(file.name).parent.parts if p.lower() not in _SPLITS]
    return parts[-1] if parts else None


def _labelled(file: _Found, in_folders: bool) -> _Found:
    inside = PurePosixPath(file.name)
    folders = [_SPLITS[p.lower()] for p in inside.parent.parts if p.lower() in _SPLITS]
    label, *rest = inside.stem.split("_")
    if in_folders:
        label, speaker = _class_folder(file), None
        if label is None:
            raise UserError(f"{file.name}: it lies in no class's folder, and others do: move it")
    else:
        speaker = "_".join(rest[:-1]) or None
        if not rest:
            raise UserError(
                f"{file.name}: no class: name it {{class}}_{{speaker}}_{{index}}.wav, put it into "
                "its class's folder, or give a list of path and label"
            )
    return file._replace(label=label, speaker=speaker, split=folders[-1] if folders else None)


def _last_number(name: str) -> int | None:
    last = PurePosixPath(name).stem.rpartition("_")[2]
    return int(last) if last.isascii() and last.isdigit() else None
