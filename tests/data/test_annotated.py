"""Tagged sentences in every published shape of columns and of tables: the same words and tags."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.text.annotated.shapes import AskedColumns
from seqarena.data.text.tagged import Sentence, load_tagged, read_sentences
from seqarena.tasks.configs import TaggingConfig
from seqarena.tasks.text.tagging import TaggingTask

Rows = list[tuple[list[str], list[str]]]
ROWS: Rows = [
    (["EU", "rejects", '"', "German", "call"], ["B-ORG", "O", "O", "B-MISC", "O"]),
    (["#1", ",", "größe", "NaN"], ["O", "O", "B-MISC", "I-MISC"]),
    (["#", "नमस्ते", "null", "1"], ["O", "B-PER", "O", "O"]),
]
SENTENCES = [Sentence(tuple(words), tuple(tags)) for words, tags in ROWS]


def lines(rows: Rows, line: Callable[[int, str, str], str], before: str = "") -> str:
    """A line a word, with its number from 1, and an empty line behind each sentence."""
    return "".join(
        before + "".join(line(k, *pair) + "\n" for k, pair in enumerate(zip(*row), 1)) + "\n"
        for row in rows
    )


def long_table(rows: Rows, once: bool = False) -> pd.DataFrame:
    """A word a row; `once`: the sentence is said in its first row alone, as Kaggle's NER has it."""
    return pd.DataFrame(
        [
            {
                "Sentence #": f"Sentence: {number}" if k == 0 or not once else "",
                "Word": word,
                "POS": "X",
                "Tag": tag,
            }
            for number, row in enumerate(rows)
            for k, (word, tag) in enumerate(zip(*row))
        ]
    )


