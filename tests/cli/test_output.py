"""What users expect of any command: a version, completion, JSON, quiet, pipes and colours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import seqarena
from seqarena import api
from seqarena.cli import app

LISTINGS = [["models"], ["tasks"], ["tasks", "language"], ["claims", "--list"]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run folder, and the call that wrote it with --json."""
    runs = tmp_path_factory.mktemp("runs")
    words = (
        "compare --models mingru --width 8 --steps 2 --length 8 --rates 1e-2 --seeds 1 "
        f"--repeats 0 --no-measure --jobs 1 --dtype float32 --name r --runs {runs} --json"
    )
    return runs / "r", invoke(words.split())


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    examples = runs / "examples.tsv"
    rows = "".join(f"{word}\t{label}\n" for word, label in [("good", "yes"), ("bad", "no")] * 20)
    examples.write_text(f"text\tlabel\n{rows}", encoding="utf-8")
    invoke(
        f"train {examples} --task classification --model bi_gru --width 8 --steps 2 "
        f"--dtype float32 --name c --runs {runs}".split()
    )
    return runs / "c"


def invoke(words: list[str], **options: Any) -> Result:
    result = CliRunner().invoke(app, words, **options)
    assert result.exit_code == 0, result.output
    return result


def call(*words: str, **environment: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "seqarena", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        env={**os.environ, **environment},
    )  # fmt: skip


def test_version() -> None:
    assert invoke(["--version"]).output.startswith(f"seqarena {seqarena.__version__} (torch ")


def test_the_shell_is_told_how_to_complete_a_verb() -> None:
    asked = {"_SEQARENA_COMPLETE": "complete_bash", "COMP_WORDS": "seqarena mod", "COMP_CWORD": "1"}
    answer = CliRunner().invoke(app, [], prog_name="seqarena", env=asked)
    assert answer.output.split() == ["models"]
    assert "--install-completion" in invoke(["--help"]).output


@pytest.mark.parametrize("words", LISTINGS, ids=" ".join)
def test_listings_are_json_when_asked(words: list[str]) -> None:
    found = json.loads(invoke([*words, "--json"]).stdout)
    shown = invoke(words).output
    assert len(found) > 5
    assert all(name in shown for name in found)


def test_claims_as_json_are_the_titles() -> None:
    assert json.loads(invoke(["claims", "--list", "--json"]).stdout) == api.claim_titles()


def test_compare_and_report_print_the_same_json(compared: tuple[Path, Result]) -> None:
    """Progress goes to standard error, so that a program can read standard output."""
    folder, result = compared
    summary = json.loads(result.stdout)
    places = [row["architecture"] for row in summary["table"] if not row["baseline"]]
    assert places == ["mingru"]
    assert summary["run"] == str(folder)
    assert "algorithms" in result.stderr
    assert json.loads(invoke(["report", str(folder), "--json"]).stdout) == summary


def test_evaluate_as_json(compared: tuple[Path, Result]) -> None:
    found = json.loads(invoke(["evaluate", str(compared[0]), "--json"]).stdout)
    assert found["metric"] == "bits_per_byte"
    assert found["value"] > 0


def test_predict_as_json_is_one_object_a_line(classifier: Path) -> None:
    lines = invoke(["predict", str(classifier), "good", "böse", "--json"]).stdout.splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["good", "böse"]
    assert all(0 < json.loads(line)["confidence"] <= 1 for line in lines)


def test_json_is_escaped_where_the_output_is_not_utf8(classifier: Path) -> None:
    words = ["predict", str(classifier), "böse", "--json"]
    output, errors = call(*words, PYTHONIOENCODING="ascii").communicate()
    assert not errors
    assert json.loads(output)["input"] == "böse"


def test_letters_that_the_output_does_not_know_are_replaced(classifier: Path) -> None:
    process = call("predict", str(classifier.parent / "böse"), PYTHONIOENCODING="ascii")
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "Traceback" not in errors
    assert "b?se" in errors


def test_quiet_prints_the_result_only(compared: tuple[Path, Result]) -> None:
    words = (
        "compare --models mingru --width 8 --steps 2 --length 8 --rates 1e-2 --seeds 1 "
        f"--repeats 0 --no-measure --jobs 1 --dtype float32 --name r --runs {compared[0].parent}"
    ).split()
    loud, quiet = invoke(words).output, invoke([*words, "--quiet"]).output
    assert "mingru" in quiet
    for text in ("algorithms:", "report:"):
        assert text in loud
        assert text not in quiet


def test_verbose_says_where_a_mistake_was_found() -> None:
    words = ["compare", "--models", "lstn"]
    short, long = (CliRunner().invoke(app, [*words, *more]) for more in ([], ["-v"]))
    assert (short.exit_code, long.exit_code) == (2, 2)
    assert short.stderr.startswith("seqarena: unknown architecture 'lstn': did you mean lstm")
    assert short.stderr.count("\n") == 1
    assert "Traceback" in long.stderr
    assert long.stderr.endswith(short.stderr)


@pytest.mark.parametrize(
    "words", [["models"], ["models", "--json"], ["claims", "--list"]], ids=" ".join
)
def test_a_pipe_that_closes_is_no_mistake(words: list[str]) -> None:
    """`seqarena models | head -1`."""
    process = call(*words)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("words", [["models"], ["tasks", "language"]], ids=" ".join)
def test_a_pipe_has_80_columns_and_no_colours(words: list[str]) -> None:
    environment = {"COLUMNS": "", "FORCE_COLOR": "", "TTY_COMPATIBLE": ""}
    output, _ = call(*words, **environment).communicate()
    assert max(map(len, output.splitlines())) <= 80
    assert "\x1b" not in output


def test_a_report_fits_80_columns(compared: tuple[Path, Result]) -> None:
    output = invoke(["report", str(compared[0])], env={"COLUMNS": "80"}).output
    assert max(len(line) for line in output.splitlines() if "report:" not in line) <= 80
