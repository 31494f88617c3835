"""Speech: splits, features, batches, accuracy by class and speaker, and answers for a wav file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from seqarena.core.batch import IGNORE
from seqarena.core.errors import UserError
from seqarena.data.signals.mel import log_mel
from seqarena.models.build import build
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.registry import load_codec
from seqarena.tasks.signals.speech import SpeechTask

RATE = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two words (hums of different pitch) by two speakers, ten times each."""
    place = tmp_path_factory.mktemp("words")
    generator = np.random.default_rng(0)
    for index in range(10):
        for label, hertz in (("low", 300), ("high", 1800)):
            for speaker in ("ann", "bob"):
                time = np.arange(generator.integers(600, 2400)) / RATE
                samples = 0.4 * np.sin(2 * np.pi * hertz * time)
                samples += 0.02 * generator.standard_normal(len(time))
                name = place / f"{label}_{speaker}_{index}.wav"
                wavfile.write(name, RATE, (samples * 2**15).astype(np.int16))
    return place


def made(folder: Path | None, **settings: object) -> SpeechTask:
    data = {} if folder is None else {"data": str(folder)}
    task = build_task(parse_task({"kind": "speech", **data, **settings}))
    assert isinstance(task, SpeechTask)
    return task


def test_splits_by_index(folder: Path) -> None:
    task = made(folder, test_index="0-1", validation_index=2)
    assert task.sizes == {"train": 28, "validation": 4, "test": 8}
    assert task.classes == ("high", "low")
    names = [task.groups("test", index) for index in range(8)]
    assert names[0] == ("class high", "speaker ann")
    assert made(folder, test_index="0-1").sizes == {"train": 29, "validation": 3, "test": 8}
    assert made(folder).sizes == {"train": 32, "validation": 4, "test": 4}


def test_problem_and_features(folder: Path) -> None:
    task = made(folder, test_index="0", normalise="none", validation_index="1")
    assert (task.problem.form, task.problem.features, task.problem.num_outputs) == ("label", 40, 2)
    _, samples = wavfile.read(folder / "high_ann_0.wav")
    (batch,) = task.evaluation_batches("test", 8)
    expected_TF = log_mel(samples / 2**15, RATE)
    assert batch.mask_BT is not None
    assert batch.mask_BT[0].sum() == len(expected_TF)
    np.testing.assert_allclose(batch.inputs_BT[0, : len(expected_TF)], expected_TF, atol=1e-4)
    assert batch.targets_BT[:, 0].tolist() == [0, 0, 1, 1]
    # padding holds zeros, and the longest of all is as long as the problem says
    assert (batch.inputs_BT[~batch.mask_BT] == 0).all()
    assert task.problem.max_length == task.sequence_length >= batch.inputs_BT.shape[1]


