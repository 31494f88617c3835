"""From a run folder to a page in which its best models run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqarena import api
from seqarena.use import in_page

SMALL: dict[str, Any] = {
    "models": ["gru", "lstm", "attention"], "width": 8, "depth": 1, "length": 8, "steps": 4,
    "batch": 4, "rates": (1e-2,), "seeds": 1, "repeats": 0, "measure": False, "jobs": 1,
    "dtype": "float32", "baselines": False, "verbose": False, "yes": True,
}  # fmt: skip
MODEL = re.compile(r'class="live-model" data-architecture="(\w+)"[^>]*>(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    text = folder / "text.txt"
    text.write_text("the cell keeps, the cell forgets, the cell shows.\n" * 60, encoding="utf-8")
    return api.compare(text, runs=folder / "runs", **SMALL).path


def models_in(page: Path) -> dict[str, Any]:
    found = MODEL.findall(page.read_text(encoding="utf-8"))
    return {name: json.loads(data) for name, data in found}


def test_the_best_and_the_best_of_another_family_run(run: Path) -> None:
    first = models_in(run / "report.html")  # as the comparison wrote it
    best = next(row.architecture for row in api.open_run(run).rows)
    assert next(iter(first)) == best
    assert "attention" in first
    assert len(first) == 2
    again = models_in(api.report(run))
    assert again == first
    assert first[best]["tokenizer"]["kind"] == "byte"


def test_a_limit_of_nothing_leaves_them_out(run: Path) -> None:
    page = api.report(run, live_megabytes=0)
    assert models_in(page) == {}
    assert "Watch it run" not in page.read_text(encoding="utf-8")


def test_one_that_is_too_large_or_whose_checkpoint_is_gone_says_so(
    run: Path, tmp_path: Path
) -> None:
    in_page._live_model.cache_clear()
    page = api.report(run, live_megabytes=0.01).read_text(encoding="utf-8")
    assert "does not run in this page: its" in page
    assert page.count("does not run in this page") == 1  # of the winner alone
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for folder in copy.glob("trials/*/checkpoint"):
        shutil.rmtree(folder)
    page = api.report(copy).read_text(encoding="utf-8")
    assert "does not run in this page" in page
    assert 'class="live-model"' not in page


def test_a_fault_in_it_leaves_the_page_and_is_named_there(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*given: Any, **options: Any) -> Any:
        raise TypeError("no such argument")

    in_page._live_model.cache_clear()
    monkeypatch.setattr(in_page, "page_model", fault)
    page = api.report(run).read_text(encoding="utf-8")
    in_page._live_model.cache_clear()
    assert "it could not be made ready (TypeError: no such argument)" in page
