"""Every source gives the same text; every bad input gives one clear line."""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from seqarena.core.errors import UserError
from seqarena.data.splits import TextSplits, split_text
from seqarena.data.text.corpora import (
    MINIMUM_CHARACTERS,
    load_corpus,
    repeated_lines,
    split_corpus,
)

DOCUMENTS = [
    "The first document, with an accent: é, and a line separator \u2028 inside.",
    "The second document\nhas two lines and ends with a line feed.\n",
]
TEXT = "\n\n".join(DOCUMENTS)


def write_json_lines(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_embedded_default_is_english_prose_and_stable():
    corpus = load_corpus(None)
    assert corpus == load_corpus(None)
    assert 300_000 < corpus.num_bytes < 1_000_000
    assert corpus.text.count(" the ") > 2_000
    assert corpus.sha256 == hashlib.sha256(corpus.text.encode()).hexdigest()


def test_no_long_line_of_the_embedded_default_stands_in_it_twice():
    lines = [line for line in load_corpus(None).text.split("\n") if len(line) >= 40]
    assert len(lines) == len(set(lines)) > 4000
    splits = split_text(load_corpus(None).text)
    assert repeated_lines(splits)["test"]["repeated"] == 0


def test_every_source_gives_the_same_text_and_digest(tmp_path):
    single = tmp_path / "one.txt"
    single.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())  # the byte order mark is no text
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "a.md").write_text(DOCUMENTS[0], encoding="utf-8")
    (folder / "b" / "c.txt").write_text(DOCUMENTS[1], encoding="utf-8")
    (folder / "b" / "empty.txt").touch()
    (folder / "image.png").write_bytes(b"\0\0")  # not a text file: not looked at
    lines = write_json_lines(
        tmp_path / "d.jsonl",
        ["", *(json.dumps({"text": d}, ensure_ascii=False) for d in DOCUMENTS)],
    )
    parquet = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "text": DOCUMENTS}), parquet)

    corpora = [load_corpus(path) for path in (single, folder, lines, parquet)]
    assert [corpus.text for corpus in corpora] == [TEXT] * 4
    assert len({corpus.sha256 for corpus in corpora}) == 1
    assert [corpus.num_documents for corpus in corpora] == [1, 2, 2, 2]
    assert corpora[0].num_bytes == len(TEXT.encode())
    assert corpora[1].name == "folder"


def test_text_field_chooses_the_field(tmp_path):
    path = write_json_lines(tmp_path / "d.jsonl", [json.dumps({"body": TEXT, "text": "no" * 99})])
    assert load_corpus(path, text_field="body").text == TEXT


def test_carriage_returns_survive(tmp_path):
    path = tmp_path / "dos.txt"
    path.write_bytes(b"line\r\n" * 20)
    assert load_corpus(path).num_bytes == 120


GOOD = json.dumps({"text": TEXT})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "no text in it"),
        ("blank.txt", b" \n" * 100, "no text in it"),
        ("short.txt", b"too short", f"only 9 characters.*{MINIMUM_CHARACTERS} are needed"),
        ("binary.txt", b"some text\0more", "line 1: a NUL byte: this is a binary file"),
        (
            "latin.txt",
            b"caf" + b"\xe9 au lait" * 10,
            "line 1: not utf-8: convert the file, or name its enc",
        ),
        ("a.jsonl", f"{GOOD}\n{{broken\n".encode(), "a.jsonl, line 2: not JSON"),
        ("b.jsonl", f'{GOOD}\n\n{{"body": 1}}'.encode(), "line 3: no field 'text': it has body"),
        ("c.jsonl", b'{"text": 3}', "line 1: field 'text' holds int: a string is needed"),
        ("d.jsonl", b"[1]", "line 1: a JSON object is needed, not list"),
        ("e.jsonl", b'{"text": "ab\\ud800"}', "half a surrogate pair at character 2"),
        ("f.parquet", b"not parquet", "not a readable Parquet file"),
    ],
)
def test_bad_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_corpus(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"words": [TEXT]}, "row 1: no field 'text': it has words"),
        ({"text": [TEXT, None]}, "row 2: field 'text' holds NoneType"),
        ({"text": [1]}, "row 1: field 'text' holds int"),
    ],
)
def test_bad_parquet_columns(tmp_path, table, message):
    path = tmp_path / "d.parquet"
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    with pytest.raises(UserError, match=message):
        load_corpus(path)


