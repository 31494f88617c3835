"""Tables of numbers over time: what is read, what is repaired where asked, and every message."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.series.load import load_series
from seqarena.data.series.tables import read_number_tables
from seqarena.data.series.times import calendar_features, num_calendar_features, step_of


def fields(**changes):
    usual = {
        "time": None, "time_format": None, "series": (), "target": (), "covariates": (),
        "encoding": "utf-8", "repair": (),
    }  # fmt: skip
    return SimpleNamespace(**{**usual, **changes})


def write(folder: Path, text: str, name: str = "table.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def load(folder: Path, text: str, **changes):
    return load_series(write(folder, text), fields(**changes))


def test_embedded_series_is_the_one_that_statsmodels_ships():
    data = load_series(None, fields())
    values_T = data.grid.series[0].values_T
    assert (data.grid.step.words, data.grid.step.season) == ("a week", 52)
    assert (len(values_T), int(np.isnan(values_T).sum())) == (2284, 59)
    co2 = pytest.importorskip("statsmodels.datasets").co2.load_pandas().data
    np.testing.assert_allclose(values_T, co2["co2"].to_numpy(), atol=0.051)
    assert data.grid.stamps(data.grid.series[0], np.array([2283]))[0] == (
        co2.index[-1].value // 1000
    )


def test_long_and_wide_tables_hold_the_same_series(tmp_path):
    long = load(
        tmp_path,
        "unique_id,ds,y\na,2020-01-01,1\na,2020-02-01,2\nb,2020-01-01,3\nb,2020-02-01,\n",
    )
    wide = load(tmp_path, "month,a,b\n2020-01,1,3\n2020-02,2,NA\n")
    assert [series.name for series in long.grid.series] == ["a", "b"]
    assert long.sha256 == wide.sha256
    assert long.grid.step.words == "a month"


def test_parquet_and_csv_hold_the_same_series(tmp_path):
    frame = pd.DataFrame(
        {"date": pd.date_range("2020-01-31", periods=6, freq="ME"), "y": [1.0, 2, None, 4, 5, 6]}
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    csv, parquet = (load_series(tmp_path / f"a.{form}", fields()) for form in ("csv", "parquet"))
    assert csv.sha256 == parquet.sha256
    assert csv.grid.step.month_end


def test_known_covariates_reach_into_the_time_ahead(tmp_path):
    data = load(
        tmp_path, "date,sales,price\n2020-01-01,5,1\n2020-01-02,6,2\n2020-01-03,,3\n",
        target=("sales",), covariates=("price",),
    )  # fmt: skip
    (series,) = data.grid.series
    np.testing.assert_array_equal(series.values_T, [5, 6, np.nan])
    np.testing.assert_array_equal(series.covariates_TC[:, 0], [1, 2, 3])


@pytest.mark.parametrize(
    ("freq", "words", "season", "horizon"),
    [
        ("h", "an hour", 24, 48),
        ("15min", "15 minutes", 96, 48),
        ("D", "a day", 7, 14),
        ("B", "a working day", 5, 14),
        ("W", "a week", 52, 13),
        ("MS", "a month", 12, 18),
        ("ME", "a month", 12, 18),
        ("QS", "a quarter", 4, 8),
        ("YS", "a year", 1, 6),
        ("s", "a second", 60, 48),
    ],
)
def test_step_season_and_stamps_are_those_of_the_calendar(freq, words, season, horizon):
    stamps_T = pd.date_range("2019-11-01", periods=40, freq=freq).as_unit("us").asi8
    step = step_of([stamps_T], is_time=True)
    assert (step.words, step.season, step.horizon) == (words, season, horizon)
    np.testing.assert_array_equal(step.positions(stamps_T), np.arange(40))
    np.testing.assert_array_equal(step.stamps(stamps_T[0], np.arange(40)), stamps_T)
    circles_TF = calendar_features(step, stamps_T)
    assert circles_TF.shape == (40, num_calendar_features(step))
    np.testing.assert_allclose((circles_TF**2).sum(1), circles_TF.shape[1] / 2, rtol=1e-5)


def test_calendar_of_an_hour_is_day_and_week():
    stamps_T = pd.date_range("2024-01-01 06:00", periods=1, freq="h").as_unit("us").asi8
    step = step_of([np.array([0, 3_600_000_000])], is_time=True)
    expected = [1, 0, np.sin(np.pi / 14), np.cos(np.pi / 14)]  # six o'clock on a Monday
    np.testing.assert_allclose(calendar_features(step, stamps_T)[0, :4], expected, atol=1e-6)


def test_files_of_a_folder_are_series_and_files_of_splits_are_joined(tmp_path):
    write(tmp_path, "date,y\n2020-01-01,1\n2020-01-02,2\n", "oslo.csv")
    write(tmp_path, "date,y\n2020-01-01,3\n2020-01-02,4\n", "bergen.csv")
    data = load_series(tmp_path, fields())
    assert [series.name for series in data.grid.series] == ["bergen", "oslo"]
    (tmp_path / "split").mkdir()
    write(tmp_path / "split", "date,y\n2020-01-01,1\n2020-01-02,2\n", "train.csv")
    write(tmp_path / "split", "date,y\n2020-01-03,3\n", "test.csv")
    (series,) = load_series(tmp_path / "split", fields()).grid.series
    np.testing.assert_array_equal(series.values_T, [1, 2, 3])


BAD = [
    ("date,y\n2020-01-01,1\n2020-01-03,x\n", {}, "line 3: 'y' holds 'x', which is no number"),
    ("date,y\n2020-01-01,1\n2020-01-03,inf\n", {}, "line 3: 'y' holds 'inf', which is no finite"),
    ("date,y\n2020-01-01,1\nmonday,2\n", {}, "line 3: 'date' holds 'monday', which is no time"),
    ("date,y\n2020-01-01,1\n7,2\n", {}, "line 3: 'date' holds '7', and rows above it hold another"),
    ("date,y\n2020-01-03,1\n2020-01-01,2\n", {}, "line 3: 2020-01-01 comes after 2020-01-03"),
    ("date,y\n2020-01-01,1\n2020-01-01,2\n", {}, "line 3: 2020-01-01 is there twice, in line 2"),
    (
        "date,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,2\n2020-01-06,3\n2020-01-07,3\n"
        "2020-01-08,3\n2020-01-09,3\n2020-01-11,1\n",
        {},
        "line 5: a gap from 2020-01-03 to 2020-01-06, where the step is a day: add the 2 rows",
    ),
    (
        "date,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,2\n2020-01-03T12:00,3\n",
        {},
        "line 5: 2020-01-03T12:00:00 is beside the grid",
    ),
    ("a,y\n2020-01-01,1\n", {}, "line 2: no column of times: it has a, y"),
    ("date,y\n2020-01-01,1\n", {"target": ("z",)}, "no column 'z' (target): it has date, y"),
    ("date,y\n2020-01-01,1\n", {"time": "day"}, "no column 'day' (time): it has date, y"),
    ("date,y\n2020-01-01,1\n", {}, "line 2: a series of one row"),
    ("date,y\n2020-01-01,a\n2020-01-02,b\n", {}, "line 2: no column of numbers beside date"),
    ("date,y\n2020-01-01,\n2020-01-02,\n", {"target": ("y",)}, "every value is missing"),
    (
        "date,y,p\n2020-01-01,1,1\n2020-01-02,1,\n",
        {"target": ("y",), "covariates": ("p",)},
        "line 3: covariate 'p' is missing",
    ),
    ("id,date,y\n,2020-01-01,1\n", {"series": ("id",)}, "line 2: id: the name of the series is"),
]


@pytest.mark.parametrize(("text", "changes", "message"), BAD)
def test_a_bad_table_names_file_and_line(tmp_path, text, changes, message):
    with pytest.raises(UserError) as error:
        load(tmp_path, text, **changes)
    assert str(tmp_path / "table.csv") in str(error.value)
    assert message in str(error.value)


def test_what_is_repaired_is_said(tmp_path):
    data = load(
        tmp_path,
        "date,y\n2020-01-08,2\n2020-01-07,1\n2020-01-09,x\n2020-01-09,5\n2020-01-12,6\n2020-01-13,7\n",
        repair=("order", "duplicates", "gaps", "text"),
    )
    np.testing.assert_array_equal(data.grid.series[0].values_T, [1, 2, 5, np.nan, np.nan, 6, 7])
    assert data.reading is not None
    assert data.reading.notes[1:] == [
        "1 cell of text became missing values",
        "rows were sorted by time",
        "rows of one time became their mean",
        "2 missing rows became missing values",
    ]


def test_a_column_of_text_is_left_aside_and_said(tmp_path):
    data = load(tmp_path, "date,note,y\n2020-01-01,x,1\n2020-01-02,,2\n")
    assert data.reading is not None
    assert any("note" in note and "left aside" in note for note in data.reading.notes)


def test_texts_and_rows_are_there_for_other_tasks(tmp_path):
    file = write(tmp_path, "time,x,label\n0,1,walk\n1,,run\n")
    table = read_number_tables([file], fields(), Reading(), texts=("label",))
    (rows,) = table.series
    assert rows.texts["label"] == ("walk", "run")
    assert not table.is_time
    assert list(table.targets) == ["x"]
    assert rows.places[1].endswith("line 3")


def test_times_with_an_offset_become_utc(tmp_path):
    data = load(tmp_path, "time,y\n2020-01-01T01:00+01:00,1\n2020-01-01T01:00Z,2\n")
    assert data.grid.series[0].first == dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp() * 1e6


def test_own_form_of_times(tmp_path):
    data = load(tmp_path, "date,y\n01.02.2020,1\n02.02.2020,2\n", time_format="%d.%m.%Y")
    assert data.grid.step.words == "a day"
