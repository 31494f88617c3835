"""Columns by their names: the configured one, or with a note the one usual name that fits."""

from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted, find_columns, rows_with_columns
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import read_rows

TEXT, LABEL = Wanted("text", "text", True), Wanted("label", "label", True)


@pytest.mark.parametrize(
    ("columns", "found", "notes"),
    [
        (["label", "text", "sentence"], ["text", "label"], []),
        (["idx", "sentence", "label"], ["sentence", "label"], ["text: column 'sentence'"]),
        (["Text", "LABEL"], ["Text", "LABEL"], ["text: column 'Text'", "label: column 'LABEL'"]),
        (["content", "category"], ["content", "category"],
         ["text: column 'content'", "label: column 'category'"]),
    ],
)  # fmt: skip
def test_one_usual_name_stands_for_the_default(columns, found, notes) -> None:
    reading = Reading()
    assert find_columns([TEXT, LABEL], columns, "a.csv", reading) == found
    assert reading.notes == notes


@pytest.mark.parametrize(
    ("wanted", "columns", "message"),
    [
        ([TEXT, LABEL], ["review", "content", "label"],
         r"has review, content, label \('review' and 'content' could be the text: name it with "
         r"--set text=NAME --set label=NAME\)"),
        ([TEXT, LABEL], ["words", "label"], r"a\.csv: no field 'text': it has words, label"),
        ([Wanted("text", "body", False), LABEL], ["text", "label"], "no field 'body'"),
        ([TEXT, LABEL], ["premise", "Hypothesis", "label"],
         r"of two sentences: --set text=premise --set text_pair=Hypothesis"),
        ([TEXT, LABEL], ["text", "coarse_label", "fine_label"], "no field 'label'"),
    ],
)  # fmt: skip
def test_nothing_else_is_guessed(wanted, columns, message) -> None:
    with pytest.raises(UserError, match=message):
        find_columns(wanted, columns, "a.csv")


def read(folder: Path, name: str, text: str, *wanted: Wanted, nested: str = "") -> list[list]:
    (folder / name).write_text(text)
    found = rows_with_columns(folder / name, wanted or (TEXT, LABEL), nested=nested)
    return [values for _, values in found]


HEADLESS = {
    "repeats.csv": "good film,pos\nbad film,neg\nnice film,pos\n",
    "repeats.tsv": "pos\tgood film\npos\tbad film\n",
    "long.csv": '"this is how a whole sentence, with a comma, looks",pos\n"x",neg\n',
}


@pytest.mark.parametrize("name", HEADLESS)
def test_a_first_line_that_is_an_example_is_no_header(tmp_path: Path, name: str) -> None:
    message = r"line 1: an example \(.*\) where the names .* are needed: .* text and label among"
    with pytest.raises(UserError, match=message):
        read(tmp_path, name, HEADLESS[name])


def test_that_the_first_line_names_the_columns_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no field 'text': it has ein Haus, a house .*; the first l"
    ):
        read(tmp_path, "a.csv", "ein Haus,a house\nein Hund,a dog\n")


def test_a_header_in_the_middle_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.csv, line 3: the header again"):
        read(tmp_path, "a.csv", "text,label\na,x\ntext,label\nb,y\n")


def test_a_field_that_one_object_lacks_is_named(tmp_path: Path) -> None:
    lines = '{"sentence": "a", "label": 1}\n{"text": "b", "label": 2}\n'
    with pytest.raises(UserError, match=r"line 2: no field 'sentence': it has text, label"):
        read(tmp_path, "a.jsonl", lines)


def test_no_other_column_of_parquet_and_arrow_is_read(tmp_path: Path) -> None:
    """An embedding beside each text would fill the memory."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = pyarrow.table({"": [[0.5] * 9], "label": [1], "content": ["a"]})
    parquet.write_table(rows, tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(tmp_path / "a.arrow", rows.schema) as stream:
        stream.write_table(rows)
    for name in ("a.parquet", "a.arrow"):
        (row,) = read_rows(tmp_path / name, choose=lambda names: names[2:])
        assert row.fields == {"content": "a"}
        found = rows_with_columns(tmp_path / name, (TEXT, LABEL))
        assert [values for _, values in found] == [["a", 1]]
    with pytest.raises(UserError, match=r"a\.parquet, row 1: no field 'body'"):
        list(rows_with_columns(tmp_path / "a.parquet", [Wanted("text", "body", False)]))


def test_the_fields_of_a_nested_object(tmp_path: Path) -> None:
    wanted = Wanted("source", "de", True), Wanted("target", "en", True)
    lines = '{"id": 1, "translation": {"en": "a house", "de": "ein Haus"}}\n'
    assert read(tmp_path, "a.jsonl", lines, *wanted, nested="translation") == [
        ["ein Haus", "a house"]
    ]
