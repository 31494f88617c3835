"""Log-mel features of sound: short windows, power spectra, triangular bands even in pitch.

    P[t, f] = |FFT(window * samples[t hop : t hop + W])|^2      log_mel[t, m] = ln(P[t] . filter_m)

The mel scale, 2595 log10(1 + f / 700), is that of O'Shaughnessy 1987 and of HTK; the bands are
triangles in hertz whose corners are even in mel (Davis and Mermelstein 1980). Windows lie whole
inside the recording: frame t says nothing of samples from t hop + W on.

    N  samples    T  frames    F  bins of the spectrum    M  bands
"""

from functools import cache

import numpy as np

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010
LOWEST_HERTZ = 20.0  # hum below it says nothing
FLOOR = 1e-10  # power of digital silence


def log_mel(samples_N: np.ndarray, sample_rate: int, num_bands: int = 40) -> np.ndarray:
    """Features, float32 [T, M], of samples in [-1, 1]. What is shorter than a window is filled up
    with silence."""
    window, hop = frame_sizes(sample_rate)
    missing = max(0, window - len(samples_N))
    samples_N = np.pad(np.asarray(samples_N, dtype=np.float64), (0, missing))
    frames_TW = np.lib.stride_tricks.sliding_window_view(samples_N, window)[::hop]
    hann_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    fft_size = _fft_size(num_bands, sample_rate)
    power_TF = np.abs(np.fft.rfft(frames_TW * hann_W, fft_size)) ** 2
    bands_TM = power_TF @ mel_filters(num_bands, fft_size, sample_rate)
    return np.log(np.maximum(bands_TM, FLOOR)).astype(np.float32)


def frame_sizes(sample_rate: int) -> tuple[int, int]:
    """Samples of a window and from one window to the next."""
    return max(2, round(WINDOW_SECONDS * sample_rate)), max(1, round(HOP_SECONDS * sample_rate))


@cache
def mel_filters(num_bands: int, fft_size: int, sample_rate: int) -> np.ndarray:
    """Triangles [F, M] over the bins of a spectrum, F = fft_size / 2 + 1: each rises from the
    centre of the band before to 1 at its own and falls to 0 at that of the band behind."""
    highest = sample_rate / 2
    corners = _hertz(np.linspace(_mel(LOWEST_HERTZ), _mel(highest), num_bands + 2))
    bins_F1 = np.linspace(0, highest, fft_size // 2 + 1)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising_FM = (bins_F1 - left) / (centre - left)
    falling_FM = (right - bins_F1) / (right - centre)
    return np.maximum(0.0, np.minimum(rising_FM, falling_FM))


@cache
def _fft_size(num_bands: int, sample_rate: int) -> int:
    """The power of two that holds a window, doubled until no band falls between two bins."""
    size = 1 << (frame_sizes(sample_rate)[0] - 1).bit_length()
    while not mel_filters(num_bands, size, sample_rate).any(axis=0).all():
        size *= 2
    return size


def _mel(hertz: float | np.ndarray) -> np.ndarray:
    return 2595.0 * np.log10(1.0 + np.asarray(hertz) / 700.0)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
