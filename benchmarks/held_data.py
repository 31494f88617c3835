"""Data sets as people hold them: does a dry run say the right task, rows, classes and splits?

    python -m benchmarks.held_data [NAME ...]      a Markdown table; exit code 1 where one is wrong

The sets of SEQARENA_DATA are written in the shapes in which they are found elsewhere: what pandas
writes, Hugging Face's JSON lines, Parquet and saved data sets, folders of classes, the published
files. Each is asked about twice: without a task, which must name the right one, and then with
exactly the options that were named.
"""

import gzip
import json
import os
import re
import shlex
import shutil
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow
from pyarrow import parquet

import seqarena as sa
from seqarena.api import Preview
from seqarena.data.signals.images import read_idx

DATA = Path(os.environ.get("SEQARENA_DATA", "../shared/data")).resolve()
SMALL = {"params": "20k", "steps": 3, "rates": "6e-3", "seeds": 1, "repeats": 0, "verbose": False}

Parts = dict[str, list[dict[str, Any]]]  # split -> rows


class Held(NamedTuple):
    """One shape of one data set, and what is to be said of it."""

    shape: str
    build: Callable[[Path], Path | str]  # into an empty folder -> what is given to `compare`
    task: str
    examples: Sequence[int]  # of each split of the data
    classes: int | None = None


# What the published files hold.


def sst2() -> Parts:
    def rows(split: str) -> list[dict[str, Any]]:
        lines = (DATA / "sst2" / f"stsa.binary.{split}").read_text("utf-8").splitlines()
        return [{"sentence": line[2:], "label": int(line[0])} for line in lines]

    return {"train": rows("train"), "validation": rows("dev"), "test": rows("test")}


def sick() -> Parts:
    def rows(split: str) -> list[dict[str, Any]]:
        frame = pd.read_csv(DATA / "sick" / f"SICK_{split}.txt", sep="\t", quoting=3)
        kept = frame[["sentence_A", "sentence_B", "entailment_judgment"]]
        named = kept.set_axis(["premise", "hypothesis", "label"], axis=1)
        return named.to_dict("records")

    return {
        "train": rows("train"), "validation": rows("trial"), "test": rows("test_annotated")
    }  # fmt: skip


def trec() -> Parts:
    def rows(split: str) -> list[dict[str, Any]]:
        lines = (DATA / "trec" / f"TREC.{split}").read_text("iso-8859-1").splitlines()
        return [
            {"text": text, "coarse_label": label.split(":")[0]}
            for label, text in (line.split(" ", 1) for line in lines)
        ]

    return {"train": rows("train"), "test": rows("test")}


def multi30k() -> Parts:
    def rows(stem: str) -> list[dict[str, Any]]:
        files = (DATA / "multi30k-en-de" / f"{stem}.{side}.gz" for side in ("de", "en"))
        sides = (
            gzip.decompress(file.read_bytes()).decode().removesuffix("\n").split("\n")
            for file in files
        )
        return [{"de": de.strip(), "en": en.strip()} for de, en in zip(*sides)]

    return {"train": rows("train"), "validation": rows("val"), "test": rows("test_2016_flickr")}


def wnut() -> Parts:
    def rows(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"tokens": [], "ner_tags": []}]
        for line in (DATA / "wnut17" / name).read_text("utf-8").split("\n"):
            word, tab, tag = line.rstrip("\r").partition("\t")
            if tab and word.strip():
                found[-1]["tokens"].append(word)
                found[-1]["ner_tags"].append(tag.strip())
            elif not word.strip() and found[-1]["tokens"]:
                found.append({"tokens": [], "ner_tags": []})
        return [row for row in found if row["tokens"]]

    return {
        "train": rows("wnut17train.conll"),
        "validation": rows("emerging.dev.conll"),
        "test": rows("emerging.test.annotated"),
    }


# The shapes.


