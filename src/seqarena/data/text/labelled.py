"""Labelled texts: one or two sentences and the name of their class.

    label_first    LABEL text                     one example a line; a blank ends the label
    tables         a field for each               tsv, csv, jsonl, json, parquet, arrow
                                                  (data/files/tables.py)
    class_folders  train/CLASS/any.txt            one text a file; also without folders of splits

`auto` goes by the file's name, and for any other name by its first line: a tab means `tsv`, a
brace `jsonl`, the fields' names between commas `csv`, anything else `label_first`. Files of text in
two or more folders that say no split are class folders. Which files are training, validation and
test: data/files/find.py. Empty lines are left out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, rows_with_columns
from seqarena.data.files.examples import Splits, complete, read_splits
from seqarena.data.files.find import SplitFiles, kind_of, list_files, split_files
from seqarena.data.files.folders import by_class_folder, is_of_class_folders
from seqarena.data.files.opening import read_lines, read_text
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import is_missing, table_format, text_of
from seqarena.data.text.python_reference import labelled_sentences, origin

_KINDS = ("table", "text", None)
_FAST_TEXT = "__label__"
_FEW_LINES = 20  # too few to tell labels from first words


class Labelled(NamedTuple):
    """One example. `text_pair` is the second sentence, where there are two."""

    text: str
    text_pair: str | None
    label: str
    place: str  # file and line, for errors


class LabelledData(NamedTuple):
    """All examples and where they came from. `sha256` is of every text and label in order."""

    name: str
    origin: str
    format: str
    splits: Splits
    sha256: str
    reading: Reading | None = None


class Fields(Protocol):
    """What of a configuration says how files are read (tasks/configs.py: ClassificationConfig)."""

    @property
    def text(self) -> str: ...
    @property
    def text_pair(self) -> str | None: ...
    @property
    def label(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def label_part(self) -> str: ...
    @property
    def encoding(self) -> str: ...


def load_labelled(data: str | Path | None, fields: Fields) -> LabelledData:
    """The examples at `data`, by split; for None the sentences of data/text/python_reference.py.

    Raises UserError, with file and line, for a missing field, an empty sentence or label, a row
    that does not fit its header, and a label that no training example has.
    """
    if data is None:
        if fields.text_pair is not None:
            raise UserError("the embedded data have one sentence each: leave text_pair out")
        train = [Labelled(t, None, label, "embedded data") for t, label in labelled_sentences()]
        splits = complete(train, [], [])
        return LabelledData("python-reference", origin(), "embedded", splits, _sha256(splits))
    reading = Reading()
    parts, form = labelled_parts(data, fields, reading)
    splits = complete(*parts, class_of=lambda example: example.label, reading=reading)
    _check_labels(splits)
    name = Path(data).resolve().name
    return LabelledData(name, f"{form} {data}", form, splits, _sha256(splits), reading)


def contents(example: Labelled) -> tuple[str, str | None, str]:
    """What makes two examples the same."""
    return example.text, example.text_pair, example.label


def read_labelled(file: Path, fields: Fields, reading: Reading | None = None) -> Iterator[Labelled]:
    """The examples of one file. Raises UserError as `load_labelled`."""
    form = _format(file, fields)
    if form == "label_first":
        if fields.text_pair is not None:
            raise UserError(
                f"{file}: lines that begin with their label hold one text: leave text_pair out, or "
                "give a table with a header"
            )
        found = _label_first(file, fields, reading)
    else:
        found = rows_with_columns(
            file, wanted_columns(fields), format=form, encoding=fields.encoding, reading=reading
        )
    for place, (text, label, *pair) in found:
        yield Labelled(
            _text(text, fields.text, place),
            _text(pair[0], str(fields.text_pair), place) if pair else None,
            _label(label, fields, place),
            place,
        )


def labelled_parts(
    data: str | Path, fields: Fields, reading: Reading
) -> tuple[list[list[Labelled]], str]:
    """The examples of each split that the data have, and the format of the first file. Raises
    UserError as `load_labelled`, but for labels."""
    files = list_files(data, _KINDS, reading)
    if fields.format == "class_folders" or (
        fields.format == "auto" and is_of_class_folders(data, files)
    ):
        if fields.text_pair is not None:
            raise UserError(f"{data}: class folders hold one text a file: leave text_pair out")
        found, texts = by_class_folder(data, files, reading)
        parts = read_splits(
            found,
            lambda folder: [_of_folder(file, label, fields, reading)
                            for file, label in texts[folder]],
            reading, format_of=lambda _: "class folder", key=contents,
        )  # fmt: skip
        return parts, "class_folders"
    found = _tables_first(split_files(data, files, reading), reading)
    parts = read_splits(
        found,
        lambda file: read_labelled(file, fields, reading),
        reading,
        format_of=lambda file: _format(file, fields),
        key=contents,
    )
    return parts, _format(next(chain(*found)), fields)


def _tables_first(files: SplitFiles, reading: Reading) -> SplitFiles:
    """Without the texts of a split that has tables: they are notes."""

    def kept(part: tuple[Path, ...]) -> tuple[Path, ...]:
        tables = tuple(file for file in part if kind_of(file) == "table")
        for file in part if tables else ():
            if file not in tables:
                reading.pass_over(file, "no table, as others are")
        return tables or part

    return SplitFiles(*map(kept, files))


def wanted_columns(fields: Fields) -> list[Wanted]:
    """The columns of a table, by the configuration."""
    settings = ["text", "label"] if fields.text_pair is None else ["text", "label", "text_pair"]
    return [Wanted.of(fields, setting) for setting in settings]


def _format(file: Path, fields: Fields) -> str:
    if fields.format != "auto":
        return fields.format
    known = table_format(file)
    if known:
        return known
    first = next((line for _, line in read_lines(file, fields.encoding)), "")
    if "\t" in first:
        return "tsv"
    if first.startswith("{"):
        return "jsonl"
    names = {cell.strip(' "') for cell in first.replace(";", ",").split(",")}
    return "csv" if {fields.text, fields.label} <= names else "label_first"


def _of_folder(file: Path, label: str, fields: Fields, reading: Reading) -> Labelled:
    text = read_text(file, fields.encoding, reading).replace("\r\n", "\n")
    return Labelled(_text(text, "text", str(file)), None, label, str(file))


def _label_first(
    file: Path, fields: Fields, reading: Reading | None
) -> Iterator[tuple[str, list[Any]]]:
    """Lines of a label and a text, as fastText writes them too (`__label__CLASS text`)."""
    rows: list[tuple[str, list[Any]]] = []
    for number, line in read_lines(file, fields.encoding, reading):
        if not line.strip():
            continue
        place = f"{file}, line {number}"
        label, *rest = line.split(maxsplit=1)
        text = "".join(rest)
        if label.startswith(_FAST_TEXT):
            label = label.removeprefix(_FAST_TEXT)
            if text.startswith(_FAST_TEXT):
                raise UserError(f"{place}: two labels: one class for each text is needed")
        rows.append((place, [text, label]))
    if fields.format == "auto":
        _check_first_words(file, [label for _, (_, label) in rows])
    yield from rows


def _check_first_words(file: Path, labels: list[str]) -> None:
    """Raises UserError where lines begin with any words, and not with one of a few labels."""
    different = len(set(labels))
    if len(labels) >= _FEW_LINES and different > len(labels) / 2:
        raise UserError(
            f"{file}: {len(labels):,} lines begin with {different:,} different words, which are no "
            "labels: give a table with the columns text and label, folders named by class, or "
            "--set format=label_first"
        )


def _text(value: Any, field: str, place: str) -> str:
    if is_missing(value):
        raise UserError(f"{place}: {field!r} is missing: fill it in, or leave the example out")
    if not isinstance(value, str):
        raise UserError(f"{place}: {field!r} holds {type(value).__name__}: a string is needed")
    if not value.strip():
        raise UserError(f"{place}: {field!r} is empty: fill it in, or leave the example out")
    return value.strip()


def _label(value: Any, fields: Fields, place: str) -> str:
    """The same for equal classes in every format: 1, "1" and a 1 of Parquet."""
    if is_missing(value):
        raise UserError(
            f"{place}: {fields.label!r} is missing: fill it in, or leave the example out (test "
            "sets are often published without labels)"
        )
    text = text_of(value)
    if text is None:
        kind = type(value).__name__
        raise UserError(f"{place}: {fields.label!r} holds {kind}: one class is needed")
    label = _text(text, fields.label, place)
    return label.partition(":")[0] if fields.label_part == "coarse" else label


def _check_labels(splits: Splits) -> None:
    known = {example.label for example in splits.train}
    for split, examples in (("validation", splits.validation), ("test", splits.test)):
        for example in examples:
            if example.label not in known:
                listed = ", ".join(sorted(known)[:10]) + (", ..." if len(known) > 10 else "")
                raise UserError(
                    f"{example.place}: {split} label {example.label!r} is not in the training "
                    f"data, which have {listed}"
                )
    if len(known) < 2:
        raise UserError(f"every training example is labelled {known.pop()!r}: two are needed")


def _sha256(splits: Iterable[list[Labelled]]) -> str:
    found = hashlib.sha256()
    for examples in splits:
        rows = [[example.text, example.text_pair, example.label] for example in examples]
        found.update(json.dumps(rows).encode())
    return found.hexdigest()
