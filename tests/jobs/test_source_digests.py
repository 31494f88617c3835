"""What names a job: the sources that it runs, and neither comments nor what it does not run."""

import ast
import hashlib
from pathlib import Path

import pytest

from seqarena.arena.plan import model_places
from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.jobs.job import TimingMachine, job_key
from seqarena.jobs.sources import canonical, closure, module_of, places_in, source_digest
from seqarena.measure import calls
from seqarena.measure.calls import measuring_key
from seqarena.measure.subject import problem_for
from seqarena.models.build import model_config
from seqarena.models.catalog import CATALOG

PLAIN = """
def f(x, *, scale=1.5, **more):
    return {**more, "y": f"{x!r:>{10}} {scale=}" if x else None}
"""
SAME = '''
"""A docstring."""
# a comment
def f(  x, *, scale = 1.5,
        **more):  # another
    """What it does.

    More of it."""
    return {**more,
            "y": f"{x!r:>{10}} {scale=}" if x else None}
'''


def test_comments_docstrings_and_layout_do_not_count() -> None:
    assert canonical(ast.parse(PLAIN)) == canonical(ast.parse(SAME))


@pytest.mark.parametrize(
    ("old", "new"),
    [("1.5", "1.25"), ("None", "0"), ("*, ", ""), ("!r", "!s"), ('"y"', '"z"'), (">", "<"),
     ("**more, ", ""), ("{10}", "{11}")],
)  # fmt: skip
def test_every_change_of_meaning_counts(old: str, new: str) -> None:
    assert old in PLAIN
    assert canonical(ast.parse(PLAIN)) != canonical(ast.parse(PLAIN.replace(old, new, 1)))


def test_the_digest_is_that_of_every_python() -> None:
    """Computed with 3.11, 3.12 and 3.13."""
    found = hashlib.sha256(canonical(ast.parse(PLAIN)).encode()).hexdigest()[:16]
    assert found == "44d45470ff1116d0"


def trial_modules(name: str) -> set[str]:
    config = model_config(
        CATALOG[name], own_inputs(16), params=None, width=16, depth=len(CATALOG[name].cycle)
    )
    places = {"seqarena.arena.trial", "seqarena.tasks.text.language", *model_places(config)}
    return {module.removeprefix("seqarena.") for module in closure(places)}


def room(modules: set[str], name: str) -> set[str]:
    return {module for module in modules if module.startswith(f"{name}.")}


def test_a_gru_trial_depends_on_its_own_modules_only() -> None:
    found = trial_modules("gru")
    assert room(found, "mixers") == {
        *("mixers.base", "mixers.convolution.short", "mixers.recurrent.gru"),
    }
    assert room(found, "ops") == {
        *("ops.history", "ops.padding", "ops.positions", "ops.recurrent", "ops.recurrent.gru"),
        *("ops.recurrent.block_recurrence", "ops.recurrent.jacobians", "ops.recurrent.newton"),
        *("ops.registry", "ops.diagonal"),
        *(
            f"ops.recurrent.gru.{form}"
            for form in ("compiled", "fused", "newton", "reference", "stepwise", "stepwise_before")
        ),
        # what Newton's method solves in each of its steps
        *(
            f"ops.diagonal.{form}"
            for form in ("chunked", "compiled", "fused", "gradient", "reference", "scan")
        ),
        *("ops.kernels", "ops.recurrent.compiled_cells"),
        *(
            f"ops.kernels.{name}"
            for name in ("arrays", "cells", "compiling", "diagonal", "functions", "products")
        ),
        *("ops.kernels.sharing", "ops.kernels.slices"),
        *("ops.diagonal.block_kernel", "ops.triton_kernels.diagonal"),
        # a stack's layers may have one before them
        *("ops.short_convolution", "ops.short_convolution.reference"),
        *("ops.short_convolution.block_kernel", "ops.triton_kernels.short_convolution"),
        *("ops.short_convolution.compiled", "ops.kernels.short_convolution"),
    }
    assert room(found, "tasks") == {
        "tasks.base", "tasks.configs", "tasks.prepared", "tasks.text.language",
    }  # fmt: skip
    assert room(found, "data") == {
        *("data.arrays", "data.batches", "data.splits", "data.streams"),
        *(
            f"data.files.{name}"
            for name in ("columnar", "columns", "examples", "find", "opening", "reading", "tables")
        ),
        *("data.text.corpora", "data.text.tokenizers"),
    }
    assert room(found, "models") == {
        *("models.any", "models.lora", "models.model", "models.search", "models.watching"),
        *("models.stacks.channel_mixers", "models.stacks.embedding", "models.stacks.experts"),
        *("models.stacks.language_model", "models.stacks.stack"),
    }
    assert room(found, "arena") == {"arena.trial"}
    assert {"train.loop", "train.optimizer", "train.start", "core.runtime"} <= found
    assert not room(found, "jobs")


