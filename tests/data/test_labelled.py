"""Labelled texts: every format gives the same examples, every mistake names its file and line."""

from collections import Counter
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.text.labelled import Labelled, load_labelled, read_labelled
from seqarena.data.text.python_reference import labelled_sentences
from seqarena.tasks.configs import ClassificationConfig


def config(**fields) -> ClassificationConfig:
    return ClassificationConfig(**fields)


def write(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_bytes(text.encode(encoding))
    return file


def contents(examples) -> list[tuple[str, str | None, str]]:
    return [(example.text, example.text_pair, example.label) for example in examples]


PAIRS = [('He said "no"', "yes, he did", "A"), ("one", "two", "B")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.tsv", 's1\ts2\ty\nHe said "no"\tyes, he did\tA\n\none\ttwo\tB\n'),
        ("p.txt", 's1\tid\ts2\ty\r\nHe said "no"\t1\tyes, he did\tA\r\none\t2\ttwo\tB\r\n'),
        ("p.csv", 'y,s2,s1\nA,"yes, he did","He said ""no"""\nB,two,one\n'),
        ("p.jsonl", '{"s1": "He said \\"no\\"", "s2": "yes, he did", "y": "A"}\n'
                    '\n{"s1": "one", "s2": "two", "y": "B", "id": 7}\n'),
    ],
)  # fmt: skip
def test_tables_and_json_lines_of_two_sentences(tmp_path: Path, name: str, text: str) -> None:
    fields = config(text="s1", text_pair="s2", label="y")
    assert contents(read_labelled(write(tmp_path / name, text), fields)) == PAIRS


def test_lines_that_begin_with_their_label(tmp_path: Path) -> None:
    text = "DESC:manner How did it ?\n\nENTY:animal  What caf\xe9 ?\n"
    file = write(tmp_path / "q.train", text, "iso-8859-1")
    whole = contents(read_labelled(file, config(encoding="iso-8859-1")))
    assert whole == [
        ("How did it ?", None, "DESC:manner"),
        ("What caf\xe9 ?", None, "ENTY:animal"),
    ]
    coarse = config(encoding="iso-8859-1", label_part="coarse")
    assert [example.label for example in read_labelled(file, coarse)] == ["DESC", "ENTY"]
    with pytest.raises(UserError, match=r"q\.train, line 3: not utf-8.*encoding=NAME"):
        list(read_labelled(file, config()))


def test_whole_numbers_are_labels_in_json(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    assert [example.label for example in read_labelled(file, config())] == ["0", "1"]


def test_files_by_split(tmp_path: Path) -> None:
    for name, lines in (("train", "1 a\n0 b\n"), ("dev", "1 c\n"), ("test", "0 d\n1 e\n")):
        write(tmp_path / f"stsa.binary.{name}", lines)
    write(tmp_path / "README.md", "not an example\n")
    data = load_labelled(tmp_path, config())
    found = [[example.text for example in part] for part in data.splits]
    assert found == [["a", "b"], ["c"], ["d", "e"]]
    assert data.format == "label_first"
    assert data.splits.test[1] == Labelled("e", None, "1", f"{tmp_path}/stsa.binary.test, line 2")


def test_the_digest_follows_texts_labels_and_splits(tmp_path: Path) -> None:
    def sha256(train: str, test: str) -> str:
        write(tmp_path / "train.txt", train)
        write(tmp_path / "test.txt", test)
        write(tmp_path / "val.txt", "1 v\n")
        return load_labelled(tmp_path, config()).sha256

    found = {sha256("1 a\n0 b\n", "1 c\n"), sha256("0 a\n1 b\n", "1 c\n"),
             sha256("1 a\n0 b\n1 c\n", "1 d\n")}  # fmt: skip
    assert len(found) == 3
    assert sha256("1 a\n0 b\n", "1 c\n") in found


GOOD = "1 good\n0 bad\n1 fine\n0 awful\n"


@pytest.mark.parametrize(
    ("files", "fields", "message"),
    [
        ({"train.txt": "1 good\n0\n"}, {}, r"train\.txt, line 2: 'text' is empty"),
        ({"train.tsv": "text\tlabel\na\tx\n\ty\n"}, {}, r"train\.tsv, line 3: 'text' is empty"),
        ({"train.tsv": "text\tlabel\na\tx\nb\n"}, {}, r"line 3: 1 fields, but the header names 2"),
        ({"train.tsv": "words\tlabel\na\tx\n"}, {}, r"line 2: no field 'text': it has words, labe"),
        ({"train.txt": "1\tgood\n"}, {"text_pair": "b"}, r"no example in it"),
        ({"train.txt": GOOD}, {"text_pair": "b"}, r"hold one text: leave text_pair out"),
        ({"train.csv": 'text,label\n"a,x\n'}, {}, r"train\.csv, line 2: not a table"),
        ({"train.jsonl": '{"text": "a"\n'}, {}, r"train\.jsonl, line 1: not JSON"),
        ({"train.jsonl": "[1]\n"}, {}, r"line 1: a JSON object is needed, not list"),
        ({"train.jsonl": '{"text": 3, "label": "x"}\n'}, {}, r"'text' holds int: a string is nee"),
        ({"train.jsonl": '{"text": "a", "label": null}\n'}, {}, r"line 1: 'label' is missing"),
        ({"train.txt": "1 a\n1 b\n1 c\n"}, {}, r"every training example is labelled '1'"),
        ({"train.txt": GOOD, "test.txt": ""}, {}, r"test\.txt: no example in it"),
        ({"train.txt": GOOD, "dev.txt": "0 a\n", "test.txt": "1 x\n\n2 y\n"}, {},
         r"test\.txt, line 3: test label '2' is not in the training data, which have 0, 1"),
        ({"train.txt": GOOD, "dev.txt": "3 a\n", "test.txt": "1 x\n"}, {},
         r"dev\.txt, line 1: validation label '3'"),
    ],
)  # fmt: skip
def test_mistakes_name_their_place(tmp_path: Path, files, fields, message) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    with pytest.raises(UserError, match=message) as caught:
        load_labelled(tmp_path, config(**fields))
    assert "\n" not in str(caught.value)


def test_the_embedded_sentences() -> None:
    """Enough of them, of every class, none twice; no class much above its share."""
    sentences = labelled_sentences()
    assert len(sentences) > 1000
    assert len({text for text, _ in sentences}) == len(sentences)
    classes = Counter(label for _, label in sentences)
    assert len(classes) == 8
    assert max(classes.values()) < 0.3 * len(sentences)
    assert min(classes.values()) > 80
    assert all(text[0].isupper() and text[-1] in ".!?" for text, _ in sentences)
    with pytest.raises(UserError, match="one sentence each"):
        load_labelled(None, config(text_pair="b"))
