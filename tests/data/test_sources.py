"""Files by split, lines with their numbers, and what is cut off when a split is missing."""

import gzip
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.sources import complete, find_split_files, read_lines, split_of

NAMES = {
    "stsa.binary.dev": "validation", "TREC.train": "train", "SICK_trial.txt": "validation",
    "SICK_test_annotated.txt": "test", "emerging.test.annotated": "test",
    "wnut17train.conll": "train", "en_ewt-ud-dev.conllu.gz": "validation",
    "t10k-images-idx3-ubyte.gz": "test", "val.de.gz": "validation", "README.md": None,
    "qa1_single-supporting-fact_test.txt": "test", "retrieval.txt": None, "LICENSE": None,
    "tasks_train_simple.txt.gz": "train", "validation.jsonl": "validation",
}  # fmt: skip


@pytest.mark.parametrize(("name", "split"), NAMES.items())
def test_names_of_real_data_say_their_split(name: str, split: str | None) -> None:
    assert split_of(Path(name)) == split


def test_a_folder_a_pattern_and_a_file(tmp_path: Path) -> None:
    for name in ("train.de", "train.en", "val.de", "val.en", "README.md"):
        (tmp_path / name).write_text("x\n")
    found = find_split_files(tmp_path, (".de",))
    assert [file.name for file in found.train] == ["train.de"]
    assert [file.name for file in found.validation] == ["val.de"]
    assert found.test == ()
    assert [f.name for f in find_split_files(tmp_path / "*.en").train] == ["train.en"]
    assert find_split_files(tmp_path / "val.de").train == (tmp_path / "val.de",)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        find_split_files(tmp_path / "none")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(UserError, match=r"no file has 'train' in its name \(found: a.txt, b.txt\)"):
        find_split_files(tmp_path)


def test_lines_are_numbered_and_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress("\ufeffone\r\ntwo\n".encode()))
    assert list(read_lines(file)) == [(1, "one"), (2, "two")]
    file = tmp_path / "latin.txt"
    file.write_bytes(b"good\nna\xefve\n")
    with pytest.raises(UserError, match=r"latin\.txt, line 2: not utf-8"):
        list(read_lines(file))
    assert list(read_lines(file, "iso-8859-1"))[1] == (2, "naïve")
    (tmp_path / "torn.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(UserError, match=r"torn\.gz: cannot be read"):
        list(read_lines(tmp_path / "torn.gz"))


def test_missing_splits_are_cut_off_training() -> None:
    splits = complete(list(range(100)), [], [])
    assert [len(part) for part in splits] == [81, 10, 9]
    assert sorted([*splits.train, *splits.validation, *splits.test]) == list(range(100))
    assert complete(list(range(100)), [], []) == splits
    given = complete(list(range(10)), [], [99])
    assert given.test == [99]
    assert len(given.validation) == 1
    with pytest.raises(UserError, match="too few"):
        complete([1], [], [])
