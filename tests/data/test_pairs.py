"""Pairs from every form of file, what is wrong with a file, and the two embedded sets."""

import gzip
import json
import re
from datetime import date
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.data.text.dates import FORMS, LANGUAGES, make_dates
from seqarena.data.text.docstrings import standard_library_docstrings
from seqarena.data.text.pairs import Pair, load_pairs

PAIRS = [Pair("ein hund", "a dog"), Pair("zwei hunde", "two dogs"), Pair("über", "over\u2028it")]


def load(data: Path, source: str = "de", target: str = "en", **settings: str) -> list:
    return load_pairs(data, source=source, target=target, **settings).splits.train


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    content = "".join(line + "\n" for line in lines).encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_split(folder: Path, split: str, suffixes: tuple[str, str]) -> None:
    for side, suffix in zip((0, 1), suffixes):
        write(folder / f"{split}.{suffix}", [pair[side] for pair in PAIRS])


@pytest.mark.parametrize("suffixes", [("de", "en"), ("de.gz", "en"), ("src", "tgt"), ("DE", "en")])
def test_two_files(tmp_path, suffixes):
    for split in ("train", "val", "test_2016"):
        write_split(tmp_path, split, suffixes)
    (tmp_path / "README.md").write_text("about")
    found = load_pairs(tmp_path, source="de", target="en").splits
    assert [found.train, found.validation, found.test] == [PAIRS] * 3


@pytest.mark.parametrize("suffixes", [("de", "en"), ("src", "tgt")])
def test_one_of_two_files_is_enough_to_name(tmp_path, suffixes):
    for side, suffix in zip((0, 1), suffixes):
        write(tmp_path / f"corpus.{suffix}", [pair[side] for pair in PAIRS * 10])
    corpus = load_pairs(tmp_path / f"corpus.{suffixes[0]}", source="de", target="en")
    assert {*corpus.splits.train, *corpus.splits.validation} <= set(PAIRS)
    assert [len(part) for part in corpus.splits] == [24, 3, 3]


def test_tables_json_and_commands(tmp_path):
    plain = write(tmp_path / "plain_train.tsv", ["\t".join(pair) for pair in PAIRS * 4])
    header = write(
        tmp_path / "header_train.tsv",
        ["id\ten\tde", *(f"{k}\t{p.target}\t{p.source}" for k, p in enumerate(PAIRS * 4))],
    )
    objects = write(
        tmp_path / "x_train.jsonl",
        [json.dumps({"en": p.target, "de": p.source, "id": 1}) for p in PAIRS * 4] + [""],
    )
    commands = write(
        tmp_path / "c_train.txt", [f"IN: {p.source} OUT: {p.target}" for p in PAIRS * 4]
    )
    texts = write(tmp_path / "t_train.txt.gz", ["\t".join(pair) for pair in PAIRS * 4])
    found = [load(file) for file in (plain, header, objects, commands, texts)]
    assert len(found[0]) == 10  # of 12, one for validation and one for test
    assert set(found[0]) == set(PAIRS)
    assert all(each == found[0] for each in found)


def test_tables_with_a_header(tmp_path):
    quoted = [f'"{p.target}",{k},"{p.source}"' for k, p in enumerate(PAIRS * 4)]
    nested = [{"translation": p._asdict(), "id": 1} for p in PAIRS * 4]
    files = [
        write(tmp_path / "a.csv", ["target,id,source", *quoted]),
        write(tmp_path / "a.tsv", ['"target"\t"source"',
                                   *(f'"{p.target}"\t"{p.source}"' for p in PAIRS * 4)]),
        write(tmp_path / "a.json", [json.dumps([p._asdict() for p in PAIRS * 4])]),
        write(tmp_path / "b.jsonl", [json.dumps(each) for each in nested]),
    ]  # fmt: skip
    found = [load(file, "source", "target") for file in files]
    assert set(found[0]) == set(PAIRS)
    assert all(each == found[0] for each in found)


def test_usual_names_stand_for_the_default_and_are_said(tmp_path):
    rows = [f"{p.source},{p.target}" for p in PAIRS * 4]
    file = write(tmp_path / "a.csv", ["article,highlights", *rows])
    with pytest.raises(UserError, match="no field 'text': it has article, highlights"):
        load(file, "text", "summary")
    corpus = load_pairs(file, source="text", target="summary", by_default=(True, True))
    assert set(corpus.splits.train) == set(PAIRS)
    assert corpus.reading is not None
    assert corpus.reading.notes == ["source: column 'article'", "target: column 'highlights'"]


