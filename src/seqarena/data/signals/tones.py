"""Touch tones: recordings that need no download, exactly generated.

A key of the telephone sounds one of four low and one of four high frequencies (ITU-T
Recommendation Q.23). Each recording has one key, pressed for 50 to 100 ms somewhere in 0.2 to 0.4
seconds of noise, each tone detuned by up to 1.8 % as real ones may be, the high one up to 4 dB
above or 8 dB below the low one. At 10 dB of signal to noise a key is plain, at -10 dB hardly.
"""

import numpy as np

from seqarena.data.signals.audio import Recording, Recordings
from seqarena.data.streams import Stream, philox

SAMPLE_RATE = 8000  # Hz
KEYS = ("123A", "456B", "789C", "*0#D")  # rows share a low frequency, columns a high one
LOW_HERTZ = (697, 770, 852, 941)
HIGH_HERTZ = (1209, 1336, 1477, 1633)
LINES = ("clear", "noisy", "very noisy")
SIGNAL_DECIBELS = ((3.0, 10.0), (-3.0, 3.0), (-10.0, -3.0))  # signal over noise on each line
_SIZES = {"train": (Stream.TRAIN, 1600), "validation": (Stream.VALIDATION, 320),
          "test": (Stream.TEST, 640)}  # fmt: skip


def touch_tones() -> Recordings:
    """Every split, the same on every machine. The line stands where a speaker would."""
    items = [
        _recording(philox(0, stream, index), index, split)
        for split, (stream, count) in _SIZES.items()
        for index in range(count)
    ]
    return Recordings(tuple(items), SAMPLE_RATE, origin="generated")


def _recording(generator: np.random.Generator, index: int, split: str) -> Recording:
    row, column = divmod(index % 16, 4)
    line = int(generator.integers(len(LINES)))
    total = round(SAMPLE_RATE * generator.uniform(0.2, 0.4))
    length = round(SAMPLE_RATE * generator.uniform(0.05, 0.1))
    start = int(generator.integers(total - length + 1))
    twist = 10 ** (generator.uniform(-8.0, 4.0) / 20)
    tone_N = key_tone(generator, row, column, length, twist)
    loudness = 10 ** (generator.uniform(*SIGNAL_DECIBELS[line]) / 20)
    samples_N = generator.standard_normal(total)
    samples_N[start : start + length] += loudness * tone_N
    samples_N *= 0.5 / np.abs(samples_N).max()
    key = KEYS[row][column]
    name = f"{split}/{key}_{LINES[line]}_{index}"
    return Recording(name, key, samples_N.astype(np.float32), LINES[line], index, split)


def key_tone(
    generator: np.random.Generator, row: int, column: int, length: int, twist: float
) -> np.ndarray:
    """`length` samples of a key, of power 1; its high tone is `twist` times as loud as the low."""
    time_N = np.arange(length) / SAMPLE_RATE
    tone_N = np.zeros(length)
    for hertz, size in ((LOW_HERTZ[row], 1.0), (HIGH_HERTZ[column], twist)):
        detuned = hertz * generator.uniform(0.982, 1.018)
        tone_N += size * np.sin(2 * np.pi * (detuned * time_N + generator.uniform()))
    return tone_N / np.sqrt(np.mean(tone_N**2))