def test_normalisation(folder: Path) -> None:
    each = made(folder, test_index="0", normalise="recording")
    for row_TF in each._features["test"]:
        np.testing.assert_allclose(row_TF.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(row_TF.std(axis=0), 1, atol=1e-3)
    together = made(folder, test_index="0", normalise="global")
    frames_NF = np.concatenate(together._features["train"])
    np.testing.assert_allclose(frames_NF.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames_NF.std(axis=0), 1, atol=1e-3)
    unseen_NF = np.concatenate(together._features["test"])
    assert np.abs(unseen_NF.mean(axis=0)).max() > 1e-3  # only training frames were counted


def test_waveforms(folder: Path) -> None:
    settings = {"test_index": "0", "validation_index": "1", "normalise": "none"}
    plain = made(folder, features="waveform", **settings)
    _, samples = wavfile.read(folder / "high_ann_0.wav")
    samples_N = samples / 2**15
    np.testing.assert_allclose(plain._features["test"][0][:, 0], samples_N, atol=1e-6)
    assert plain.problem.features == 1
    companded = made(folder, features="mu_law", **settings)._features["test"][0][:, 0]
    np.testing.assert_allclose(  # the inverse of the published curve
        np.sign(companded) * (256.0 ** np.abs(companded) - 1) / 255, samples_N, atol=1e-6
    )
    fewer = made(folder, features="waveform", decimate=4, **settings)._features["test"][0][:, 0]
    assert len(fewer) == -(-len(samples_N) // 4)
    # a hum of 1,800 Hz is beyond what a rate of 2,000 can hold: filtered, not folded
    assert np.abs(fewer[20:-20]).max() < 0.1
    low_N = plain._features["test"][2][:, 0]  # 300 Hz goes through
    low_fewer = made(folder, features="waveform", decimate=4, **settings)._features["test"][2]
    np.testing.assert_allclose(low_fewer[20:-20, 0], low_N[::4][20:-20], atol=0.1)


def test_batches_are_pure_and_show_everything(folder: Path) -> None:
    one, other = made(folder, test_index="0"), made(folder, test_index="0")
    steps = one.steps_per_epoch(5)
    epoch = [one.training_batch(index, 5, seed=3) for index in range(steps)]
    assert sum(len(batch.targets_BT) for batch in epoch) == one.sizes["train"]
    for index in reversed(range(steps)):
        again = other.training_batch(index, 5, seed=3)
        assert torch.equal(again.inputs_BT, epoch[index].inputs_BT)
        assert torch.equal(again.targets_BT, epoch[index].targets_BT)
    assert not all(
        torch.equal(a.inputs_BT, one.training_batch(i, 5, seed=4).inputs_BT)
        for i, a in enumerate(epoch)
    )


def test_padding_changes_nothing(folder: Path) -> None:
    task = made(folder, test_index="0")
    model = build("gru", problem=task.problem, width=12, depth=1, seed=0).double().eval()
    (together,) = task.evaluation_batches("test", 4)
    together = together._replace(inputs_BT=together.inputs_BT.double())
    assert together.mask_BT is not None
    assert not together.mask_BT.all()
    with torch.no_grad():
        logits = model.answer(together)
        for row, batch in enumerate(task.evaluation_batches("test", 1)):
            alone = model.answer(batch._replace(inputs_BT=batch.inputs_BT.double()))
            torch.testing.assert_close(logits[row : row + 1], alone, rtol=1e-10, atol=1e-10)


def test_accuracy_and_slices(folder: Path) -> None:
    task = made(folder, test_index="0-1")

    def always_low(batch: object) -> torch.Tensor:
        return torch.tensor([0.0, 1.0]).expand(len(batch.targets_BT), 1, 2)  # pyright: ignore

    scores = task.evaluate(always_low, "test", 3)
    assert scores.value == 0.5
    assert scores.num_scored == 8
    assert scores.slices == {
        "class high": 0.0, "class low": 1.0, "speaker ann": 0.5, "speaker bob": 0.5,
    }  # fmt: skip
    nothing = task.evaluate(lambda b: torch.full((len(b.targets_BT), 1, 2), torch.nan), "test", 8)
    assert nothing.value == 0.0
    assert task.describe()["majority_accuracy"] == 0.5


def test_the_codec_reads_what_the_task_reads(folder: Path) -> None:
    task = made(folder, test_index="0", normalise="global")
    codec = load_codec(task.config, task.artifacts())
    stems = ("high_ann", "high_bob", "low_ann", "low_bob")
    names = [str(folder / f"{stem}_0.wav") for stem in stems]
    batch = codec.encode(names)
    (expected,) = task.evaluation_batches("test", 4)
    torch.testing.assert_close(batch.inputs_BT, expected.inputs_BT)
    assert torch.equal(batch.mask_BT, expected.mask_BT)  # pyright: ignore
    assert (batch.targets_BT == IGNORE).all()
    answers = codec.decode(torch.tensor([[[0.0, 3.0]], [[1.0, 1.0 - 1e-3]]]), batch)
    assert [answer.text for answer in answers] == ["low", "high"]
    assert answers[0].confidence == pytest.approx(1 / (1 + np.exp(-3)))


def test_the_codec_names_a_bad_file(folder: Path, tmp_path: Path) -> None:
    task = made(folder, max_seconds=0.3)
    codec = load_codec(task.config, task.artifacts())
    wavfile.write(tmp_path / "fast.wav", 16_000, np.zeros(500, np.int16))
    wavfile.write(tmp_path / "long.wav", RATE, np.zeros(RATE, np.int16))
    for name, words in {
        "fast.wav": "16000 samples a second, and 8000",
        "long.wav": r"1.0 seconds, and the model was trained on at most 0\.3",
        "gone.wav": "cannot be read",
    }.items():
        with pytest.raises(UserError, match=f"{name}: {words}"):
            codec.encode([str(tmp_path / name)])


def test_the_digest_is_of_content_and_settings(folder: Path, tmp_path: Path) -> None:
    task = made(folder)
    shutil.copytree(folder, tmp_path / "moved")
    moved = made(tmp_path / "moved")
    assert moved.digest() == task.digest()
    assert made(folder, bands=20).digest() != task.digest()
    assert made(folder, test_index="0-1").digest() != task.digest()
    (tmp_path / "moved" / "low_ann_3.wav").rename(tmp_path / "moved" / "high_ann_33.wav")
    assert made(tmp_path / "moved").digest() != task.digest()


def test_bad_settings(folder: Path, tmp_path: Path) -> None:
    for settings, words in (
        ({"test_index": "x"}, "write it as 0-4"),
        ({"test_index": "50-60"}, "test_index 50-60: no recording's name ends"),
        ({"test_index": "0-9"}, "no recording is left for training"),
        ({"features": "mfcc"}, "features"),
        ({"sample_rate": 44100}, "8000 samples a second, and 44100"),
    ):
        with pytest.raises(UserError, match=words):
            made(folder, **settings)
    for name in ("yes_ann_0", "yes_ann_1", "yes_bob_1", "so_ann_0", "so_ann_1", "no_ann_2"):
        shutil.copy(folder / "low_ann_0.wav", tmp_path / f"{name}.wav")
    with pytest.raises(UserError, match="class 'no' has examples for test and none for training"):
        made(tmp_path, test_index="2")
    for file in [*tmp_path.glob("no_*"), *tmp_path.glob("so_*")]:
        file.unlink()
    with pytest.raises(UserError, match="every training example is of class 'yes'"):
        made(tmp_path)


def test_the_official_split_of_spoken_digits(real_data: Path) -> None:
    task = made(real_data / "fsdd" / "recordings.tar.gz", test_index="0-4", validation_index="5-9")
    assert task.sizes == {"train": 1600, "validation": 200, "test": 200}
    assert task.classes == tuple("0123456789")
    groups = [task.groups("test", index) for index in range(200)]
    for speaker in ("george", "jackson", "nicolas", "theo"):
        assert sum(f"speaker {speaker}" in names for names in groups) == 50
