"""Numbers dialled in touch tones (data/signals/tones.py): recordings with a transcript that need no
download, exactly generated.

A number has 2 to 6 keys in training and 2 to 9 to be scored. Each key is pressed for 50 to 100 ms,
each pause is 40 to 160 ms long, and white noise lies under all of it, on each line as strong as
there. No number that is scored is dialled in training.
"""

import numpy as np

from seqarena.data.signals.spoken.utterances import Utterance, Utterances
from seqarena.data.signals.tones import KEYS, LINES, SAMPLE_RATE, SIGNAL_DECIBELS, key_tone
from seqarena.data.streams import Stream, philox

TRAINED, SCORED = range(2, 7), range(2, 10)  # keys of a number
_SIZES = {
    "test": (Stream.TEST, 320, SCORED),
    "validation": (Stream.VALIDATION, 160, SCORED),
    "train": (Stream.TRAIN, 1600, TRAINED),
}


def dialled_numbers() -> Utterances:
    """Every split, the same on every machine. The line stands where a speaker would."""
    items: list[Utterance] = []
    for split, (stream, count, lengths) in _SIZES.items():
        scored = {item.text for item in items} if split == "train" else set()
        for index in range(count):
            generator = philox(0, stream, index)
            found = _number(generator, lengths, f"{split}/{index}", split)
            while found.text in scored:
                found = _number(generator, lengths, f"{split}/{index}", split)
            items.append(found)
    return Utterances(tuple(items), SAMPLE_RATE, origin="generated")


def _number(generator: np.random.Generator, lengths: range, name: str, split: str) -> Utterance:
    line = int(generator.integers(len(LINES)))
    size = int(generator.integers(lengths.start, lengths.stop))
    keys = [divmod(int(key), 4) for key in generator.integers(16, size=size)]
    parts = [np.zeros(_samples(generator, 0.04, 0.16))]
    for row, column in keys:
        twist = 10 ** (generator.uniform(-8.0, 4.0) / 20)
        parts.append(key_tone(generator, row, column, _samples(generator, 0.05, 0.1), twist))
        parts.append(np.zeros(_samples(generator, 0.04, 0.16)))
    loudness = 10 ** (generator.uniform(*SIGNAL_DECIBELS[line]) / 20)
    samples_N = loudness * np.concatenate(parts)
    samples_N += generator.standard_normal(len(samples_N))
    samples_N *= 0.5 / np.abs(samples_N).max()
    text = " ".join(KEYS[row][column] for row, column in keys)
    return Utterance(name, text, samples_N.astype(np.float32), LINES[line], split)


def _samples(generator: np.random.Generator, low: float, high: float) -> int:
    return round(SAMPLE_RATE * generator.uniform(low, high))
