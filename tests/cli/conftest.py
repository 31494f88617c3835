"""Shared by the walks over all verbs (walk.py)."""

from pathlib import Path

import pytest
from walk import call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of a language model and of a tagger."""
    runs = tmp_path_factory.mktemp("trained")
    sizes = "--width 8 --depth 1 --steps 2 --dtype float32 --device cpu --evaluations 1"
    for words in ("--model gru --length 8 --name lm", "--model bi_gru --task tagging --name tags"):
        result = call(f"train {words} {sizes} --runs {runs}".split())
        assert result.exit_code == 0, result.output
    return runs / "lm", runs / "tags"
