"""What docs/serve.md shows runs, and the command line's mistakes are one line."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import seqarena as sa

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"


def test_the_pages_python_runs(
    trained_run: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/NAME").symlink_to(trained_run("gru"))
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    exec(found.group(1).replace('"The', '"the'), {})  # the small text has no capital letters
    assert capsys.readouterr().out.splitlines() == ["length 20", "True", "False", "True"]


def test_it_names_every_route() -> None:
    from seqarena.serve.model.answers import _ROUTES

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in {*_ROUTES.values(), "answer", "completions"} if name not in text] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("runs/nowhere", "not a run folder"),
        ("", "name what to serve"),
        ("runs/nowhere --host 0.0.0.0", "SEQARENA_TOKEN"),
        ("runs/nowhere --port 99999", "--port"),
    ],
)
def test_a_mistake_is_one_line(words: str, says: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "seqarena", "serve", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert says in done.stderr


def test_serve_stays_a_verb_when_its_room_is_imported() -> None:
    import seqarena.serve.page  # noqa: F401

    assert callable(sa.serve)
