"""`seqarena predict`: one line an input, whatever the input is."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner, Result

from seqarena.cli import app
from seqarena.tasks.base import Answer
from seqarena.tasks.text.classification import ClassificationCodec


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, a tagger, a translator, a listener."""
    runs = tmp_path_factory.mktemp("runs")
    (runs / "class.csv").write_text("text,label\n" + "a good film,good\nso bad,bad\n" * 20)
    (runs / "tags.bio").write_text("Mr.\tB\nSmith\tB\nleft\tO\n\n" * 20)
    (runs / "pairs.tsv").write_text("de\ten\n" + "ein hund\ta dog\nzwei\ttwo\na b c d\te f\n" * 20)
    for name in ("good", "bad"):
        (runs / "sounds" / name).mkdir(parents=True)
        for k in range(12):
            place = runs / "sounds" / name / f"{k}.wav"
            wavfile.write(place, 8000, np.arange(800, dtype=np.int16))
    for name, data, task in (
        ("c", "class.csv", "classification"),
        ("t", "tags.bio", "tagging"),
        ("p", "pairs.tsv", "translation"),
        ("s", "sounds", "speech"),
    ):
        model = "gru" if name in "ps" else "bi_gru"
        words = (
            f"train {runs / data} --task {task} --model {model} --width 8 --steps 2 --name {name} "
            f"--dtype float32 --device cpu --runs {runs}"
        )
        result = CliRunner().invoke(app, words.split())
        assert result.exit_code == 0, result.output
    return runs


def predict(place: Path, *words: object, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["predict", str(place), *map(str, words)], input=given)


LINES = b"\xef\xbb\xbfa good film\r\n\r\n\xf0\x9f\x98\x80 so bad\n   \nlast"
TEXTS = ["a good film", "", "\N{GRINNING FACE} so bad", "   ", "last"]


@pytest.mark.parametrize("name", ["c", "t", "p"])
def test_every_line_of_standard_input_gives_a_line(runs: Path, name: str) -> None:
    """A byte order mark, line ends of Windows, blank lines, an emoji, no line end at the end."""
    result = predict(runs / name, given=LINES)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 5
    as_json = predict(runs / name, "--json", given=LINES).stdout
    found = [json.loads(line) for line in as_json.split("\n")[:-1]]
    assert [line["input"] for line in found] == TEXTS
    assert [line["answer"] is None for line in found] == [False, True, False, True, False]
    shown = [line.partition("\t")[0] for line in result.stdout.split("\n")[:-1]]
    assert shown == [line["answer"] or "" for line in found]


def test_lines_that_cannot_be_read_lose_no_other(runs: Path) -> None:
    result = predict(runs / "c", given=b"good\n\xff bad\n" + b"x " * 300 + b"\ngood\n")
    assert result.exit_code == 1
    lines = result.stdout.split("\n")
    assert lines[1:3] == ["", ""]
    assert lines[0] == lines[3] != ""
    second, third = result.stderr.splitlines()
    assert second.startswith("seqarena: input 2: the input is not UTF-8 text: a stray byte at")
    assert third.startswith("seqarena: input 3: 'x x x")
    assert predict(runs / "c", given=b"\xff\n").exit_code == 2


