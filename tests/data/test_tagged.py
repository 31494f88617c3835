"""Tagged sentences: both layouts, the embedded code, and what is said of files that are wrong."""

from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.text.annotated.shapes import AskedColumns
from seqarena.data.text.python_roles import python_sentences, roles
from seqarena.data.text.tagged import Sentence, load_tagged, read_sentences

CONLLU = """\
# sent_id = 1
# text = Vámonos al mar
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tVamos\tir\tVERB\tV\tMood=Imp\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\tP\t_\t1\tobj\t_\t_
2.1\tvamos\tir\tVERB\tV\t_\t_\t_\t_\t_
3\ta\ta\tADP\tS\t_\t4\tcase\t_\t_

# sent_id = 2
1\tSí\tsí\tINTJ\tI\t_\t0\troot\t_\t_
"""


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_conllu_skips_what_is_no_word(tmp_path: Path) -> None:
    file = write(tmp_path, "es.conllu", CONLLU)
    assert read_sentences(file) == [
        Sentence(("Vamos", "nos", "a"), ("VERB", "PRON", "ADP")),
        Sentence(("Sí",), ("INTJ",)),
    ]
    assert read_sentences(file, AskedColumns(column="deprel"))[0].tags == ("root", "obj", "case")


def test_columns_with_empty_lines_and_lines_of_blanks(tmp_path: Path) -> None:
    file = write(tmp_path, "w.conll", "\n\nEmpire\tB-loc\n#1\tO\n\t\n \n@x\tO\n")
    expected = [Sentence(("Empire", "#1"), ("B-loc", "O")), Sentence(("@x",), ("O",))]
    assert read_sentences(file) == expected


def test_the_tag_is_the_last_column_or_the_one_named(tmp_path: Path) -> None:
    file = write(tmp_path, "w.txt", "EU\tNNP\tB-org\n")
    assert read_sentences(file)[0].tags == ("B-org",)
    assert read_sentences(file, AskedColumns(column=2))[0].tags == ("NNP",)


@pytest.mark.parametrize(
    ("name", "text", "column", "message"),
    [
        ("a.conllu", "1\tHi\tINTJ\n", None, "line 1: 3 columns where CoNLL-U has 10"),
        ("a.conllu", CONLLU.replace("2\tnos", "x\tnos"), None, "line 5: the id 'x'"),
        ("a.conllu", CONLLU, "pos", "unknown column of CoNLL-U 'pos': did you mean"),
        ("a.bio", "Hi\tO\nthere\n", None, "line 2: 'there' has no tab"),
        ("a.bio", "Hi\tO\nthere\tX\tO\n", None, "line 2: 3 columns where the lines before have 2"),
        ("a.bio", "Hi\tO\nthere\t \n", None, "line 2: the tag is empty"),
        ("a.bio", " \tO\n", None, "line 1: the word is empty"),
        ("a.bio", "Hi\tO\n", 3, "column 3 holds no tag: name one by its number, 2 to 2"),
        ("a.bio", " \n\n", None, "a.bio: no tagged sentence in it"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, name: str, text: str, column: str | int | None, message: str
) -> None:
    file = write(tmp_path, name, text)
    with pytest.raises(UserError) as caught:
        read_sentences(file, AskedColumns(column=column))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tag_that_training_does_not_have_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "train.conll", "a\tX\n\nb\tY\n\nc\tX\n")
    write(tmp_path, "test.conll", "a\tX\nb\tZ\n")
    with pytest.raises(UserError, match=r"test\.conll, line 2: tag 'Z' is not in the training"):
        load_tagged(str(tmp_path))


def test_one_file_is_cut_into_splits_and_keeps_all_of_its_tags(tmp_path: Path) -> None:
    text = "".join(f"w{k}\tT{k}\n\n" for k in range(20))
    data = load_tagged(str(write(tmp_path, "all.conll", text)))
    assert [len(part) for part in data.splits] == [16, 2, 2]
    assert len(data.tags) == 20


def test_roles_of_names_in_code() -> None:
    (sentence,) = roles(
        "class A:\n"
        "    def f(self, n=1):\n"
        '        """Words."""\n'
        "        m = self.n  # n\n"
        "        def inner(): pass\n"
        '        return g(m, sep="x y", key=n) + len(inner)\n'
    )
    assert list(zip(*sentence)) == [
        ("def", "keyword"), ("f", "function"), ("(", "operator"), ("self", "parameter"),
        (",", "operator"), ("n", "parameter"), ("=", "operator"), ("1", "number"),
        (")", "operator"), (":", "operator"), ("m", "variable"), ("=", "operator"),
        ("self", "parameter"), (".", "operator"), ("n", "attribute"), ("def", "keyword"),
        ("inner", "function"), ("(", "operator"), (")", "operator"), (":", "operator"),
        ("pass", "keyword"), ("return", "keyword"), ("g", "global"), ("(", "operator"),
        ("m", "variable"), (",", "operator"), ("sep", "argument"), ("=", "operator"),
        ('""', "string"), (",", "operator"), ("key", "argument"), ("=", "operator"),
        ("n", "parameter"), (")", "operator"), ("+", "operator"), ("len", "builtin"),
        ("(", "operator"), ("inner", "variable"), (")", "operator"),
    ]  # fmt: skip


def test_the_embedded_code_is_ample() -> None:
    sentences = python_sentences()
    assert len(sentences) > 800
    assert len({tag for sentence in sentences for tag in sentence.tags}) == 11


def test_real_sets_have_the_published_sizes(real_data: Path) -> None:
    data = load_tagged(str(real_data / "wnut17"))
    assert [len(part) for part in data.splits] == [3394, 1009, 1287]
    assert len(data.tags) == 13
    sentences = read_sentences(real_data / "ud-english-ewt" / "en_ewt-ud-test.conllu.gz")
    assert len(sentences) == 2077
    assert sum(len(sentence.words) for sentence in sentences) == 25094
