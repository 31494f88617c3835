"""wav files as recorders, pipes and editors leave them: the same samples, or one clear line."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.signals.audio import read_sound
from seqarena.data.signals.wav import read_wav

RAMP = np.linspace(-0.5, 0.5, 800, endpoint=False)
WHOLE = np.round(RAMP * 2**15).astype("<i2")
UNSAID = 0xFFFFFFFF


def fmt(
    tag: int = 1, channels: int = 1, bits: int = 16, rate: int = 8000, order: str = "<"
) -> bytes:
    frame = channels * ((bits + 7) // 8)
    return struct.pack(f"{order}HHIIHH", tag, channels, rate, rate * frame % 2**32, frame, bits)


def chunk(name: bytes, content: bytes, size: int | None = None, order: str = "<") -> bytes:
    said = len(content) if size is None else size
    return struct.pack(f"{order}4sI", name, said) + content + b"\0" * (len(content) % 2)


def wav(*chunks: bytes, riff: int | None = None, kind: bytes = b"RIFF", order: str = "<") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack(f"{order}4sI", kind, len(body) if riff is None else riff) + body


def samples(size: int | None = None, extra: bytes = b"") -> bytes:
    return chunk(b"data", WHOLE.tobytes() + extra, size)


FORMAT = chunk(b"fmt ", fmt())
EXTENSIBLE = (
    fmt(0xFFFE) + struct.pack("<HHI", 22, 16, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
)
LONG = struct.pack("<QQQI", 0, 1600, 800, 0)
WIDE = np.round(RAMP * 2**23).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
GOOD = {
    "plain": wav(FORMAT, samples()),
    "both sizes unsaid": wav(FORMAT, samples(UNSAID), riff=UNSAID),
    "data unsaid": wav(FORMAT, samples(UNSAID)),
    "sizes of sox's pipe": wav(FORMAT, samples(0x7FFFF000), riff=0x7FFFF024),
    "sizes of arecord's pipe": wav(FORMAT, samples(0x80000000), riff=0x80000024),
    "header before the unsaid": wav(FORMAT, samples(UNSAID - 36), riff=UNSAID),
    "riff too large": wav(FORMAT, samples(), riff=999_999),
    "riff 0": wav(FORMAT, samples(), riff=0),
    "riff too small": wav(FORMAT, samples(), riff=4),
    "cut last sample, unsaid": wav(FORMAT, samples(UNSAID, b"\x01")[:-1]),
    "odd trailing byte": wav(FORMAT, samples(1601, b"\x01")),
    "bytes behind": wav(FORMAT, samples()) + b"\0garbage",
    "list before and behind": wav(
        chunk(b"LIST", b"INFOISFT\x03\0\0\0abc"), FORMAT, chunk(b"fact", b"\0\0\0\0"), samples(),
        chunk(b"LIST", b"INFO"),
    ),
    "no byte behind an odd size": wav(
        struct.pack("<4sI", b"LIST", 3) + b"abc", FORMAT, samples(),
    ),
    "extensible": wav(chunk(b"fmt ", EXTENSIBLE), samples()),
    "long format chunk": wav(chunk(b"fmt ", fmt() + b"\0\0"), samples()),
    "24 bit": wav(chunk(b"fmt ", fmt(bits=24)), chunk(b"data", WIDE)),
    "32 bit": wav(
        chunk(b"fmt ", fmt(bits=32)),
        chunk(b"data", np.round(RAMP * 2**31).astype("<i4").tobytes()),
    ),
    "float": wav(chunk(b"fmt ", fmt(3, bits=32)), chunk(b"data", RAMP.astype("<f4").tobytes())),
    "double": wav(chunk(b"fmt ", fmt(3, bits=64)), chunk(b"data", RAMP.astype("<f8").tobytes())),
    "stereo": wav(
        chunk(b"fmt ", fmt(channels=2)), chunk(b"data", np.stack([WHOLE, WHOLE], 1).tobytes())
    ),
    "high byte first": wav(
        chunk(b"fmt ", fmt(order=">"), order=">"),
        chunk(b"data", WHOLE.astype(">i2").tobytes(), order=">"),
        kind=b"RIFX", order=">",
    ),
    "RF64": wav(
        chunk(b"ds64", LONG), FORMAT, samples(UNSAID), chunk(b"LIST", b"INFO"),
        kind=b"RF64", riff=UNSAID,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_the_same_samples(name: str) -> None:
    rate, found_N = read_wav(GOOD[name], "a.wav")
    assert (rate, found_N.dtype, len(found_N)) == (8000, np.float32, 800)
    np.testing.assert_allclose(found_N, RAMP, atol=2**-15)


def test_what_a_header_does_not_say_is_noted() -> None:
    reading = Reading()
    for name in ("plain", "data unsaid", "odd trailing byte", "both sizes unsaid"):
        read_wav(GOOD[name], "a.wav", reading)
    assert reading.notes == [
        "headers of wav files that do not say their length: all is read",
        "wav files whose last sample is cut: it is left out",
    ]


BAD = {
    "recorder killed": (wav(FORMAT, samples(0), riff=0), "says 0 samples, and 1,600 bytes follow"),
    "only the data size 0": (wav(FORMAT, samples(0)), "says 0 samples, and 1,600 bytes follow"),
    "no samples": (wav(FORMAT, chunk(b"data", b"")), r"no sound in it \(0 samples\)"),
    "no samples but a list": (
        wav(FORMAT, chunk(b"data", b""), chunk(b"LIST", b"INFO")), "no sound in it",
    ),
    "less than a sample": (wav(FORMAT, chunk(b"data", b"\1")), "no sound in it"),
    "cut": (GOOD["plain"][:-100], r"ends before its samples do: .*\(1,500 bytes of 1,600\)"),
    "no data": (wav(FORMAT), "not a wav file that can be read: it ends before any samples"),
    "no format": (wav(samples()), "does not say how its samples are written"),
    "short format": (wav(chunk(b"fmt ", b"\1\0"), samples()), "its header is cut"),
    "short extensible": (wav(chunk(b"fmt ", fmt(0xFFFE)), samples()), "its header is cut"),
    "mu-law": (wav(chunk(b"fmt ", fmt(7, bits=8)), samples()), "mu-law samples: write it as plain"),
    "adpcm": (wav(chunk(b"fmt ", fmt(0x11, bits=4)), samples()), "ADPCM samples"),
    "unknown": (wav(chunk(b"fmt ", fmt(0x1234)), samples()), "kind 4660 samples"),
    "0 channels": (wav(chunk(b"fmt ", fmt(channels=0)), samples()), "0 channels"),
    "0 hertz": (wav(chunk(b"fmt ", fmt(rate=0)), samples()), "0 samples a second: 100 to"),
    "4 GHz": (wav(chunk(b"fmt ", fmt(rate=UNSAID)), samples()), "4294967295 samples a second"),
    "64 bit": (wav(chunk(b"fmt ", fmt(bits=64)), samples()), "samples of 64 bits in 8 bytes"),
    "half": (wav(chunk(b"fmt ", fmt(3, bits=16)), samples()), "samples of 16 bits in 2 bytes"),
    "loud": (
        wav(chunk(b"fmt ", fmt(3, bits=32)), chunk(b"data", np.float32(1e30).tobytes())),
        "floats of sound lie in -1 to 1",
    ),
    "beyond": (
        wav(chunk(b"fmt ", fmt(3, bits=64)), chunk(b"data", np.float64(1e300).tobytes())),
        "no numbers",
    ),
    "text": (b"RIFF of songs", "not a wav file that can be read"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    "zip": (b"PK\x03\x04rest", "a zip archive, which is not read"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_one_clear_line(name: str) -> None:
    content, message = BAD[name]
    with pytest.raises(UserError, match=f"^a.wav: .*{message}") as caught:
        read_sound(content, "a.wav")
    assert "\n" not in str(caught.value)


def test_any_changed_byte_of_a_header_is_read_or_refused() -> None:
    for name in ("plain", "extensible", "RF64"):
        content = GOOD[name]
        for place in range(len(content) - 1600):
            for value in (0, 1, 0x7F, 0xFF):
                changed = bytearray(content)
                changed[place] = value
                try:
                    _, found_N = read_wav(bytes(changed), "a.wav")
                except UserError:
                    continue
                assert 0 < len(found_N) <= 1700


OTHERS = {
    "a.flac": b"fLaC\0\0\0\x22", "a.ogg": b"OggS\0", "a.mp3": b"ID3\x04", "b.mp3": b"\xff\xfb\x90",
    "m.wav": b"ID3\x04", "a.m4a": b"\0\0\0\x20ftypM4A ",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_formats_name_what_reads_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    wanted = "AAC, which is not read" if name == "a.m4a" else r"pip install 'seqarena\[audio\]'"
    with pytest.raises(UserError, match=f"^{name}: .*{wanted}"):
        read_sound(OTHERS[name], name)


@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
def test_other_formats_by_the_library(tmp_path: Path, form: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    file = tmp_path / f"a.{form}"
    time = np.arange(8000) / 8000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(file, np.stack([tone, tone], 1), 8000)
    rate, found_N, found = read_sound(file, str(file))
    assert (rate, found_N.dtype, found) == (8000, np.float32, form)
    spectrum = np.abs(np.fft.rfft(found_N[:8000]))
    assert int(spectrum.argmax()) == 440
    with pytest.raises(UserError, match=r"can be read|0 samples"):
        read_sound(file.read_bytes()[:40], file.name)
