"""Where recordings come from: folders, archives and tables give the same ones."""

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from seqarena.core.errors import UserError
from seqarena.data.signals.audio import Recordings, load_recordings
from seqarena.data.signals.members import split_and_class
from seqarena.tasks.configs import SpeechConfig
from seqarena.tasks.signals.speech import SpeechTask


def sound(number: int) -> bytes:
    stream = io.BytesIO()
    generator = np.random.default_rng(number)
    wavfile.write(stream, 8000, (generator.standard_normal(400) * 3000).astype(np.int16))
    return stream.getvalue()


SOUNDS = {f"{('yes', 'no')[k % 2]}_ann_{k:02}.wav": sound(k) for k in range(12)}
LABELS = {name: name.split("_")[0] for name in SOUNDS}


def in_folder(folder: Path) -> Path:
    for name, content in SOUNDS.items():
        (folder / name).write_bytes(content)
    return folder


def table(folder: Path, name: str, write: Callable[[pd.DataFrame, Path], Any]) -> Path:
    in_folder(folder)
    rows = [{"path": name, "label": LABELS[name], "speaker": "ann"} for name in SOUNDS]
    write(pd.DataFrame(rows), folder / name)
    return folder / name


def hugging_face(folder: Path) -> Path:
    rows = [
        {"audio": {"bytes": content, "path": name}, "label": LABELS[name], "speaker": "ann"}
        for name, content in SOUNDS.items()
    ]
    pd.DataFrame(rows).to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


def metadata(folder: Path) -> Path:
    """As Hugging Face's audio folders have it."""
    in_folder(folder)
    lines = [
        json.dumps({"file_name": name, "label": LABELS[name], "speaker": "ann"}) + "\n"
        for name in SOUNDS
    ]
    (folder / "metadata.jsonl").write_text("".join(lines))
    return folder


