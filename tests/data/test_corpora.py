"""Every source gives the same text; every bad input gives one clear line."""

import hashlib
import json
import sys

import pyarrow
import pyarrow.parquet
import pytest

from seqarena.core.errors import UserError
from seqarena.data.text.corpora import MINIMUM_CHARACTERS, load_corpus

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
