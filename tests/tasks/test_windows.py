"""Windows as a task: scales of training alone, classes or numbers, baselines and slow truths."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.tasks.baselines.windows import ridge_weights, warped_distances
from seqarena.tasks.prepared import load_prepared, save_prepared
from seqarena.tasks.registry import parse_task
from seqarena.tasks.windows.codec import WindowsCodec
from seqarena.tasks.windows.scale import LARGEST, ChannelScale
from seqarena.tasks.windows.task import WindowsTask


def write(path: Path, *, count: int = 24, numbers: bool = False, seed: int = 0) -> Path:
    """Windows of two channels, the second of which misses a value in every third window."""
    draw = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["window", "time", "x", "y", "label"])
        for k in range(count):
            label = f"{k / 7:.3f}" if numbers else ["still", "moving"][k % 2]
            for t in range(5 + k % 4):
                y = "" if k % 3 == 0 and t == 2 else f"{draw.normal(3 * (k % 2), 1):.4f}"
                out.writerow([f"w{k}", t, f"{draw.normal(5, 2):.4f}", y, label])
    return path


def task_of(path: Path | None = None, **settings: Any) -> WindowsTask:
    data = {} if path is None else {"data": str(path)}
    return WindowsTask(parse_task({"kind": "windows", **data, **settings}))


@pytest.mark.parametrize("numbers", [False, True])
def test_what_is_asked_follows_from_the_labels(tmp_path: Path, numbers: bool) -> None:
    task = task_of(write(tmp_path / "w.csv", numbers=numbers))
    assert task.numbers == numbers
    assert task.metric == ("mean_squared_error" if numbers else "accuracy")
    assert task.lower_is_better == numbers
    assert task.problem.targets == ("numbers" if numbers else "classes")
    kind = "numbers" if numbers else "classes"
    assert task.reading is not None
    assert f"labels are read as {kind}; --set target says otherwise" in task.reading.notes
    names = [row.name for row in task.baselines()]
    assert ("mean" in names, "majority" in names) == (numbers, not numbers)
    for row in task.baselines():
        assert np.isfinite(row.result(task).test.value)


def test_numbers_may_be_asked_for_as_classes_and_names_not_as_numbers(tmp_path: Path) -> None:
    assert task_of(write(tmp_path / "w.csv", numbers=False)).classes == ("moving", "still")
    with pytest.raises(UserError, match=r"line \d+: 'label' holds '\w+', which is no number"):
        task_of(write(tmp_path / "w.csv"), target="number")


def test_a_number_that_is_missing_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "w.csv", numbers=True)
    path.write_text(path.read_text().replace(",0.143\n", ",NA\n"))
    with pytest.raises(UserError, match=r"line \d+: no number as its label"):
        task_of(path)


def test_scales_are_of_the_training_windows_alone() -> None:
    rows = [np.array([[1.0, 5.0], [3.0, np.nan]], dtype=np.float32)]
    scale = ChannelScale.of(rows, ("x", "y"))
    assert scale.mean_C.tolist() == [2.0, 5.0]
    assert scale.std_C.tolist() == [1.0, 1.0]  # the second does not change: it is not blown up
    found = scale.features(np.array([[1.0, np.nan], [1e6, 6.0]], dtype=np.float32))
    assert found.tolist() == [[-1.0, 0.0, 1.0], [LARGEST, 1.0, 0.0]]
    again = ChannelScale.from_json(scale.to_json())
    assert again.features(rows[0]).tolist() == scale.features(rows[0]).tolist()
    with pytest.raises(UserError, match="y: no training window has a number in it"):
        ChannelScale.of([np.array([[1.0, np.nan]])], ("x", "y"))


def test_a_window_that_changes_in_the_test_changes_no_training_batch(tmp_path: Path) -> None:
    write(tmp_path / "train.csv")
    write(tmp_path / "test.csv", count=6, seed=1)
    first = task_of(tmp_path)
    text = (tmp_path / "test.csv").read_text()
    (tmp_path / "test.csv").write_text(text.replace("w0,0,", "w0,0,9"))
    second = task_of(tmp_path)
    assert first.digest() != second.digest()
    for one, two in zip(first.training_batch(0, 4, seed=0), second.training_batch(0, 4, seed=0)):
        assert one is two is None or torch.equal(one, two)


@pytest.mark.parametrize("numbers", [False, True])
def test_other_data_and_prepared_data_are_scored_alike(tmp_path: Path, numbers: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.csv", numbers=numbers)
    write(folder / "test.csv", count=8, numbers=numbers, seed=1)
    task = task_of(folder)

    def predict(batch: Batch) -> torch.Tensor:
        sums = batch.inputs_BT.sum((1, 2))[:, None, None]
        return torch.sin(sums * torch.arange(1, task.problem.num_outputs + 1))

    expected = task.evaluate(predict, "test", 3)
    data = str(folder / "test.csv")
    again = WindowsTask.evaluation_of(task.config, task.artifacts(), data)
    assert again.evaluate(predict, "test", 3) == expected
    save_prepared(task, tmp_path / "prepared")
    prepared = load_prepared(task.config, task.digest(), tmp_path / "prepared")
    assert prepared.evaluate(predict, "test", 3) == expected
    assert prepared.digest() == task.digest()


def test_a_checkpoint_alone_answers_for_each_window(tmp_path: Path) -> None:
    path = write(tmp_path / "w.csv")
    task = task_of(path)
    codec = WindowsCodec.from_artifacts(task.config, task.artifacts())
    items = list(codec.inputs(task.config, path))
    assert items[1] == f"{path}:w1"
    batch = codec.encode(items[:2])
    assert batch.inputs_BT.shape == (2, 6, 3)  # two channels, and where the second is missing
    answers = codec.decode(torch.tensor([[[0.0, 5.0]], [[5.0, 0.0]]]), batch)
    assert [answer.text for answer in answers] == ["still", "moving"]
    single = tmp_path / "one.csv"
    single.write_text("x,y\n1,2\n3,4\n")
    assert codec.encode([str(single)]).inputs_BT.shape == (1, 2, 3)
    for item, message in (
        (str(path), "24 windows"),
        (f"{path}:w99", "no window 'w99'"),
        ("nowhere.csv", "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            codec.encode([item])
    other = tmp_path / "other.csv"
    other.write_text("x\n1\n")
    with pytest.raises(UserError, match="no channel 'y'"):
        codec.encode([str(other)])


def test_numbers_come_back_in_their_unit(tmp_path: Path) -> None:
    task = task_of(write(tmp_path / "w.csv", numbers=True))
    codec = WindowsCodec.from_artifacts(task.config, task.artifacts())
    batch = codec.encode([f"{tmp_path / 'w.csv'}:w3"])
    assert task.label_scale is not None
    [answer] = codec.decode(torch.zeros(1, 1, 1), batch)
    assert float(answer.text) == pytest.approx(task.label_scale.mean, rel=1e-5)


def test_warped_distances_are_those_of_the_obvious_table() -> None:
    draw = np.random.default_rng(0)
    x, y = (torch.from_numpy(draw.normal(size=(3, 30, 2))) for _ in range(2))
    found = warped_distances(x, y)
    for a in range(3):
        for b in range(3):
            assert float(found[a, b]) == pytest.approx(slow_warp(x[a].numpy(), y[b].numpy(), 3))
    assert float(warped_distances(x, x).diagonal().max()) == pytest.approx(0, abs=1e-9)


def slow_warp(x: np.ndarray, y: np.ndarray, band: int) -> float:
    cost = np.full((len(x) + 1, len(y) + 1), np.inf)
    cost[0, 0] = 0
    for i in range(1, len(x) + 1):
        for j in range(max(1, i - band), min(len(y), i + band) + 1):
            step = np.square(x[i - 1] - y[j - 1]).sum()
            cost[i, j] = step + min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
    return float(cost[-1, -1])


def test_the_penalty_of_the_ridge_is_that_of_leaving_each_window_out() -> None:
    """Every penalty, refitted without each example in turn, with an intercept."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(12, 5, generator=draw, dtype=torch.float64)
    y = x[:, :1] * 0.3 + torch.randn(12, 2, generator=draw, dtype=torch.float64)
    x, y = x - x.mean(0), y - y.mean(0)

    def fit(x: torch.Tensor, y: torch.Tensor, ridge: float) -> torch.Tensor:
        offset = x - x.mean(0)
        inverse = torch.linalg.inv(offset.T @ offset + ridge * torch.eye(5, dtype=torch.float64))
        return inverse @ offset.T @ (y - y.mean(0))

    errors = {}
    for ridge in (5 * 10.0 ** np.arange(-3, 4)).tolist():
        errors[ridge] = 0.0
        for left in range(12):
            kept = [k for k in range(12) if k != left]
            weights = fit(x[kept], y[kept], ridge)
            answer = (x[left] - x[kept].mean(0)) @ weights + y[kept].mean(0)
            errors[ridge] += float((answer - y[left]).square().sum())
    best = min(errors, key=lambda ridge: errors[ridge])
    torch.testing.assert_close(ridge_weights(x, y), fit(x, y, best))


@pytest.mark.slow
def test_baselines_of_the_shapes_stay_below_the_best_classifier() -> None:
    task = task_of()
    best = task.describe()["best_accuracy"]
    values = {row.name: row.result(task).test.value for row in task.baselines()}
    assert values["majority"] < values["nearest"] < best
    assert values["nearest"] < values["ROCKET"] < best