def pandas_csv(parts: Parts, folder: Path) -> Path:
    """As `DataFrame.to_csv` writes it, its index included; commas in texts are quoted."""
    for split, rows in parts.items():
        pd.DataFrame(rows).to_csv(folder / f"{split}.csv")
    return folder


def one_csv(parts: Parts, folder: Path) -> Path:
    rows = [row for part in parts.values() for row in part]
    pd.DataFrame(rows).to_csv(folder / "all.csv", index=False)
    return folder / "all.csv"


def hugging_face_jsonl(parts: Parts, folder: Path) -> Path:
    for split, rows in parts.items():
        lines = (json.dumps({"idx": k, **row}) + "\n" for k, row in enumerate(rows))
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def repository(parts: Parts, folder: Path) -> Path:
    """As a hub keeps it: data/SPLIT-00000-of-00001.parquet, a card, what git leaves."""
    (folder / "data").mkdir()
    (folder / "README.md").write_text("---\nlicense: unknown\n---\n# A card\n")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs diff=lfs merge=lfs -text\n")
    for split, rows in parts.items():
        table, features = _numbered(rows)
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
        parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def saved_to_disk(parts: Parts, folder: Path) -> Path:
    """As `DatasetDict.save_to_disk` writes it."""
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
    for split, rows in parts.items():
        place = folder / split
        place.mkdir()
        table, features = _numbered(rows)
        with pyarrow.ipc.new_stream(place / "data-00000-of-00001.arrow", table.schema) as stream:
            stream.write_table(table)
        (place / "dataset_info.json").write_text(json.dumps({"features": features}))
        (place / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001"}]}')
    return folder


def _numbered(rows: list[dict[str, Any]]) -> tuple[pyarrow.Table, dict[str, Any]]:
    """The rows with class names as numbers, and the features that name them."""
    features: dict[str, Any] = {}
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    for name, values in columns.items():
        if name.endswith("label") and isinstance(values[0], str):
            names = sorted(set(values))
            features[name] = {"names": names, "_type": "ClassLabel"}
            columns[name] = [names.index(value) for value in values]
        elif name.endswith("tags"):
            names = sorted({tag for tags in values for tag in tags} | {"O"})
            features[name] = {"feature": {"names": names, "_type": "ClassLabel"}}
            columns[name] = [[names.index(tag) for tag in tags] for tags in values]
        else:
            features[name] = {"dtype": "string", "_type": "Value"}
    return pyarrow.table(columns), features


def class_folders(parts: Parts, folder: Path) -> Path:
    """As the IMDb archive: SPLIT/CLASS/NUMBER.txt."""
    for split, rows in parts.items():
        for k, row in enumerate(rows):
            place = folder / split / ("neg", "pos")[row["label"]]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{k}.txt").write_text(row["sentence"], encoding="utf-8")
    (folder / "README").write_text("How it was collected.\n")
    return folder


def conll_2003(parts: Parts, folder: Path) -> Path:
    """Four columns between blanks, documents begun by -DOCSTART-."""
    for split, rows in parts.items():
        name = {"train": "eng.train", "validation": "eng.dev", "test": "eng.test"}[split]
        blocks = ["-DOCSTART- -X- -X- O\n"]
        blocks += [
            "".join(f"{w} NN B-NP {t}\n" for w, t in zip(row["tokens"], row["ner_tags"]))
            for row in rows
        ]
        (folder / name).write_text("\n".join(blocks), encoding="utf-8")
    return folder


def unpacked_recordings(folder: Path) -> Path:
    with tarfile.open(DATA / "fsdd" / "recordings.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def recordings_by_word(folder: Path) -> Path:
    """As Speech Commands: WORD/any.wav."""
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for file in sorted(unpacked_recordings(folder / "all").rglob("*.wav")):
        place = folder / "words" / names[int(file.name[0])]
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)
    return folder / "words"


def listed_recordings(folder: Path) -> Path:
    files = sorted(unpacked_recordings(folder).rglob("*.wav"))
    rows = [
        {
            "path": str(file.relative_to(folder)),
            "label": file.name[0],
            "speaker": file.name.split("_")[1],
        }
        for file in files
    ]
    pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    return folder / "metadata.csv"


def pictures_by_class(folder: Path, train: int = 600, test: int = 100) -> Path:
    """SPLIT/DIGIT/NUMBER.png, the first ones of MNIST."""
    from PIL import Image

    for split, stem, count in (("train", "train", train), ("test", "t10k", test)):
        pictures = read_idx(DATA / "mnist" / f"{stem}-images-idx3-ubyte.gz")[:count]
        labels = read_idx(DATA / "mnist" / f"{stem}-labels-idx1-ubyte.gz")[:count]
        for k, (pixels_HW, label) in enumerate(zip(pictures, labels)):
            place = folder / split / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels_HW).save(place / f"{k}.png")
    return folder


