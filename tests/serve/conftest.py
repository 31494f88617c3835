"""Tiny trained runs, and a server of one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from server_process import Served, serving

from seqarena import api
from seqarena.serve.model.engine import Engine
from seqarena.serve.model.metrics import Metrics
from seqarena.serve.model.runtimes import Runtime

TEXT = "the past is what the state remembers; " * 100


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run folder of a tiny trained language model, trained once."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "small.txt").write_text(TEXT, encoding="utf-8")
    made: dict[str, Path] = {}

    def run(model: str) -> Path:
        if model not in made:
            made[model] = api.train(
                str(folder / "small.txt"), model=model, params="10k", tokens="6k", length=32,
                runs=folder / "runs", verbose=False, dtype="float32",
            ).path  # fmt: skip
        return made[model]

    return run


@pytest.fixture(scope="module")
def served(trained_run: Callable[[str], Path]) -> Iterator[Served]:
    with serving(trained_run("gru"), "--max-prompt", "600", "--max-tokens", "2000") as server:
        yield server


@pytest.fixture
def engine_of() -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def build(runtime: Runtime, **options: Any) -> Engine:
        sizes = {"rows": 8, "queue": 64, "longest": 4096, "kept_bytes": 0} | options
        made.append(Engine(runtime, Metrics(), **sizes))
        return made[-1]

    yield build
    for engine in made:
        engine.close()
