"""Recordings of any length with what is said in them.

    table               path and text a row, and where they are known speaker and split
                        (data/signals/lists.py)
    folder of pairs     1.wav beside 1.txt, which holds its text
    LibriSpeech         84/121123/84-121123-0000.flac beside 84-121123.trans.txt, whose lines are
                        ID TEXT; the speaker is the ID's first number

A folder above a recording may name its split (train-clean-100, dev-clean). White space in a text is
one blank. All recordings have one sample rate, unless they are to be resampled.

    N  samples
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.columns import TRANSCRIPTS
from seqarena.data.files.find import kind_of, list_files
from seqarena.data.files.opening import read_lines, read_text
from seqarena.data.files.reading import Reading
from seqarena.data.signals.audio import check_rate, read_sound
from seqarena.data.signals.lists import find_signals, read_list
from seqarena.data.signals.members import is_archive, read_files, split_and_class

_COME_AS = (
    "transcribed recordings come as a table of path and text, as a folder of .wav or .flac files "
    "with a .txt beside each, or as LibriSpeech has them, with .trans.txt"
)
_TRANSCRIPTS = ".trans.txt"


class Utterance(NamedTuple):
    """One example."""

    name: str  # where it was found
    text: str
    samples_N: np.ndarray  # float32, -1 to 1, mono
    speaker: str | None = None
    split: str | None = None  # where the data say


class Utterances(NamedTuple):
    """All of them, at one rate."""

    items: tuple[Utterance, ...]
    sample_rate: int  # Hz
    format: str = ""  # wav, or several
    origin: str = ""


class _Entry(NamedTuple):
    """A recording before it is decoded."""

    name: str
    content: bytes
    text: str
    speaker: str | None
    split: str | None


def load_utterances(
    data: str | Path,
    reading: Reading,
    *,
    text: str = "text",
    encoding: str = "utf-8",
    sample_rate: int | None = None,
    resample: bool = False,
) -> Utterances:
    """Reads every recording with its text, ordered by name. `sample_rate` None: that of the first;
    `text` is the column of tables.

    Raises UserError that names the file, for one that is broken, has no text, or has another rate
    and is not to be resampled.
    """
    entries = sorted(_entries(Path(data).expanduser(), text, encoding, reading))
    if not entries:
        raise UserError(f"{data}: no recording in it: {_COME_AS}")
    items, formats, others = [], set(), 0
    for entry in entries:
        rate, samples_N, form = read_sound(entry.content, entry.name, reading)
        sample_rate = sample_rate or rate
        if resample and rate != sample_rate:
            samples_N, others = resampled(samples_N, rate, sample_rate), others + 1
        else:
            check_rate(rate, sample_rate, entry.name)
        formats.add(form)
        items.append(
            Utterance(
                entry.name, " ".join(entry.text.split()), samples_N, entry.speaker, entry.split
            )
        )
    if others:
        reading.note(f"{plural(others, 'recording')} resampled to {sample_rate:,} samples a second")
    assert sample_rate is not None
    return Utterances(tuple(items), sample_rate, ", ".join(sorted(formats)), str(data))


def resampled(samples_N: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound at another rate, band-limited: float32."""
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    found_N = resample_poly(samples_N.astype(np.float64), wanted // common, rate // common)
    return found_N.astype(np.float32)


def _entries(path: Path, text: str, encoding: str, reading: Reading) -> Iterator[_Entry]:
    if path.is_file() and is_archive(path):
        raise UserError(f"{path}: an archive: unpack it and name the folder; {_COME_AS}")
    if path.is_file() and kind_of(path) != "table":
        raise UserError(f"{path}: {_COME_AS}")
    try:
        tables, files = find_signals(path, "sound", reading)
    except UserError as error:
        raise UserError(f"{error}: {_COME_AS}") from error
    if tables is None:
        yield from _beside(path, files, encoding, reading)
        return
    for split, listing in tables._asdict().items():
        for file in listing:
            said = None if len(listing) == 1 and reading.how == "one file" else split
            rows = read_list(
                file, "sound", label=text, others=TRANSCRIPTS if text == "text" else (),
                what="text", split=said, encoding=encoding, reading=reading,
            )  # fmt: skip
            for row in rows:
                yield _Entry(row.name, row.content, row.label, row.speaker, row.split)


def _beside(path: Path, files: list[Path], encoding: str, reading: Reading) -> Iterator[_Entry]:
    """Recordings whose texts stand in files beside them."""
    used = {file.with_suffix(".txt") for file in files}
    known: dict[Path, str] = {}  # recording, without its suffix -> text
    try:
        listings = list_files(path, ("text",), Reading(), lambda f: f.name.endswith(_TRANSCRIPTS))
    except UserError:
        listings = []
    for listing in listings:
        used.add(listing)
        known.update(_transcripts(listing, encoding))
    reading.passed_over = [x for x in reading.passed_over if Path(x.file) not in used]
    for file, member in zip(files, read_files(path, files)):
        place, speaker = file.with_suffix(""), None
        beside = file.with_suffix(".txt")
        if place in known:
            text, speaker = known[place], file.name.partition("-")[0]
        elif beside.is_file():
            text = read_text(beside, encoding)
        else:
            raise UserError(f"{file}: no text: write it into {beside.name}; {_COME_AS}")
        if not text.strip():
            raise UserError(f"{beside}: no text in it: leave {file.name} out")
        yield _Entry(member.name, member.content, text, speaker, split_and_class(member.name)[0])


def _transcripts(listing: Path, encoding: str) -> Iterator[tuple[Path, str]]:
    """The lines of a .trans.txt: a recording, without its suffix, and its text."""
    for number, line in read_lines(listing, encoding):
        name, _, text = line.strip().partition(" ")
        if name and not text.strip():
            raise UserError(f"{listing}, line {number}: no text behind {name!r}: ID TEXT is needed")
        if name:
            yield listing.parent / name, text
