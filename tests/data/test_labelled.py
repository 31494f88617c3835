"""Labelled texts: every format gives the same examples, every mistake names its file and line."""

import json
import os
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


def test_labels_are_the_same_in_every_format(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for values, names in (([1, 0], ["1", "0"]), ([True, False], ["True", "False"]),
                          ([1.0, 2.5], ["1.0", "2.5"]), (["a", "b"], ["a", "b"])):  # fmt: skip
        lines = [f"{text},{label}\n" for text, label in zip("xy", names)]
        write(tmp_path / "a.csv", "text,label\n" + "".join(lines))
        objects = [{"text": text, "label": label} for text, label in zip("xy", values)]
        write(tmp_path / "a.json", json.dumps(objects))
        parquet.write_table(
            pyarrow.table({"text": ["x", "y"], "label": values}), tmp_path / "a.parquet"
        )
        for suffix in ("csv", "json", "parquet"):
            found = read_labelled(tmp_path / f"a.{suffix}", config())
            assert [example.label for example in found] == names, suffix


def test_an_example_without_its_class_is_named(tmp_path: Path) -> None:
    """-1 is how Hugging Face writes that a test set is published without its classes."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    stored = {"huggingface": json.dumps({"info": {"features": features}})}
    for values, label in (([0, 1, -1], "pos"), ([0, 1, None], "pos")):
        table = pyarrow.table({"text": ["a", "b", "c"], "label": values})
        parquet.write_table(table.replace_schema_metadata(stored), tmp_path / "a.parquet")
        found = read_labelled(tmp_path / "a.parquet", config())
        assert [next(found).label, next(found).label] == ["neg", label]
        with pytest.raises(
            UserError, match=r"a\.parquet, row 3: 'label' is missing: .*without lab"
        ):
            next(found)


def write_tree(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, f"text {number}\r\nof {name}\n")


def test_class_folders_with_splits_as_published(tmp_path: Path) -> None:
    names = [f"imdb/{split}/{label}/{k}_{k}.txt" for split in ("train", "test")
             for label in ("neg", "pos") for k in range(6)]  # fmt: skip
    more = ("README", "imdb.vocab", "train/urls_pos.txt", "train/labeledBow.feat",
            "train/unsup/0.txt", "train/unsup/1.txt")  # fmt: skip
    write_tree(tmp_path, *names, *(f"imdb/{name}" for name in more))
    data = load_labelled(tmp_path, config())
    assert data.format == "class_folders"
    assert [len(part) for part in data.splits] == [11, 1, 12]
    assert {example.label for example in data.splits.train} == {"neg", "pos"}
    first = tmp_path / "imdb/test/neg/0_0.txt"
    assert data.splits.test[0] == Labelled(
        "text 12\nof imdb/test/neg/0_0.txt", None, "neg", str(first)
    )
    assert data.reading is not None
    read = [(each.file, each.split, each.format, each.num_examples) for each in data.reading.files]
    assert read[0] == (str(tmp_path / "imdb/train/neg"), "train", "class folder", 6)
    passed = {Path(each.file).name: each.why for each in data.reading.passed_over}
    assert passed == {
        "README": "it describes the data", "unsup": "'unsup' is no class",
        "imdb.vocab": "it lies in no folder of a class",
        "urls_pos.txt": "it lies in no folder of a class",
        "labeledBow.feat": "it lies in no folder of a class",
    }  # fmt: skip


@pytest.mark.parametrize("shape", ["{label}/{k}", "{label}/{word}_{k}.txt", "{label}/train/{k}.md"])
def test_class_folders_of_other_shapes(tmp_path: Path, shape: str) -> None:
    names = [
        shape.format(label=label, k=k, word="test" if k == 3 else "x")
        for label in ("sci.med", "alt.atheism")
        for k in range(9)
    ]
    write_tree(tmp_path, *names, "README")
    data = load_labelled(tmp_path, config())
    assert sorted(example.label for part in data.splits for example in part) == (
        ["alt.atheism"] * 9 + ["sci.med"] * 9
    )
    with pytest.raises(UserError, match="class folders hold one text a file: leave text_pair out"):
        load_labelled(tmp_path, config(text_pair="b"))


def test_folders_whose_names_are_not_utf_8(tmp_path: Path) -> None:
    """As archives of other systems leave them."""
    for label in (b"n\xe9g", b"pos"):
        folder = os.path.join(os.fsencode(tmp_path), label)
        os.mkdir(folder)
        for k in range(9):
            write(
                Path(os.fsdecode(os.path.join(folder, b"%d.txt" % k))), f"text {k} of {len(label)}"
            )
    data = load_labelled(tmp_path, config())
    assert {example.label for example in data.splits.train} == {"n?g", "pos"}
    assert data.reading is not None
    json.dumps([each.file for each in data.reading.files], ensure_ascii=False).encode()


def test_lines_as_fast_text_writes_them(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "__label__pos good film\n__label__neg bad film\n")
    assert contents(read_labelled(file, config())) == [
        ("good film", None, "pos"), ("bad film", None, "neg"),
    ]  # fmt: skip
    write(file, "__label__pos __label__film good film\n")
    with pytest.raises(UserError, match=r"a\.txt, line 1: two labels"):
        list(read_labelled(file, config()))


def test_prose_is_no_list_of_labels(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "".join(f"word{k} and others\n" for k in range(30)))
    with pytest.raises(UserError, match=r"a\.txt: 30 lines begin with 30 different words, which"):
        load_labelled(file, config())
    assert len(list(read_labelled(file, config(format="label_first")))) == 30


def test_tables_and_objects_under_the_name_of_text(tmp_path: Path) -> None:
    wanted = [("good, film", None, "pos"), ("bad", None, "neg")]
    for text in (
        'text,label\n"good, film",pos\nbad,neg\n',
        '"text";"label"\n"good, film";pos\nbad;neg\n',
        '{"text": "good, film", "label": "pos"}\n{"text": "bad", "label": "neg"}\n',
    ):
        assert contents(read_labelled(write(tmp_path / "a.txt", text), config())) == wanted


def test_notes_beside_tables_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "data.csv", "text,label\n" + "a,x\nb,y\n" * 5)
    write(tmp_path / "notes.txt", "to do\n")
    write(tmp_path / "Makefile", "all:\n")
    reading = load_labelled(tmp_path, config()).reading
    assert reading is not None
    assert {Path(each.file).name: each.why for each in reading.passed_over} == {
        "notes.txt": "no table, as others are",
        "Makefile": "of unknown kind, beside files of known kinds",
    }


def test_a_cut_keeps_every_class_in_training(tmp_path: Path) -> None:
    rows = [f"common thing {k},a{k % 3}" for k in range(200)]
    rows += [f"rare thing {k},rare{k}" for k in range(12)]
    data = load_labelled(write(tmp_path / "a.csv", "\n".join(["text,label", *rows])), config())
    assert len({example.label for example in data.splits.train}) == 15
    assert [len(part) for part in data.splits] == [172, 21, 19]


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
        ({"train.jsonl": '{"text": "a", "label": ["x"]}\n'}, {}, r"'label' holds list: one class"),
        ({"train.csv": "text,label\na,\n"}, {}, r"train\.csv, line 2: 'label' is empty"),
        ({"train.csv": "text,label,label\na,b,c\n"}, {}, r"the header names 'label' twice"),
        ({"train.xlsx": "PK"}, {}, r"nothing that can be read there: passed over train\.xlsx"),
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