def test_a_hybrid_depends_on_both_of_its_mixers() -> None:
    assert {"mixers.state_space.mamba", "mixers.attention.attention"} <= trial_modules("hybrid")
    assert "mixers.state_space.mamba" not in trial_modules("attention")


@pytest.mark.parametrize("name", CATALOG)
def test_every_architecture_depends_on_its_own_file_and_on_no_catalog(name: str) -> None:
    row = CATALOG[name]
    config = model_config(row, problem_for(row, 64, 64), params=None, width=32, depth=None)
    found = closure({"seqarena.arena.trial", *model_places(config)})
    own = {row.system} if row.system else {place for place, _ in row.cycle}
    assert {module_of(str(place)) for place in own} <= set(found)
    assert not {name for name in found if "catalog" in name or name == "seqarena.tasks.registry"}
    assert "seqarena" not in found


def test_a_measurement_depends_on_what_it_names() -> None:
    def key(function: str = "costs.scaling:memory", **arguments: object) -> str:
        return measuring_key(f"seqarena.measure.{function}", {"lengths": [8], **arguments})

    keys = {
        key(architecture="gru"), key(architecture="lstm"), key(architecture="gru", width=8),
        key("flow.gradient:receptive_field_series", architecture="gru"),
    }  # fmt: skip
    assert len(keys) == 4
    assert key(architecture="gru") in keys


def test_a_measurement_of_a_hybrid_depends_on_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[set[str]] = []
    monkeypatch.setattr(calls, "job_key", lambda f, a, places, **_: found.append(places) or "")
    measuring_key("seqarena.measure.costs.scaling:memory", {"architecture": "gru:mamba@2:1"})
    measuring_key("seqarena.measure.costs.scaling:memory", {"architecture": "gru", "text": "a:b"})
    parts = ["seqarena.mixers.recurrent.gru:GRU", "seqarena.mixers.state_space.mamba:Mamba"]
    assert [[part in places for part in parts] for places in found] == [[True, True], [True, False]]


def test_a_timing_belongs_to_the_machine_and_other_jobs_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def keys() -> list[str]:
        place = "seqarena.measure.costs.scaling:speed"
        return [job_key(place, {}), job_key(place, {}, timing=TimingMachine(1))]

    plain, timed = keys()
    assert job_key("seqarena.measure.costs.scaling:speed", {}, timing=TimingMachine(2)) not in (
        plain,
        timed,
    )
    monkeypatch.setattr("seqarena.core.runtime.processor_name", lambda device: f"another {device}")
    other_plain, other_timed = keys()
    assert plain == other_plain
    assert timed != other_timed


def test_a_users_file_counts_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    here, there = tmp_path / "mine.py", tmp_path / "folder" / "moved.py"
    there.parent.mkdir()
    text = "from seqarena.ops import padding\nPLACE = 'seqarena.mixers.state_space.s4d:S4D'\n"
    here.write_text(text)
    there.write_text(text)
    place = f"label={here}:Mine"
    assert {"seqarena.ops.padding", "seqarena.mixers.state_space.s4d"} <= set(closure([place]))
    before = source_digest([place])
    assert before == source_digest([f"{there}:Mine"])
    here.write_text(text + "# changed\n")
    assert source_digest([place]) != before


@pytest.mark.parametrize("place", ["seqarena.mixers.none:X", "no_such_package:X", "none.py:X"])
def test_a_place_that_does_not_exist_is_an_error(place: str) -> None:
    with pytest.raises(UserError, match="does not exist"):
        source_digest([place])


def test_a_file_that_is_no_python_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(:")
    with pytest.raises(UserError, match="is not Python"):
        source_digest([f"{tmp_path / 'mine.py'}:Mine"])


def test_places_in_a_configuration() -> None:
    gru, bert = "seqarena.mixers.recurrent.gru:GRU", "seqarena.models.language.bert"
    config = {
        "layers": [{"mixer": gru, "options": {}}, {"mixer": "own/a.py:A"}],
        "system": bert,
        "words": f"see {gru}",
        "tokenizer": "bpe:1024",
        "width": 8,
    }
    assert places_in(config) == {gru, "own/a.py:A", bert}
