"""results.sqlite: the run folder's records as tables, for queries. Written whole each time.

sqlite3 runs/NAME/results.sqlite 'select architecture, seed, test_value from trials'
"""

import errno
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from seqarena.core.results.baselines import BaselineRecord
from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import quantity
from seqarena.core.results.records import TrialSummary
from seqarena.jobs.files import replacing

_SCHEMA = """
create table trials (
    trial text primary key, architecture text, role text, learning_rate real, seed integer,
    status text, parameters integer, width integer, tokens integer, training_seconds real,
    training_flops real, state_bytes integer, validation_value real, test_value real,
    skipped_steps integer, failure text
);
create table evaluations (
    trial text references trials, tokens integer, validation_value real,
    primary key (trial, tokens)
);
create table slices (
    trial text references trials, slice text, test_value real, primary key (trial, slice)
);
create table baselines (
    baseline text primary key, detail text, validation_value real, test_value real, seconds real
);
create table costs (
    architecture text, quantity text, value real, lowest real, highest real,
    primary key (architecture, quantity)
);
"""
_TRIAL_COLUMNS = (
    "trial", "architecture", "role", "learning_rate", "seed", "status", "parameters", "width",
    "tokens", "training_seconds", "training_flops", "state_bytes", "validation_value",
    "test_value", "skipped_steps", "failure",
)  # fmt: skip


def write_database(
    path: Path,
    trials: Iterable[TrialSummary],
    costs: Iterable[Series],
    baselines: Iterable[BaselineRecord] = (),
) -> None:
    """Writes the database from these summaries in the place of an older one, which may be damaged.

    Raises OSError that names `path` where it cannot be written.
    """
    with replacing(path) as fresh:
        try:
            with closing(sqlite3.connect(fresh)) as connection, connection:
                _fill(connection, trials, costs, baselines)
        except sqlite3.OperationalError as error:  # of a full disk, say
            raise OSError(errno.EIO, str(error), str(path)) from error
        for suffix in ("-wal", "-shm", "-journal"):  # of the older one, which this is not
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fill(
    connection: sqlite3.Connection,
    trials: Iterable[TrialSummary],
    costs: Iterable[Series],
    baselines: Iterable[BaselineRecord],
) -> None:
    connection.execute("pragma journal_mode=off")  # the file is thrown away where this fails
    connection.executescript(_SCHEMA)
    for trial in trials:
        row = [getattr(trial, column) for column in _TRIAL_COLUMNS]
        marks = ", ".join("?" * len(row))
        connection.execute(f"insert into trials values ({marks})", row)
        connection.executemany(
            "insert into evaluations values (?, ?, ?)",
            [(trial.trial, tokens, value) for tokens, value in trial.validation_curve],
        )
        connection.executemany(
            "insert into slices values (?, ?, ?)",
            [(trial.trial, name, value) for name, value in trial.test_slices.items()],
        )
    connection.executemany(
        "insert into baselines values (?, ?, ?, ?, ?)",
        [(one.name, one.detail, one.validation_value, one.value, one.seconds) for one in baselines],
    )
    connection.executemany(
        "insert into costs values (?, ?, ?, ?, ?)", [_cost_row(one) for one in costs]
    )


def _cost_row(cost: Series) -> tuple[str, str, float, float, float]:
    (point,) = cost.points
    value = quantity(cost.quantity).value(point)
    return cost.architecture, cost.quantity, value, min(point.repeats), max(point.repeats)
