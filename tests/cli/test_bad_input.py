"""A user's mistake: one clear line on standard error, exit code 2, no traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from seqarena.cli import app

PROSE = "The quick brown fox jumps over the lazy dog, as it has done for many years. " * 40
Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text(PROSE)
    return lambda *words: CliRunner().invoke(app, list(words))


def is_refused(result: Result, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02binary", "binary"),
        (b"caf\xe9 " * 99, "not utf-8"),
        (b"short", "only 5 characters"),
    ],
)
def test_bad_text(content: bytes, words: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    is_refused(call("compare", "bad.txt", "--models", "gru"), words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compare", "missing.txt"], "missing.txt"),
        (["compare", "--models", "lstn"], "unknown architecture 'lstn': did you mean lstm"),
        (["compare", "--models", "bi_gru"], "bi_gru: it sees the future, which this task forbids"),
        (["compare", "--models", "gru,gru"], "'gru' is named twice"),
        (["compare", "--models", "gru", "--params", "10"], "nearest possible is"),
        (["compare", "--models", "gru", "--params", "many"], "not a number: write it as 200k"),
        (["compare", "--steps", "5", "--tokens", "9"], "exactly one budget"),
        (["compare", "--models", "gru", "--flops", "1"], "buys no step"),
        (["compare", "--task", "langage"], "unknown task 'langage': did you mean language"),
        (["compare", "--task", "mqar", "--set", "vocab_size"], "write it as key=value"),
        (["compare", "--task", "mqar", "--set", "vocab=9"], "did you mean vocab_size"),
        (["compare", "good.txt", "--models", "gru", "--length", "9999"], "longest possible is"),
        (["compare", "good.txt", "--tokenizer", "words"], "words"),
        (["compare", "good.txt", "--models", "gru", "--device", "tpu"], "unknown device 'tpu'"),
        (["compare", "good.txt", "--mixer", "nowhere.py:M"], "'nowhere.py' does not exist"),
        (["train", "--model", "gru", "--option", "gates=3"], "gates"),
        (["report", "runs/none"], "is not a run folder: it has no plan.json"),
        (["generate", "runs/none"], "is not a run folder"),
        (["evaluate", "runs/none"], "is not a run folder"),
        (["recipe", "none.toml"], "does not exist"),
        (["check", "nowhere.py:Mixer"], "does not exist"),
        (["check", "lstmm"], "did you mean lstm"),
        (["check", "lenet5"], "the contract is for mixers"),
        (["check", "lstm", "--dtype", "float16"], "use one of float64, float32, bfloat16"),
        (["check", "lstm", "--device", "tpu"], "use cpu or cuda"),
    ],
)
def test_mistakes(arguments: list[str], words: str, call: Call) -> None:
    is_refused(call(*arguments), words)


def test_a_mixer_file_with_an_error_names_it(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    is_refused(call("check", "broken.py:Mine"), "ZeroDivisionError")


def test_a_mixer_file_without_the_class(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("Mine = 3\n")
    is_refused(call("check", "empty.py:Mine"), "no subclass of Mixer named 'Mine'")


def test_a_plan_of_another_version(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text('{"name": "old"}')
    is_refused(call("report", "runs/old"), "not written by this version of seqarena")
