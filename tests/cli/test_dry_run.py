"""`--dry-run`: it says what was read and what would be done, and writes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import seqarena as sa
from seqarena.cli import app

LABELLED = "text,label\n" + "".join(
    f'"a {word} film, number {k}",{label}\n'
    for k, (word, label) in enumerate([("warm", "good"), ("dull", "bad"), ("kind", "good")] * 20)
)
SMALL = ("--params", "5k", "--steps", "5", "--runs", "runs")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_compare_says_data_plan_time_and_disk() -> None:
    Path("reviews.csv").write_text(LABELLED)
    words = ("compare", "reviews.csv", "--task", "classification", "--models", "gru,elman")
    result = CliRunner().invoke(app, [*words, *SMALL, "--dry-run"])
    assert result.exit_code == 0, result.output
    for part in (
        "data: reviews.csv (csv, 60 examples)",
        "splits: 49 train, 6 validation, 5 test examples",
        "2 classes: good",
        "3 learning rates (up to 4 more where the best is at the edge): 0.002, 0.006, 0.02, ",
        "3 seeds (5 of those that tie for the lead), 5 steps",
        "each: 11 trials",
        "time: about",
        "nothing is written now",
    ):
        assert part in result.output
    assert [path.name for path in Path().iterdir()] == ["reviews.csv"]


def test_train_as_json() -> None:
    words = ("train", "--task", "copying", "--model", "gru", "--dry-run", "--json")
    result = CliRunner().invoke(app, [*words, *SMALL])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["trials"] == 1
    assert found["entries"][0]["steps"] == 5
    assert found["seconds_from"] < found["seconds"] < found["seconds_to"]
    assert not Path("runs").exists()


def test_what_cannot_enter_is_said_with_the_reason() -> None:
    Path("a.txt").write_text("It was the best of times, it was the worst of times. " * 60)
    options = {"models": ["gru", "bi_gru"], "params": "5k", "steps": 5, "verbose": False}
    preview = sa.compare("a.txt", dry_run=True, **options)
    assert "bi_gru cannot enter: it sees the future" in str(preview)
    assert list(preview.plan.excluded) == ["bi_gru"]


def test_the_estimate_counts_every_trial() -> None:
    options = {"task": "copying", "models": ["gru", "elman"], "params": "5k", "steps": 5}
    preview = sa.compare(**options, seeds=2, rates="1e-3", repeats=1, dry_run=True, verbose=False)
    assert [one.trials for one in preview.estimate.entries] == [3, 2]
    assert preview.estimate.trials == 5
    alone = sum(one.bytes_written * one.trials for one in preview.estimate.entries)
    assert preview.estimate.bytes_written > alone > 5 * 5_000 * 3 * 4  # weights and two moments


def test_an_architecture_that_cannot_take_a_step_is_said() -> None:
    Path("a.txt").write_text("It was the best of times, it was the worst of times. " * 60)
    options = {"models": ["gru", "attention"], "params": "5k", "steps": 5, "batch": 2}
    preview = sa.compare(
        "a.txt", settings={"carry_state": True}, dry_run=True, verbose=False, **options
    )
    assert list(preview.estimate.failures) == ["attention"]
    assert "attention will fail: the state of this architecture" in str(preview)
    assert [one.architecture for one in preview.estimate.entries] == ["gru"]


def test_a_mistake_in_the_data_ends_it() -> None:
    Path("bad.csv").write_text("text,label\nonly one field\n")
    result = CliRunner().invoke(
        app, ["compare", "bad.csv", "--task", "classification", "--dry-run"]
    )
    assert result.exit_code == 2
    assert "bad.csv, line 2" in result.stderr


def test_a_training_says_what_it_read_and_stores_it() -> None:
    Path("reviews.csv").write_text(LABELLED)
    words = ("train", "reviews.csv", "--task", "classification", "--model", "gru", "--name", "a")
    result = CliRunner().invoke(app, [*words, *SMALL])
    assert result.exit_code == 0, result.output
    assert "splits: 49 train, 6 validation, 5 test examples" in result.output
    stored = json.loads(Path("runs/a/task.json").read_text())["summary"]
    assert stored["files"][0]["file"] == "reviews.csv"
    assert "The data" in Path("runs/a/report.html").read_text()


def test_the_cores_that_are_used_are_said_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.txt").write_text("It was the best of times, it was the worst of times. " * 60)
    options: dict[str, Any] = {"models": ["gru"], "params": "5k", "steps": 5, "verbose": False}

    def said(**more: Any) -> tuple[str, int]:
        preview = sa.compare("a.txt", dry_run=True, **options, **more)
        (line,) = [one for one in preview.choices if one.startswith("cores")]
        return line, preview.plan.threads

    asked = "cores: 3 (asked for), 3 trials at a time with 1 thread each"
    assert said(threads=3) == (asked, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    shared = "cores: 4 (OMP_NUM_THREADS is 4), 2 trials at a time with 2 threads each"
    assert said(jobs=2) == (shared, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "none")
    with pytest.raises(sa.UserError, match="OMP_NUM_THREADS is 'none'"):
        said()