def published(name: str, only: str = "") -> Callable[[Path], Path | str]:
    """The files as they are published."""
    return lambda _: str(DATA / name / only) if only else DATA / name


def sizes(parts: Parts) -> list[int]:
    return [len(rows) for rows in parts.values()]


def translations(parts: Parts) -> Parts:
    return {split: [{"translation": row} for row in rows] for split, rows in parts.items()}


def all_shapes() -> list[Held]:
    """Every shape, with what is right for it."""
    films, pairs, questions, names = sst2(), sick(), trec(), wnut()
    sentences, count = multi30k(), sizes
    return [
        Held("Shakespeare: one text", published("tinyshakespeare", "input.txt"), "language", ()),
        Held("SST-2: published lines", published("sst2"), "classification", count(films), 2),
        Held(
            "SST-2: pandas CSV", lambda f: pandas_csv(films, f), "classification", count(films), 2
        ),
        Held(
            "SST-2: one CSV", lambda f: one_csv(films, f), "classification", [sum(count(films))], 2
        ),
        Held(
            "SST-2: Hugging Face JSONL",
            lambda f: hugging_face_jsonl(films, f), "classification", count(films), 2,
        ),
        Held(
            "SST-2: class folders",
            lambda f: class_folders(films, f), "classification", count(films), 2,
        ),
        Held("SICK: published tables", published("sick"), "classification", count(pairs), 3),
        Held(
            "SICK: repository of Parquet",
            lambda f: repository(pairs, f), "classification", count(pairs), 3,
        ),
        Held("TREC: published lines", published("trec"), "classification", count(questions), 50),
        Held(
            "TREC: save_to_disk", lambda f: saved_to_disk(questions, f), "classification",
            count(questions), 6,
        ),
        Held(
            "Multi30k: published pairs", published("multi30k-en-de"), "translation",
            count(sentences),
        ),
        Held(
            "Multi30k: Hugging Face JSONL",
            lambda f: hugging_face_jsonl(sentences, f), "translation", count(sentences),
        ),
        Held(
            "Multi30k: repository, nested",
            lambda f: repository(translations(sentences), f), "translation", count(sentences),
        ),
        Held("SCAN: length split", published("scan", "tasks_*_length.txt.gz"), "translation",
             [16_990, 3_920]),
        Held("WNUT-17: published columns", published("wnut17"), "tagging", count(names), 13),
        Held(
            "WNUT-17: repository of Parquet", lambda f: repository(names, f), "tagging",
            count(names), 13,
        ),
        Held("WNUT-17: as CoNLL-2003", lambda f: conll_2003(names, f), "tagging", count(names), 13),
        Held("UD English EWT: .conllu.gz", published("ud-english-ewt"), "tagging",
             [12_544, 2_001, 2_077], 17),
        Held("bAbI 1: published stories", published("babi", "en/qa1_*"), "question_answering",
             [200, 200], 6),
        Held("FSDD: published archive", published("fsdd", "recordings.tar.gz"), "speech",
             [2_000], 10),
        Held("FSDD: a folder", unpacked_recordings, "speech", [2_000], 10),
        Held("FSDD: folders by word", recordings_by_word, "speech", [2_000], 10),
        Held("FSDD: a list in CSV", listed_recordings, "speech", [2_000], 10),
        Held("MNIST: published idx", published("mnist"), "pixels", [60_000, 10_000], 10),
        Held("MNIST: folders of PNG", pictures_by_class, "pixels", [600, 100], 10),
    ]  # fmt: skip


