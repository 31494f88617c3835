"""Samples of wav files, whose headers are often wrong about their sizes.

    RIFF size WAVE   then chunks: name, size, content, and a byte where the size is odd
    fmt              how samples are written: whole numbers of 8 to 32 bits, floats of 32 or 64
    data             the samples, channel by channel

What a writer to a pipe cannot know it leaves at 0xFFFFFFFF or near 2 GiB: such a size means what
follows. The size of the whole file means nothing here. RF64 has its sizes in a chunk of their own;
RIFX has its numbers with the high byte first.

    N  samples
"""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.opening import read_file
from seqarena.data.files.reading import Reading

_KINDS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_PACKED = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "ADPCM", 0x31: "GSM", 0x50: "MPEG",
           0x55: "MP3", 0xFF: "AAC"}  # fmt: skip
_UNSAID = 0x7FFFF000  # sizes from here on are those of writers to pipes
_CHUNKS = (
    b"data",
    b"fmt ",
    b"LIST",
    b"fact",
    b"bext",
    b"cue ",
    b"id3 ",
    b"ID3 ",
    b"smpl",
    b"JUNK",
    b"PEAK",
)
LOWEST_RATE, _HIGHEST_RATE = 100, 1_000_000  # Hz
_LOUDEST = 2.0**32  # floats beyond are no sound


class _Format(NamedTuple):
    """How samples are written."""

    order: str  # < or >
    is_float: bool
    width: int  # bytes of a sample
    channels: int
    rate: int


def read_wav(
    content: bytes | Path, name: str, reading: Reading | None = None
) -> tuple[int, np.ndarray]:
    """(samples a second, samples_N float32 in -1 to 1) of a wav file; several channels become
    their mean. Raises UserError naming the file."""
    if isinstance(content, Path):
        content = read_file(content, name)
    try:
        form, samples = _read(content, name, reading)
    except struct.error as error:
        raise UserError(f"{name}: not a wav file that can be read: its header is cut") from error
    samples_N = _numbers(samples, form)
    if not np.isfinite(samples_N).all():
        raise UserError(f"{name}: samples that are no numbers: write the file again")
    if np.abs(samples_N).max() > _LOUDEST:
        raise UserError(f"{name}: samples beyond {_LOUDEST:g}: floats of sound lie in -1 to 1")
    if form.channels > 1:
        samples_N = samples_N.reshape(-1, form.channels).mean(axis=1)
    return form.rate, samples_N


def _read(content: bytes, name: str, reading: Reading | None) -> tuple[_Format, bytes]:
    """The format, and the bytes of whole samples."""
    broken = f"{name}: not a wav file that can be read"
    order = _KINDS.get(content[:4])
    if order is None or content[8:12] != b"WAVE":
        raise UserError(f"{broken}: it does not begin as one")
    form: _Format | None = None
    start, long_size = 12, None
    while start + 8 <= len(content):
        chunk, size = struct.unpack_from(f"{order}4sI", content, start)
        start += 8
        if chunk == b"ds64":
            long_size = struct.unpack_from(f"{order}QQ", content, start)[1]
        elif chunk == b"fmt ":
            form = _format(content[start : start + size], order, name)
        elif chunk == b"data":
            if form is None:
                raise UserError(f"{broken}: it does not say how its samples are written")
            if size == 0xFFFFFFFF and long_size is not None:
                size = long_size
            return form, _samples(content, start, size, form, name, reading)
        start += size
        if size % 2 and content[start : start + 4] not in _CHUNKS:  # some writers leave it out
            start += 1
    raise UserError(f"{broken}: it ends before any samples")


def _format(chunk: bytes, order: str, name: str) -> _Format:
    tag, channels, rate, _, frame, bits = struct.unpack_from(f"{order}HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        (tag,) = struct.unpack_from(f"{order}H", chunk, 24)
    if tag not in (_PCM, _FLOAT):
        packed = _PACKED.get(tag, f"kind {tag}")
        raise UserError(
            f"{name}: a wav file of {packed} samples: write it as plain ones, "
            "ffmpeg -i in.wav -c:a pcm_s16le out.wav"
        )
    if not channels:
        raise UserError(f"{name}: not a wav file that can be read: it says 0 channels")
    if not LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise UserError(
            f"{name}: {rate} samples a second: {LOWEST_RATE} to {_HIGHEST_RATE:,} are read"
        )
    width = max((bits + 7) // 8, frame // channels if frame % channels == 0 else 0)
    if width not in ((4, 8) if tag == _FLOAT else (1, 2, 3, 4)):
        raise UserError(f"{name}: samples of {bits} bits in {width} bytes: 8 to 32 bits are read")
    return _Format(order, tag == _FLOAT, width, channels, rate)


def _samples(
    content: bytes, start: int, size: int, form: _Format, name: str, reading: Reading | None
) -> bytes:
    available = len(content) - start
    if size == 0 and available and content[start : start + 4] not in _CHUNKS:
        raise UserError(
            f"{name}: its header says 0 samples, and {available:,} bytes follow: the recording "
            "was broken off: write it again, ffmpeg -i in.wav out.wav"
        )
    if size > available:
        if size < _UNSAID:
            raise UserError(
                f"{name}: the wav file ends before its samples do: copy it again "
                f"({available:,} bytes of {size:,})"
            )
        if reading is not None:
            reading.note("headers of wav files that do not say their length: all is read")
        size = available
    frame = form.width * form.channels
    whole = size - size % frame
    if whole == 0:
        raise UserError(f"{name}: no sound in it (0 samples): leave the file out")
    if whole < size and reading is not None:
        reading.note("wav files whose last sample is cut: it is left out")
    return content[start : start + whole]


def _numbers(samples: bytes, form: _Format) -> np.ndarray:
    """Float32, the channels of a moment one behind the other."""
    order, width = form.order, form.width
    if form.is_float:
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is refused later
            return np.frombuffer(samples, f"{order}f{width}").astype(np.float32)
    if width == 1:
        return (np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:  # as the high bytes of four
        wide = np.zeros((len(samples) // 3, 4), np.uint8)
        high = slice(1, 4) if order == "<" else slice(0, 3)
        wide[:, high] = np.frombuffer(samples, np.uint8).reshape(-1, 3)
        return wide.reshape(-1).view(f"{order}i4").astype(np.float32) / 2.0**31
    whole = np.frombuffer(samples, f"{order}i{width}")
    return whole.astype(np.float32) / 2.0 ** (8 * width - 1)