def test_missing_file_and_folder_without_text(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        load_corpus(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match="no file there"):
        load_corpus(tmp_path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "d.parquet"
    path.touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"seqarena\[parquet\]"):
        load_corpus(path)


def test_python_without_the_default_text(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UserError, match="name a text file instead"):
        load_corpus(None)


LINES = [f"Line {k} is long enough to be compared with the others.\n" for k in range(200)]


def write_files(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(content), encoding="utf-8")
    return folder


def passed_over(corpus):
    return {Path(each.file).name: each.why for each in corpus.reading.passed_over}


@pytest.mark.parametrize(
    "names",
    [
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        ("train/a.md", "dev/a.md", "test/a.md"),
    ],
)
def test_splits_by_name(tmp_path, names):
    parts = (LINES[:100], LINES[100:150], LINES[150:])
    write_files(tmp_path, {**dict(zip(names, parts)), "README": "about", "notes.txt": "mine"})
    corpus = load_corpus(tmp_path)
    splits, how = split_corpus(corpus, 0.3, 0.2)
    assert splits == tuple("".join(part) for part in parts)
    assert how.endswith("names; the fractions do not apply")
    assert passed_over(corpus)["README"] == "it describes the data"
    assert "notes.txt" in passed_over(corpus)
    for name, part in zip(names, (parts[1], parts[0], parts[2])):
        write_files(tmp_path, {name: part})
    assert load_corpus(tmp_path).sha256 != corpus.sha256


def test_what_the_files_lack_is_cut_off_the_end_of_training(tmp_path):
    write_files(tmp_path, {"train.txt": LINES[:100], "valid.txt": LINES[100:]})
    corpus = load_corpus(tmp_path)
    train, valid = "".join(LINES[:100]), "".join(LINES[100:])
    cut = int(len(train) * 0.9)
    splits, how = split_corpus(corpus, 0.5, 0.1)
    assert splits == (train[:cut], valid, train[cut:])
    assert how == "by the files' names; test cut off the end of the training text"
    assert split_corpus(corpus, 0.5, "validation")[0] == (train, valid, valid)
    write_files(tmp_path, {"test.txt": LINES[50:]})
    splits, how = split_corpus(load_corpus(tmp_path), 0.5, "validation")
    assert splits == (train, valid, valid)
    assert "the test files are not used" in how


def test_repeated_lines_are_counted():
    parts = TextSplits(
        "".join(LINES[:100]), "".join(LINES[95:110]), "".join(LINES[150:]) + "short\n"
    )
    assert repeated_lines(parts) == {
        "validation": {"repeated": 5, "of": 15},
        "test": {"repeated": 0, "of": 50},
    }


def test_copies_and_hidden_files_are_read_once(tmp_path):
    write_files(tmp_path, {
        "a.txt": LINES, "a (copy).txt": LINES, ".ipynb_checkpoints/a-checkpoint.txt": LINES,
        "._a.txt": "\0\5",
    })  # fmt: skip
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("".join(LINES).encode()))
    corpus = load_corpus(tmp_path)
    assert (corpus.num_documents, corpus.text) == (1, "".join(LINES))
    assert passed_over(corpus) == {
        "._a.txt": "hidden", ".ipynb_checkpoints": "hidden",
        "a.txt": "the same examples as a (copy).txt",
        "a.txt.gz": "the same examples as a (copy).txt",
    }  # fmt: skip


