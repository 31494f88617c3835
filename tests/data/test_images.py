"""Pictures: idx files as published, what is wrong with one, and the drawn digits."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from seqarena.core.errors import UserError
from seqarena.data.signals.digits import drawn_digits
from seqarena.data.signals.images import load_images, read_idx, read_picture

PICTURES = np.arange(3 * 4 * 2, dtype=np.uint8).reshape(3, 4, 2)
LABELS = np.array([7, 0, 7], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write(folder: Path, split: str, pictures: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(pictures))
    (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))


def test_folders_as_published(tmp_path: Path) -> None:
    write(tmp_path, "train", PICTURES, LABELS)
    write(tmp_path, "t10k", PICTURES[::-1], LABELS[:3])
    found = load_images(tmp_path)
    assert set(found) == {"train", "test"}
    np.testing.assert_array_equal(found["train"].pixels_NHW, PICTURES)
    np.testing.assert_array_equal(found["train"].labels_N, LABELS)
    np.testing.assert_array_equal(found["test"].pixels_NHW, PICTURES[::-1])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    write(tmp_path / "few", "train", PICTURES, LABELS[:2])
    with pytest.raises(UserError, match=r"has 3 pictures and .* 2 labels"):
        load_images(tmp_path / "few")
    write(tmp_path / "swapped", "train", LABELS, PICTURES)
    with pytest.raises(UserError, match="pictures need three dimensions"):
        load_images(tmp_path / "swapped")
    write(tmp_path / "sizes", "train", PICTURES, LABELS)
    write(tmp_path / "sizes", "test", PICTURES.reshape(3, 2, 4), LABELS)
    with pytest.raises(UserError, match=r"test have \(2, 4\) pixels"):
        load_images(tmp_path / "sizes")
    write(tmp_path / "alone", "train", PICTURES, LABELS)
    (tmp_path / "alone" / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match="one file of labels for train is needed"):
        load_images(tmp_path / "alone")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a", b"\0\0\x0d\x01" + b"\0" * 8, "not an idx file of unsigned bytes"),
        ("a", b"", "not an idx file"),
        ("a", idx(PICTURES)[:9], "ends within its header"),
        ("a", idx(PICTURES)[:-1], "23 bytes of data where its header says 24"),
        ("a.gz", b"nonsense", "cannot be read"),
        ("a.gz", gzip.compress(idx(PICTURES), mtime=0)[:-9], "cannot be read"),
    ],
    ids=["kind", "empty", "header", "short", "no_gzip", "cut_gzip"],
)
def test_broken_idx_files_are_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: .*{words}"):
        read_idx(file)


def test_single_pictures(tmp_path: Path) -> None:
    write(tmp_path, "train", PICTURES, LABELS)
    place = tmp_path / "train-images-idx3-ubyte"
    np.testing.assert_array_equal(read_picture(f"{place}:2"), PICTURES[2])
    np.save(tmp_path / "whole.npy", PICTURES[1])
    np.save(tmp_path / "share.npy", PICTURES[1] / 255)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "whole.npy")), PICTURES[1])
    np.testing.assert_allclose(read_picture(str(tmp_path / "share.npy")), PICTURES[1])
    np.save(tmp_path / "flat.npy", LABELS)
    np.save(tmp_path / "large.npy", PICTURES[1] * 1.0)
    for item, words in {
        f"{place}:3": "the last of .* is number 2",
        f"{place}": "give an .npy file, or an idx file and a number",
        f"{tmp_path / 'train-labels-idx1-ubyte.gz'}:0": "holds no pictures",
        str(tmp_path / "flat.npy"): "height and width are wanted",
        str(tmp_path / "large.npy"): "between 0 and 1",
        str(tmp_path / "gone.npy"): "gone.npy: not an .npy file that can be read",
    }.items():
        with pytest.raises(UserError, match=words):
            read_picture(item)


def test_mnist_as_published(real_data: Path) -> None:
    found = load_images(real_data / "mnist")
    assert [(split, images.pixels_NHW.shape) for split, images in found.items()] == [
        ("train", (60_000, 28, 28)), ("test", (10_000, 28, 28)),
    ]  # fmt: skip
    # the published frequencies of the test digits, and its first ones: 7 2 1 0 4
    assert np.bincount(found["test"].labels_N).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert found["test"].labels_N[:5].tolist() == [7, 2, 1, 0, 4]


def test_drawn_digits() -> None:
    found, again = drawn_digits(), drawn_digits()
    pictures = np.concatenate([images.pixels_NHW for images in found.values()])
    assert {split: len(images) for split, images in found.items()} == {
        "train": 4000, "validation": 400, "test": 800,
    }  # fmt: skip
    for split, images in found.items():
        assert np.array_equal(images.pixels_NHW, again[split].pixels_NHW)
        assert np.bincount(images.labels_N).tolist() == [len(images) // 10] * 10
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    # nothing is cut off at the border, and there is ink on every sheet
    border = np.concatenate(
        [pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]]
    )
    assert (border > 128).mean() < 0.005
    assert ((pictures > 200).sum(axis=(1, 2)) > 10).all()


def test_a_drawn_digit_resembles_its_own_mean_most() -> None:
    """Nearest class mean: far above a tenth, far below what a model should reach."""
    found = drawn_digits()
    train, test = (found[split].pixels_NHW.reshape(-1, 784) / 255.0 for split in ("train", "test"))
    means = np.stack([train[found["train"].labels_N == k].mean(axis=0) for k in range(10)])
    guess = ((test[:, None] - means) ** 2).sum(-1).argmin(-1)
    assert 0.6 < (guess == found["test"].labels_N).mean() < 0.97
