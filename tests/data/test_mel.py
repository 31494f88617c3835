"""Log-mel features: equal to those of an independent implementation, and local in time."""

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from seqarena.data.signals import mel
from seqarena.data.signals.mel import frame_sizes, log_mel, mel_filters


@pytest.mark.parametrize(("rate", "bands", "fft"), [(8000, 40, 512), (16000, 80, 1024)])
def test_filters_equal_the_reference(rate: int, bands: int, fft: int) -> None:
    reference = mel_filter_bank(fft // 2 + 1, bands, 20.0, rate / 2, rate, None, "htk")
    np.testing.assert_allclose(mel_filters(bands, fft, rate), reference, atol=1e-12)


@pytest.mark.parametrize(("rate", "bands"), [(8000, 40), (16000, 23)])
def test_features_equal_the_reference(rate: int, bands: int) -> None:
    samples = np.random.default_rng(0).standard_normal(rate // 3) * 0.1
    window, hop = frame_sizes(rate)
    fft = mel._fft_size(bands, rate)
    reference_MT = spectrogram(
        samples, window_function(window, "hann"), window, hop, fft, 2.0, center=False,
        mel_filters=mel_filter_bank(fft // 2 + 1, bands, 20.0, rate / 2, rate, None, "htk"),
        mel_floor=mel.FLOOR, log_mel="log", dtype=np.float64,
    )  # fmt: skip
    found_TM = log_mel(samples, rate, bands)
    assert found_TM.dtype == np.float32
    # the reference computes its spectra in complex64
    np.testing.assert_allclose(found_TM, reference_MT.T, rtol=1e-4, atol=1e-4)


def test_no_band_is_empty_even_where_bands_are_narrower_than_bins() -> None:
    for rate, bands in ((8000, 40), (8000, 128), (44100, 64)):
        assert mel_filters(bands, mel._fft_size(bands, rate), rate).max(axis=0).min() > 0


def test_a_tone_is_loudest_in_its_band() -> None:
    samples = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000) / 8000)
    features_TM = log_mel(samples, 8000, 40)
    filters_FM = mel_filters(40, 512, 8000)
    expected = filters_FM[round(1000 / 8000 * 512)].argmax()
    assert set(features_TM.argmax(axis=1)) == {expected}


def test_frames_are_counted_and_local() -> None:
    samples = np.random.default_rng(1).standard_normal(1000)
    assert len(log_mel(samples, 8000)) == 1 + (1000 - 200) // 80
    changed = samples.copy()
    changed[480:] = 0  # frame 3 starts at 240 and ends before 440, frame 4 before 520
    assert np.array_equal(log_mel(samples, 8000)[:4], log_mel(changed, 8000)[:4])
    assert not np.array_equal(log_mel(samples, 8000)[4], log_mel(changed, 8000)[4])


def test_what_is_shorter_than_a_window_is_one_frame() -> None:
    short = np.array([0.1, -0.2, 0.3])
    padded = np.concatenate((short, np.zeros(197)))
    np.testing.assert_array_equal(log_mel(short, 8000), log_mel(padded, 8000))
    silence = log_mel(np.zeros(200), 8000)
    np.testing.assert_allclose(silence, np.log(mel.FLOOR))