def test_the_data_of_a_repository_and_not_its_card(tmp_path):
    lines = [json.dumps({"text": f"real document {k} " * 9}) + "\n" for k in range(20)]
    write_files(tmp_path, {"README.md": "# Data card\n" * 99, "data/train.jsonl": lines})
    corpus = load_corpus(tmp_path)
    assert corpus.num_documents == 20
    assert "Data card" not in corpus.text


def test_tables_are_read_by_their_text_and_never_as_text(tmp_path):
    rows = [f'{k},"a document, {k}"\n' for k in range(20)]
    write_files(tmp_path, {"good.csv": ["id,text\n", *rows], "bad.csv": ["id,words\n", *rows]})
    assert load_corpus(tmp_path / "good.csv").text.startswith("a document, 0\n\na document, 1\n\n")
    with pytest.raises(UserError, match="no field 'text': it has id, words"):
        load_corpus(tmp_path / "bad.csv")
    write_files(tmp_path, {"usual.csv": ["id,content\n", *rows]})
    assert load_corpus(tmp_path / "usual.csv").reading.notes == ["text_field: column 'content'"]
    documents = [f"réal document {k} of many" for k in range(20)]
    for name, entries in (
        ("a.json", [{"text": each} for each in documents]),
        ("b.json", documents),
    ):
        (tmp_path / name).write_text(json.dumps(entries))
        assert load_corpus(tmp_path / name).text == "\n\n".join(documents)
    (tmp_path / "c.json").write_text(json.dumps({"text": "x" * 99}))
    with pytest.raises(UserError, match="a list of objects is needed"):
        load_corpus(tmp_path / "c.json")


def test_sequences_of_fasta_are_documents(tmp_path):
    lines = [f">seq{k} of a mouse\r\nACGTACGT\r\nACGG{'T' * k}\r\n" for k in range(9)]
    file = write_files(tmp_path, {"a.fasta": lines}) / "a.fasta"
    corpus = load_corpus(file)
    assert corpus.text == "\n\n".join(f"ACGTACGTACGG{'T' * k}" for k in range(9))
    assert corpus.reading.files[0].format == "FASTA"
    assert corpus.reading.notes == ["FASTA: sequences are documents, their headers are left out"]
    write_files(tmp_path, {"b.fa": ["ACGT\n" * 99]})
    with pytest.raises(UserError, match=r"b\.fa, line 1: FASTA begins with"):
        load_corpus(tmp_path / "b.fa")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1"])
def test_texts_in_other_encodings(tmp_path, encoding):
    text = "".join(LINES).replace("long", "größer")
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert load_corpus(tmp_path / "a.txt", encoding=encoding).text == text
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16"))
    corpus = load_corpus(tmp_path / "a.txt")
    assert corpus.text == text
    assert corpus.reading.notes == ["a.txt begins with the byte order mark of UTF-16"]


def test_programs_are_read_where_they_are_named(tmp_path):
    write_files(tmp_path, {"a.py": LINES, "b.py": LINES[:50], "c.txt": LINES[:60]})
    assert load_corpus(tmp_path).num_documents == 1
    assert load_corpus(tmp_path / "*.py").num_documents == 2
    assert load_corpus(tmp_path / "a.py").text == "".join(LINES)
    write_files(tmp_path, {"a.zip": "PK"})
    with pytest.raises(UserError, match=r"a\.zip: an archive, which this task .*: unpack it"):
        load_corpus(tmp_path / "a.zip")


def test_a_text_that_looks_like_a_table_is_said(tmp_path):
    for first, kind in (
        ('{"text": "a"}', "JSON lines: .jsonl"),
        ("id\ttext\tlabel", "a table: .tsv"),
    ):
        file = write_files(tmp_path, {"a.txt": [first + "\n", *LINES]}) / "a.txt"
        (note,) = load_corpus(file).reading.notes
        assert note.startswith(f"a.txt is read as text, and looks like {kind}")
