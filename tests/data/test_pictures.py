"""Pictures from every place: the same pixels and labels, and what is wrong with one."""

import io
import json
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.signals.flat import read_flat
from seqarena.data.signals.idx import read_idx
from seqarena.data.signals.images import load_images, read_picture
from seqarena.data.signals.pictures import decode_picture
from seqarena.tasks.configs import PixelsConfig
from seqarena.tasks.signals.pixels import PixelsTask

GENERATOR = np.random.default_rng(0)
SPLITS = {"train": 20, "validation": 6, "test": 8}
PIXELS = {s: GENERATOR.integers(0, 256, (n, 4, 4), np.uint8) for s, n in SPLITS.items()}
LABELS = {s: np.arange(n, dtype=np.uint8) % 2 * 7 for s, n in SPLITS.items()}
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def png(pixels: np.ndarray, form: str = "PNG", **how: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, **how)
    return stream.getvalue()


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def idx_files(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        (folder / f"{split}-images.idx3-ubyte").write_bytes(idx(pixels))
        (folder / f"{split}-labels.idx1-ubyte").write_bytes(idx(LABELS[split]))
    return folder


def class_folders(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        for k, (picture, label) in enumerate(zip(pixels, LABELS[split])):
            file = folder / FOLDERS[split] / str(label) / f"{k:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(picture))
    (folder / "train" / "0" / ".DS_Store").write_bytes(b"x")
    (folder / "README.md").write_text("about")
    return folder


def zipped(folder: Path) -> Path:
    (folder / "loose").mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for file in sorted(class_folders(folder / "loose").rglob("*.png")):
            archive.write(file, f"set/{file.relative_to(folder / 'loose')}")
    return folder / "a.zip"


def hugging_face(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        rows = [
            {"image": {"bytes": png(picture), "path": None}, "label": int(label)}
            for picture, label in zip(pixels, LABELS[split])
        ]
        pd.DataFrame(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


def metadata(folder: Path) -> Path:
    """As Hugging Face's picture folders have it."""
    for split, pixels in PIXELS.items():
        (folder / FOLDERS[split]).mkdir()
        lines = ["file_name,label"]
        for k, (picture, label) in enumerate(zip(pixels, LABELS[split])):
            (folder / FOLDERS[split] / f"{k}.png").write_bytes(png(picture))
            lines.append(f"{k}.png,{label}")
        (folder / FOLDERS[split] / "metadata.csv").write_text("\n".join(lines))
    return folder


def npz(folder: Path) -> Path:
    arrays = {f"x_{FOLDERS[s]}": p for s, p in PIXELS.items()}
    arrays |= {f"y_{FOLDERS[s]}": label for s, label in LABELS.items()}
    np.savez_compressed(folder / "mnist.npz", **arrays)  # pyright: ignore
    return folder / "mnist.npz"


def npy(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        np.save(folder / f"{split}_images.npy", pixels[..., None])
        np.save(folder / f"{split}_labels.npy", LABELS[split][:, None].astype(np.int64))
    return folder


def flat(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        frame = pd.DataFrame(
            pixels.reshape(len(pixels), 16), columns=pd.Index([f"pixel{k}" for k in range(16)])
        )
        frame.insert(0, "label", LABELS[split])
        frame.to_csv(folder / f"{split}.csv", index=False)
    return folder


def flat_without_header(folder: Path) -> Path:
    for split, pixels in PIXELS.items():
        rows = np.concatenate([LABELS[split][:, None], pixels.reshape(len(pixels), 16)], axis=1)
        np.savetxt(folder / f"mnist_{split}.csv.gz", rows, fmt="%d", delimiter=",")
    return folder


ORDERED = {
    "idx": idx_files, "hugging face": hugging_face, "metadata": metadata, "npz": npz, "npy": npy,
    "flat": flat, "flat without header": flat_without_header,
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERED)
def test_the_same_pictures_from_every_place(tmp_path: Path, name: str) -> None:
    place = ORDERED[name](tmp_path)
    found = load_images(place)
    assert list(found) == list(SPLITS)
    for split, images in found.items():
        np.testing.assert_array_equal(images.pixels_NHW, PIXELS[split])
        np.testing.assert_array_equal(images.labels_N, LABELS[split])
    task = PixelsTask(PixelsConfig(data=str(place)))
    (tmp_path / "other").mkdir()
    assert (
        task.digest() == PixelsTask(PixelsConfig(data=str(idx_files(tmp_path / "other")))).digest()
    )
    assert task.reading is not None
    assert {f.split: f.num_examples for f in task.reading.files} == SPLITS
    assert task.reading.how.startswith("by the ")


@pytest.mark.parametrize("make", [class_folders, zipped])
def test_class_folders(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    reading = Reading()
    found = load_images(make(tmp_path), reading=reading)
    for split, images in found.items():
        order = np.argsort(LABELS[split], kind="stable")
        np.testing.assert_array_equal(images.labels_N, LABELS[split][order])
        np.testing.assert_array_equal(images.pixels_NHW, PIXELS[split][order])
    assert {f.split: f.num_examples for f in reading.files} == SPLITS
    assert reading.how == "by the folders' names"
    if make is class_folders:
        assert {Path(each.file).name: each.why for each in reading.passed_over} == {
            ".DS_Store": "hidden", "README.md": "it describes the data",
        }  # fmt: skip


def test_classes_by_name_keep_a_picture_to_train_on(tmp_path: Path) -> None:
    for name, count in (("cat", 30), ("dog", 30), *((f"rare{k}", 1) for k in range(4))):
        (tmp_path / name).mkdir()
        for k in range(count):
            picture = GENERATOR.integers(0, 256, (4, 4), np.uint8)
            (tmp_path / name / f"{k}.jpg").write_bytes(png(picture, "JPEG"))
    task = PixelsTask(PixelsConfig(data=str(tmp_path)))
    assert task.classes == ("cat", "dog", "rare0", "rare1", "rare2", "rare3")
    assert set(task._labels["train"]) == set(range(6))
    assert task.reading is not None
    assert task.reading.how.startswith("all are for training; validation and test cut off")
    assert PixelsTask(PixelsConfig(data=str(tmp_path))).digest() == task.digest()


def test_a_picture_that_is_there_packed_and_unpacked_is_read_once(tmp_path: Path) -> None:
    import gzip

    idx_files(tmp_path)
    packed = tmp_path / "train-images.idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(idx(PIXELS["train"])))
    reading = Reading()
    assert len(load_images(tmp_path, reading=reading)["train"]) == 20
    assert [Path(each.file).name for each in reading.passed_over] == [packed.name]
    packed.write_bytes(gzip.compress(idx(PIXELS["train"][::-1])))
    with pytest.raises(UserError, match="one file of images for train is needed"):
        load_images(tmp_path)


GREY = np.arange(0, 240, 15, dtype=np.uint8).reshape(4, 4)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=2)


def palette() -> bytes:
    image = Image.fromarray(COLOUR).quantize(16)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_shades_and_colours(tmp_path: Path) -> None:
    luminance = np.asarray(Image.fromarray(COLOUR).convert("L")).astype(int)
    alpha = np.full((4, 4, 1), 255, np.uint8)
    clear = np.concatenate([np.zeros((4, 4, 3), np.uint8), 255 - GREY[..., None]], axis=2)
    cases = {
        "grey": (png(GREY), GREY, []),
        "grey in colours": (png(np.stack([GREY] * 3, 2)), GREY, []),
        "bmp": (png(GREY, "BMP"), GREY, []),
        "tiff": (png(GREY, "TIFF"), GREY, []),
        "black and white": (png(GREY > 100), (GREY > 100) * 255, []),
        "16 bits": (
            png(GREY.astype(np.uint16) * 257), GREY, ["pictures of 16 bits are read as of 8"],
        ),
        "colours": (png(COLOUR), luminance, ["pictures in colour are read as shades of grey"]),
        "palette": (palette(), luminance, ["pictures in colour are read as shades of grey"]),
        "opaque": (png(np.concatenate([np.stack([GREY] * 3, 2), alpha], 2)), GREY, []),
        "ink on nothing": (
            png(clear), GREY, ["transparent parts of pictures are read as white"],
        ),
    }  # fmt: skip
    for name, (content, expected, notes) in cases.items():
        reading = Reading()
        found = decode_picture(content, "a.png", reading)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found.astype(int), expected, atol=1, err_msg=name)
        assert reading.notes == notes, name
    turned = Image.Exif()
    turned[0x112] = 6  # a quarter to the right
    found = decode_picture(png(GREY, "PNG", exif=turned), "a.png", Reading())
    np.testing.assert_array_equal(found, np.rot90(GREY, -1))


def bomb(width: int, height: int) -> bytes:
    """A PNG of that size without its pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


BROKEN = {
    "text": (b"no picture", "not a picture that can be read"),
    "empty": (b"", "not a picture that can be read"),
    "cut": (png(GENERATOR.integers(0, 256, (40, 40), np.uint8))[:-100], "not a picture that can"),
    "large": (bomb(5000, 5000), "5000 x 5000 pixels: 16,777,216 are read"),
    "bomb": (bomb(2**30, 2**30), "too many pixels|pixels: 16,777,216"),
    "float": (png(GREY.astype(np.float32), "TIFF"), "pixels of mode F"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pictures_are_named(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").write_bytes(content)
    with pytest.raises(UserError, match=f"^cat/1.png: .*({message})") as caught:
        load_images(tmp_path)
    assert "\n" not in str(caught.value)


def test_any_changed_byte_of_a_picture_is_read_or_refused() -> None:
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF"):
        content = png(GREY, form)
        for place in range(0, len(content), 2):
            changed = bytearray(content)
            changed[place] ^= 0xFF
            try:
                found = decode_picture(bytes(changed), "a.png", Reading())
            except UserError:
                continue
            assert found.dtype == np.uint8


def folder_of(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path


PLACES = {
    "sizes": ({"a/1.png": png(GREY), "b/2.png": png(GREY[:2])},
              "b/2.png: 2 x 4 pixels, and a/1.png has 4 x 4"),
    "no class": ({"1.png": png(GREY)}, "1.png: it lies in no class's folder"),
    "stray": ({"a/1.png": png(GREY), "x.png": png(GREY)}, "x.png: it lies in no class's folder"),
    "no training": ({"test/a/1.png": png(GREY)}, "no picture is for training"),
    "nothing": ({"a/1.pdf": b"x"}, "nothing that can be read there: passed over 1.pdf"),
    "label": ({"a.jsonl": b'{"file_name": "1.png"}\n', "1.png": b""}, "it lies in no class"),
    "no picture": ({"a.jsonl": b'{"file_name": "1.png", "label": "a"}\n'}, "cannot be read"),
    "fine": ({"a.jsonl": b'{"image": "1.png", "fine": 1}\n'}, "cannot be read|no label"),
    "arrays": ({"arr.npz": b"PK"}, "not an .npz file that can be read"),
    "one array": ({"x_train.npy": b""}, "not an .npy file that can be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_what_does_not_fit_is_named(tmp_path: Path, name: str) -> None:
    files, message = PLACES[name]
    with pytest.raises(UserError, match=message) as caught:
        load_images(folder_of(tmp_path, files))
    assert "\n" not in str(caught.value)


def test_the_column_of_the_label_is_named(tmp_path: Path) -> None:
    rows = [
        {"img": {"bytes": png(GREY), "path": None}, "fine": k % 2, "coarse": 0} for k in range(9)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"row 1: no label: .*it has img, fine, coarse: name the"):
        load_images(tmp_path)
    found = load_images(tmp_path / "a.parquet", label="fine")
    assert found["train"].labels_N.tolist() == [0, 1] * 4 + [0]


ABSURD = {
    "many": (bytes([0, 0, 8, 3]) + b"\xff" * 12, "its header says .* are read"),
    "overflow": (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 4), "its header says"),
    "large": (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**10, 2**10, 2**10), "0 bytes of data"),
    "dimensions": (bytes([0, 0, 8, 255]) + b"\1" * 1020, "says 255 dimensions"),
    "more": (idx(PIXELS["train"]) + b"x", "more than 320 bytes of data"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_headers_take_no_memory(tmp_path: Path, name: str) -> None:
    import tracemalloc

    content, message = ABSURD[name]
    (tmp_path / "a").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(UserError, match=message):
        read_idx(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def npy_bytes(shape: str, kind: str = "|u1", content: bytes = b"") -> bytes:
    header = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


NPY = {
    "absurd": (npy_bytes("(9999999999, 28, 28)"), "its header says"),
    "short": (npy_bytes("(2, 2)", content=b"abc"), "3 bytes of data where its header says 4"),
    "objects": (npy_bytes("(1,)", "|O"), "an array of object"),
    "code": (npy_bytes("__import__('os')"), "not an .npy file"),
    "deep": (npy_bytes("(" * 500 + ")" * 500), "not an .npy file"),
    "negative": (npy_bytes("(-1, 2)"), "an array of uint8|not an .npy file"),
    "magic": (b"\x93NUMPY\x09\x00", "not an .npy file"),
}  # fmt: skip


@pytest.mark.parametrize("name", NPY)
def test_odd_arrays_are_refused(tmp_path: Path, name: str) -> None:
    content, message = NPY[name]
    (tmp_path / "x_train.npy").write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_images(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", content)
    with pytest.raises(UserError, match=message):
        load_images(tmp_path / "a.npz")


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    x, y = PIXELS["train"], LABELS["train"]
    cases: list[tuple[dict[str, np.ndarray], str]] = [
        ({"x_train": x}, "no y_train"),
        ({"x_test": x, "y_test": y}, "no x_train and y_train"),
        ({"arr_0": x}, "no x_train and y_train among arr_0"),
        ({"x_train": x, "y_train": y[:3]}, r"20 pictures in x_train and 3 labels"),
        ({"x_train": x[0], "y_train": y}, r"an array of \(4, 4\): number, height and width"),
        ({"x_train": x * 1.0, "y_train": y}, "pixels must lie between 0 and 1"),
        ({"x_train": x.astype(int) + 200, "y_train": y}, "pixels must lie between 0 and 255"),
        ({"x_train": x, "y_train": np.eye(20)}, r"an array of \(20, 20\): one number or name"),
        ({"x_train": x, "train_images": x, "y_train": y}, "are both pictures of train"),
    ]
    for arrays, message in cases:
        np.savez(tmp_path / "a.npz", **arrays)  # pyright: ignore
        with pytest.raises(UserError, match=message):
            load_images(tmp_path / "a.npz")
    reading = Reading()
    np.savez(tmp_path / "a.npz", x_train=np.stack([x / 255] * 3, 3), y_train=y)
    found = load_images(tmp_path / "a.npz", reading=reading)["train"]
    np.testing.assert_allclose(found.pixels_NHW.astype(int), x, atol=1)
    assert reading.notes == [
        "pictures in colour are read as shades of grey", "pixels from 0 to 1 are read as 0 to 255",
    ]  # fmt: skip


def test_tables_of_pixels_that_are_wrong_are_named(tmp_path: Path) -> None:
    row = ",".join(["1"] * 16)
    cases = {
        f"label,{row[:-2]}\n5,{row[:-2]}\n": "15 pixels a picture: as many rows as columns",
        f"7,{row}\n5,{row},3\n": "line 2: 18 fields where the first line has 17",
        f"7,{row}\n5,{row[:-1]}x\n": "line 2: pixels must be numbers from 0 to 255",
        f"7,{row}\n5,{row[:-1]}256\n": "line 2: pixels must be numbers from 0 to 255",
        f"7,{row}\n,{row}\n": "line 2: no label",
    }
    file = tmp_path / "a.csv"
    for content, message in cases.items():
        file.write_text(content)
        with pytest.raises(UserError, match=message):
            load_images(file)
    for more in ("", ",b,c,d,e,f,g,h,i,j"):
        file.write_text(f"path,label{more}\nx.png,a{more}\n")
        assert read_flat(file, "label", "utf-8", Reading()) is None
    with pytest.raises(UserError, match=r"line 2: .*x\.png cannot be read"):
        load_images(file)


def test_a_png_is_read_for_an_answer(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(GREY))
    np.testing.assert_array_equal(read_picture(str(tmp_path / "a.png")), GREY)
    with pytest.raises(UserError, match=r"b\.png: cannot be read"):
        read_picture(str(tmp_path / "b.png"))


def test_a_missing_package_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UserError, match=r"a\.png: .* pip install 'seqarena\[pictures\]'"):
        decode_picture(b"", "a.png", Reading())


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"label": 1}))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"a\.txt: pictures come as idx files or class folders"):
        load_images(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"a\.json: a list of objects is needed"):
        load_images(tmp_path / "a.json")
