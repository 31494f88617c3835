"""`seqarena claims` from the command line; the measuring itself is in tests/arena."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqarena.claims import contents as ledger
from seqarena.claims.claim import Claim, Part
from seqarena.claims.judging import curve, judgement
from seqarena.cli import app

LISTING = """
import sys
from seqarena.cli import app
try:
    app(["claims", "--list"])
finally:
    assert "torch" not in sys.modules
"""


def test_list_is_one_line_a_claim_and_loads_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert lines == [[claim.name, claim.title] for claim in ledger.CLAIMS]


def _planted(name: str, **arguments: object) -> Claim:
    part = Part("seqarena.measure.trained.experiments:chain", arguments, 1.0)

    def judge(records: object) -> object:
        points = curve(records, "dependent_operations", "attention").points  # pyright: ignore
        return judgement("holds", "it holds", f"{points[0].repeats[0]:g} operations")

    words = ("a title", "words", "source", "experiment", "criterion")
    return Claim(name, *words, lambda _: [part], judge)  # pyright: ignore


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The ledger is two claims, one of which fails; the page is a stand-in that is kept."""
    claims = (
        _planted("good", architecture="attention", lengths=[4, 8, 16]),
        _planted("bad", architecture="no_such", lengths=[4]),
    )
    monkeypatch.setattr(ledger, "CLAIMS", claims)
    shown: list[object] = []

    def render(view: object, catalog: object) -> str:
        shown.append(view)
        assert "lstm" in catalog  # pyright: ignore
        return "<!doctype html>"

    monkeypatch.setattr("seqarena.engine.claims.render_ledger", render)
    return shown


def test_a_run_prints_the_ledger_and_a_second_reuses_it(tmp_path: Path, page: list) -> None:
    command = ["claims", "--only", "good", "--runs", str(tmp_path), "--jobs", "1"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "holds" in first.output
    assert "operations" in first.output
    assert (tmp_path / "claims-quick" / "report.html").read_text() == "<!doctype html>"
    again = CliRunner().invoke(app, [*command, "--json"])
    assert "1 parts, 1 stand" in again.stderr
    view = json.loads(again.stdout)
    assert [claim["judgement"]["verdict"] for claim in view["claims"]] == [
        "holds", "not measured yet"
    ]  # fmt: skip
    assert len(page) == 2


def test_verdicts_are_coloured_unless_no_color_is_set(tmp_path: Path, page: list) -> None:
    words = ["claims", "--only", "good", "--runs", str(tmp_path), "--jobs", "1"]
    coloured = {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": None}
    green = "\x1b[32mholds"
    assert green in CliRunner().invoke(app, words, env=coloured).output
    assert green not in CliRunner().invoke(app, words, env={**coloured, "NO_COLOR": "1"}).output


def test_a_part_that_fails_ends_with_one(tmp_path: Path, page: list) -> None:
    done = CliRunner().invoke(app, ["claims", "--runs", str(tmp_path), "--jobs", "1"])
    assert done.exit_code == 1
    assert "no_such" in done.output
    assert "1 part(s) failed" in done.output
    assert page[0].claims[0].judgement.verdict == "holds"  # pyright: ignore


def test_an_unknown_claim_is_told() -> None:
    done = CliRunner().invoke(app, ["claims", "--only", "gatting"])
    assert done.exit_code == 2
    assert "unknown claim 'gatting': did you mean gating?" in done.stderr
