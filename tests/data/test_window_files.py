"""Windows of numbers out of tables, folders, .ts and numpy files: equal windows, and whose mistake
has which line."""

from pathlib import Path

import numpy as np
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted
from seqarena.data.files.reading import Reading
from seqarena.data.series.windows import shapes
from seqarena.data.series.windows.reading import Windows, load_windows
from seqarena.data.series.windows.shapes import (
    HEIGHT,
    SHAPES,
    best_accuracy,
    shape,
    shape_posterior,
    shape_windows,
)
from seqarena.data.series.windows.tables import WindowColumns

COLUMNS = WindowColumns(
    Wanted("window", "window", is_default=True),
    Wanted("time", "time", is_default=True),
    Wanted("label", "label", is_default=True),
)
TABLE = """window,time,x,y,label
a,1,0.5,1,left
b,1,2.5,,right
a,2,1.5,2,left
b,3,4.5,5,right
b,2,3.5,4,right
"""
EXPECTED = [
    ("left", [[0.5, 1], [1.5, 2]]),
    ("right", [[2.5, np.nan], [3.5, 4], [4.5, 5]]),
]


def load(data: Path, columns: WindowColumns = COLUMNS) -> Windows:
    return load_windows(str(data), columns, Reading())


def check(found: Windows) -> None:
    assert [(w.label, w.values_TC.shape) for w in found.parts[0]] == [
        (label, (len(values), 2)) for label, values in EXPECTED
    ]
    for window, (_, values) in zip(found.parts[0], EXPECTED):
        np.testing.assert_array_equal(window.values_TC, np.array(values, dtype=np.float32))


def test_a_table_of_steps_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_text(TABLE)
    found = load(tmp_path / "steps.csv")
    check(found)
    assert found.channels == ("x", "y")
    assert found.parts[0][1].place.endswith("line 3")


def test_class_folders_of_tables(tmp_path: Path) -> None:
    for label, values in EXPECTED:
        (tmp_path / label).mkdir()
        lines = [f"{x},{'' if y != y else y}" for x, y in values]
        (tmp_path / label / "1.csv").write_text("\n".join(["x,y", *lines]))
    check(load(tmp_path))


def test_ts_files(tmp_path: Path) -> None:
    (tmp_path / "Two_TRAIN.ts").write_text(
        "# a comment\n@problemName Two\n@timeStamps false\n@classLabel true left right\n@data\n"
        "0.5,1.5:1,2:left\n2.5,3.5,4.5:?,4,5:right\n"
    )
    (tmp_path / "Two_TEST.ts").write_text("@classLabel true left right\n@data\n1:2:left\n")
    found = load(tmp_path)
    check(found)
    assert found.numbers is False
    assert len(found.parts[2]) == 1
    (tmp_path / "Two_TRAIN.ts").write_text("@targetLabel true\n@data\n1,2:3,4:0.25\n")
    assert load(tmp_path).numbers is True


def test_numpy_files(tmp_path: Path) -> None:
    values = np.full((2, 4, 2), np.nan)
    for row, (_, own) in zip(values, EXPECTED):
        row[: len(own)] = own
    labels = np.array([label for label, _ in EXPECTED])
    np.savez(tmp_path / "two.npz", x_train=values, y_train=labels)
    check(load(tmp_path / "two.npz"))
    (tmp_path / "apart").mkdir()
    np.save(tmp_path / "apart" / "X_train.npy", values)
    np.save(tmp_path / "apart" / "y_train.npy", labels)
    check(load(tmp_path / "apart"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", TABLE.replace("1.5,2", "1.5,two"), "line 4: 'y' holds 'two', which is no number"),
        ("a.csv", TABLE.replace("a,2,", "a,1,"), "line 4: a second row of window 'a' at time 1"),
        ("a.csv", TABLE.replace("2,left", "2,right"), "line 4: window 'a' has the label 'right'"),
        ("a.csv", TABLE.replace("4.5,5", "inf,5"), "line 5: 'x' holds 'inf': a finite number"),
        ("a.csv", TABLE.replace("b,3", ",3"), "line 5: 'window' is empty"),
        ("a.csv", TABLE.replace("5,right", "5,"), "line 5: 'label' is empty"),
        ("a.csv", TABLE.replace("label", "walk"), "no field 'label'"),
        ("a.csv", "window,label\na,left\n", "no column of numbers among window, label"),
        ("a.ts", "@classLabel true l\n@data\n1,2:3:l\n", "line 3: all channels must have as many"),
        ("a.ts", "@classLabel true l\n@data\n1,x:l\n", "line 3: 'channel 1' holds 'x'"),
        ("a.ts", "1,2:l\n", "line 1: a line of @ is needed before @data"),
        ("a.ts", "@classLabel true l\n@data\n1:1:l\n1:l\n", "line 4: 1 channels"),
        ("a.ts", "@timestamps true\n@data\n(1,2):l\n", "line 3: stamps of time in .ts files"),
        ("a.txt", "words", "windows come as"),
    ],
)
def test_mistakes_have_their_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        load(tmp_path / name)
    assert message in str(error.value)
    assert name in str(error.value)


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    for arrays, message in (
        ({"x_train": np.zeros((2, 3, 1)), "y_train": np.zeros(3)}, "2 windows and labels"),
        ({"x_train": np.zeros(3), "y_train": np.zeros(3)}, "windows, steps and channels"),
        ({"x_train": np.full((1, 2, 2), np.nan), "y_train": np.zeros(1)}, "every number of it"),
        ({"y_train": np.zeros(3)}, "without x_train"),
    ):
        np.savez(tmp_path / "bad.npz", **arrays)
        with pytest.raises(UserError, match=message):
            load(tmp_path / "bad.npz")


def test_the_posterior_of_shapes_is_that_of_the_whole_normal_law(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against the density with its full covariance matrix, over fewer places of each shape."""
    monkeypatch.setattr(shapes, "_STARTS", range(16, 33, 8))
    monkeypatch.setattr(shapes, "_LENGTHS", range(32, 97, 32))
    weights_C = np.array([0.8, 0.6, 0.0])
    for window in shape_windows()["test"][:3]:
        logs = []
        for kind in SHAPES:
            places = []
            for start in (16, 24, 32):
                for length in (32, 64, 96):
                    s = (shape(kind, start, start + length)[:, None] * weights_C).ravel()
                    covariance = np.eye(len(s)) + np.outer(s, s)
                    offset = window.values_TC.astype(np.float64).ravel() - HEIGHT * s
                    square = offset @ np.linalg.solve(covariance, offset)
                    places.append(-(square + np.linalg.slogdet(covariance)[1]) / 2)
            logs.append(np.logaddexp.reduce(places))
        expected = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
        found = shape_posterior(window.values_TC[None])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_the_best_classifier_of_shapes_is_far_above_chance_and_below_one() -> None:
    windows = shape_windows()["test"]
    assert 0.85 < best_accuracy(windows) < 0.97
