"""Strings of words: recordings of one word each, said one behind the other by one speaker.

String k of a split is a pure function of (split, k): a speaker, how many words, which recordings,
and the pauses between them, all drawn evenly. Under all of it lies white noise, as far below the
string's loudness as a quiet room is, so that pauses are no digital silence.

    N  samples
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from seqarena.data.signals.audio import Recording
from seqarena.data.signals.spoken.utterances import Utterance
from seqarena.data.streams import Stream, philox

LONGEST_PAUSE = 0.1  # seconds
NOISE_DECIBELS = -45.0  # of the noise over the string
_TRIES = 1000


def joined(
    recordings: Sequence[Recording],
    sample_rate: int,
    lengths: range,
    count: int,
    stream: Stream,
    without: Collection[str] = (),
) -> list[Utterance]:
    """`count` strings of `lengths` words; their texts are the recordings' labels with blanks
    between. A string whose text is in `without` is drawn again; where all there are seem to be, the
    list is shorter."""
    by_speaker: dict[str | None, list[Recording]] = defaultdict(list)
    for item in recordings:
        by_speaker[item.speaker].append(item)
    speakers = sorted(by_speaker, key=str)
    without, found = set(without), []
    for index in range(count):
        generator = philox(0, stream, index)
        for _ in range(_TRIES):
            speaker = speakers[generator.integers(len(speakers))]
            said = by_speaker[speaker]
            size = int(generator.integers(lengths.start, lengths.stop))
            chosen = [said[k] for k in generator.integers(len(said), size=size)]
            text = " ".join(item.label for item in chosen)
            if text not in without:
                samples_N = _in_a_row(chosen, sample_rate, generator)
                name = f"string {index}: {' '.join(item.name for item in chosen)}"
                found.append(Utterance(name, text, samples_N, speaker))
                break
    return found


def _in_a_row(
    chosen: Sequence[Recording], sample_rate: int, generator: np.random.Generator
) -> np.ndarray:
    parts = []
    for item in chosen:
        pause = int(sample_rate * generator.uniform(0.0, LONGEST_PAUSE))
        parts += [item.samples_N, np.zeros(pause, dtype=np.float32)]
    samples_N = np.concatenate(parts)
    loudness = np.sqrt(np.mean(np.square(samples_N, dtype=np.float64)))
    noise_N = loudness * 10 ** (NOISE_DECIBELS / 20) * generator.standard_normal(len(samples_N))
    return (samples_N + noise_N).astype(np.float32)
