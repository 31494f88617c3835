"""Pixels: what a model reads of a picture, in which order, and answers for a file."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.registry import load_codec
from seqarena.tasks.signals.pixels import PixelsTask
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

GENERATOR = np.random.default_rng(0)
PICTURES = GENERATOR.integers(0, 256, (40, 4, 6), dtype=np.uint8)
LABELS = np.array([3, 5, 12, 3, 5] * 8, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    for split, stop in (("train", 40), ("t10k", 10)):
        (place / f"{split}-images-idx3-ubyte").write_bytes(idx(PICTURES[:stop]))
        (place / f"{split}-labels-idx1-ubyte").write_bytes(idx(LABELS[:stop]))
    return place


def made(folder: Path | None, **settings: object) -> PixelsTask:
    data = {} if folder is None else {"data": str(folder)}
    task = build_task(parse_task({"kind": "pixels", **data, **settings}))
    assert isinstance(task, PixelsTask)
    return task


@pytest.fixture(scope="module")
def drawn() -> PixelsTask:
    return made(None, pool=4)


def test_rows_follow_each_other(folder: Path) -> None:
    task = made(folder, pool=1)
    assert task.problem.image == (4, 6)
    assert (task.problem.features, task.sequence_length) == (1, 24)
    assert task.classes == ("3", "5", "12")
    (batch,) = task.evaluation_batches("test", 10)
    expected = -0.1 + 1.275 * PICTURES[:10].reshape(10, 24) / 255
    np.testing.assert_allclose(batch.inputs_BT[..., 0].numpy(), expected, atol=1e-6)
    assert batch.targets_BT[:, 0].tolist() == [0, 1, 2, 0, 1] * 2
    assert batch.mask_BT is None


def test_pooling_is_the_mean_of_squares(folder: Path) -> None:
    task = made(folder, pool=2)
    assert task.problem.image == (2, 3)
    (batch,) = task.evaluation_batches("test", 10)
    corner = -0.1 + 1.275 * PICTURES[7, 2:4, 4:6].mean() / 255  # the last of six squares
    assert float(batch.inputs_BT[7, 5, 0]) == pytest.approx(corner, abs=1e-6)


def test_one_fixed_order(folder: Path) -> None:
    plain, permuted, again = (
        next(made(folder, pool=1, permuted=order).evaluation_batches("test", 10)).inputs_BT
        for order in (False, True, True)
    )
    assert torch.equal(permuted, again)
    assert not torch.equal(permuted, plain)
    assert torch.equal(permuted.sort(dim=1)[0], plain.sort(dim=1)[0])
    # the same order for every picture
    order = [int((plain[0, :, 0] == value).nonzero()[0]) for value in permuted[0, :, 0]]
    if len(set(order)) == 24:  # all pixels of that picture differ
        assert torch.equal(plain[3, order], permuted[3])
    assert made(folder, permuted=True).problem.image is None


def test_splits_and_limits(folder: Path) -> None:
    task = made(folder)
    assert task.sizes == {"train": 36, "validation": 4, "test": 10}
    fewer = made(folder, train_examples=12)
    assert fewer.sizes == {"train": 12, "validation": 4, "test": 10}
    assert torch.equal(
        next(fewer.evaluation_batches("validation", 4)).inputs_BT,
        next(task.evaluation_batches("validation", 4)).inputs_BT,
    )
    assert fewer.digest() != task.digest()
    held = {row.tobytes() for row in task._images["validation"].pixels_NHW}
    assert not held & {row.tobytes() for row in task._images["train"].pixels_NHW}
    with pytest.raises(UserError, match="train_examples 37: there are 36"):
        made(folder, train_examples=37)
    with pytest.raises(UserError, match="pool 4 does not divide pictures of 4 x 6"):
        made(folder, pool=4)


def test_batches_are_pure_and_show_everything(drawn: PixelsTask) -> None:
    steps = drawn.steps_per_epoch(64)
    assert steps == -(-4000 // 64)
    shown = torch.cat([drawn.training_batch(k, 64, seed=1).inputs_BT for k in range(steps)])
    everything = drawn.batch("train", np.arange(4000)).inputs_BT
    assert torch.equal(shown.sum(1).sort(0)[0], everything.sum(1).sort(0)[0])
    assert torch.equal(drawn.training_batch(2, 64, seed=1).inputs_BT, shown[128:192])
    assert not torch.equal(drawn.training_batch(2, 64, seed=2).inputs_BT, shown[128:192])


def test_the_codec_reads_what_the_task_reads(folder: Path, tmp_path: Path) -> None:
    task = made(folder, pool=2, permuted=True)
    codec = load_codec(task.config, task.artifacts())
    np.save(tmp_path / "second.npy", PICTURES[1])
    batch = codec.encode([f"{folder / 't10k-images-idx3-ubyte'}:0", str(tmp_path / "second.npy")])
    expected = next(task.evaluation_batches("test", 2))
    torch.testing.assert_close(batch.inputs_BT, expected.inputs_BT)
    answers = codec.decode(torch.tensor([[[0.0, 0, 2]], [[1.0, 0, 0]]]), batch)
    assert [answer.text for answer in answers] == ["12", "3"]
    np.save(tmp_path / "other.npy", PICTURES[1].T)
    with pytest.raises(UserError, match=r"\(6, 4\) pixels, and the model reads \(4, 6\)"):
        codec.encode([str(tmp_path / "other.npy")])


def test_accuracy_by_class(drawn: PixelsTask) -> None:
    def is_it_a_nine(batch: Batch) -> torch.Tensor:
        return torch.eye(10)[9].expand(len(batch.targets_BT), 1, 10)

    scores = drawn.evaluate(is_it_a_nine, "test", 300)
    assert scores.value == pytest.approx(0.1)
    assert scores.slices["class 9"] == 1.0
    assert scores.slices["class 0"] == 0.0


def test_lenet_learns_drawn_digits(drawn: PixelsTask) -> None:
    """At 7 x 7 pixels, in one and a half epochs of 4,000; a guess is right one time in ten."""
    torch.manual_seed(0)
    model = build("lenet5", problem=drawn.problem, width=40)
    settings = TrainConfig(
        budget=Budget(steps=100), optimizer=OptimizerConfig(learning_rate=3e-3), batch_size=64
    )
    trainer = Trainer(model, drawn, settings)
    for _ in trainer.steps():
        pass
    assert drawn.evaluate(trainer.predict, "validation", 400).value > 0.8
