"""A small valid file or folder of every format, for the table of formats and the fuzzer.

`write(name, folder, task)` writes the rows that the task can learn from where the format is a
table, and the format's own content where it is not. Everything is deterministic.
"""

import gzip
import io
import json
import struct
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 24
WORDS = ("garden", "kitchen", "hall", "office")
TAGS = ("B-place", "O", "O")
READING_TASKS = (
    "language", "masked_language", "classification", "question_answering", "reading",
    "tagging", "translation", "summarising", "speech", "transcription", "pixels", "forecasting",
    "windows", "events",
)  # fmt: skip
SETTINGS: dict[str, dict[str, Any]] = {
    "language": {"sequence_length": 8},
    "masked_language": {"sequence_length": 8, "tokenizer": "byte"},
    "classification": {"min_count": 1},
    "translation": {"min_count": 1},
    "summarising": {"min_count": 1},
    "speech": {"bands": 8},
    "transcription": {"bands": 8, "units": "word"},
    "pixels": {"pool": 1},
    "forecasting": {"horizon": 2, "season": 1, "context": 4, "windows": 1},
}


def place(k: int) -> str:
    """The word that example k is about: what every task has to find."""
    return WORDS[k % len(WORDS)]


def rows(task: str, folder: Path) -> list[dict[str, Any]]:
    """The examples of a task as rows of a table; of speech and pixels, with their files."""
    if task in ("language", "masked_language"):
        return [
            {"text": f"{k}: Mary went to the {place(k)} and stayed there."} for k in range(ROWS)
        ]
    if task == "question_answering":
        return [
            {
                "story": f"Mary went to the {place(k)}. John stayed with number {k}.",
                "question": "Where is Mary?",
                "answer": place(k),
            }
            for k in range(ROWS)
        ]
    if task == "reading":
        return [
            {
                "context": f"Mary went to the {place(k)}. John stayed with number {k}.",
                "question": "Where is Mary?",
                "answers": {"text": [place(k)], "answer_start": [17]},
            }
            for k in range(ROWS)
        ]
    if task == "tagging":
        return [
            {"tokens": [place(k), "number", f"n{k}"], "ner_tags": list(TAGS)} for k in range(ROWS)
        ]
    if task == "translation":
        return [
            {"de": f"das haus {k} {place(k)}", "en": f"the {place(k)} {k}"} for k in range(ROWS)
        ]
    if task == "summarising":
        return [
            {"text": f"Number {k} is long and tells of a {place(k)}.", "summary": f"a {place(k)}"}
            for k in range(ROWS)
        ]
    if task == "forecasting":
        return [{"time": f"2026-01-{k + 1:02d}", "y": k * k % 7 + 0.5} for k in range(ROWS)]
    if task in ("speech", "transcription", "pixels"):
        suffix, write_file = (".png", write_png) if task == "pixels" else (".wav", write_wav)
        for k in range(ROWS):
            write_file(folder / f"file{k}{suffix}", k)
        if task == "transcription":
            return [{"path": f"file{k}.wav", "text": f"tone {k}"} for k in range(ROWS)]
        return [{"path": f"file{k}{suffix}", "label": str(k % 2)} for k in range(ROWS)]
    if task == "windows":
        return [
            {"window": f"w{k // 2}", "time": k % 2, "x": k / 8, "label": place(k // 2 % 2)}
            for k in range(ROWS)
        ]
    if task == "events":
        return [
            {"entity": f"e{k // 4}", "time": 3 * k, "event": place(k % 3), "amount": k / 8}
            for k in range(ROWS)
        ]
    return [{"text": f"text {k} of the {place(k)}", "label": place(k)} for k in range(ROWS)]


def write_wav(path: Path, k: int) -> None:
    """0.1 s of one of two tones, 8 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone_N = np.sin(np.arange(800) * (0.2 + 0.3 * (k % 2)) + k)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((tone_N * 20_000).astype("<i2").tobytes())


def write_png(path: Path, k: int) -> None:
    """6 x 6 grey pixels, the left or the right half dark."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels_HW = np.full((6, 6), k % 7, dtype=np.uint8)
    pixels_HW[:, :3] += np.uint8(200 * (k % 2))
    pixels_HW[5, 5] = k
    Image.fromarray(pixels_HW).save(path)


def idx(array: np.ndarray) -> bytes:
    """An array of unsigned bytes as MNIST is published."""
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def _csv(entries: list[dict[str, Any]], separator: str = ",") -> str:
    import csv

    written = io.StringIO()
    writer = csv.DictWriter(written, list(entries[0]), delimiter=separator, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        writer.writerow(
            {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in entry.items()}
        )
    return written.getvalue()


def _jsonl(entries: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def _from_below(entries: list[dict[str, Any]], up: str) -> list[dict[str, Any]]:
    """The rows for a table in a folder below: they name their files as seen from there."""
    return [{k: up + v if k == "path" else v for k, v in entry.items()} for entry in entries]


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _zst(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(content)


def _parquet(path: Path, entries: list[dict[str, Any]]) -> Path:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(entries), path)
    return path


def _saved(folder: Path, entries: list[dict[str, Any]]) -> Path:
    """As `datasets` saves a dictionary of splits."""
    import pyarrow

    table = pyarrow.Table.from_pylist(_from_below(entries, "../../"))
    for split, part in (("train", table.slice(0, 18)), ("test", table.slice(18))):
        (folder / split).mkdir(parents=True)
        with pyarrow.ipc.new_stream(folder / split / "data-00000-of-00001.arrow", part.schema) as s:
            s.write_table(part)
        _text(folder / split / "dataset_info.json", "{}")
        _text(folder / split / "state.json", "{}")
    _text(folder / "dataset_dict.json", '{"splits": ["train", "test"]}')
    return folder


def _splits_by_name(folder: Path, entries: list[dict[str, Any]]) -> Path:
    entries = _from_below(entries, "../")
    for split, part in (("train", entries[:16]), ("dev", entries[16:20]), ("test", entries[20:])):
        _text(folder / f"{split}.jsonl", _jsonl(part))
    _text(folder / "README.md", "What this is.\n")
    return folder


def _prose() -> str:
    return "".join(f"{k}: Mary went to the {place(k)} and stayed there.\n" for k in range(ROWS))


def _conll() -> str:
    sentences = (f"{place(k)} NN B-NP B-place\nnumber NN O O\nn{k} CD O O\n" for k in range(ROWS))
    return "-DOCSTART- -X- -X- O\n\n" + "\n".join(sentences)


def _conllu() -> str:
    def line(number: int, word: str, tag: str) -> str:
        return f"{number}\t{word}\t{word}\t{tag}\t_\t_\t0\troot\t_\t_\n"

    return "\n".join(
        f"# sent_id = {k}\n" + line(1, place(k), "NOUN") + line(2, f"n{k}", "NUM")
        for k in range(ROWS)
    )


def _babi() -> str:
    return "".join(
        f"1 Mary went to the {place(k)}.\n2 John met {k}.\n3 Where is Mary? \t{place(k)}\t1\n"
        for k in range(ROWS)
    )


def _squad() -> str:
    paragraphs = [
        {
            "context": f"Mary went to the {place(k)}.",
            "qas": [
                {
                    "id": str(k),
                    "question": "Where is Mary?",
                    "answers": [{"text": place(k), "answer_start": 17}],
                }
            ],
        }
        for k in range(ROWS)
    ]
    return json.dumps({"version": "1.1", "data": [{"title": "Mary", "paragraphs": paragraphs}]})


def _class_folders(folder: Path) -> Path:
    for k in range(ROWS):
        split = "test" if k >= 20 else "train"
        _text(folder / split / place(k) / f"{k}.txt", f"text {k} of the {place(k)}\n")
    return folder


def _parallel(folder: Path) -> Path:
    for side in ("de", "en"):
        lines = (f"{'das' if side == 'de' else 'the'} {place(k)} {k}\n" for k in range(ROWS))
        _text(folder / f"train.{side}", "".join(lines))
    return folder


def _idx_folder(folder: Path) -> Path:
    pixels_NHW = np.arange(ROWS * 36).reshape(ROWS, 6, 6) % 251
    for split, part in (("train", slice(0, 18)), ("t10k", slice(18, None))):
        _bytes(folder / f"{split}-images-idx3-ubyte", idx(pixels_NHW[part]))
        _bytes(folder / f"{split}-labels-idx1-ubyte", idx(np.arange(ROWS)[part] % 2))
    return folder


def _files_by_class(folder: Path, suffix: str, write_file: Callable[[Path, int], None]) -> Path:
    for k in range(ROWS):
        write_file(folder / ("left", "right")[k % 2] / f"{k}{suffix}", k)
    return folder


def _beside(folder: Path) -> Path:
    for k in range(ROWS):
        write_wav(folder / f"{k}.wav", k)
        _text(folder / f"{k}.txt", f"tone {k % 2}\n")
    return folder


def _librispeech(folder: Path) -> Path:
    for split, speaker, count in (("train-clean-100", 103, 16), ("test-clean", 61, 8)):
        chapter = folder / split / str(speaker) / "7"
        for k in range(count):
            write_wav(chapter / f"{speaker}-7-{k:04}.wav", k)
        lines = (f"{speaker}-7-{k:04} TONE {k % 2}\n" for k in range(count))
        _text(chapter / f"{speaker}-7.trans.txt", "".join(lines))
    return folder


def _archive(path: Path) -> Path:
    inside = _files_by_class(path.parent / "words", ".wav", write_wav)
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(inside.rglob("*.wav")):
            content = file.read_bytes()
            member = tarfile.TarInfo(file.relative_to(path.parent).as_posix())
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _zip(path: Path, write_file: Callable[[Path, int], None], suffix: str) -> Path:
    inside = _files_by_class(path.parent / "inside", suffix, write_file)
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(inside.rglob(f"*{suffix}")):
            name = file.relative_to(inside).as_posix()
            archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
    return path


def _write_row(path: Path, k: int) -> None:
    _text(path, f"text,label\ntext {k},{k % 2}\n")


def _write_steps(path: Path, k: int) -> None:
    _text(path, f"time,x,y\n0,{k},1\n1,{k + 1},\n")


def _ts() -> str:
    windows = (f"0.5,{k}:1,?:{place(k % 2)}\n" for k in range(ROWS))
    return "@classLabel true garden kitchen\n@data\n" + "".join(windows)


def _npz(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels_NHW = (np.arange(ROWS * 36).reshape(ROWS, 6, 6) % 251).astype(np.uint8)
    labels_N = np.arange(ROWS) % 2
    np.savez(
        path, x_train=pixels_NHW[:18], y_train=labels_N[:18],
        x_test=pixels_NHW[18:], y_test=labels_N[18:],
    )  # fmt: skip
    return path


def _flat() -> str:
    head = ",".join(["label", *(f"pixel{k}" for k in range(36))])
    rows = (
        ",".join(map(str, [k % 2, *((k * 7 + j) % 256 for j in range(36))])) for k in range(ROWS)
    )
    return "\n".join([head, *rows]) + "\n"


Write = Callable[[Path, list[dict[str, Any]]], Path]
TABLES: dict[str, Write] = {
    "CSV": lambda folder, entries: _text(folder / "rows.csv", _csv(entries)),
    "CSV, semicolons": lambda folder, entries: _text(folder / "rows.csv", _csv(entries, ";")),
    "TSV": lambda folder, entries: _text(folder / "rows.tsv", _csv(entries, "\t")),
    "JSON lines": lambda folder, entries: _text(folder / "rows.jsonl", _jsonl(entries)),
    "JSON list": lambda folder, entries: _text(folder / "rows.json", json.dumps(entries)),
    "Parquet": lambda folder, entries: _parquet(folder / "rows.parquet", entries),
    "table, .gz": lambda folder, entries: _bytes(
        folder / "rows.jsonl.gz", gzip.compress(_jsonl(entries).encode(), mtime=0)
    ),
    "table, .zst": lambda folder, entries: _bytes(
        folder / "rows.jsonl.zst", _zst(_jsonl(entries).encode())
    ),
    "UTF-16 table": lambda folder, entries: _bytes(
        folder / "rows.csv", _csv(entries).encode("utf-16")
    ),
    "saved by datasets": lambda folder, entries: _saved(folder / "saved", entries),
    "folder of splits": lambda folder, entries: _splits_by_name(folder / "splits", entries),
}
OTHERS: dict[str, Callable[[Path], Path]] = {
    "text": lambda folder: _text(folder / "prose.txt", _prose()),
    "text, .gz": lambda folder: _bytes(
        folder / "prose.txt.gz", gzip.compress(_prose().encode(), mtime=0)
    ),
    "FASTA": lambda folder: _text(
        folder / "genes.fasta", "".join(f">gene {k}\nACGTTGCA{'ACGT' * k}\n" for k in range(ROWS))
    ),
    "class folders": lambda folder: _class_folders(folder / "classes"),
    "label first": lambda folder: _text(
        folder / "train.txt",
        "".join(f"__label__{place(k)} text {k} of the {place(k)}\n" for k in range(ROWS)),
    ),
    "parallel files": lambda folder: _parallel(folder / "parallel"),
    "IN: OUT:": lambda folder: _text(
        folder / "commands.txt",
        "".join(f"IN: go to the {place(k)} {k} OUT: GO {place(k).upper()}\n" for k in range(ROWS)),
    ),
    "CoNLL": lambda folder: _text(folder / "train.conll", _conll()),
    "CoNLL-U": lambda folder: _text(folder / "train.conllu", _conllu()),
    "bAbI": lambda folder: _text(folder / "qa1_train.txt", _babi()),
    "SQuAD": lambda folder: _text(folder / "train.json", _squad()),
    "idx": lambda folder: _idx_folder(folder / "idx"),
    "NPZ": lambda folder: _npz(folder / "digits.npz"),
    "rows of pixels": lambda folder: _text(folder / "digits.csv", _flat()),
    "PNG .zip": lambda folder: _zip(folder / "pictures.zip", write_png, ".png"),
    "PNG folders": lambda folder: _files_by_class(folder / "png", ".png", write_png),
    "wav folders": lambda folder: _files_by_class(folder / "wav", ".wav", write_wav),
    "wav beside .txt": lambda folder: _beside(folder / "said"),
    "LibriSpeech": lambda folder: _librispeech(folder / "LibriSpeech"),
    "wav .tar.gz": lambda folder: _archive(folder / "words.tar.gz"),
    "UCR .ts": lambda folder: _text(folder / "X_TRAIN.ts", _ts()),
    "tables by class": lambda folder: _files_by_class(folder / "runs", ".csv", _write_steps),
    "CSV .zip": lambda folder: _zip(folder / "data.zip", _write_row, ".csv"),
    "PDF": lambda folder: _bytes(folder / "paper.pdf", b"%PDF-1.4\n\0\1\2 stream"),
}
FORMATS = (*TABLES, *OTHERS)


def write(form: str, folder: Path, task: str) -> Path:
    """A file or folder of that format in an empty folder; its place."""
    folder.mkdir(parents=True, exist_ok=True)
    if form in TABLES:
        return TABLES[form](folder, rows(task, folder))
    return OTHERS[form](folder)
