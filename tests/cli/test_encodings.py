"""A terminal that is not UTF-8 gets question marks for what it lacks, and never a traceback."""

import io
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqarena.cli import app, main

TRAIN = "--model gru --width 8 --steps 2 --device cpu --dtype float32 -q"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model, a classifier and a translator, none of whose letters are in Latin-1."""
    place = tmp_path_factory.mktemp("runs")
    (place / "text.txt").write_text("Привет, мир! 你好世界 😀\n" * 200, encoding="utf-8")
    labelled = [f"привет {k} мир,класс{k % 2}\n" for k in range(40)]
    (place / "labels.csv").write_text("text,label\n" + "".join(labelled), encoding="utf-8")
    pairs = [f"ram {k}\tराम घर {k}\n" for k in range(60)]
    (place / "pairs.tsv").write_text("en\thi\n" + "".join(pairs), encoding="utf-8")
    for words in (
        "text.txt --name язык --length 16",
        "labels.csv --name class --task classification",
        "pairs.tsv --name pairs --task translation --set source=en --set target=hi",
    ):
        call = f"train {place}/{words} --runs {place}/r {TRAIN}"
        result = CliRunner().invoke(app, call.split())
        assert result.exit_code == 0, result.output
    return place / "r"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp932", "utf-8"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("models", "attention"),
        ("tasks", "translation"),
        ("tasks --json", '"translation"'),
        ("report {runs}/язык", "gru"),
        ("report {runs}/pairs", "bleu"),
        ("generate {runs}/язык --count 20 --prompt мир", "мир"),
        ("predict {runs}/class привет", "класс"),
        ("predict {runs}/pairs ram", ""),  # after two steps it writes anything
        ("generate {runs}/nothing-здесь", "nothing-здесь"),
    ],
)
def test_every_verb_writes_to_it(
    runs: Path,
    encoding: str,
    words: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = io.BytesIO(), io.BytesIO()
    out, errors = (io.TextIOWrapper(one, encoding=encoding) for one in kept)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "argv", ["seqarena", *words.format(runs=runs).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    out.flush()
    errors.flush()
    written = b"".join(one.getvalue() for one in kept).decode(encoding)
    assert ended.value.code == (2 if "nothing" in words else 0)
    assert expected.encode(encoding, errors="replace").decode(encoding) in written
    assert "Traceback" not in written
