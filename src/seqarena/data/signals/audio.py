"""Recordings with a label each: a folder or archive of sound files, or a table of them.

    folder, .tar.gz, .zip   the class is the folder that a file lies in, where there are several;
                            else the name's first part: {class}_{speaker}_{index}.wav
    table                   data/signals/lists.py

A recording belongs to the split that a folder above it names, or that its table says, or in whose
list it is: validation_list.txt and testing_list.txt, as Speech Commands has them. wav files are
read as they are (data/signals/wav.py); flac, ogg and mp3 by the package soundfile.

    N  samples
"""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.files.opening import read_file
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import table_format
from seqarena.data.signals.lists import find_signals, read_list
from seqarena.data.signals.members import (
    ARCHIVES,
    Member,
    is_archive,
    read_archive,
    read_files,
    split_and_class,
)
from seqarena.data.signals.wav import LOWEST_RATE, read_wav

_STARTS = {
    b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF", b".snd": "AU", b"caff": "CAF",
    b"version https://git-lfs": "a pointer of Git LFS", b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip",
}  # fmt: skip
_BY_LIBRARY = ("FLAC", "Ogg", "MP3", "AIFF", "AU", "CAF")
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}
_NOISE = "_background_noise_"  # a folder of Speech Commands
_MOST_SAMPLES = 2**27  # of a file that is unpacked while it is read
_BLOCK = 2**16


_COME_AS = (
    f"recordings come as a folder of .wav files, as an archive of them ({', '.join(ARCHIVES)}), or "
    "as a table of path and label"
)


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
    format: str = ""  # wav, or several
    reading: Reading | None = None  # None: no files


class _Found(NamedTuple):
    """A recording before its class and rate are checked."""

    name: str
    rate: int
    samples_N: np.ndarray
    is_cut: bool
    format: str
    label: str | None = None
    speaker: str | None = None
    split: str | None = None


def load_recordings(
    data: str | Path,
    *,
    sample_rate: int | None = None,
    max_seconds: float = 10.0,
    label: str = "label",
    encoding: str = "utf-8",
    reading: Reading | None = None,
) -> Recordings:
    """Reads every recording, ordered by name. `sample_rate` None: that of the first; `label` is
    the column of tables.

    Raises UserError naming the file that is broken, empty or of another rate.
    """
    reading = Reading() if reading is None else reading
    listed: dict[str, str] = {}
    entries = _entries(Path(data).expanduser(), label, encoding, reading, listed)
    found = sorted((_decoded(entry, max_seconds, reading) for entry in entries), key=_name)
    if not found:
        raise UserError(f"{data}: no .wav file in it, nor another recording: {_COME_AS}")
    found = [file._replace(split=listed.get(_end(file.name), file.split)) for file in found]
    in_folders = len({split_and_class(file.name)[1] for file in found}) > 1
    sample_rate = sample_rate or found[0].rate
    items = []
    for file in found:
        if file.label is None:
            file = _labelled(file, in_folders)
        check_rate(file.rate, sample_rate, file.name)
        assert file.label is not None
        index = _last_number(file.name)
        items.append(
            Recording(file.name, file.label, file.samples_N, file.speaker, index, file.split)
        )
    formats = ", ".join(sorted({file.format for file in found}))
    num_cut = sum(file.is_cut for file in found)
    return Recordings(tuple(items), sample_rate, num_cut, str(data), formats, reading)


def read_sound(
    content: bytes | Path, name: str, reading: Reading | None = None
) -> tuple[int, np.ndarray, str]:
    """(samples a second, samples_N float32 in -1 to 1, format) of a sound file; several channels
    become their mean. Raises UserError naming the file."""
    if isinstance(content, Path):
        content = read_file(content, name)
    known = _other_format(content, name)
    if known in _BY_LIBRARY:
        return *_read_by_library(content, known, name), known.lower()
    if known is not None:
        raise UserError(
            f"{name}: {known}, which is not read: a wav file is wanted (ffmpeg -i in out.wav)"
        )
    return *read_wav(content, name, reading), "wav"


def _other_format(content: bytes, name: str) -> str | None:
    """What begins so and is no wav; None for wav and for what is unknown."""
    for start, form in _STARTS.items():
        if content.startswith(start):
            return form
    if len(content) > 1 and content[0] == 0xFF and content[1] >= 0xE0:  # a frame of MPEG
        return "MP3" if content[1] & 6 else "AAC"
    is_aac = PurePosixPath(name).suffix.lower() in (".m4a", ".mp4", ".aac")
    return "AAC" if is_aac else None


