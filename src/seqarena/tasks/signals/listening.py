"""What a model of transcription hears: stacked log-mel frames, and how training varies them.

    speed   the recording is played faster or slower, its pitch and formants too (Ko et al. 2015,
            "Audio Augmentation for Speech Recognition")
    noise   white noise, louder and softer
    mask    two stretches of bands and two of time become the mean (Park et al. 2019, "SpecAugment",
            without its warp of time)

`stack` neighbouring frames become one position (Sak et al. 2015), which makes the sequence as many
times shorter; the last frame fills up what is missing at the end. Position t sees samples up to its
last frame alone, unless each recording is normalised by itself.

    N  samples    T  frames, then positions    M  bands    F = stack M features
"""

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from seqarena.tasks.configs import SpeechConfig
from seqarena.tasks.signals.configs import TranscriptionConfig
from seqarena.tasks.signals.speech import Frontend

_FINEST = 20  # parts of a whole that a speed is made of
_HALF_LENGTH = 10  # of the low-pass filter, in samples of the lower rate
_LEAST_NOISE = 50.0  # decibels below the recording: not to be heard
_MASKED_BANDS, _MASKED_FRAMES = 1 / 5, 10  # the widest that is hidden at once


class Listener:
    """From samples to features, as the configuration says."""

    def __init__(self, config: TranscriptionConfig, frontend: Frontend) -> None:
        self.config = config
        self.frontend = frontend

    @classmethod
    def at_rate(cls, config: TranscriptionConfig, sample_rate: int) -> "Listener":
        """Not yet fitted (`Frontend.fit`)."""
        return cls(config, Frontend(_like_speech(config), sample_rate))

    @classmethod
    def from_json(cls, config: TranscriptionConfig, text: str) -> "Listener":
        return cls(config, Frontend.from_json(_like_speech(config), text))

    @property
    def num_features(self) -> int:
        return self.config.stack * self.config.bands

    @property
    def varies(self) -> bool:
        """Whether training hears a recording otherwise each time."""
        return bool(self.config.speed or self.config.noise is not None or self.config.mask)

    @property
    def slowest(self) -> float:
        """How many times longer a recording can become."""
        return 1.0 / (1.0 - self.config.speed)

    def features(self, raw_TM: np.ndarray) -> np.ndarray:
        """Positions [T, F], float32, from frames that are not normalised yet."""
        return self._stacked(self.frontend.normalised(raw_TM))

    def varied(self, samples_N: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Positions [T, F] of a recording as training hears it this time."""
        config = self.config
        if config.speed:
            samples_N = played(samples_N, generator.uniform(1 - config.speed, 1 + config.speed))
        if config.noise is not None:
            loudness = np.sqrt(np.mean(np.square(samples_N, dtype=np.float64)))
            decibels = generator.uniform(config.noise, max(config.noise, _LEAST_NOISE))
            noise_N = generator.standard_normal(len(samples_N))
            samples_N = samples_N + loudness * 10 ** (-decibels / 20) * noise_N
        x_TM = self.frontend.normalised(self.frontend.raw(samples_N))
        return self._stacked(masked(x_TM, generator) if config.mask else x_TM)

    def _stacked(self, x_TM: np.ndarray) -> np.ndarray:
        missing = -len(x_TM) % self.config.stack
        x_TM = np.pad(x_TM, ((0, missing), (0, 0)), mode="edge")
        return np.ascontiguousarray(x_TM.reshape(-1, self.num_features), dtype=np.float32)


def played(samples_N: np.ndarray, speed: float) -> np.ndarray:
    """The recording so many times as fast, to the nearest ratio of small numbers."""
    from scipy.signal import resample_poly

    ratio = Fraction(speed).limit_denominator(_FINEST)
    if ratio <= 0 or ratio == 1:
        return samples_N
    up, down = ratio.denominator, ratio.numerator
    return resample_poly(
        np.asarray(samples_N, np.float64), up, down, window=_low_pass(max(up, down))
    )


@cache
def _low_pass(factor: int) -> np.ndarray:
    """The filter of a resampling by such a factor, as resample_poly would design it each time."""
    from scipy.signal import firwin

    taps = 2 * _HALF_LENGTH * factor + 1
    window: Any = ("kaiser", 5.0)  # scipy's stubs know windows without a parameter alone
    return np.asarray(firwin(taps, 1.0 / factor, window=window))


def masked(x_TM: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Frames with two stretches of bands and two of time at the mean of the recording."""
    x_TM, mean_M = x_TM.copy(), x_TM.mean(axis=0)
    length, bands = x_TM.shape
    for _ in range(2):
        wide = int(generator.integers(int(bands * _MASKED_BANDS) + 1))
        first = int(generator.integers(bands - wide + 1))
        x_TM[:, first : first + wide] = mean_M[first : first + wide]
    for _ in range(2):
        wide = int(generator.integers(min(_MASKED_FRAMES, length // 4) + 1))
        first = int(generator.integers(length - wide + 1))
        x_TM[first : first + wide] = mean_M
    return x_TM


def _like_speech(config: TranscriptionConfig) -> SpeechConfig:
    return SpeechConfig(bands=config.bands, normalise=config.normalise)
