"""What the documents say is run: the worked example, and the files and commands they name."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seqarena.cli import app
from seqarena.mixers.contract import CHECKS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    path = tmp_path / "ema.py"
    path.write_text(found.group(1), encoding="utf-8")
    return path


def test_the_worked_example_passes_the_contract(example: Path) -> None:
    result = CliRunner().invoke(app, ["check", f"{example}:EMA"])
    assert result.exit_code == 0, result.output
    assert result.output.count(" ok ") == len(CHECKS)


def test_without_its_padding_line_it_fails_as_the_document_says(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if ".where(" in line)
    example.write_text(text.replace(line, ""), encoding="utf-8")
    result = CliRunner().invoke(app, ["check", f"{example}:EMA"])
    assert result.exit_code == 1
    assert re.search(r"padding +FAILED", result.output)
    assert result.output.count("FAILED") == 1


def test_the_worked_example_can_be_ranked(example: Path, tmp_path: Path) -> None:
    words = (
        f"compare --models mingru --mixer {example}:EMA --params 30k --steps 3 --length 16 "
        f"--rates 1e-2 --seeds 1 --repeats 0 --no-measure --jobs 1 --name r --runs {tmp_path}"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    assert "ema" in (tmp_path / "r" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_files_exist(document: Path) -> None:
    named = re.findall(r"`((?:src|docs|tests|recipes|benchmarks)/[\w./-]+)`", document.read_text())
    links = re.findall(r"\]\((?!http)([\w./-]+)\)", document.read_text())
    named += [str((document.parent / link).relative_to(ROOT)) for link in links]
    missing = [name for name in named if "ema.py" not in name and not (ROOT / name).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS[:2], ids=lambda path: path.name)
def test_named_commands_exist(document: Path) -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands}
    verbs |= {group.name for group in app.registered_groups}
    used = set(re.findall(r"^\s*(?:\$ )?seqarena (\w+)", document.read_text(), re.MULTILINE))
    assert used <= verbs