def check_rate(rate: int, wanted: int, name: str) -> None:
    """Raises UserError when a recording has another rate than the rest."""
    if rate != wanted:
        raise UserError(
            f"{name}: {rate} samples a second, and {wanted} are wanted: resample it so that all "
            "have the same"
        )


_Entry = tuple[
    str, bytes, str | None, str | None, str | None
]  # name, content, label, speaker, split


def _entries(
    path: Path, label: str, encoding: str, reading: Reading, listed: dict[str, str]
) -> Iterator[_Entry]:
    """The recordings at `path`; `listed` gets the splits of those that lists of splits name."""
    if path.is_file() and is_archive(path):
        yield from _of_members(read_archive(path, "sound", reading, also=_LISTS), reading, listed)
        return
    if path.is_file() and table_format(path) is None:
        raise UserError(f"{path}: {_COME_AS}")
    try:
        tables, files = find_signals(path, "sound", reading)
    except UserError as error:
        wanted = ": no .wav file or table of recordings" if path.is_dir() else ""
        raise UserError(f"{error}{wanted}") from error
    lists = [path / name for name in _LISTS if path.is_dir() and (path / name).is_file()]
    reading.passed_over = [x for x in reading.passed_over if Path(x.file) not in lists]
    yield from _of_members(read_files(path, [*files, *lists]), reading, listed)
    for split, listing in (tables._asdict() if tables else {}).items():
        for file in listing:
            said = None if len(listing) == 1 and reading.how == "one file" else split
            for row in read_list(
                file, "sound", label=label, split=said, encoding=encoding, reading=reading
            ):
                yield row.name, row.content, row.label, row.speaker, row.split


def _of_members(
    members: Iterable[Member], reading: Reading, listed: dict[str, str]
) -> Iterator[_Entry]:
    for member in members:
        inside = PurePosixPath(member.name)
        if inside.name in _LISTS:
            lines = member.content.decode(errors="replace").split("\n")
            listed.update({_end(line.strip()): _LISTS[inside.name] for line in lines})
            reading.how = f"by {' and '.join(_LISTS)}"
        elif _NOISE in inside.parts:
            reading.pass_over(Path(member.name), "background noise is no class")
        else:
            yield member.name, member.content, None, None, None


def _end(name: str) -> str:
    """The last folder and the name, by which lists of splits name a recording."""
    return "/".join(PurePosixPath(name).parts[-2:])


def _decoded(entry: _Entry, max_seconds: float, reading: Reading) -> _Found:
    name, content, label, speaker, split = entry
    rate, samples_N, form = read_sound(content, name, reading)
    limit = max(1, round(max_seconds * rate))
    is_cut = len(samples_N) > limit
    samples_N = samples_N[:limit].copy() if is_cut else samples_N
    return _Found(name, rate, samples_N, is_cut, form, label, speaker, split)


def _name(found: _Found) -> str:
    return found.name


def _read_by_library(content: bytes, form: str, name: str) -> tuple[int, np.ndarray]:
    try:
        import soundfile  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError) as error:
        raise missing_extra("soundfile", "audio", f"{name}: reading {form}") from error
    blocks: list[np.ndarray] = []
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            rate, count = int(sound.samplerate), 0
            while count <= _MOST_SAMPLES:
                block = sound.read(_BLOCK, dtype="float32", always_2d=True)
                count += block.size
                if not len(block):
                    break
                blocks.append(block.mean(axis=1))
    except Exception as error:  # the library has errors of many kinds for bytes that are broken
        raise UserError(f"{name}: not {form} that can be read: {error}") from error
    if count > _MOST_SAMPLES:
        raise UserError(f"{name}: longer than {_MOST_SAMPLES:,} samples: cut it")
    if not blocks:
        raise UserError(f"{name}: no sound in it (0 samples): leave the file out")
    if rate < LOWEST_RATE:
        raise UserError(f"{name}: {rate} samples a second: {LOWEST_RATE} or more are read")
    return rate, np.concatenate(blocks)


def _labelled(file: _Found, in_folders: bool) -> _Found:
    split, folder = split_and_class(file.name)
    split = file.split or split
    label, *rest = PurePosixPath(file.name).stem.split("_")
    if in_folders:
        if folder is None:
            raise UserError(f"{file.name}: it lies in no class's folder, and others do: move it")
        return file._replace(label=folder, split=split)
    if not rest:
        raise UserError(
            f"{file.name}: no class: name it {{class}}_{{speaker}}_{{index}}.wav, put it into "
            "its class's folder, or give a table of path and label"
        )
    return file._replace(label=label, speaker="_".join(rest[:-1]) or None, split=split)


def _last_number(name: str) -> int | None:
    last = PurePosixPath(name).stem.rpartition("_")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 10 else None
