"""A forecasting run from a table or a frame to forecasts: trial, page, predict, evaluate."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import seqarena as sa
from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.use.frames import frame_csv, is_frame

SETTINGS = {"horizon": "3", "season": "4", "context": "8", "windows": "2", "quantiles": ".1,.5,.9"}
TIMES = pd.date_range("2020-01-01", periods=80, freq="D", name="day")
FRAME = pd.DataFrame({"a": np.arange(80.0) % 4, "b": np.arange(80.0) % 5}, index=TIMES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sa.Run:
    """A small GRU over the two columns of a frame."""
    return sa.train(
        FRAME,
        model="gru",
        task="forecasting",
        width=8,
        depth=1,
        steps=3,
        batch=4,
        settings=SETTINGS,
        runs=str(tmp_path_factory.mktemp("runs")),
        measure=False,
        baselines=False,
        verbose=False,
    )


def test_a_frame_gives_a_frame_of_forecasts(run: sa.Run):
    found = run.best.predict(FRAME)
    assert list(found.columns) == ["series", "time", "forecast", "0.1", "0.5", "0.9"]
    assert list(found["series"]) == ["a"] * 3 + ["b"] * 3
    ahead = pd.date_range("2020-03-21", periods=3, freq="D")
    assert list(found["time"]) == [*ahead, *ahead]
    assert (found["0.1"] <= found["0.9"]).all()
    assert (found["forecast"] == found["0.5"]).all()
    assert sa.predict(run.path, FRAME).equals(found)


def test_predict_writes_the_same_as_a_table(run: sa.Run, tmp_path: Path):
    FRAME.reset_index().to_csv(tmp_path / "t.csv", index=False)
    found = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "t.csv")])
    assert found.exit_code == 0, found.output
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    frame = run.best.predict(FRAME)
    assert [float(row["forecast"]) for row in rows] == frame["forecast"].tolist()
    assert rows[0]["time"] == "2020-03-21"
    line = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "t.csv"), "--json"])
    assert json.loads(line.stdout.splitlines()[0])["forecast"] == frame["forecast"][0]


def test_predict_needs_a_table_and_generate_refuses(run: sa.Run, tmp_path: Path):
    assert "name what to answer" in CliRunner().invoke(app, ["predict", str(run.path)]).output
    with pytest.raises(UserError, match="cannot generate text"):
        run.best.generate("x")
    (tmp_path / "bad.csv").write_text("day,a\n2020-01-01,1\n2020-01-02,x\n")
    with pytest.raises(UserError, match=r"bad.csv, line 3: 'a' holds 'x'"):
        list(run.best.predictor().rows([tmp_path / "bad.csv"]))


def test_the_trial_records_forecasts_and_the_page_draws_them(run: sa.Run):
    (trial,) = run.view.trials
    assert trial.forecast is not None
    assert {window.series for window in trial.forecast.windows} == {"a", "b"}
    window = trial.forecast.windows[-1]
    assert window.times == ("2020-03-18", "2020-03-19", "2020-03-20")
    assert window.truth == tuple(FRAME["b"][-3:])
    assert "What they forecast" in run.page().read_text(encoding="utf-8")


def test_other_data_are_scored_as_the_own(run: sa.Run, tmp_path: Path):
    FRAME.reset_index().to_csv(tmp_path / "same.csv", index=False)
    own, other = run.best.evaluate(), run.best.evaluate(tmp_path / "same.csv")
    assert own.scores == other.scores
    assert own.metric == "MASE"


def test_frames_become_tables():
    assert is_frame(FRAME)
    assert is_frame(FRAME["a"])
    assert not is_frame("text")
    assert frame_csv(FRAME["a"][:1]) == "day,a\n2020-01-01,0.0\n"
    unnamed = FRAME[["a"]][:1].rename_axis(None)
    assert frame_csv(unnamed) == "time,a\n2020-01-01,0.0\n"
    assert frame_csv(pd.DataFrame({"x": [1]})) == "x\n1\n"
    with pytest.raises(UserError, match="several levels"):
        frame_csv(pd.DataFrame({("a", "b"): [1]}))