def options_of(advice: str) -> dict[str, Any]:
    """The options that an error names."""
    found = re.search(r"(--task \S+(?: --set (?:'[^']*'|\S+))*)", advice)
    words = shlex.split(found[1]) if found else []
    pairs = dict(word.split("=", 1) for word in words[3::2])
    return {"task": words[1], "settings": pairs} if words else {}


def ask(data: Path | str) -> tuple[str, Preview]:
    """The options that were needed, and the dry run with them."""
    try:
        return "", sa.compare(data, models=["gru"], dry_run=True, **SMALL)
    except sa.UserError as error:
        options = options_of(str(error))
        if not options:
            raise
    settings = {f"{name}={value}" for name, value in options["settings"].items()}
    shown = f"--task {options['task']}" + "".join(f" --set {pair}" for pair in sorted(settings))
    return shown, sa.compare(data, models=["gru"], dry_run=True, **options, **SMALL)


def wrong(held: Held, preview: Preview) -> list[str]:
    """What a dry run does not say as it is."""
    data, found = preview.data, []
    if preview.plan.task["kind"] != held.task:
        found.append(f"task {preview.plan.task['kind']}, not {held.task}")
    read: Counter[str] = Counter()
    for file in data.files:
        read[file.split] += file.examples
    sizes = [read[split] for split in ("train", "validation", "test") if split in read]
    if held.examples and sizes != list(held.examples):
        found.append(f"{dict(read)} read, not {held.examples}")
    if held.classes is not None and data.num_classes != held.classes:
        found.append(f"{data.num_classes} classes, not {held.classes}")
    return found


def row(held: Held, shown: str, preview: Preview, seconds: float) -> str:
    """One line of the table."""
    data = preview.data
    overlap = ", ".join(
        f"{part.split} {part.in_training:,}" for part in data.splits if part.in_training
    )
    classes = f"{data.num_classes:,}" if data.num_classes else ""
    passed = f"{data.num_passed_over}" if data.num_passed_over else ""
    sizes = " / ".join(f"{part.examples:,}" for part in data.splits)
    cells = (
        held.shape, f"`{shown}`" if shown else "(none needed)", sizes, data.how, classes, passed,
        overlap, f"{seconds:.1f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main(only: Iterable[str]) -> int:
    """Prints the table; how many shapes are wrong."""
    wanted = [word.lower() for word in only]
    print(
        "| data and shape | options that it named | train / validation / test | splits | classes | "
        "passed over | in training too | s |\n|---|---|---|---|---|---|---|---|"
    )
    faults = 0
    for held in all_shapes():
        if wanted and not any(word in held.shape.lower() for word in wanted):
            continue
        folder = Path(tempfile.mkdtemp())
        start = time.monotonic()
        try:
            shown, preview = ask(held.build(folder))
            print(row(held, shown, preview, time.monotonic() - start), flush=True)
            found = wrong(held, preview)
        except sa.UserError as error:
            found = [f"refused: {error}"]
        finally:
            shutil.rmtree(folder)
        for fault in found:
            print(f"WRONG {held.shape}: {fault}", file=sys.stderr, flush=True)
        faults += bool(found)
    return faults


if __name__ == "__main__":
    raise SystemExit(1 if main(sys.argv[1:]) else 0)
