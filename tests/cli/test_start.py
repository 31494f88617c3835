"""Start-up is instant: help and mistakes on the command line do not load torch."""

import subprocess
import sys

import pytest

PROBE = """
import sys
from typer.testing import CliRunner
from seqarena.cli import app
result = CliRunner().invoke(app, {words!r})
assert result.exit_code == 0, result.output
heavy = {{"torch", "scipy", "plotly", "tokenizers", "pyarrow"}} & set(sys.modules)
assert not heavy, heavy
print(result.output)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["compare", "--help"], ["train", "-h"], ["generate", "--help"]]
)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(words=words)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
