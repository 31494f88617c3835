"""`train --from`: what a run decides, what is carried to another size, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Plan
from seqarena.arena.requests import TrainRequest
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.options import build
from seqarena.engine.planned import plan_training
from seqarena.engine.train_on import TrainedOn, trained_on
from seqarena.train.checkpoint import load

NAME = "mamba+state_size=4"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    words = (
        f"compare --models {NAME},gru --params 6k --steps 3 --length 16 --batch 3 --warmup 0.3 "
        f"--rates 5e-3 --widen 0 --seeds 1 --repeats 0 --no-measure --no-baselines --runs {runs} "
        "--name base --quiet"
    )
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    return runs / "base"


def asked(run: Path, **options: object) -> TrainedOn:
    return trained_on(build(TrainRequest, {"from_run": f"{run}:{NAME}", **options}))


def plan_of(run: Path) -> Plan:
    return RunFolder(run).load_plan()


def test_all_but_the_size_is_that_of_the_run(run: Path) -> None:
    found, plan = asked(run, params="12k", steps=5), plan_of(run)
    entry = next(one for one in plan.entries if one.architecture == NAME)
    assert found.row.name == NAME
    assert found.row.cycle[0][1] == entry.model.model_dump()["stack"]["layers"][0]["options"]
    assert found.task.model_dump(mode="json") == plan.task
    training = found.request.training
    assert training.budget.steps == 5
    assert training.budget.tokens is None
    assert (training.batch_size, training.optimizer.warmup_fraction) == (3, 0.3)
    assert training.optimizer.learning_rate == 5e-3
    assert found.request.size.params == 12_000
    assert any("one size does not show how it moves" in sentence for sentence in found.sentences)


def test_an_option_that_is_given_counts(run: Path) -> None:
    found = asked(run, params="12k", tokens="1k", rate="6e-3", batch=4, seed=7)
    assert found.request.training.optimizer.learning_rate == 6e-3
    assert (found.request.training.batch_size, found.request.seed) == (4, 7)
    assert found.request.training.budget.tokens == 1_000
    assert len(found.sentences) == 1


def test_tokens_grow_with_the_parameters(run: Path, tmp_path: Path) -> None:
    words = (
        "train --model gru --params 6k --tokens 500 --length 16 --rate 4e-3 --no-baselines "
        f"--runs {tmp_path} --name one --quiet"
    )
    assert CliRunner().invoke(app, words.split()).exit_code == 0
    request = build(TrainRequest, {"from_run": str(tmp_path / "one"), "params": "18k"})
    found = trained_on(request)
    assert found.request.training.budget.tokens == 1_500
    assert found.request.model == "gru"
    longer = trained_on(build(TrainRequest, {"from_run": str(tmp_path / "one"), "tokens": "2k"}))
    assert longer.request.size.params == 6_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say which, --params 1M"),
        ({"params": "9k", "model": "gru"}, "--model is that of the run of --from"),
        ({"params": "9k", "length": 8}, "--length is that of the run"),
        ({"params": "9k", "start_from": "runs/other"}, "--start-from is that of the run"),
    ],
)
def test_what_the_run_decides_is_refused(run: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        asked(run, **options)


@pytest.mark.parametrize(
    ("place", "said"),
    [(":lstm", "unknown architecture 'lstm'"), ("-nowhere:gru", "there is no folder")],
)
def test_a_place_that_is_none_is_named(run: Path, place: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trained_on(build(TrainRequest, {"from_run": f"{run}{place}", "params": "9k"}))


def test_it_trains(run: Path, tmp_path: Path) -> None:
    words = ["train", "--from", str(run), "--params", "9k", "--steps", "2", "--runs", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--json", "--no-baselines", "--name", "on"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["table"][0]["parameters"] == pytest.approx(9_000, rel=0.02)
    plan = plan_training(build(TrainRequest, {"from_run": str(run), "params": "9k"})).prepared.plan
    assert plan.command == f"seqarena train --from {run} --params 9000"


def test_it_goes_on_with_weights_and_moments(run: Path, tmp_path: Path) -> None:
    """After a step at hardly any rate it is what it was, and the moments have one more step."""
    request = build(
        TrainRequest,
        {"from_run": f"{run}:{NAME}", "resume": True, "steps": 1, "runs": tmp_path, "name": "on"},
    )
    planned = plan_training(request).prepared.plan
    assert planned.start is not None
    assert planned.search.first_seed == 1
    (first,) = [one for one in planned.entries if one.architecture == NAME]
    words = ["train", "--from", f"{run}:{NAME}", "--resume", "--steps", "1", "--rate", "1e-30"]
    words += ["--runs", str(tmp_path), "--name", "on", "--no-baselines", "--quiet"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    (place,) = (tmp_path / "on").glob("trials/*/checkpoint")
    old, new = load(Path(planned.start.checkpoint)), load(place)
    assert new.config() == first.model
    assert new.tensors.keys() == old.tensors.keys()
    for name, tensor in old.tensors.items():
        torch.testing.assert_close(new.tensors[name], tensor, rtol=0, atol=1e-20)
    steps = {
        place: {float(x) for name, x in load_file(place / "optimizer.safetensors").items()
                if name.endswith("|step")}
        for place in (old.path, new.path)
    }  # fmt: skip
    assert steps == {old.path: {3.0}, new.path: {4.0}}


def test_a_size_is_not_changed_on_the_way(run: Path) -> None:
    with pytest.raises(UserError, match="--params is that of the model that --resume goes on with"):
        asked(run, params="12k", resume=True)
    with pytest.raises(UserError, match="name it with --from"):
        plan_training(build(TrainRequest, {"resume": True}))
