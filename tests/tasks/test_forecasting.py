"""Forecasting: windows without a future, scores that equal a library's, known forecasts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.data.series.grid import Grid, TimeSeries
from seqarena.data.series.load import SeriesData
from seqarena.data.series.times import Step
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.tasks.prepared import load_prepared, save_prepared
from seqarena.tasks.registry import build_task, load_codec, parse_task
from seqarena.tasks.series.forecasting import ForecastingTask
from seqarena.tasks.series.metrics import mase_scale, pinball, symmetric_error
from seqarena.tasks.series.origins import OriginSampler, rolling_origins
from seqarena.tasks.series.outputs import drawn, forecast
from seqarena.tasks.series.windows import SeriesWindows, location_and_scale

LEVELS = (0.1, 0.5, 0.9)
SMALL = {
    "horizon": 4, "season": 6, "context": 12, "origins": 5, "windows": 3, "quantiles": LEVELS,
}  # fmt: skip


def wave(length: int = 120, seed: int = 0) -> np.ndarray:
    """A season of six steps, a trend and noise; one value in twenty is missing."""
    drawn_from = np.random.default_rng(seed)
    time_T = np.arange(length)
    values_T = 50 + 0.3 * time_T + 5 * np.sin(time_T * np.pi / 3)
    values_T += drawn_from.normal(0, 1, length)
    values_T[drawn_from.random(length) < 0.05] = np.nan
    return values_T


def data_of(*values: np.ndarray, covariates: np.ndarray | None = None) -> SeriesData:
    names = ("p",) if covariates is not None else ()
    series = tuple(
        TimeSeries(
            f"s{k}", 0, values_T, np.zeros((len(values_T), 0)) if covariates is None else covariates
        )
        for k, values_T in enumerate(values)
    )
    return SeriesData("waves", "made", Grid(series, Step("number", 1), False, names), "0")


def task_of(
    *values: np.ndarray, covariates: np.ndarray | None = None, **settings
) -> ForecastingTask:
    more = {"covariates": ("p",)} if covariates is not None else {}
    config = parse_task({"kind": "forecasting", **SMALL, **more, **settings})
    return ForecastingTask(config, data_of(*values, covariates=covariates))  # pyright: ignore


def everything_asked(task: ForecastingTask, split: str) -> list[Batch]:
    if split != "train":
        return list(task.evaluation_batches(split, 2))  # pyright: ignore
    return [task.training_batch(k, 4, seed=0) for k in range(2 * task.steps_per_epoch(4))]


# Scores


def test_scores_equal_those_of_gluonts():
    """gluonts 0.17, evaluation.metrics, of the same numbers."""
    drawn_from = np.random.default_rng(0)
    past_T = np.round(drawn_from.normal(50, 10, 60), 2)
    truth_NH = np.round(drawn_from.normal(50, 10, (3, 8)), 2)
    quantiles_NHQ = np.round(np.sort(drawn_from.normal(50, 10, (3, 8, 3)), -1), 2)
    scale = mase_scale(past_T, 12)
    loss_NHQ = 2 * pinball(truth_NH, quantiles_NHQ, np.array(LEVELS))
    point_NH = quantiles_NHQ[..., 1]
    assert scale == pytest.approx(11.177916666666667, rel=1e-12)
    assert np.abs(truth_NH - point_NH).mean() / scale == pytest.approx(0.8937637454802997)
    assert symmetric_error(truth_NH, point_NH).mean() == pytest.approx(19.63559659173218)
    assert loss_NHQ.sum((0, 1)).tolist() == pytest.approx([119.448, 239.77, 135.322])
    assert loss_NHQ.mean(-1).sum() / np.abs(truth_NH).sum() == pytest.approx(0.13394109776773866)


def test_scores_of_a_task_are_those_of_the_formulas():
    """All sums of the task, with its scales and missing values, against loops."""
    task = task_of(wave(), wave(seed=1))
    rng = np.random.default_rng(3)
    quantiles = {}

    def ratios(batch):
        found = np.sort(rng.normal(80, 5, (len(batch.origins_B), 4, 3)), -1)
        for number, each in zip(batch.numbers_B, found):
            quantiles[number] = each
        return task.scored(found, batch, "test")

    scores = task.score(ratios, "test", 4)
    errors, losses, sizes, inside, symmetric = [], [], [], [], []
    for number, (series, origin) in enumerate(task._examples["test"]):
        values_T = task.data.grid.series[series].values_T
        for step in range(4):
            y = values_T[origin + step]
            if np.isnan(y):
                continue
            low, point, high = quantiles[number][step]
            errors.append(abs(y - point) / task.mase_scales[series])
            symmetric.append(200 * abs(y - point) / (abs(y) + abs(point)))
            losses += [
                2 * max(q * (y - f), (q - 1) * (y - f)) for q, f in zip(LEVELS, (low, point, high))
            ]
            sizes.append(abs(y))
            inside.append(low <= y <= high)
    assert scores.num_scored == len(errors)
    assert scores.value == pytest.approx(np.mean(errors))
    assert scores.slices["sMAPE"] == pytest.approx(np.mean(symmetric))
    assert scores.slices["weighted_quantile_loss"] == pytest.approx(np.sum(losses) / 3 / sum(sizes))
    assert scores.slices["coverage_of_80%"] == pytest.approx(np.mean(inside))
    assert {"series s0", "series s1", "step 1-2"} <= set(scores.slices)


def test_pinball_by_hand_and_by_scikit_learn():
    truth = np.array([[3.0, np.nan]])
    found = pinball(truth, np.array([[[1.0, 4.0], [0.0, 0.0]]]), np.array([0.9, 0.1]))
    np.testing.assert_allclose(found, [[[1.8, 0.9], [np.nan, np.nan]]])
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth, forecasts = rng.normal(size=50), rng.normal(size=50)
    for level in (0.1, 0.5, 0.8):
        own = pinball(truth[None], forecasts[None, :, None], np.array([level])).mean()
        assert own == pytest.approx(sklearn.mean_pinball_loss(truth, forecasts, alpha=level))


def test_mase_scale_is_the_change_over_a_season():
    assert mase_scale(np.array([1.0, 5.0, 2.0, np.nan, 6.0]), 2) == pytest.approx((1 + 4) / 2)
    assert mase_scale(np.array([1.0, 4.0, 2.0]), 5) == pytest.approx((3 + 2) / 2)
    assert np.isnan(mase_scale(np.full(20, 3.0), 2))


def test_loss_is_twice_the_pinball_loss_of_what_is_asked():
    task = task_of(wave())
    batch = task.training_batch(0, 4, seed=0)
    outputs = torch.randn(batch.targets_BT.shape, requires_grad=True)
    loss = task.loss(outputs, batch)
    total = count = 0
    for row, asked in zip(outputs.flatten(0, 1), batch.targets_BT.flatten(0, 1)):
        for place, (f, y) in enumerate(zip(row.tolist(), asked.tolist())):
            if y == y:
                q = LEVELS[place % 3]
                total += 2 * max(q * (y - f), (q - 1) * (y - f))
                count += 1
    assert float(loss.detach()) == pytest.approx(total / count, rel=1e-5)
    loss.backward()
    assert outputs.grad is not None
    assert not outputs.grad[batch.targets_BT.isnan()].any()
    with pytest.raises(UserError, match="label smoothing"):
        task.loss(outputs, batch, 0.1)


# Origins


def test_origins_roll_through_the_end_of_a_series():
    found = rolling_origins(100, horizon=10, stride=10, windows=2, least=20)
    assert found == (60, (60, 70), (80, 90))
    assert rolling_origins(100, horizon=10, stride=5, windows=2, least=20) == (
        70,
        (70, 75),
        (85, 90),
    )
    assert rolling_origins(100, horizon=10, stride=10, windows=5, least=20) is None
    default = rolling_origins(1000, horizon=10, stride=10, windows=None, least=20)
    assert default is not None
    assert (len(default.test), default.train_end) == (10, 800)


def test_an_epoch_asks_once_from_every_origin():
    sampler = OriginSampler([60, 12, 200], origins=5, least=8)
    for epoch in range(3):
        series_W, origin_W = sampler.epoch(seed=1, epoch=epoch)
        for number, end in enumerate((60, 12, 200)):
            last = origin_W[series_W == number]
            asked = (last[:, None] - np.arange(5)).ravel()
            assert len(set(asked.tolist())) == len(asked)
            assert asked.max() < end
            assert last.max() >= end - 5
            if end > 20:
                assert asked.min() >= 8
    one = sampler.batch(3, 8, seed=1)
    again = OriginSampler([60, 12, 200], origins=5, least=8).batch(3, 8, seed=1)
    np.testing.assert_array_equal(one, again)


# Leakage


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_training_does_not_depend_on_what_validation_and_test_hold(strategy):
    values_T = wave()
    task = task_of(values_T, strategy=strategy)
    changed_T = values_T.copy()
    changed_T[task.origins[0].train_end :] += 1000
    other = task_of(changed_T, strategy=strategy)
    for one, two in zip(everything_asked(task, "train"), everything_asked(other, "train")):
        assert torch.equal(one.inputs_BT, two.inputs_BT)
        assert torch.equal(one.targets_BT.nan_to_num(7), two.targets_BT.nan_to_num(7))


@pytest.mark.parametrize("base", ["season", "last", "none"])
@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_forecast_sees_nothing_from_its_origin_on(base, strategy):
    values_T = wave()
    task = task_of(values_T, base=base, strategy=strategy)
    for split in ("validation", "test"):
        for number, (_, origin) in enumerate(task._examples[split]):  # pyright: ignore
            changed_T = values_T.copy()
            changed_T[origin:] = -99.0
            other = task_of(changed_T, base=base, strategy=strategy)
            one, two = (each.scored_batch(split, [number]) for each in (task, other))  # pyright: ignore
            assert torch.equal(one.inputs_BT, two.inputs_BT)
            assert one.windows_B[0].scale == two.windows_B[0].scale
            np.testing.assert_array_equal(one.windows_B[0].base_EH, two.windows_B[0].base_EH)
            changed_T[origin - 1] = -99.0  # and the value before it is seen
            seen = task_of(changed_T, base=base, strategy=strategy).scored_batch(split, [number])  # pyright: ignore
            assert not torch.equal(one.inputs_BT, seen.inputs_BT)


def test_no_origin_of_a_training_window_sees_its_future():
    """What comes behind any of a window's origins changes no position up to it, and no scale."""
    values_T = wave()
    task = task_of(values_T)
    origin, count = 60, 5
    window = task.series[0].window(origin, count)
    for place in range(count):
        changed_T = values_T.copy()
        changed_T[origin - count + 1 + place :] += 500.0  # from the origin of that position on
        other = task_of(changed_T).series[0].window(origin, count)
        until = len(window.inputs_TF) - count + 1 + place
        np.testing.assert_array_equal(window.inputs_TF[:until], other.inputs_TF[:until])
        np.testing.assert_array_equal(window.base_EH[: place + 1], other.base_EH[: place + 1])
        assert (window.location, window.scale) == (other.location, other.scale)