def list_table(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(
        [{"id": str(k), "tokens": r[0], "ner_tags": r[1]} for k, r in enumerate(rows)]
    )


def hugging_face(rows: Rows, file: Path) -> None:
    """Class numbers, and their names in the schema."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = sorted({tag for _, tags in rows for tag in tags})
    feature = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
    table = pyarrow.table(
        {
            "tokens": [words for words, _ in rows],
            "ner_tags": [[names.index(tag) for tag in tags] for _, tags in rows],
        }
    )
    about = {"info": {"features": {"ner_tags": feature}}}
    if file.suffix == ".arrow":
        (file.parent / "dataset_info.json").write_text(json.dumps(about["info"]))
        with pyarrow.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)
    else:
        stored = table.replace_schema_metadata({"huggingface": json.dumps(about)})
        parquet.write_table(stored, file)


def text(write: Callable[[Rows], str]) -> Callable[[Rows, Path], Any]:
    return lambda rows, file: file.write_bytes(write(rows).encode())


def tree(k: int, word: str, tag: str, columns: int = 10) -> str:
    cells = [str(k), word, "_", tag, "Y", "_", str(k - 1), "dep", "_", "_"]
    return "\t".join(cells + ["_"] * (columns - 10))


WRITERS: dict[str, Callable[[Rows, Path], Any]] = {
    "two.conll": text(lambda rows: lines(rows, lambda k, w, t: f"{w}\t{t}")),
    "windows.txt": text(lambda rows: lines(rows, lambda k, w, t: f"{w}\t{t}\r")),
    "mark.bio": text(lambda rows: "\ufeff" + lines(rows, lambda k, w, t: f"{w}\t{t}")),
    "2003.txt": text(
        lambda rows: lines(rows, lambda k, w, t: f"{w} NNP B-NP {t}", "-DOCSTART- -X- -X- O\n\n")
    ),
    "2003.tabs": text(
        lambda rows: lines(rows, lambda k, w, t: f"{w}\tNNP\tB-NP\t{t}", "-DOCSTART-\t-X-\tO\tO\n")
    ),
    "2000.txt": text(lambda rows: lines(rows, lambda k, w, t: f"{w} NNP {t}")),
    "wide.txt": text(lambda rows: lines(rows, lambda k, w, t: f"{w}   {t}")),
    "germeval.tsv": text(
        lambda rows: lines(rows, lambda k, w, t: f"{k}\t{w}\t{t}", "#\thttp://x [2009-10-17]\n")
    ),
    "from_zero.txt": text(lambda rows: lines(rows, lambda k, w, t: f"{k - 1} {w} {t}")),
    "multiconer.conll": text(
        lambda rows: lines(rows, lambda k, w, t: f"{w} _ _ {t}", "# id 1-2-3\tdomain=en\n")
    ),
    "comments.conll": text(
        lambda rows: lines(rows, lambda k, w, t: f"{w}\t{t}", "# id 1\tdomain=en\n")
    ),
    "text_comments.conll": text(
        lambda rows: lines(rows, lambda k, w, t: f"{w}\t{t}", "# sent_id = 1\n# text = EU\n")
    ),
    "u.conllu": text(lambda rows: lines(rows, tree, "# sent_id = 1\n")),
    "u.conllu.gz": lambda rows, file: file.write_bytes(gzip.compress(lines(rows, tree).encode())),
    "x.conll": text(lambda rows: lines(rows, tree)),
    "x.txt": text(lambda rows: lines(rows, tree, "# a comment\n")),
    "2009.txt": text(
        lambda rows: lines(
            rows,
            lambda k, w, t: f"{k}\t{w}\t_\t_\t{t}\t" + "\t".join("_" * (9 + len(w) % 2)),
        )
    ),
    "plus.cupt": text(
        lambda rows: (
            "# global.columns = ID FORM UPOS PARSEME:MWE\n"
            + lines(rows, lambda k, w, t: f"{k}\t{w}\t{t}\t*")
        )
    ),
    "header.tsv": text(
        lambda rows: "token\tpos\ttag\n\n" + lines(rows, lambda k, w, t: f"{w}\tX\t{t}")
    ),
    "kaggle.csv": lambda rows, file: long_table(rows, once=True).to_csv(file, index=False),
    "long.csv.bz2": lambda rows, file: file.write_bytes(
        bz2.compress(long_table(rows).to_csv(index=False).encode())
    ),
    "long.tsv": lambda rows, file: long_table(rows).to_csv(file, index=False, sep="\t"),
    "long.parquet": lambda rows, file: long_table(rows).to_parquet(file),
    "lists.csv": lambda rows, file: list_table(rows).to_csv(file, index=False),
    "lists.jsonl": lambda rows, file: list_table(rows).to_json(file, orient="records", lines=True),
    "lists.json": lambda rows, file: list_table(rows).to_json(file, orient="records"),
    "lists.parquet": lambda rows, file: list_table(rows).to_parquet(file),
    "named.parquet": hugging_face,
    "named.arrow": hugging_face,
    "blanks.csv": lambda rows, file: pd.DataFrame(
        [{"sentence": " ".join(words), "tags": " ".join(tags)} for words, tags in rows]
    ).to_csv(file, index=False),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_sentences_from_every_shape(tmp_path: Path, name: str) -> None:
    WRITERS[name](ROWS, tmp_path / name)
    assert read_sentences(tmp_path / name) == SENTENCES


def many(times: int = 8) -> Rows:
    return [([*words, f"w{k}"], [*tags, "O"]) for k in range(times) for words, tags in ROWS]


def test_every_shape_gives_the_same_task(tmp_path: Path) -> None:
    digests = {}
    for name, write in WRITERS.items():
        (tmp_path / name[:4]).mkdir(exist_ok=True)
        place = tmp_path / name[:4] / name
        write(many(), place)
        task = TaggingTask(TaggingConfig(data=str(place)))
        assert task.reading is not None
        assert [(each.split, each.num_examples) for each in task.reading.files] == [("train", 24)]
        digests[name] = task.digest()
    assert len(set(digests.values())) == 1, digests


def test_published_splits_in_folders_and_what_is_no_data(tmp_path: Path) -> None:
    rows = many(3)
    for number, place in enumerate(("train/a.txt", "dev/a.txt.gz", "test/a.jsonl")):
        file = tmp_path / place
        file.parent.mkdir()
        writer = WRITERS[("2003.txt", "u.conllu.gz", "lists.jsonl")[number]]
        writer(rows[number * 3 : number * 3 + 3], file)
    (tmp_path / "labels.txt").write_text("O\nB-PER\n")
    (tmp_path / "README.md").write_text("about\n")
    data = load_tagged(str(tmp_path))
    assert [len(part) for part in data.splits] == [3, 3, 3]
    assert data.reading is not None
    assert data.reading.how == "by the folders' names"
    assert {Path(each.file).name: each.why for each in data.reading.passed_over} == {
        "labels.txt": "a list of labels", "README.md": "it describes the data",
    }  # fmt: skip
    assert [each.format for each in data.reading.files] == ["columns", "CoNLL-X", "jsonl"]


def test_a_treebank_with_its_plain_texts(tmp_path: Path) -> None:
    for split, part in (("train", many(3)), ("dev", many(1)), ("test", many(2))):
        WRITERS["u.conllu"](part, tmp_path / f"en-ud-{split}.conllu")
        (tmp_path / f"en-ud-{split}.txt").write_text("EU rejects it.\n")
    data = load_tagged(str(tmp_path))
    assert [len(part) for part in data.splits] == [9, 3, 6]
    assert data.reading is not None
    assert {each.why for each in data.reading.passed_over} == {
        "a text beside files of tagged words"
    }


def test_what_was_guessed_is_noted(tmp_path: Path) -> None:
    noted = {}
    for name in ("2003.txt", "germeval.tsv", "x.conll", "2009.txt", "lists.jsonl", "two.conll"):
        reading = Reading()
        WRITERS[name](ROWS, tmp_path / name)
        read_sentences(tmp_path / name, reading=reading)
        noted[name] = reading.notes
    assert noted == {
        "2003.txt": [
            "the word is column 1, the tag column 4 of 4",
            "lines of -DOCSTART- are no sentences",
        ],
        "germeval.tsv": ["the word is column 2, the tag column 3 of 3"],
        "x.conll": ["CoNLL-X: the word is column 2, the tag column 4"],
        "2009.txt": ["CoNLL-2009: the word is column 2, the tag column 5"],
        "lists.jsonl": ["words from 'tokens', tags from 'ner_tags'"],
        "two.conll": [],
    }


def test_columns_are_chosen(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    file.write_text("x\t1\tEU\tNNP\tB-ORG\nx\t2\tsays\tVBZ\tO\n")
    assert read_sentences(file, AskedColumns(word_column=3, column=4))[0] == (
        ("EU", "says"),
        ("NNP", "VBZ"),
    )
    assert read_sentences(file, AskedColumns(word_column="3"))[0].tags == ("B-ORG", "O")
    file.write_text("Wort,Art,Klasse\nEU,N,B-ORG\nsagt,V,O\n\nja,A,O\n")
    csv = file.rename(tmp_path / "a.csv")
    found = read_sentences(csv, AskedColumns(word_column="Wort", column="Klasse"))
    assert found == [(("EU", "sagt"), ("B-ORG", "O")), (("ja",), ("O",))]
    WRITERS["x.conll"](ROWS, tmp_path / "x.txt")
    assert read_sentences(tmp_path / "x.txt", AskedColumns(column="xpos"))[0].tags == ("Y",) * 5
    assert read_sentences(tmp_path / "x.txt", AskedColumns(column=8))[0].tags == ("dep",) * 5
    assert (
        read_sentences(tmp_path / "x.txt", AskedColumns(layout="bio", word_column=1))[0].words[0]
        == "1"
    )


def test_a_sign_of_number_with_a_tag_is_a_word(tmp_path: Path) -> None:
    file = tmp_path / "a.conll"
    for content in ("#\tSYM\n1\tX\n\n#\tSYM\n", "# SYM\n1 X\n\n# SYM\n", "#tag\tSYM\n1\tX\n"):
        file.write_text(content)
        assert read_sentences(file)[0].words[0].startswith("#"), content
    file.write_text("# # B-NP\n20 CD I-NP\n\nin # B-NP\n")  # as the Penn Treebank has it
    assert read_sentences(file)[0] == (("#", "20"), ("B-NP", "I-NP"))


def test_kaggles_table_in_its_encoding(tmp_path: Path) -> None:
    file = tmp_path / "ner.csv"
    file.write_bytes(long_table(ROWS[:2], once=True).to_csv(index=False).encode("cp1252"))
    with pytest.raises(UserError, match=r"not utf-8: .*--set encoding=NAME"):
        load_tagged(str(file))
    assert read_sentences(file, AskedColumns(encoding="cp1252")) == SENTENCES[:2]
    with pytest.raises(UserError, match="unknown encoding 'latin-x'"):
        TaggingConfig(encoding="latin-x")


BROKEN = {
    "both.jsonl": ('{"tokens": ["a"], "ner_tags": ["O"], "pos_tags": ["X"]}\n',
                   "row|line 1: ner_tags, pos_tags may be the tags: name theirs with --set column"),
    "none.jsonl": ('{"tokens": ["a"], "other": ["O"]}\n', "no column of tags"),
    "wordless.jsonl": ('{"ids": ["a"], "tags": ["O"]}\n', "no column of words"),
    "count.jsonl": ('{"tokens": ["a", "b"], "tags": ["O"]}\n', "2 words in 'tokens' and 1 tags"),
    "places.jsonl": ('{"text": "a b", "labels": [[0, 1, "X"]]}\n', "a tag for each word is needed"),
    "ignored.jsonl": ('{"tokens": ["a"], "tags": [-100]}\n', "'a' has no tag"),
    "missing.jsonl": ('{"tokens": ["a"], "tags": [null]}\n', "'a' has no tag"),
    "later.jsonl": ('{"tokens": ["a"], "tags": ["O"]}\n{"tokens": ["a"]}\n', "no field 'tags'"),
    "number.jsonl": ('{"tokens": 3, "tags": ["O"]}\n', "'tokens' holds int: a list is needed"),
    "apart.jsonl": ('{"word": "a", "tag": "O"}\n', "no column says which sentence"),
    "empty.jsonl": ("", "no tagged sentence in it"),
    "hollow.jsonl": ('{"tokens": [], "tags": []}\n', "no tagged sentence in it"),
    "numpy.csv": ("tokens,ner_tags\n['a' 'b'],['O' 'O']\n", "not a list that can be read"),
    "bad.csv": ('tokens,ner_tags\n"[1, ","[O]"\n', "not a list that can be read"),
    "mark.txt": ("EU -X- O\nsays -X- O\n", "'-X-' is no tag: name the column", 2),
    "same.txt": ("doc A O\n" * 12, "every word is 'doc': name the column of the words"),
    "nine.txt": (tree(1, "a", "X") + "\n" + tree(2, "b", "X")[:-2] + "\n", "9 columns where"),
    "blanks.txt": ("a b O\nc O\n", "line 2: 2 columns where the lines before have 3, with blanks"),
    "hidden.txt": ("a b O\nc\n", "line 2: 'c' has one column"),
    "header.csv": ("word,pos_tag,ner_tag\na,X,O\n", "pos_tag, ner_tag hold tags: name one"),
    "column.csv": ("word,tag\na,O\n", "column 'x' holds no tag: name one by its number, 2 to 2, "
                                      "or by its name: word, tag", "x"),
    "plus.cupt": ("# global.columns = ID FEATS\n1\ta\n", "unknown column of CoNLL-U Plus 'form'"),
    "unsaid.cupt": ("# global.columns =  \n1\n", "has no tab"),
    "label.conllu": (tree(1, "a", "X") + "\n", "unknown column of CoNLL-U 'word'", "word"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, name: str) -> None:
    content, message, *column = BROKEN[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        read_sentences(tmp_path / name, AskedColumns(column=column[0] if column else None))
    assert any(part in str(caught.value) for part in message.split("|")), str(caught.value)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or "unknown column" in message


def test_damaged_packing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.conllu.gz").write_bytes(bytes.fromhex("1f8b08009e4b5bffffff7f"))
    with pytest.raises(UserError, match=r"a\.conllu\.gz: cannot be read: it is damaged"):
        load_tagged(str(tmp_path))


def test_numbers_without_names_are_noted(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"tokens": ["a", "b"], "tags": [3, 0]}\n')
    reading = Reading()
    assert read_sentences(file, reading=reading)[0].tags == ("3", "0")
    assert "the tags are numbers, and the file does not name them" in reading.notes


def test_damaged_arrow_files_do_not_end_the_process(tmp_path: Path) -> None:
    file = tmp_path / "named.arrow"
    hugging_face(many(), file)
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        file.write_bytes(bytes(changed))
        try:
            assert read_sentences(file)
        except UserError:
            continue
