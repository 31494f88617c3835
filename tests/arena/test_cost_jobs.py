"""Costs are jobs: each is measured once on a machine, and recorded as soon as it is there."""

from pathlib import Path
from typing import Any

import pytest
from comparisons import cost
from test_plan import entry, make_plan

from seqarena.arena import costs
from seqarena.arena.folder import RunFolder
from seqarena.core.batch import own_inputs
from seqarena.core.results.measurement import Series

PROBLEM = own_inputs(9)


def measured(folder: RunFolder, plan: Any) -> list[str]:
    """The architectures whose costs are measured now, one after the other."""
    missing = costs.missing_costs(plan, folder, PROBLEM, 64)
    events = list(costs.run_costs(folder, missing))
    return [e.job.arguments["architecture"] for e in events if e.kind == "finished"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    def measure_entry(architecture: str, **arguments: Any) -> list[Series]:
        assert {"model", "problem", "optimizer", "threads", "sequence_length"} <= set(arguments)
        return [cost(architecture, "state_bytes", 8.0)]

    monkeypatch.setattr(costs, "measure_entry", measure_entry)
    return RunFolder(tmp_path)


def test_each_cost_is_measured_once(folder: RunFolder) -> None:
    twin = entry("gru").model_copy(
        update={"architecture": "twin"}
    )  # the same model by another name
    plan = make_plan(entries=(entry("gru"), twin))
    assert measured(folder, plan) == ["gru", "twin"]
    assert measured(folder, plan) == []
    assert measured(folder, make_plan(entries=(entry("elman"), twin))) == ["elman"]
    assert [one.architecture for one in folder.costs()] == ["gru", "twin", "elman"]


def test_another_machine_measures_again_and_other_sources_of_trials_do_not(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(entries=(entry("gru"),))
    assert measured(folder, plan) == ["gru"]
    recoded = entry("gru").model_copy(update={"code": "another"})
    assert measured(folder, make_plan(entries=(recoded,), code="another")) == []
    monkeypatch.setattr(costs, "available_cores", lambda: 64)
    assert measured(folder, plan) == ["gru"]
