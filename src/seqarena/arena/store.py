"""results.sqlite: the run folder's records as tables, for queries. Rebuilt from them at any time.

sqlite3 runs/NAME/results.sqlite 'select architecture, seed, test_value from trials'
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import quantity
from seqarena.core.results.records import TrialSummary

_SCHEMA = """
create table if not exists trials (
    trial text primary key, architecture text, role text, learning_rate real, seed integer,
    status text, parameters integer, width integer, tokens integer, training_seconds real,
    training_flops real, state_bytes integer, validation_value real, test_value real
);
create table if not exists evaluations (
    trial text references trials, tokens integer, validation_value real,
    primary key (trial, tokens)
);
create table if not exists slices (
    trial text references trials, slice text, test_value real, primary key (trial, slice)
);
create table if not exists costs (
    architecture text, quantity text, value real, lowest real, highest real,
    primary key (architecture, quantity)
);
"""
_TRIAL_COLUMNS = (
    "trial", "architecture", "role", "learning_rate", "seed", "status", "parameters", "width",
    "tokens", "training_seconds", "training_flops", "state_bytes", "validation_value",
    "test_value",
)  # fmt: skip


def write_database(path: Path, trials: Iterable[TrialSummary], costs: Iterable[Series]) -> None:
    """Brings the database up to date with these summaries (write-ahead log, one transaction)."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("pragma journal_mode=wal")
        connection.executescript(_SCHEMA)
        for trial in trials:
            row = [getattr(trial, column) for column in _TRIAL_COLUMNS]
            marks = ", ".join("?" * len(row))
            connection.execute(f"insert or replace into trials values ({marks})", row)
            connection.executemany(
                "insert or replace into evaluations values (?, ?, ?)",
                [(trial.trial, tokens, value) for tokens, value in trial.validation_curve],
            )
            connection.executemany(
                "insert or replace into slices values (?, ?, ?)",
                [(trial.trial, name, value) for name, value in trial.test_slices.items()],
            )
        connection.executemany(
            "insert or replace into costs values (?, ?, ?, ?, ?)", [_cost_row(one) for one in costs]
        )


def _cost_row(cost: Series) -> tuple[str, str, float, float, float]:
    (point,) = cost.points
    value = quantity(cost.quantity).value(point)
    return cost.architecture, cost.quantity, value, min(point.repeats), max(point.repeats)
