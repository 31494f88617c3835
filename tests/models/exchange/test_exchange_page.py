"""The page on published checkpoints says what is so."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from published import TOKENS_BT, folder
from rich.console import Console

import seqarena as sa
from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.models.exchange import huggingface
from seqarena.models.exchange.settings import ONLY

PAGE = Path(__file__).parents[3] / "docs" / "exchange.md"


def test_the_pages_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = folder("gpt2", tmp_path / "folder")
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], {})
    assert "passed over: the mask of the future (2 tensors)" in capsys.readouterr().out
    copy = sa.load_published("copy", console=Console(quiet=True))
    logits = copy.answer(Batch(TOKENS_BT, TOKENS_BT))
    assert (logits - found.logits_BTV).abs().max() < 3e-5


def test_the_page_has_each_family_and_its_names_of_settings() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for family in huggingface.FAMILIES.values():
        assert f"| {family.title} " in text
    for row in ("settings that may vary", "refused by name"):
        cells = re.search(rf"^\| {row} \|(.*)\|$", text, re.MULTILINE)
        assert cells is not None
        for family, cell in zip(huggingface.FAMILIES.values(), cells[1].split("|"), strict=True):
            named = {name for name in re.findall(r"`([a-z_]+)`", cell) if "_" in name}
            assert named
            assert named <= asked_by(family) | {*ONLY}


def asked_by(family: huggingface.PublishedFamily) -> set[str]:
    """The settings that a family's reader asks for."""
    settings = huggingface.Settings({}, {str(number): (1_000_000,) for number in range(100)})
    with suppress(UserError):  # a default that we do not have is said when all was asked
        family.read(settings)
    return settings.asked
