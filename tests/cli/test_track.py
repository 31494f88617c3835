"""`--track`: what each library wrote is read back by that library, once a step."""

import importlib.util
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Trial
from seqarena.cli import app
from seqarena.core.results.lines import verified
from seqarena.core.results.records import ResultRecord, StepRecord, read_records
from seqarena.engine.tracking import feed, tracker
from seqarena.engine.tracking.feed import Tracking
from seqarena.jobs.job import Event, Job

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries
Read = dict[str, dict[int, float]]  # name -> step -> value
STEPS = 8


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def train(runs: Path, name: str, *more: object) -> Result:
    return call("train", "--model", "gru", "--width", 16, "--steps", STEPS, "--length", 16,
                "--no-baselines", "--runs", runs, "--name", name, *more)  # fmt: skip


def read_tensorboard(folder: Path) -> tuple[Read, dict[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (place,) = (folder / "tensorboard").iterdir()
    events = EventAccumulator(str(place))
    events.Reload()
    found: Read = {}
    for name in events.Tags()["scalars"]:
        for one in events.Scalars(name):
            assert one.step not in found.setdefault(name, {})
            found[name][one.step] = one.value
    (text,) = events.Tensors("config/text_summary")
    rows = text.tensor_proto.string_val[0].decode().splitlines()[2:]
    cells = [row.strip("| ").split(" | ") for row in rows]
    return found, {cell[0]: cell[1] for cell in cells}


def read_mlflow(folder: Path) -> tuple[Read, dict[str, Any]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string=f"name = '{folder.name}'")
    (run,) = client.search_runs([experiment.experiment_id])
    found: Read = {}
    for name in run.data.metrics:
        for one in client.get_metric_history(run.info.run_id, name):
            assert one.step not in found.setdefault(name, {})
            found[name][one.step] = one.value
    assert run.info.status == "FINISHED"
    return found, dict(run.data.params)


def read_wandb(folder: Path) -> tuple[Read, dict[str, Any]]:
    from wandb.proto.wandb_internal_pb2 import Record

    found: Read = {}
    config: dict[str, Any] = {}
    ids = set()
    for path in sorted((folder / "wandb").glob("offline-run-*/run-*.wandb")):
        for data in leveldb_records(path.read_bytes()):
            record = Record.FromString(data)
            ids |= {record.run.run_id} if record.HasField("run") else set()
            for one in record.run.config.update:
                config[one.key] = json.loads(one.value_json)
            items = {one.key or "/".join(one.nested_key): one.value_json
                     for one in record.history.item}  # fmt: skip
            for name, value in items.items():
                if not name.startswith("_"):
                    step = int(json.loads(items["_step"]))
                    assert step not in found.setdefault(name, {})
                    found[name][step] = json.loads(value)
            for one in record.summary.update:
                name = one.key or "/".join(one.nested_key)
                if name.startswith("final/"):
                    found[name] = {STEPS: json.loads(one.value_json)}
    assert len(ids) == 1
    return found, config


def leveldb_records(content: bytes) -> list[bytes]:
    """The records of a log of LevelDB behind 7 bytes of its own head: blocks of 32 KiB, in them
    parts with a checksum, a length and a kind (1 whole, 2 first, 3 middle, 4 last)."""
    found, part, place = [], b"", 7
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        part = (b"" if kind in (1, 2) else part) + content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            found.append(part)
    return found


READERS: dict[str, Callable[[Path], tuple[Read, dict[str, Any]]]] = {
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow,
    "wandb": read_wandb,
}


@pytest.fixture(params=READERS)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: pip install 'seqarena[{name}]'")
    for variable in ("MLFLOW_TRACKING_URI", "WANDB_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return name


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing has tracked."""
    runs = tmp_path_factory.mktemp("runs")
    result = train(runs, "untracked")
    assert result.exit_code == 0, result.output
    return runs / "untracked"


def trial_of(run: Path) -> tuple[Trial, Path]:
    (path,) = run.glob("trials/*")
    return Trial.model_validate_json(verified((path / "trial.json").read_text())), path


def is_what_the_run_recorded(run: Path, found: Read, config: dict[str, Any]) -> None:
    trial, path = trial_of(run)
    records = list(read_records(path / "records.jsonl"))
    steps = {one.step: one for one in records if isinstance(one, StepRecord)}
    result = records[-1]
    assert isinstance(result, ResultRecord)
    for name, field in (("train/loss_nats", "loss_nats"), ("train/tokens", "tokens"),
                        ("train/learning_rate", "learning_rate"),
                        ("train/seconds", "training_seconds")):  # fmt: skip
        expected = {step: pytest.approx(getattr(one, field)) for step, one in steps.items()}
        assert found[name] == expected, name
    assert set(found["validation/bits_per_byte"]) <= set(steps)
    assert found["final/test"] == {STEPS: pytest.approx(result.test_value)}
    assert config["architecture"] == "gru"
    assert str(config["training.seed"]) == str(trial.training.seed)


def hand_over(run: Path, library: str, said: list[str]) -> None:
    trial, _ = trial_of(run)
    with Tracking([library], RunFolder(run), run.name, said.append) as tracking:
        event = Event("progress", Job(key=trial.hash, function="", arguments={}, label=""))
        tracking.take(event, trial)


def test_what_is_tracked_is_what_the_run_records(library: str, tmp_path: Path) -> None:
    result = train(tmp_path, "tracked", "--track", library)
    assert result.exit_code == 0, result.output
    assert f"tracked by {library}: " in result.output
    assert "tracked no further" not in result.output
    is_what_the_run_recorded(tmp_path / "tracked", *READERS[library](tmp_path / "tracked"))


def test_a_resumed_trial_goes_on_in_the_same_tracked_run(
    library: str, finished: Path, tmp_path: Path
) -> None:
    """Broken off after 5 steps, rewound to 4 by the trial, and run to its end."""
    run, said = tmp_path / finished.name, []
    shutil.copytree(finished, run)
    _, path = trial_of(run)
    lines = (path / "records.jsonl").read_bytes().splitlines(keepends=True)
    steps = [n for n, line in enumerate(lines) if b'"kind":"step"' in line]
    (path / "records.jsonl").write_bytes(b"".join(lines[: steps[4] + 1]) + lines[steps[5]][:20])
    hand_over(run, library, said)
    (path / "records.jsonl").unlink()
    (path / "records.jsonl").write_bytes(b"".join(lines))
    hand_over(run, library, said)
    hand_over(run, library, said)  # nothing is new
    assert said == []
    is_what_the_run_recorded(run, *READERS[library](run))


def test_a_finished_run_is_handed_over_whole(library: str, finished: Path, tmp_path: Path) -> None:
    if library != "tensorboard":
        pytest.skip("one library shows it")
    shutil.copytree(finished, tmp_path / "untracked")
    result = train(tmp_path, "untracked", "--track", library)
    assert result.exit_code == 0, result.output
    is_what_the_run_recorded(tmp_path / "untracked", *read_tensorboard(tmp_path / "untracked"))


def test_every_trial_of_a_comparison_has_its_run(tmp_path: Path) -> None:
    result = call("compare", "--models", "gru,elman", "--width", 16, "--steps", 3, "--length", 16,
                  "--rates", "1e-2", "--widen", 0, "--seeds", 2, "--repeats", 0, "--no-measure",
                  "--no-baselines", "--runs", tmp_path, "--name", "both", "--track",
                  "tensorboard")  # fmt: skip
    assert result.exit_code == 0, result.output
    names = sorted(path.name.rpartition("-")[0]
                   for path in (tmp_path / "both" / "tensorboard").iterdir())  # fmt: skip
    assert names == [f"{name}-rate0.01-seed{k}" for name in ("elman", "gru") for k in (0, 1)]


@pytest.mark.parametrize(
    ("broken", "why"), [("NoServer", "no server answers"), ("FullDisk", "No space left on device")]
)
def test_a_tracker_that_fails_ends_no_training(
    broken: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.01)
    row = tracker.TRACKERS["tensorboard"]
    place = f"tests.cli.broken_trackers:{broken}"
    monkeypatch.setattr(feed, "open_tracker", lambda _, trial: tracker.load_object(place)(trial))
    assert row.package == "tensorboard"
    result = train(tmp_path, "broken", "--track", "tensorboard")
    assert result.exit_code == 0, result.output
    assert result.output.count("tracked no further, and training goes on") == 1
    assert why in result.output
    assert RunFolder(tmp_path / "broken").result(trial_of(tmp_path / "broken")[0]) is not None


def test_a_tracker_that_hangs_is_waited_for_no_longer_than_said(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    let_go = threading.Event()
    monkeypatch.setattr(feed, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(feed, "open_tracker", lambda *_: let_go.wait(30))
    shutil.copytree(finished, tmp_path / "untracked")
    said: list[str] = []
    hand_over(tmp_path / "untracked", "mlflow", said)
    let_go.set()
    assert said == ["mlflow did not take the rest in 0.2 seconds; the run folder has it"]


def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker.importlib.util, "find_spec", lambda name: None)
    result = train(tmp_path, "missing", "--track", "wandb")
    assert result.exit_code == 2
    assert "--track wandb needs the package 'wandb': pip install 'seqarena[wandb]'" in result.output
    monkeypatch.undo()
    assert "did you mean tensorboard?" in train(tmp_path, "other", "--track", "tensorbord").output


def test_a_trial_that_is_rewound_is_read_from_its_start(finished: Path, tmp_path: Path) -> None:
    """Its process died, and it runs once more from its checkpoint: the file is a new one."""
    lines = (trial_of(finished)[1] / "records.jsonl").read_bytes().splitlines(keepends=True)
    steps = [n for n, line in enumerate(lines) if b'"kind":"step"' in line]
    path, fresh = tmp_path / "records.jsonl", tmp_path / "fresh"
    path.write_bytes(b"".join(lines[: steps[4] + 1]))
    follows = feed.TrialFeed(path)
    assert [point.step for point in follows.points()] == [1, 2, 3, 4, 5]
    fresh.write_bytes(b"".join(lines[: steps[6] + 1]))
    fresh.replace(path)
    assert [point.step for point in follows.points()] == [1, 2, 3, 4, 5, 6, 7]
