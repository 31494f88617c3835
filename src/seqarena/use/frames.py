"""pandas in, pandas out: a frame as a table on disk, and answers that are tables as a frame.

A run is told of its data by a path, so that it can be read again. A frame is written once as CSV,
under a name that its content gives.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError, missing_extra
from seqarena.data.series.tables import TIMES
from seqarena.use.predict import Predictor

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def is_frame(data: Any) -> bool:
    """Whether it is a DataFrame or a Series of pandas, which need not be installed."""
    kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(data).__mro__)
    return any(k.startswith("pandas.") and k.endswith((".DataFrame", ".Series")) for k in kinds)


def frame_csv(frame: Any) -> str:
    """The table. An index that has a name or holds times is a column, and any other is left out.

    Raises UserError for columns of several levels.
    """
    if not hasattr(frame, "columns"):
        frame = frame.to_frame(frame.name if frame.name is not None else "value")
    if frame.columns.nlevels > 1:
        raise UserError("the frame's columns have several levels: give it one row of names")
    is_time = type(frame.index).__name__ in ("DatetimeIndex", "PeriodIndex")
    named = any(name is not None for name in frame.index.names)
    if is_time or named:
        frame = frame.reset_index(names=[TIMES[0]]) if not named else frame.reset_index()
    return str(frame.to_csv(index=False))


def frame_file(frame: Any, folder: Path) -> Path:
    """The place of a frame's table below `folder`, where it is written."""
    text = frame_csv(frame)
    path = folder / f"frame-{hashlib.sha256(text.encode()).hexdigest()[:12]}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def predicted_frame(predictor: Predictor, frame: Any) -> Any:
    """The answers to a frame, as a DataFrame: times are times, numbers are numbers.

    Raises UserError where the task's answers are texts, and where pandas is missing.
    """
    try:
        import pandas
    except ImportError:
        raise missing_extra("pandas", "pandas", "a frame of answers") from None
    with tempfile.TemporaryDirectory() as folder:
        names, *rows = predictor.rows([frame_file(frame, Path(folder))])
    found = pandas.DataFrame(rows, columns=names)
    numbers = found["time"].str.fullmatch(r"-?\d+").all()
    found["time"] = found["time"].astype("int64") if numbers else pandas.to_datetime(found["time"])
    return found