def test_a_table_of_tabs_without_a_header_is_said(tmp_path):
    lines = ['"Hallo."\thello\tCC-BY', '"Ja" sagt er\the says "yes"\tCC-BY'] * 4
    corpus = load_pairs(write(tmp_path / "a.tsv", lines), source="de", target="en")
    assert set(corpus.splits.train) == {
        Pair('"Hallo."', "hello"), Pair('"Ja" sagt er', 'he says "yes"'),
    }  # fmt: skip
    assert corpus.reading is not None
    assert corpus.reading.notes == [
        "a.tsv has no header: source is its first column, target its second"
    ]
    write(tmp_path / "b.tsv", ["de\tenglish", *lines])
    with pytest.raises(UserError, match=r"b\.tsv, line 1: no field 'en': it has de, english"):
        load(tmp_path / "b.tsv")


def test_what_belongs_to_no_pair_is_passed_over(tmp_path):
    for split in ("train", "newstest2014"):
        write_split(tmp_path, split, ("de", "en"))
        write(tmp_path / f"{split}.fr", ["x"])
    corpus = load_pairs(tmp_path, source="de", target="en")
    assert corpus.splits.test == PAIRS
    assert corpus.reading is not None
    assert [(Path(each.file).name, each.why) for each in corpus.reading.passed_over] == [
        ("newstest2014.fr", "neither .de nor .en"), ("train.fr", "neither .de nor .en"),
    ]  # fmt: skip
    assert corpus.reading.files[0].format == "lines, with train.en"
    assert corpus.reading.notes == ["newstest2014.de holds the same examples as train.de"]


