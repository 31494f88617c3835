"""Random numbers as a function of their place: counter-based, so nothing has to be replayed.

Philox 4x64 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") maps a key of 128
bits and a counter of 256 bits to random bits. The key here is (seed, stream) and the counter's
highest word is the index; streams and indices therefore never share a number.
"""

from enum import IntEnum

import numpy as np

from seqarena.core.errors import UserError


class Stream(IntEnum):
    """What the numbers are for. A member's value is part of every published number: never reuse."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    MASK = 3


def philox(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """The generator that belongs to one (seed, stream, index).

    Raises UserError when the seed is not in [0, 2^64).
    """
    if not 0 <= seed < 2**64:
        raise UserError(f"seed {seed}: it must be at least 0 and below 2^64")
    key = np.array([seed, int(stream)], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)  # the first word is the one that counts
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
