"""The same rows give the same task from every format, for every task of text."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pytest
import torch
import zstandard

from seqarena.core.errors import UserError
from seqarena.tasks.base import Task
from seqarena.tasks.registry import build_task, parse_task

Frame = pd.DataFrame
ODD = ['a, "b" c', "tab\there", "two\nlines", "größe", '"all of it"', "naïve café", "नमस्ते", "😀 7"]
ROWS = 48


def rows() -> Frame:
    texts = [
        f"{ODD[k % len(ODD)]} number {k} of {k % 5} {'more ' * (k % 3)}end" for k in range(ROWS)
    ]
    return Frame(
        {
            "text": texts,
            "label": [k % 2 for k in range(ROWS)],
            "de": [f"das {k % 7} haus {k}, \"so\"" for k in range(ROWS)],
            "en": [f"the {k % 7} house {k}; so" for k in range(ROWS)],
            "summary": [f"number {k % 7} {k % 5}" for k in range(ROWS)],
        }
    )  # fmt: skip


def json_lines(frame: Frame, file: Path) -> None:
    records: Any = json.loads(frame.to_json(orient="records"))
    file.write_text("".join(json.dumps(each) + "\n" for each in records))


SUFFIXES: dict[str, Callable[[Frame, Path], Any]] = {
    ".csv": lambda frame, file: frame.to_csv(file, index=False),
    ".tsv": lambda frame, file: frame.to_csv(file, index=False, sep="\t"),
    ".jsonl": json_lines,
    ".json": lambda frame, file: frame.to_json(file, orient="records"),
    ".parquet": lambda frame, file: frame.to_parquet(file),
    ".csv.gz": lambda frame, file: frame.to_csv(file, index=False),
    ".csv.zst": lambda frame, file: frame.to_csv(file, index=False),
    ".arrow": lambda frame, file: arrow(frame, file),
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}  # fmt: skip


def arrow(frame: Frame, file: Path) -> None:
    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


def save_to_disk(frame: Frame, folder: Path) -> Path:
    """One split as `datasets` saves it; its labels are numbers of named classes."""
    arrow(frame, folder / "data-00000-of-00001.arrow")
    features = {name: {"dtype": "string", "_type": "Value"} for name in frame.columns}
    features["label"] = {"names": ["0", "1"], "_type": "ClassLabel"}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    files = [{"filename": "data-00000-of-00001.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    return folder


def repository(frame: Frame, folder: Path) -> Path:
    """As a hub keeps it: shards of Parquet, a card, and what git and macOS leave."""
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Card\n" * 30)
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    (folder / "data" / "._train.parquet").write_bytes(b"\0\5\x16\7Mac OS X")
    half = len(frame) // 2
    for k, part in enumerate((frame[:half], frame[half:])):
        part.to_parquet(folder / "data" / f"train-0000{k}-of-00002.parquet")
    return folder


def sources(frame: Frame, folder: Path) -> dict[str, Path]:
    """The rows in every format, all for training."""
    found = {}
    for suffix, write in SUFFIXES.items():
        found[suffix] = folder / f"rows{suffix}"
        write(frame, found[suffix])
    content = found[".jsonl"].read_bytes()
    for suffix, pack in PACKERS.items():
        found[f".jsonl{suffix}"] = folder / f"packed.jsonl{suffix}"
        found[f".jsonl{suffix}"].write_bytes(pack(content))
    found["saved to disk"] = save_to_disk(frame, folder / "saved")
    found["repository"] = repository(frame, folder / "repository")
    copies = folder / "copies"
    (copies / ".ipynb_checkpoints").mkdir(parents=True)
    for name in ("rows.csv", "rows (copy).csv", "rows.jsonl", ".ipynb_checkpoints/rows.csv"):
        SUFFIXES[Path(name).suffix](frame, copies / name)
    found["copies"] = copies
    return found


def by_splits(parts: Sequence[Frame], folder: Path) -> dict[str, Path]:
    """The rows in folders of every format, with their splits by name or by folder."""
    found = {}
    names = ("train", "validation", "test")
    for suffix, write in SUFFIXES.items():
        found[suffix] = folder / suffix
        found[suffix].mkdir(parents=True)
        for part, name in zip(parts, names):
            write(part, found[suffix] / f"{name}{suffix}")
    for kind, write in (("saved to disk", save_to_disk), ("folders", lambda part, place: (
        place.mkdir(parents=True), SUFFIXES[".tsv"](part, place / "rows.tsv")))):  # fmt: skip
        found[kind] = folder / kind
        for part, name in zip(parts, names):
            write(part, found[kind] / name)
    (found["saved to disk"] / "dataset_dict.json").write_text(json.dumps({"splits": names}))
    return found


CONFIGS = {
    "classification": {},
    "translation": {"min_count": 1, "metric": "exact"},
    "summarising": {"min_count": 1},
    "language": {"sequence_length": 16},
    "masked_language": {"sequence_length": 16, "tokenizer": "byte"},
}
LANGUAGES = ("language", "masked_language")


def build(kind: str, data: Path, **fields: Any) -> Task:
    return build_task(parse_task({"kind": kind, "data": str(data), **CONFIGS[kind], **fields}))


def is_the_same(task: Task, wanted: Task) -> bool:
    batch, expected = task.training_batch(0, 4, seed=1), wanted.training_batch(0, 4, seed=1)
    return task.digest() == wanted.digest() and torch.equal(batch.inputs_BT, expected.inputs_BT)


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_same_rows_are_the_same_task(tmp_path: Path, kind: str) -> None:
    found = sources(rows(), tmp_path)
    wanted = build(kind, found[".jsonl"])
    for name, path in found.items():
        task = build(kind, path)
        assert is_the_same(task, wanted), name
        assert task.reading is not None
        assert sum(each.num_examples for each in task.reading.files) == ROWS, name
    copies = build(kind, found["copies"]).reading
    assert copies is not None
    assert sorted((Path(each.file).name, each.why) for each in copies.passed_over) == [
        (".ipynb_checkpoints", "hidden"),
        ("rows.csv", "the same examples as rows (copy).csv"),
        ("rows.jsonl", "the same examples as rows (copy).csv"),
    ]


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_same_splits_are_the_same_task(tmp_path: Path, kind: str) -> None:
    frame = rows()
    parts = frame[:32], frame[32:40], frame[40:]
    found = by_splits(parts, tmp_path)
    wanted = build(kind, found[".jsonl"])
    for name, path in found.items():
        task = build(kind, path)
        assert is_the_same(task, wanted), name
        assert task.reading is not None
        counts = dict.fromkeys(("train", "validation", "test"), 0)
        for each in task.reading.files:
            counts[each.split] += each.num_examples
        assert counts == {"train": 32, "validation": 8, "test": 8}


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if kind not in LANGUAGES])
def test_a_folder_with_the_splits_of_one_file_is_the_same_task(tmp_path: Path, kind: str) -> None:
    """One file is cut into splits; written apart, they give the same numbers."""
    frame = rows()
    frame.to_csv(tmp_path / "rows.csv", index=False)
    whole: Any = build(kind, tmp_path / "rows.csv")
    data = whole.data if kind == "classification" else whole.corpus
    column = {"classification": "text", "translation": "de", "summarising": "text"}[kind]
    place = {text.strip(): k for k, text in enumerate(frame[column])}
    parts = [frame.iloc[[place[example[0]] for example in part]] for part in data.splits]
    for name, path in by_splits(parts, tmp_path / "apart").items():
        assert is_the_same(build(kind, path), whole), name


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_tables_in_other_encodings(tmp_path: Path, kind: str, encoding: str) -> None:
    """Excel's Unicode text."""
    for suffix, separator in ((".tsv", "\t"), (".csv", ",")):
        file, plain = tmp_path / f"excel{suffix}", tmp_path / f"plain{suffix}"
        rows().to_csv(plain, index=False, sep=separator)
        file.write_bytes(plain.read_text(encoding="utf-8").encode(encoding))
        found, wanted = (
            build(kind, path, **fields).training_batch(0, 4, seed=1).inputs_BT
            for path, fields in ((file, {"encoding": encoding}), (plain, {}))
        )
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("encoding", ["hex", "rot13", "utf-99"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_no_encoding_of_text_is_refused(kind: str, encoding: str) -> None:
    with pytest.raises(UserError, match=f"{kind}: unknown encoding '{encoding}'"):
        parse_task({"kind": kind, "encoding": encoding})


@pytest.mark.parametrize("kind", LANGUAGES)
def test_how_a_text_was_split_is_said(tmp_path: Path, kind: str) -> None:
    frame = rows()
    (tmp_path / "whole").mkdir()
    for name in ("whole/a", "train", "valid"):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    folder = build(kind, tmp_path / "*.csv")
    how = "by the files' names; test cut off the end of the training text"
    assert folder.reading is not None
    assert folder.reading.how == folder.describe()["how_split"] == how
    assert folder.reading.notes == ["valid.csv holds the same examples as train.csv"]
    assert folder.describe()["lines_also_in_training"]["validation"] > 0
    whole = build(kind, tmp_path / "whole").reading
    assert whole is not None
    assert whole.how == "one file; cut by position in the text"