def test_the_digest_is_of_the_pairs(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rows = ["\t".join(pair) for pair in PAIRS * 4]
    one = load_pairs(write(tmp_path / "a" / "x.tsv", rows), source="de", target="en")
    same = load_pairs(write(tmp_path / "b" / "y.tsv.gz", rows), source="a", target="b")
    other = load_pairs(write(tmp_path / "z.tsv", rows[::-1]), source="de", target="en")
    assert one.sha256 == same.sha256 != other.sha256


def test_another_encoding(tmp_path):
    file = write(tmp_path / "x.tsv", ["für\tfor"] * 4, "iso-8859-1")
    assert load(file, encoding="iso-8859-1") == [Pair("für", "for")] * 2
    with pytest.raises(UserError, match=r"x.tsv, line 1: not utf-8"):
        load(file)


def wrong(folder: Path, name: str, lines: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(write(folder / name, lines))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.tsv", ["a\tb", "", "no tab"], "a.tsv, line 3: 1 column where"),
        ("a.tsv", ["a\tb", "a\t  "], "a.tsv, line 2: the target is empty"),
        ("a.tsv", ["de\ten\ten", "a\tb\tc"], "a.tsv, line 1: the header names 'en' twice"),
        ("a.csv", ["de,en", "a"], "a.csv, line 2: 1 fields, but the header names 2"),
        ("a.tsv", ["", ""], "a.tsv: no example in it"),
        ("a.jsonl", ['{"de": "a", "en": "b"}', "{"], "a.jsonl, line 2: not JSON: .* at column 2"),
        ("a.jsonl", ["[1]"], "a.jsonl, line 1: a JSON object is needed, not list"),
        ("a.jsonl", ['{"de": "a", "fr": "b"}'], "line 1: no field 'en': it has de, fr"),
        ("a.jsonl", ['{"de": "a", "en": 3}'], "line 1: the target holds int: a text"),
        ("a.jsonl", ['{"de": "", "en": "b"}'], "line 1: the source is empty"),
        ("a.jsonl", ['{"de": "\\ud800", "en": "b"}'], "line 1: 'de' holds half a surrogate"),
        ("a.txt", ["IN: a OUT: b", "IN: a"], "a.txt, line 2: IN: source OUT: target"),
        ("a.txt", ["IN: a OUT:"], "a.txt, line 1: the target is empty"),
        ("a.txt", ["just a text"], "source TAB target is needed.*files .de and .en"),
        ("a.en", ["text"], r"a.en: a file of targets without one of sources \(a.en with .de"),
        ("a.de", ["text"], r"a.de: its other half a.en\(.gz\) is not there"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, name, lines, message):
    wrong(tmp_path, name, lines, message)


def test_files_that_do_not_belong_together(tmp_path):
    write(tmp_path / "a.en", ["one", "two", "three"])
    wrong(tmp_path, "a.de", ["eins", "zwei"], r"a.de, line 3: a.de has 2 lines and a.en 3")
    wrong(tmp_path, "a.de", ["1", "2", "3", "4"], r"a.de, line 4: a.de has 4 lines and a.en 3")
    wrong(tmp_path, "a.de", ["eins", "", "drei"], r"a.de, line 2: the source is empty")
    write(tmp_path / "a.en", ["one", " ", "three"])
    wrong(tmp_path, "a.de", ["eins", "zwei", "drei"], r"a.en, line 2: the target is empty")


def test_a_date_in_every_form():
    forms = {form(date(1987, 3, 4)) for form in FORMS}
    assert forms >= {
        "March 4, 1987", "the 4th of March 1987", "Wednesday 4 March 1987",
        "Mittwoch, den 4. März 1987",
        "le 4 mars 1987", "miércoles, 4 de marzo de 1987", "mercoledì 4 marzo 1987",
        "woensdag 4 maart 1987", "quarta-feira, 4 de março de 1987", "onsdag den 4 mars 1987",
        "środa, 4 marca 1987", "keskiviikko 4. maaliskuuta 1987", "4.3.1987", "04.03.1987",
        "4-3-1987", "3/4/1987", "03/04/1987", "1987/3/4", "Mar 4, 1987", "4 Mar 1987",
        "1987年3月4日",
    }  # fmt: skip
    assert {form(date(2001, 1, day)) for form in FORMS for day in (1, 2, 3, 11, 22)} >= {
        "the 1st of January 2001", "the 2nd of January 2001", "the 3rd of January 2001",
        "the 11th of January 2001", "the 22nd of January 2001",
    }  # fmt: skip
    for name, language in LANGUAGES.items():
        assert len(set(language.months)) == 12, name
        assert len(set(language.weekdays)) == 7, name


def test_dates_are_unambiguous_and_apart():
    splits = make_dates(3000, 800, 800)
    assert [len(part) for part in splits] == [3000, 800, 800]
    meaning = {}
    for pair in (pair for part in splits for pair in part):
        assert meaning.setdefault(pair.source, pair.target) == pair.target
        day = date.fromisoformat(pair.target)
        assert pair.source in {form(day) for form in FORMS}
        assert re.search(rf"\b{day.year}|{day.year}", pair.source)
    days = [{pair.target for pair in part} for part in splits]
    assert not days[0] & days[1]
    assert not days[0] & days[2]
    assert not days[1] & days[2]
    assert [len(set(part)) for part in splits] == [3000, 800, 800]
    assert make_dates(3000, 800, 800) == splits


def test_no_two_days_share_a_form():
    """Of all that is written for the days of two years, nothing is written for two of them."""
    seen: dict[str, date] = {}
    for day in (date.fromordinal(date(2003, 1, 1).toordinal() + k) for k in range(731)):
        for form in FORMS:
            assert seen.setdefault(form(day), day) == day


MODULE = '''"""The module has a docstring too, but only those of def and class are read."""

def f(a: int) -> int:  # a comment
    """Sum up the body here.

    One two three four
      five six seven eight nine.
    """

class C:
    r"""Too short.

    Only these four words."""

    def g(
        self,
    ):
        """Continues on the
        second line.

        One two three four five six seven eight."""
'''


def test_docstrings_are_cut_at_the_empty_line(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.py").write_text(MODULE.replace("nine", name))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "e.py").write_text(MODULE)
    (tmp_path / "f.py").write_text(MODULE.replace("nine", "a"))  # the same again
    splits = standard_library_docstrings(tmp_path)
    found = [pair for part in splits for pair in part]
    assert sorted(found) == [
        Pair(f"One two three four five six seven eight {name}.", "Sum up the body here.")
        for name in ("a", "b", "c", "d")
    ]
    with pytest.raises(UserError, match="no docstrings to summarise"):
        standard_library_docstrings(tmp_path / "test")
