"""Files of every kind: splits by name and folder, packing, encodings, tables in every format."""

import bz2
import contextlib
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import zstandard

from seqarena.core.errors import UserError
from seqarena.data.files.examples import complete, count_overlap, read_splits
from seqarena.data.files.find import SplitFiles, find_files, split_of
from seqarena.data.files.opening import open_bytes, plain_suffix, read_lines, read_text
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import read_rows, text_of

NAMES = {
    "stsa.binary.dev": "validation", "TREC.train": "train", "SICK_trial.txt": "validation",
    "SICK_test_annotated.txt": "test", "emerging.test.annotated": "test",
    "wnut17train.conll": "train", "en_ewt-ud-dev.conllu.gz": "validation",
    "t10k-images-idx3-ubyte.gz": "test", "val.de.gz": "validation", "README.md": None,
    "qa1_single-supporting-fact_test.txt": "test", "retrieval.txt": None, "LICENSE": None,
    "tasks_train_simple.txt.gz": "train", "validation.jsonl": "validation",
    "untrained_test.csv": "test", "constraint_dev.tsv": "validation", "latest.csv": None,
    "newstest2014.de": "test", "newsdev2016.ro": "validation", "newsletter.txt": None,
    "pretrained-eval.jsonl": "test", "restrained.dev.txt": "validation", "contest.csv": None,
    "train-00000-of-00002.parquet": "train", "testA.csv": "test", "trainset.csv": "train",
    "prétrain.txt": None, "MyTrainData.csv": "train", "eval.csv": "test", "deviant.txt": None,
}  # fmt: skip
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}  # fmt: skip
TEXTS = ['a, "b" c', "tab\there", "new\nline", "größe", '"all"', "plain", "नमस्ते", "😀"]


@pytest.mark.parametrize(("name", "split"), NAMES.items())
def test_names_say_their_split_by_whole_words(name: str, split: str | None) -> None:
    assert split_of(Path(name)) == split


def test_a_name_of_two_splits_is_refused() -> None:
    with pytest.raises(UserError, match=r"its name says test and train: rename it"):
        split_of(Path("train_test.csv"))


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x\n")


def names_of(files: tuple[Path, ...]) -> list[str]:
    return [file.name for file in files]


def test_a_folder_a_pattern_and_a_file(tmp_path: Path) -> None:
    write(tmp_path, "train.de", "val.de", "README.md", ".git/train.de", "photo.png", "._val.de")
    reading = Reading()
    found = find_files(tmp_path, reading=reading)
    assert (names_of(found.train), names_of(found.validation)) == (["train.de"], ["val.de"])
    assert reading.how == "by the files' names"
    passed = {Path(each.file).name: each.why for each in reading.passed_over}
    assert passed == {
        ".git": "hidden", "._val.de": "hidden", "README.md": "it describes the data",
        "photo.png": "a picture: not what this task reads",
    }  # fmt: skip
    assert names_of(find_files(tmp_path / "*.de").validation) == ["val.de"]
    assert find_files(tmp_path / "val.de").train == (tmp_path / "val.de",)


def test_folders_say_the_split_of_what_is_in_them(tmp_path: Path) -> None:
    write(tmp_path, "train/pos/0_9.txt", "train/neg/test_1.txt", "test/pos/1.txt", "notes.txt")
    reading = Reading()
    found = find_files(tmp_path, reading=reading)
    assert names_of(found.train) == ["test_1.txt", "0_9.txt"]
    assert names_of(found.test) == ["1.txt"]
    assert reading.how == "by the folders' names"
    assert [each.why for each in reading.passed_over] == [
        "its name says no split, and others' names do"
    ]


def test_files_that_name_no_split_are_for_training(tmp_path: Path) -> None:
    write(tmp_path, "b.csv", "a.csv")
    reading = Reading()
    assert names_of(find_files(tmp_path, reading=reading).train) == ["a.csv", "b.csv"]
    assert reading.how == "no name says a split: all are for training"
    write(tmp_path, "dev.csv")
    found = find_files(tmp_path, reading=reading)
    assert names_of(found.train) == ["a.csv", "b.csv"]
    assert names_of(found.validation) == ["dev.csv"]