def test_recordings_that_are_missing_lose_no_other(runs: Path) -> None:
    there = runs / "sounds" / "good" / "0.wav"
    result = predict(runs / "s", there, runs / "none.wav", "", there)
    assert result.exit_code == 1
    lines = result.stdout.split("\n")
    assert (lines[0], lines[1:3]) == (lines[3], ["", ""])
    assert "none.wav" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "id,text\n1,a good film\n2,\n3,so bad\n"),
        ("rows.tsv", "text\tlabel\na good film\tgood\n \tbad\nso bad\tbad\n"),
        ("rows.jsonl", '{"text": "a good film"}\n{"text": null}\n{"text": "so bad"}\n'),
        ("rows.json", '[{"text": "a good film"}, {"text": ""}, {"text": "so bad"}]'),
        ("rows.txt", "a good film\n\nso bad\n"),
        ("labelled.txt", "good a good film\n\nbad so bad\n"),
    ],
)
def test_a_file_is_answered_row_by_row(runs: Path, name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    result = predict(runs / "c", "--file", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert result.stdout == predict(runs / "c", "a good film", "", "so bad").stdout


def test_a_field_of_another_name_is_named(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("0\na good film\n")
    refused = predict(runs / "c", "--file", tmp_path / "rows.csv")
    assert refused.exit_code == 2
    assert "no field 'text': it has 0" in refused.stderr
    answered = predict(runs / "c", "--file", tmp_path / "rows.csv", "--set", "text=0")
    assert answered.stdout == predict(runs / "c", "a good film").stdout
    odd = predict(runs / "c", "--file", tmp_path / "rows.csv", "--set", "min_count=1")
    assert "setting 'min_count'" in odd.stderr
    assert predict(runs / "c", "x", "--file", "y").exit_code == 2
    assert predict(runs / "c", "x", "--set", "text=0").exit_code == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("named.tsv", "en\tde\nx\tein hund\ny\tzwei\n"),
        ("unnamed.tsv", "ein hund\tx\nzwei\ty\n"),
        ("lines.de", "ein hund\nzwei\n"),
        ("commands.txt", "IN: ein hund OUT: x\nIN: zwei OUT: y\n"),
    ],
)
def test_sources_from_files(runs: Path, name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    direct = predict(runs / "p", "ein hund", "zwei").stdout
    assert predict(runs / "p", "--file", tmp_path / name).stdout == direct


def test_recordings_from_a_list_and_from_a_folder(runs: Path) -> None:
    (runs / "list.csv").write_text("path,label\nsounds/good/0.wav,good\nsounds/bad/1.wav,bad\n")
    direct = predict(runs / "s", runs / "sounds/good/0.wav", runs / "sounds/bad/1.wav").stdout
    assert predict(runs / "s", "--file", runs / "list.csv").stdout == direct
    assert predict(runs / "s", "--file", runs / "sounds").stdout.count("\n") == 24


def test_words_that_are_apart_stay_as_they_are(runs: Path, tmp_path: Path) -> None:
    """As in a tagged file, after --pretokenized, and by themselves where training had them so."""
    (tmp_path / "some.bio").write_text("Dr.\tO\nSmith\tO\n\nleft\tO\n")

    def words(*given: object) -> list[list[str]]:
        output = predict(runs / "t", *given).stdout.splitlines()
        return [[w.rpartition("/")[0] for w in line.partition("\t")[0].split()] for line in output]

    assert words("--file", tmp_path / "some.bio") == [["Dr.", "Smith"], ["left"]]
    assert words("Dr. Smith", "Mr. Smith") == [["Dr", ".", "Smith"], ["Mr.", "Smith"]]
    assert words("--pretokenized", "Dr. Smith") == [["Dr.", "Smith"]]
    refused = predict(runs / "c", "--pretokenized", "Dr. Smith")
    assert (refused.exit_code, "for tagging" in refused.stderr) == (2, True)


def test_an_answer_with_line_ends_is_one_line(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Answer("a\nb\rc\td", 0.5)
    monkeypatch.setattr(ClassificationCodec, "decode", lambda *_: [odd])
    assert predict(runs / "c", "x").stdout == "a b c d\t0.500\n"
    assert json.loads(predict(runs / "c", "x", "--json").stdout)["answer"] == odd.text


def test_confidences_are_shares(runs: Path) -> None:
    lines = predict(runs / "c", "--json", "good", "bad").stdout.splitlines()
    found = [json.loads(line)["confidence"] for line in lines]
    assert all(math.isfinite(share) and 0 < share <= 1 for share in found)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("verb", ["predict", "models"])
def test_an_output_that_takes_nothing_is_one_line(runs: Path, verb: str) -> None:
    words = [verb, str(runs / "c"), "x"] if verb == "predict" else [verb]
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "seqarena", *words], stdout=full, stderr=subprocess.PIPE,
            encoding="utf-8", check=False,
        )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr == "seqarena: cannot read or write: No space left on device\n"


@pytest.mark.parametrize("tail", [" x >&-", " <&-"])
def test_a_stream_that_is_closed_is_no_mistake(runs: Path, tail: str) -> None:
    command = f"{sys.executable} -m seqarena predict {runs / 'c'}{tail}"
    found = subprocess.run(command, shell=True, capture_output=True, encoding="utf-8", check=False)
    assert (found.returncode, found.stderr) == (0, "")