def tar(folder: Path, mode: str, name: str) -> Path:
    with tarfile.open(folder / name, mode) as archive:  # pyright: ignore
        for inside, content in [*SOUNDS.items(), ("._x.wav", b""), ("README.md", b"about")]:
            member = tarfile.TarInfo(f"words/{inside}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder / name


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in SOUNDS.items():
            archive.writestr(f"words/{name}", content)
        archive.writestr("__MACOSX/words/._a.wav", b"")
    return folder / "a.zip"


def tar_zst(folder: Path) -> Path:
    import zstandard

    packed = zstandard.ZstdCompressor().compress(tar(folder, "w", "a.tar").read_bytes())
    (folder / "a.tar.zst").write_bytes(packed)
    return folder / "a.tar.zst"


PLACES: dict[str, Callable[[Path], Path]] = {
    "folder": in_folder,
    "tar.gz": lambda folder: tar(folder, "w:gz", "a.tar.gz"),
    "tbz2": lambda folder: tar(folder, "w:bz2", "a.tbz2"),
    "tar.zst": tar_zst,
    "zip": zipped,
    "csv": lambda folder: table(folder, "a.csv", lambda f, file: f.to_csv(file, index=False)),
    "mark": lambda folder: table(
        folder, "a.csv", lambda f, file: f.to_csv(file, index=False, encoding="utf-8-sig")
    ),
    "quoted": lambda folder: table(
        folder, "a.tsv", lambda f, file: f.to_csv(file, index=False, sep="\t", quoting=1)
    ),
    "jsonl.gz": lambda folder: table(
        folder, "a.jsonl.gz", lambda f, file: f.to_json(file, orient="records", lines=True)
    ),
    "json": lambda folder: table(
        folder, "a.json", lambda f, file: f.to_json(file, orient="records")
    ),
    "parquet": lambda folder: table(folder, "a.parquet", lambda f, file: f.to_parquet(file)),
    "hugging face": hugging_face,
    "metadata": metadata,
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_the_same_recordings_from_every_place(tmp_path: Path, name: str) -> None:
    place = PLACES[name](tmp_path)
    task = SpeechTask(SpeechConfig(data=str(place)))
    assert task.classes == ("no", "yes")
    assert task.reading is not None
    assert [(f.split, f.format, f.num_examples) for f in task.reading.files] == [
        ("train", "wav", 12)
    ]
    assert "validation and test cut off" in task.reading.how
    (tmp_path / "other").mkdir()
    expected = SpeechTask(SpeechConfig(data=str(in_folder(tmp_path / "other"))))
    assert task.digest() == expected.digest()
    for one, other in zip(task._features["test"], expected._features["test"], strict=True):
        np.testing.assert_array_equal(one, other)


def told(found: Recordings) -> dict[str, str]:
    assert found.reading is not None
    return {Path(each.file).name: each.why for each in found.reading.passed_over}


def test_what_is_no_recording_is_passed_over_and_said(tmp_path: Path) -> None:
    in_folder(tmp_path)
    for name in ("README.md", "._x.wav", "photo.png", "transcripts.csv", "copying_ann_1.wav"):
        (tmp_path / name).write_bytes(sound(99) if name[0] == "c" else b"x")
    found = load_recordings(tmp_path)
    assert len(found.items) == 13
    assert told(found) == {
        "README.md": "it describes the data", "._x.wav": "hidden",
        "photo.png": "a picture: not what this task reads",
        "transcripts.csv": "a table beside files of sounds: name it to read it",
    }  # fmt: skip
    inside = load_recordings(tar(tmp_path, "w", "a.tar"))
    assert told(inside) == {"._x.wav": "hidden", "README.md": "a text: not what this task reads"}


def test_folders_say_split_and_class() -> None:
    names = {
        "cat/1.wav": (None, "cat"),
        "Training/cat/1.wav": ("train", "cat"),
        "set/dev/cat/1.wav": ("validation", "cat"),
        "cat/test/1.wav": ("test", "cat"),
        "train/valid/1.wav": ("train", "valid"),  # a class of that name
        "1.wav": (None, None),
        "test/1.wav": ("test", None),
    }
    assert {name: split_and_class(name) for name in names} == names


def test_tables_by_split(tmp_path: Path) -> None:
    in_folder(tmp_path)
    names = list(SOUNDS)
    for split, part in (("train", names[:6]), ("dev", names[6:8]), ("test", names[8:])):
        rows = [{"file": name, "class": LABELS[name]} for name in part]
        pd.DataFrame(rows).to_csv(tmp_path / f"metadata.{split}.csv", index=False)
    task = SpeechTask(SpeechConfig(data=str(tmp_path), label="class"))
    assert task.sizes == {"train": 6, "validation": 2, "test": 4}
    with pytest.raises(UserError, match=r"line 2: no label: .*it has file, class: name the column"):
        load_recordings(tmp_path)


def test_every_class_keeps_a_recording_to_train_on(tmp_path: Path) -> None:
    in_folder(tmp_path)
    for k in range(5):
        (tmp_path / f"rare{k}_bob_0.wav").write_bytes(sound(100 + k))
    task = SpeechTask(SpeechConfig(data=str(tmp_path)))
    assert len(task.classes) == 7
    assert set(task._labels["train"]) == set(range(7))


def broken(folder: Path) -> dict[Path, str]:
    whole = tar(folder, "w:gz", "whole.tar.gz").read_bytes()
    (folder / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    (folder / "flipped.tar.gz").write_bytes(bytes(flipped))
    content = bytearray(zipped(folder).read_bytes())
    content[200] ^= 0xFF
    (folder / "flipped.zip").write_bytes(bytes(content))
    (folder / "cut.zip").write_bytes(bytes(content[:-300]))
    large = tarfile.TarInfo("words/large.wav")
    large.size = 2**33
    (folder / "large.tar").write_bytes(large.tobuf())
    (folder / "x.mp4").write_bytes(b"x")
    return {
        folder / "cut.tar.gz": "not an archive that can be read",
        folder / "flipped.tar.gz": "not an archive that can be read",
        folder / "flipped.zip": "not an archive that can be read",
        folder / "cut.zip": "not an archive that can be read",
        folder / "large.tar": "8,589,934,592 bytes: cut it",
        folder / "x.mp4": "recordings come as a folder",
    }


def test_broken_archives_are_named(tmp_path: Path) -> None:
    for file, message in broken(tmp_path).items():
        with pytest.raises(UserError) as caught:
            load_recordings(file)
        assert re.search(f"{file.name}.*{message}", str(caught.value))
        assert "\n" not in str(caught.value)


LISTS = {
    "no_table.tsv": (b"\r3", "no .wav file in it"),
    "mark.tsv": (b"\xef\xbb\xbf", "no .wav file in it"),
    "empty.tsv": (b"path\tlabel\n\t\n", "no .wav file in it"),
    "no_path.tsv": (b"path\tlabel\n\tyes\n", "line 2: no path"),
    "dir.tsv": (b"path\tlabel\n.\tyes\n", "cannot be read"),
    "device.tsv": (b"path\tlabel\n/dev/zero\tyes\n", "cannot be read"),
    "long.tsv": (b"path\tlabel\n" + b"a" * 5000 + b"\tyes\n", "cannot be read"),
    "field.tsv": (b"path\tlabel\n" + b"a" * 140_000 + b"\tyes\n", "cannot be read"),
    "quotes.csv": (b'path,label\n"a,yes\n', "not a table"),
    "twice.csv": (b"path,label,label\na,b,c\n", "names 'label' twice"),
    "nul.tsv": (b"path\tlabel\na\0\tyes\n", "a NUL byte"),
    "bytes.jsonl": (b'{"audio": {"path": null, "bytes": null}, "label": "a"}\n', "no path"),
    "number.jsonl": (b'{"path": 3, "label": "a"}\n', "no path"),
    "deep.jsonl": (b"[" * 200_000, "nested too deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_broken_tables_are_named(tmp_path: Path, name: str) -> None:
    content, message = LISTS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_recordings(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_samples_a_second_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="decimate 100 leaves 80 of 8000 samples a second"):
        SpeechTask(SpeechConfig(data=str(in_folder(tmp_path)), decimate=100))


@pytest.mark.parametrize("packed", [False, True])
def test_speech_commands_as_published(tmp_path: Path, packed: bool) -> None:
    names = [f"{('yes', 'no')[k % 2]}/{k:08x}_nohash_{k % 3}.wav" for k in range(12)]
    files = {name: sound(k) for k, name in enumerate(names)}
    files |= {"_background_noise_/pink.wav": sound(50), "LICENSE": b"CC BY"}
    files |= {"testing_list.txt": "\n".join(names[:4]).encode()}
    files |= {"validation_list.txt": "\n".join(names[4:6]).encode()}
    for name, content in files.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(content)
    place = tmp_path / "set"
    if packed:
        place = tmp_path / "set.tar.gz"
        with tarfile.open(place, "w:gz") as archive:
            archive.add(tmp_path / "set", arcname=".")
    task = SpeechTask(SpeechConfig(data=str(place)))
    assert task.classes == ("no", "yes")
    assert task.sizes == {"train": 6, "validation": 2, "test": 4}
    assert task.reading is not None
    assert task.reading.how == "by validation_list.txt and testing_list.txt"
    passed = {Path(each.file).name: each.why for each in task.reading.passed_over}
    assert set(passed) == {"pink.wav", "LICENSE"}
    assert passed["pink.wav"] == "background noise is no class"
