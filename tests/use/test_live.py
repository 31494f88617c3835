"""A transcript piece by piece is that of the whole recording."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from stored import stored

from seqarena.core.errors import UserError
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.tasks.signals.transcription_codec import TranscriptionCodec
from seqarena.use.live import LiveTranscript
from seqarena.use.loading import load_model
from seqarena.use.predict import Predictor

RATE = 8000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, generator = tmp_path_factory.mktemp("said"), np.random.default_rng(0)
    for k in range(12):
        samples_N = (3000 * generator.standard_normal(5000 + 611 * k)).astype(np.int16)
        wavfile.write(place / f"{k}.wav", RATE, samples_N)
        (place / f"{k}.txt").write_text("go on stop"[: 2 + k % 9].strip())
    return place


def checkpoint(place: Path, data: Path, name: str = "lstm", **settings: object) -> Path:
    task = {"kind": "transcription", "data": str(data), "bands": 8, **settings}
    torch.manual_seed(0)
    return stored(place / "checkpoint", name, task)


@pytest.mark.parametrize("size", [1, 97, 800, 10**6])
@pytest.mark.parametrize("name", ["lstm", "wavenet"])
def test_pieces_of_any_length_give_the_text_of_the_whole(
    name: str, size: int, data: Path, tmp_path: Path
) -> None:
    place = checkpoint(tmp_path, data, name, stack=4)
    (answer,) = Predictor(place)([str(data / "11.wav")])
    assert answer.text
    _, samples_N = wavfile.read(data / "11.wav")
    samples_N = samples_N.astype(np.float32) / 2**15
    live = LiveTranscript(place)
    assert live.sample_rate == RATE
    said = [live.hear(samples_N[k : k + size]) for k in range(0, len(samples_N), size)]
    assert live.end() == answer.text
    assert all(later.startswith(sooner) for sooner, later in pairwise(said))
    assert live.end() == answer.text


def test_a_beam_sums_the_paths_of_a_text(data: Path, tmp_path: Path) -> None:
    place = checkpoint(tmp_path, data, "bi_lstm")
    items = [str(data / f"{k}.wav") for k in (0, 5)]
    best, searched = (Predictor(place, beam_width=width)(items) for width in (1, 8))
    for one, more in zip(best, searched):
        assert 0 < (one.confidence or 0) < (more.confidence or 0) <= 1


@pytest.mark.parametrize("length", [0, 10, 199, 200, 279, 280, 281, 1000])
def test_the_positions_are_those_of_the_codec(length: int, data: Path, tmp_path: Path) -> None:
    place = checkpoint(tmp_path, data, stack=3)
    about, model = load_model(place)
    codec = load_codec(parse_task(about.about["task"]), about.about["artifacts"])
    assert isinstance(codec, TranscriptionCodec)
    samples_N = np.random.default_rng(length).standard_normal(length).astype(np.float32) / 10
    live = LiveTranscript(place)
    read: list[torch.Tensor] = []
    live._spell = read.append  # pyright: ignore
    for k in range(0, length, 33):
        live.hear(samples_N[k : k + 33])
    live.end()
    if not length:
        assert not read
        return
    x_TF = codec.listener.features(codec.listener.frontend.raw(samples_N))
    with torch.no_grad():
        whole_TV = model.eval()(torch.from_numpy(x_TF)[None])[0][0]  # pyright: ignore
    torch.testing.assert_close(torch.cat(read), whole_TV, rtol=1e-4, atol=1e-5)


def test_who_cannot_transcribe_live(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keeps no session: that is for causal models"):
        LiveTranscript(checkpoint(tmp_path / "a", data, "bi_lstm"))
    with pytest.raises(UserError, match="train with --set normalise=global"):
        LiveTranscript(checkpoint(tmp_path / "b", data, normalise="recording"))