def test_files_of_unknown_kind_beside_known_ones_and_caches_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", "train.csv.bak", "Makefile", "cache-1.arrow", "test.tokens")
    reading = Reading()
    found = find_files(tmp_path, reading=reading)
    assert (names_of(found.train), names_of(found.test)) == (["train.csv"], ["test.tokens"])
    assert {Path(each.file).name: each.why for each in reading.passed_over} == {
        "cache-1.arrow": "a cache of `datasets`",
        "train.csv.bak": "of unknown kind, beside files of known kinds",
        "Makefile": "its name says no split, and others' names do",
    }


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        find_files(tmp_path / "none")
    with pytest.raises(UserError, match="no file there"):
        find_files(tmp_path)
    for path, message in (
        ("", "an empty path"), ("x" * 5000, "cannot be read: File name too long"),
        ("~nobody-of-that-name/a", "cannot be read"), (str(tmp_path / "a**"), "no pattern"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            find_files(path)
    write(tmp_path, "test.csv")
    with pytest.raises(UserError, match=r"no file is for training \(found: test.csv\)"):
        find_files(tmp_path)
    write(tmp_path / "pictures", "a.png")
    with pytest.raises(UserError, match=r"nothing that can be read there: passed over a\.png"):
        find_files(tmp_path / "pictures")


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_lines(tmp_path: Path, packer: str) -> None:
    file = tmp_path / f"a.txt.{packer}"
    file.write_bytes(PACKERS[packer]("\ufeffone\r\n\ntwo\n".encode() * 1))
    assert list(read_lines(file)) == [(1, "one"), (2, ""), (3, "two")]
    assert read_text(file) == "one\r\n\ntwo\n"
    assert plain_suffix(file) == ".txt"


@pytest.mark.parametrize("packer", PACKERS)
def test_any_flipped_byte_of_a_packed_file_is_said_or_harmless(tmp_path: Path, packer: str) -> None:
    content = "".join(f"line {k} of many\n" for k in range(40)).encode()
    packed = PACKERS[packer](content)
    file = tmp_path / f"a.txt.{packer}"
    for place in range(0, len(packed), 3):
        broken = bytearray(packed)
        broken[place] ^= 0xFF
        file.write_bytes(bytes(broken))
        assert outcome(file) in (content, "cannot be read"), place
    file.write_bytes(packed[: len(packed) // 2])
    assert outcome(file) == "cannot be read"


def outcome(file: Path) -> bytes | str:
    try:
        with open_bytes(file) as stream:
            return stream.read()
    except UserError as error:
        return "cannot be read" if "cannot be read" in str(error) else str(error)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "iso-8859-1", "cp1252"])
def test_lines_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("größe\nzwei\r\n".encode(encoding))
    assert list(read_lines(file, encoding)) == [(1, "größe"), (2, "zwei")]
    assert read_text(file, encoding) == "größe\nzwei\r\n"


def test_the_byte_order_mark_of_utf_16_is_heeded_and_said(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("größe\nzwei\n".encode("utf-16"))
    reading = Reading()
    assert [line for _, line in read_lines(file, reading=reading)] == ["größe", "zwei"]
    assert reading.notes == ["a.txt begins with the byte order mark of UTF-16"]


def test_undecodable_lines_and_nul_are_named(tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"good\nna\xefve\n")
    for read in (read_lines, read_text):
        with pytest.raises(UserError, match=r"latin\.txt, line 2: not utf-8: convert the file"):
            list(read(file))
    file.write_bytes(b"good\nna\0ve\n")
    for read in (read_lines, read_text):
        with pytest.raises(UserError, match=r"latin\.txt, line 2: a NUL byte"):
            list(read(file))


def table() -> pd.DataFrame:
    return pd.DataFrame({"text": TEXTS, "label": [1, 0] * (len(TEXTS) // 2)})


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "a.csv": lambda frame, file: frame.to_csv(file, index=False),
    "semicolons.csv": lambda frame, file: frame.to_csv(file, index=False, sep=";"),
    "indexed.csv": lambda frame, file: frame.to_csv(file),
    "windows.csv": lambda frame, file: frame.to_csv(file, index=False, lineterminator="\r\n"),
    "quoted.csv": lambda frame, file: frame.to_csv(file, index=False, quoting=1),
    "a.tsv": lambda frame, file: frame.to_csv(file, index=False, sep="\t"),
    "a.tsv.gz": lambda frame, file: frame.to_csv(file, index=False, sep="\t"),
    "a.csv.zst": lambda frame, file: frame.to_csv(file, index=False),
    "a.jsonl": lambda frame, file: frame.to_json(file, orient="records", lines=True),
    "a.json": lambda frame, file: frame.to_json(file, orient="records"),
    "lines.json": lambda frame, file: frame.to_json(file, orient="records", lines=True),
    "a.parquet": lambda frame, file: frame.to_parquet(file),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_rows_from_every_format(tmp_path: Path, name: str) -> None:
    WRITERS[name](table(), tmp_path / name)
    rows = list(read_rows(tmp_path / name))
    assert [row.fields["text"] for row in rows] == TEXTS
    assert [text_of(row.fields["label"]) for row in rows] == ["1", "0"] * 4
    assert str(tmp_path / name) in rows[0].place


def test_quotes_are_letters_in_a_table_of_tabs_that_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    lines = ['"Hello" he said\ta', 'x "y"\tb', '"odd\tc', '"whole"\td']
    file.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    assert [row.fields["text"] for row in read_rows(file)] == [
        line.split("\t")[0] for line in lines
    ]


def test_line_ends_of_old_macs_and_columns_without_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"text,label,,\rone,a,,\rtwo,b,,\r")
    rows = [(row.fields["text"], row.fields["label"]) for row in read_rows(file)]
    assert rows == [("one", "a"), ("two", "b")]


def test_a_document_may_be_long(tmp_path: Path) -> None:
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        (tmp_path / name).write_text(f"text{mark}label\n{'word ' * 60_000}{mark}b\n")
        (row,) = read_rows(tmp_path / name)
        assert len(row.fields["text"]) == 300_000


BROKEN = {
    "twice.csv": ("text,label,label\na,b,c\n", "line 1: the header names 'label' twice"),
    "twice.jsonl": ('{"a": 1, "a": 2}\n', "line 1: the header names 'a' twice"),
    "short.csv": ("text,label\na\n", "line 2: 1 fields, but the header names 2"),
    "open.csv": ('text,label\n"a,b\n', "not a table: unexpected end of data"),
    "deep.jsonl": ("[" * 200_000 + "\n", "line 1: not data: JSON that is nested too deep"),
    "digits.jsonl": ('{"a": ' + "1" * 10_000 + "}\n", "line 1: not data"),
    "half.jsonl": ('{"a": "\\ud800"}\n', "'a' holds half a surrogate pair at character 0"),
    "nul.jsonl": ('{"a": "\\u0000"}\n', "line 1: 'a' holds a NUL"),
    "no.json": ('{"a": {"0": "x"}}', "a list of objects is needed"),
    "list.json": ("[1, 2]", "entry 1: a JSON object is needed, not int"),
    "bad.json": ("{", "not JSON"),
    "joined.csv": ("a,b\n1,2\na,b\n", "line 3: the header again"),
    "bad.parquet": ("PAR1", "not a readable Parquet file"),
    "bad.arrow": ("x", "not a readable Arrow file"),
    "a.txt": ("x", "not a table"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_named(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        list(read_rows(tmp_path / name))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_class_numbers_become_names(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    features = {
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
        "tags": {"feature": {"names": ["O", "B-PER"], "_type": "ClassLabel"}, "_type": "Sequence"},
    }
    rows = pyarrow.table({"label": [1, 0, -1], "tags": [[0, 1], [1], []]})
    wanted = [("pos", ["O", "B-PER"]), ("neg", ["B-PER"]), (None, [])]
    stored = json.dumps({"info": {"features": features}})
    parquet.write_table(
        rows.replace_schema_metadata({"huggingface": stored}), tmp_path / "a.parquet"
    )
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": features}))
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", rows.schema) as stream:
        stream.write_table(rows)
    for name in ("a.parquet", "a.arrow"):
        found = [tuple(row.fields.values()) for row in read_rows(tmp_path / name)]
        assert found == wanted, name


def test_files_of_the_same_examples_are_read_once(tmp_path: Path) -> None:
    files = SplitFiles((tmp_path / "train.csv", tmp_path / "train.tsv"), (), (tmp_path / "test",))
    content = {"train.csv": ["a", "b"], "train.tsv": ["b", "a"], "test": ["c", "a"]}
    reading = Reading()
    found = read_splits(
        files, lambda file: content[file.name], reading,
        format_of=lambda _: "csv", key=lambda example: example,
    )  # fmt: skip
    assert found == [["a", "b"], [], ["c", "a"]]
    assert [(each.split, each.num_examples) for each in reading.files] == [
        ("train", 2), ("test", 2),
    ]  # fmt: skip
    assert reading.passed_over[0].why == "the same examples as train.csv"
    assert count_overlap(found, lambda example: example) == {"validation": 0, "test": 1}


def test_missing_splits_are_cut_off_training() -> None:
    reading = Reading(how="one file")
    splits = complete(list(range(100)), [], [], reading=reading)
    assert [len(part) for part in splits] == [81, 10, 9]
    assert sorted([*splits.train, *splits.validation, *splits.test]) == list(range(100))
    assert complete(list(range(100)), [], []) == splits
    assert reading.how == ("one file; validation and test cut off the training data, a tenth each")
    given = complete(list(range(10)), [], [99])
    assert (given.test, len(given.validation)) == ([99], 1)
    with pytest.raises(UserError, match="too few"):
        complete([1], [], [])


def test_every_class_keeps_an_example_to_train_on() -> None:
    examples = [(k, f"common{k % 3}") for k in range(200)]
    examples += [(200 + k, f"rare{k}") for k in range(12)]
    splits = complete(examples, [], [], class_of=lambda example: example[1])
    assert {label for _, label in splits.train} == {label for _, label in examples}
    assert [len(part) for part in splits] == [172, 21, 19]
    with pytest.raises(UserError, match="too few"):
        complete([(0, "a"), (1, "b")], [], [], class_of=lambda example: example[1])


def test_any_flipped_byte_of_an_arrow_file_is_said_or_harmless(tmp_path: Path) -> None:
    """Damaged offsets would read memory that is not theirs."""
    pyarrow = pytest.importorskip("pyarrow")
    rows = pyarrow.table({"text": TEXTS})
    for name, opened in (("a.arrow", pyarrow.ipc.new_stream), ("b.arrow", pyarrow.ipc.new_file)):
        with opened(tmp_path / name, rows.schema) as stream:
            stream.write_table(rows)
        content = (tmp_path / name).read_bytes()
        for place in range(0, len(content), 2):
            broken = bytearray(content)
            broken[place] ^= 0xFF
            (tmp_path / name).write_bytes(bytes(broken))
            with contextlib.suppress(UserError):
                list(read_rows(tmp_path / name))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
OTHER_THINGS = {
    "a.csv": (gzip.compress(b"text,label\na,b\n"), "packed by gzip, .*end its name in .gz"),
    "a.jsonl": (b"PK\3\4 of a workbook", "an archive, whatever its name says"),
    "a.txt": (POINTER.encode(), "a pointer of Git LFS and not the data"),
    "a.parquet": (POINTER.encode(), "a pointer of Git LFS and not the data"),
    "b.csv": (b"PAR1 and more", "Parquet, whatever its name says: end its name in .parquet"),
}


@pytest.mark.parametrize("name", OTHER_THINGS)
def test_files_that_are_not_what_their_name_says(tmp_path: Path, name: str) -> None:
    content, message = OTHER_THINGS[name]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_rows(file)) if name != "a.txt" else read_text(file)
