"""Labelled texts: one or two sentences and the name of their class.

    label_first   LABEL text                     one example a line; a blank ends the label
    tsv, csv      a header, then rows            the fields are named in the configuration
    jsonl         {"text": ..., "label": ...}    one object a line; a label may be a whole number

`auto` goes by the file's name, and for any other name by its first line: a tab means `tsv`, none
means `label_first`. Which files are training, validation and test: data/sources.py. Empty lines
are left out.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from seqarena.core.errors import UserError
from seqarena.data.sources import (
    Splits,
    complete,
    find_split_files,
    json_objects,
    plain_suffix,
    read_lines,
)
from seqarena.data.text.python_reference import labelled_sentences, origin

_FORMAT_BY_SUFFIX = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


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
        splits, form = complete(train, [], []), "embedded"
        name, source = "python-reference", origin()
    else:
        files = find_split_files(data)
        parts = [[x for file in part for x in read_labelled(file, fields)] for part in files]
        for part, examples in zip(files, parts):
            if part and not examples:
                raise UserError(f"{', '.join(map(str, part))}: no example in it")
        splits = complete(*parts)
        form = _format(files.train[0], fields)
        name, source = Path(data).resolve().name, f"{form} {data}"
    _check_labels(splits)
    return LabelledData(name, source, form, splits, _sha256(splits))


def read_labelled(file: Path, fields: Fields) -> Iterator[Labelled]:
    """The examples of one file. Raises UserError as `load_labelled`."""
    form = _format(file, fields)
    if form == "label_first" and fields.text_pair is not None:
        raise UserError(
            f"{file}: lines that begin with their label hold one text: leave text_pair out, or "
            "give a table with a header"
        )
    rows = {"label_first": _label_first, "jsonl": _json_lines}.get(form)
    found = rows(file, fields) if rows else _table(file, fields, "\t" if form == "tsv" else ",")
    wanted = [fields.text, *([fields.text_pair] if fields.text_pair else []), fields.label]
    for place, row in found:
        text, *pair, label = (_value(row, field, place) for field in wanted)
        if fields.label_part == "coarse":
            label = label.partition(":")[0]
        yield Labelled(text, pair[0] if pair else None, label, place)


def _format(file: Path, fields: Fields) -> str:
    if fields.format != "auto":
        return fields.format
    known = _FORMAT_BY_SUFFIX.get(plain_suffix(file))
    if known:
        return known
    first = next((line for _, line in read_lines(file, fields.encoding)), "")
    return "tsv" if "\t" in first else "label_first"


def _label_first(file: Path, fields: Fields) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in read_lines(file, fields.encoding):
        if line.strip():
            label, *text = line.split(maxsplit=1)
            yield f"{file}, line {number}", {fields.text: "".join(text), fields.label: label}


def _table(file: Path, fields: Fields, delimiter: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows by the names of the header. Quotes mean something in CSV alone."""
    lines = (line + "\n" for _, line in read_lines(file, fields.encoding))
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            place = f"{file}, line {reader.line_num}"
            if not "".join(row).strip():
                continue
            if header is None:
                header = [name.strip() for name in row]
                continue
            if len(row) != len(header):
                raise UserError(f"{place}: {len(row)} fields, but the header names {len(header)}")
            yield place, dict(zip(header, row))
    except csv.Error as error:
        raise UserError(f"{file}, line {reader.line_num}: not a table: {error}") from error


def _json_lines(file: Path, fields: Fields) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, row in json_objects(file, read_lines(file, fields.encoding)):
        label = row.get(fields.label)
        if isinstance(label, int):
            row = {**row, fields.label: str(label)}
        yield place, row


def _value(row: Mapping[str, Any], field: str, place: str) -> str:
    if field not in row:
        has = ", ".join(map(str, row)) or "none"
        raise UserError(
            f"{place}: no field {field!r}: it has {has} (name them with --set text=, text_pair= "
            "and label=; lines that begin with their label: --set format=label_first)"
        )
    value = row[field]
    if not isinstance(value, str):
        raise UserError(f"{place}: {field!r} holds {type(value).__name__}: a string is needed")
    if not value.strip():
        raise UserError(f"{place}: {field!r} is empty: fill it in, or leave the example out")
    return value.strip()


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
