"""Characters that cut lines or that a terminal takes for markup are text like any other."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import seqarena as sa
from seqarena.cli import app

ODD = ["good\u2028one", "good\u2029one", "good\x85one", "[/D] is [bold]", "a\x1cb", "\u202eabc"]


@pytest.mark.parametrize("kind", ["classification", "tagging"])
def test_labels_of_any_character(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "classification":
        labels = ODD
        rows = [f"the fox {n} {k}\t{x}\n" for n in range(30) for k, x in enumerate(labels)]
        Path("data.tsv").write_text("text\tlabel\n" + "".join(rows), encoding="utf-8", newline="\n")
        words = ("train", "data.tsv", "--task", kind, "--model", "bi_gru")
    else:
        labels = [label.replace(" ", "_") for label in ODD]
        rows = [f"the\tD\nfox{n}\t{x}\n\n" for n in range(30) for x in labels]
        Path("data.conll").write_text("".join(rows), encoding="utf-8", newline="\n")
        words = ("train", "data.conll", "--task", kind, "--model", "bi_gru")
    for _ in range(2):  # the second call reads what the first one wrote
        done = CliRunner().invoke(app, [*words, "--width", "8", "--steps", "2", "--name", "r"])
        assert done.exit_code == 0, (done.output, done.exception)
    assert CliRunner().invoke(app, ["report", "runs/r"]).exit_code == 0
    (trial,) = sa.open_run("runs/r").view.trials
    assert all(any(label in name for name in trial.test_slices) for label in labels)