def test_what_is_asked_of_training_lies_before_validation():
    values_T = np.arange(120.0)  # every value is its own step
    task = task_of(values_T, base="none", scaling="none")
    asked = torch.cat([b.targets_BT.flatten() for b in everything_asked(task, "train")])
    asked = asked[~asked.isnan()]
    assert int(asked.max()) == task.origins[0].train_end - 1
    validation = torch.cat(
        [b.targets_BT[:, -1].flatten() for b in everything_asked(task, "validation")]
    )
    assert int(validation.min()) == task.origins[0].train_end
    assert int(validation.max()) < task.origins[0].test[0]


# Windows


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_the_unit_of_a_series_changes_no_input(strategy):
    values_T = wave()
    one = task_of(values_T, strategy=strategy).training_batch(0, 4, seed=0)
    two = task_of(1000 * values_T - 7, strategy=strategy).training_batch(0, 4, seed=0)
    torch.testing.assert_close(one.inputs_BT, two.inputs_BT, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(one.targets_BT, two.targets_BT, rtol=1e-3, atol=1e-3, equal_nan=True)


def test_scales_by_hand():
    context_C = np.array([1.0, np.nan, 3.0])
    assert location_and_scale(context_C, "standard") == (2.0, 1.0)
    assert location_and_scale(-context_C, "mean_abs") == (0.0, 2.0)
    assert location_and_scale(context_C, "none") == (0.0, 1.0)
    assert location_and_scale(np.full(3, 5.0), "standard") == (5.0, 1.0)
    assert location_and_scale(np.full(3, np.nan), "standard") == (0.0, 1.0)


def test_missing_values_are_marked_and_ask_nothing():
    values_T = np.arange(120.0)
    values_T[40] = np.nan
    task = task_of(values_T)
    window = task.series[0].window(41, 1)
    assert window.inputs_TF[-1, :2].tolist() == [0.0, 0.0]
    assert window.inputs_TF[-2, 1] == 1.0
    asked_EH = task.series[0].targets(39, 1, task.series[0].window(39, 1))
    assert np.isnan(asked_EH[0]).tolist() == [False, True, False, False]


def test_known_covariates_of_the_steps_ahead_are_inputs():
    known_TK = np.arange(120.0)[:, None]
    task = task_of(wave(), covariates=known_TK)
    mean, std = task.settings.covariate_mean[0], task.settings.covariate_std[0]
    window = task.series[0].window(50, 1)
    ahead = window.inputs_TF[-1, 2:6] * std + mean
    np.testing.assert_allclose(ahead, [50, 51, 52, 53], atol=1e-3)


# Forecasts


def test_a_model_that_knows_the_truth_errs_by_nothing():
    values_T = np.where(np.isnan(wave()), 50.0, wave())
    task = task_of(values_T)
    scores = task.evaluate(lambda batch: batch.targets_BT, "test", 2)
    assert scores.value == pytest.approx(0, abs=1e-5)
    assert scores.slices["step 1-2"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_no_distance_from_the_season_before_is_the_seasonal_naive_forecast(strategy):
    task = task_of(wave(), strategy=strategy)
    seasonal = next(b for b in task.baselines() if b.name == "seasonal naive").result(task)

    def nothing(batch: Batch) -> torch.Tensor:
        return torch.zeros(*batch.inputs_BT.shape[:2], task.problem.num_outputs)

    assert task.evaluate(nothing, "test", 2).value == pytest.approx(seasonal.test.value, rel=1e-6)


def test_a_recursive_path_reads_what_a_series_with_its_values_would_hold():
    """Each position that a path adds equals the one of the window over series and path."""
    values_T = wave()
    task = task_of(values_T, strategy="recursive", paths=2)
    batch = task.scored_batch("test", [0])
    origin, seen = batch.origins_B[0], []

    def predict(asked: Batch) -> torch.Tensor:
        seen.append(asked.inputs_BT.clone())
        level = asked.inputs_BT[..., :1].cumsum(1) / 10
        return torch.cat((level - 0.3, level, level + 0.4), -1)

    quantiles_HQ = forecast(predict, batch, 2)[0]
    window = batch.windows_B[0]
    for path in range(2):
        values = values_T[:origin].tolist()
        for step in range(1, 4):
            scaled = float(seen[step][path, -1, 0])
            values.append(scaled * window.scale + window.location)
            series = TimeSeries("x", 0, np.array(values), np.zeros((len(values), 0)))
            longer = task.settings.model_copy(update={"origins": step + 1})
            source = SeriesWindows(series, task.data.grid, longer)
            own = source.window(len(values), step + 1)
            np.testing.assert_allclose(own.inputs_TF, seen[step][path].numpy(), atol=1e-4)
    assert quantiles_HQ.shape == (4, 3)
    assert (np.diff(quantiles_HQ) >= 0).all()


def test_draws_are_the_quantile_function_at_uniform_numbers():
    levels, quantiles_RQ = np.array(LEVELS), np.array([[1.0, 5.0, 7.0]]).repeat(5, 0)
    found = drawn(quantiles_RQ, levels, np.array([0.1, 0.3, 0.5, 0.9, 0.0]))
    np.testing.assert_allclose(found, [1, 3, 5, 7, 0])
    uniform = np.random.default_rng(0).random(20_000)
    many = drawn(quantiles_RQ[:1].repeat(20_000, 0), levels, uniform)
    np.testing.assert_allclose(np.quantile(many, levels), [1, 5, 7], atol=0.1)


def test_recursive_forecasts_are_the_same_in_any_batch():
    task = task_of(wave(), strategy="recursive", paths=8)

    def predict(batch: Batch) -> torch.Tensor:
        level = batch.inputs_BT[..., :1]
        return torch.cat((level - 1, level, level + 1), -1)

    one, two = (task.evaluate(predict, "test", size) for size in (1, 3))
    assert one.value == pytest.approx(two.value, rel=1e-9)


CAUSAL = [name for name, row in CATALOG.items() if row.system is None and row.causal]


@pytest.mark.parametrize("name", CAUSAL)
def test_every_causal_mixer_enters(name):
    task = task_of(wave())
    assert why_not(CATALOG[name], task.problem) is None
    model = build(name, problem=task.problem, width=16, seed=0)
    loss = model.loss(task.training_batch(0, 2, seed=0), task.loss)
    loss.backward()
    assert loss.isfinite()


def test_what_sees_the_future_or_reads_tokens_does_not_enter():
    problem = task_of(wave()).problem
    assert why_not(CATALOG["bi_gru"], problem) == "it sees the future, which this task forbids"
    assert why_not(CATALOG["nnlm"], problem) == (
        "it needs inputs that are tokens, which this task does not have"
    )
    assert why_not(CATALOG["wavenet"], problem) is None


# Baselines


def test_naive_forecasts_by_hand():
    from seqarena.tasks.baselines import forecasts as of

    history_T, half = np.array([1.0, 4.0, 3.0, 6.0]), np.array([0.5])
    assert of.naive_quantiles(history_T, 2, 2, half)[:, 0].tolist() == [6, 6]
    assert of.seasonal_quantiles(history_T, 2, 3, half)[:, 0].tolist() == [3, 6, 3]
    np.testing.assert_allclose(
        of.drift_quantiles(history_T, 2, 2, half)[:, 0], [6 + 5 / 3, 6 + 10 / 3]
    )
    spread = np.sqrt((9 + 1 + 9) / 3)
    upper = of.naive_quantiles(history_T, 2, 2, np.array([0.8413447460685429]))[:, 0]
    np.testing.assert_allclose(upper, 6 + spread * np.sqrt([1, 2]))
    upper = of.seasonal_quantiles(history_T, 2, 3, np.array([0.8413447460685429]))[:, 0]
    np.testing.assert_allclose(upper, [3 + 2, 6 + 2, 3 + 2 * np.sqrt(2)])


def test_ets_and_theta_are_those_of_the_library():
    pytest.importorskip("statsmodels")
    import pandas as pd
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    from statsmodels.tsa.forecasting.theta import ThetaModel

    from seqarena.tasks.baselines import forecasts as of

    values_T, levels = np.where(np.isnan(wave(60)), 55.0, wave(60)), np.array([0.025, 0.5, 0.975])
    fitted = ETSModel(
        pd.Series(values_T), trend="add", damped_trend=True, seasonal="add", seasonal_periods=6
    ).fit(disp=False)
    own = of.ets_quantiles(values_T, 6, 4, levels)
    interval = fitted.get_prediction(60, 63).pred_int(alpha=0.05).to_numpy()
    np.testing.assert_allclose(own[:, 1], fitted.forecast(4), rtol=1e-6)
    np.testing.assert_allclose(own[:, [0, 2]], interval, rtol=1e-6)
    theta = ThetaModel(values_T, period=6).fit()
    own = of.theta_quantiles(values_T, 6, 4, levels)
    np.testing.assert_allclose(own[:, 1], theta.forecast(4), rtol=1e-6)
    np.testing.assert_allclose(own[:, [0, 2]], theta.prediction_intervals(4), rtol=1e-6)


def test_without_the_library_its_baselines_are_left_out_and_that_is_said(monkeypatch):
    task = task_of(wave())
    assert [b.name for b in task.baselines()][-2:] == ["ETS", "Theta"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [b.name for b in task.baselines()] == ["naive", "seasonal naive", "drift"]
    assert "pip install 'seqarena[forecasting]'" in task.baselines_left_out()
    assert task.baselines_left_out() in task.survey().notes


# Files


def table(folder: Path, values_T: np.ndarray, name: str = "a.csv") -> str:
    rows = "".join(f"{k},{'' if v != v else v}\n" for k, v in enumerate(values_T.tolist()))
    (folder / name).write_text(f"time,y\n{rows}")
    return str(folder / name)


def test_prepared_data_and_a_copy_of_the_file_give_the_same_numbers(tmp_path):
    config = parse_task({"kind": "forecasting", "data": table(tmp_path, wave()), **SMALL})
    task = build_task(config)
    save_prepared(task, tmp_path / "prepared")
    again = load_prepared(config, task.digest(), tmp_path / "prepared")
    copy = ForecastingTask.evaluation_of(config, task.artifacts(), table(tmp_path, wave(), "b.csv"))  # pyright: ignore

    def predict(batch: Batch) -> torch.Tensor:
        return batch.inputs_BT[..., :1].sin().expand(-1, -1, task.problem.num_outputs)

    own = task.evaluate(predict, "test", 2)
    assert own == again.evaluate(predict, "test", 2) == copy.evaluate(predict, "test", 2)
    one, two = (each.training_batch(1, 3, seed=2) for each in (task, again))
    assert torch.equal(one.inputs_BT, two.inputs_BT)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_checkpoint_forecasts_what_its_task_does(tmp_path, strategy):
    values_T = wave()
    config = parse_task(
        {"kind": "forecasting", "data": table(tmp_path, values_T), **SMALL, "strategy": strategy}
    )
    task = build_task(config)
    assert isinstance(task, ForecastingTask)
    number, origin = 0, task._examples["test"][0][1]

    def predict(batch: Batch) -> torch.Tensor:
        level = batch.inputs_BT.mean(-1, keepdim=True)
        return level + torch.linspace(-1, 1, task.problem.num_outputs)

    codec = load_codec(config, task.artifacts())
    items = list(codec.inputs(config, Path(table(tmp_path, values_T[:origin], "cut.csv"))))
    batch = codec.encode(items)
    (answer,) = codec.decode(codec.run(predict, batch), batch)
    own = forecast(predict, task.scored_batch("test", [number]), config.paths)[0]  # pyright: ignore
    rows = [line.split(",") for line in answer.text.splitlines()]
    assert [row[:2] for row in rows] == [["y", str(origin + k)] for k in range(4)]
    np.testing.assert_allclose(np.array([row[3:] for row in rows], float), own, rtol=1e-6)
    assert codec.table == ("series", "time", "forecast", "0.1", "0.5", "0.9")


def test_covariates_have_to_reach_the_horizon(tmp_path):
    rows = "".join(f"{k},{k % 7},{k % 3}\n" for k in range(120))
    (tmp_path / "a.csv").write_text("time,y,p\n" + rows)
    config = parse_task(
        {"kind": "forecasting", "data": str(tmp_path / "a.csv"), **SMALL, "target": "y",
         "covariates": "p"}
    )  # fmt: skip
    codec = load_codec(config, build_task(config).artifacts())
    with pytest.raises(UserError, match="the covariates of 4 steps ahead are needed, and 0"):
        list(codec.inputs(config, tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text(
        "time,y,p\n" + rows + "".join(f"{k},,1\n" for k in range(120, 124))
    )
    (item,) = codec.inputs(config, tmp_path / "b.csv")
    assert len(json.loads(item)["values"]) == 120
    assert codec.encode([item]).inputs_BT.shape == (1, 12, 2 + 4 * 2)


def test_series_that_are_too_short_or_constant_are_left_out_or_named(tmp_path):
    with pytest.raises(UserError, match="no series can be forecast: the longest has 20 steps"):
        task_of(wave(20))
    task = task_of(wave(), np.full(120, 3.0), wave(20))
    assert task.names == ["s0"]


BAD = [
    ({"quantiles": (0.1, 0.9)}, ".5 must be among them"),
    ({"quantiles": (0.5, 1.5)}, "between 0 and 1"),
    ({"quantiles": (0.9, 0.5)}, "rising"),
    ({"repair": "gap"}, "did you mean gaps"),
    ({"target": "a", "covariates": "a"}, "not both"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_a_bad_setting_is_named(settings, message):
    with pytest.raises(UserError, match=message):
        parse_task({"kind": "forecasting", **settings})
