"""Histories of events out of tables, and the process whose best forecast is known."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted
from seqarena.data.files.reading import Reading
from seqarena.data.series.events import process
from seqarena.data.series.events.reading import EventColumns, load_histories
from seqarena.data.series.stamps import parse_stamp

COLUMNS = EventColumns(
    Wanted("entity", "entity", is_default=True),
    Wanted("time", "time", is_default=True),
    (Wanted("event", "event", is_default=True),),
)
ROWS = [
    {"user_id": "ada", "timestamp": "2024-05-31T08:15:00", "activity": "buy", "sum": "2.5"},
    {"user_id": "bob", "timestamp": "2024-05-31", "activity": "look", "sum": ""},
    {"user_id": "ada", "timestamp": "2024-05-30T23:59:30Z", "activity": "look", "sum": "1"},
]


def csv(rows: list[dict[str, str]]) -> str:
    return "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_rows_become_histories_in_the_order_of_their_times(form: str, tmp_path: Path) -> None:
    text = csv(ROWS) if form == "csv" else "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / f"log.{form}").write_text(text)
    reading = Reading()
    found = load_histories(str(tmp_path / f"log.{form}"), COLUMNS, reading)
    ada, bob = found.parts[0]
    assert found.dates
    assert (ada.entity, bob.entity) == ("ada", "bob")
    assert ada.times_T.tolist() == [1717113570.0, 1717143300.0]
    assert ada.fields == {"event": ("look", "buy"), "sum": ("1", "2.5")}
    assert bob.fields["sum"] == (None,)
    assert ada.places[0].endswith("line 4" if form == "csv" else "line 3")
    assert "event: column 'activity'" in reading.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp": "soon"}, "line 3: 'timestamp' holds 'soon': a number is needed, or a date"),
        ({"timestamp": ""}, "line 3: 'timestamp' is empty"),
        ({"timestamp": "17"}, "line 3: 'timestamp' is a number, and a date before"),
        ({"user_id": ""}, "line 3: 'user_id' is empty"),
        ({"activity": "n/a"}, "line 3: 'activity' is empty"),
    ],
)
def test_mistakes_have_their_line(change: dict[str, str], message: str, tmp_path: Path) -> None:
    rows = [ROWS[0], {**ROWS[1], **change}, ROWS[2]]
    (tmp_path / "log.csv").write_text(csv(rows))
    with pytest.raises(UserError) as error:
        load_histories(str(tmp_path / "log.csv"), COLUMNS, Reading())
    assert message in str(error.value)


def test_stamps_are_numbers_or_dates() -> None:
    assert parse_stamp("1.5e3", "p", "t") == (1500.0, False)
    assert parse_stamp("1970-01-02", "p", "t") == (86_400.0, True)
    assert parse_stamp("1970-01-01T01:00:00+01:00", "p", "t") == (0.0, True)


def test_the_persona_is_weighed_as_brute_force_weighs_it() -> None:
    """Each persona's probability of a whole history by itself, and Bayes' rule once at its end."""
    law = process._law()
    history = process.customer_events()["test"][4]
    kinds = [process.KINDS.index(str(name)) for name in history.fields["event"]]
    steps = np.rint(np.diff(history.times_T) / process.RESOLUTION)
    logs = []
    for z in range(len(process.PERSONAS)):
        total = 0.0
        for place, kind in enumerate(kinds):
            channel = process.CHANNELS.index(str(history.fields["channel"][place]))
            amount = np.log(float(str(history.fields["amount"][place])))
            total += np.log(law.channel_ZC[z, channel])
            total -= ((amount - law.amount_ZK[z, kind]) / 0.5) ** 2 / 2
            if place:
                total += np.log(law.next_ZKK[z, kinds[place - 1], kind])
                ends = [max(0.0, steps[place - 1] + side) * 0.1 for side in (-0.5, 0.5)]
                mean, spread = law.mean_ZK[z, kinds[place - 1]], law.spread_ZK[z, kinds[place - 1]]
                total += np.log(np.diff(log_normal_below(np.array(ends), mean, spread))[0])
        logs.append(total)
    expected = np.array(logs) - np.logaddexp.reduce(logs)
    np.testing.assert_allclose(process._log_posterior(history, law)[-1], expected, atol=1e-6)


def log_normal_below(gaps: np.ndarray, mean: float, spread: float) -> np.ndarray:
    from scipy import stats

    return stats.lognorm.cdf(gaps, s=spread, scale=np.exp(mean))


def test_drawn_events_follow_the_law_that_is_written_down() -> None:
    law = process._law()
    counts = np.zeros((3, 6, 6))
    gaps: list[list[float]] = [[] for _ in range(6)]
    for history in process.customer_events()["train"]:
        z = process.PERSONAS.index(str(history.fields["persona"][0]))
        kinds = [process.KINDS.index(str(name)) for name in history.fields["event"]]
        np.add.at(counts[z], (kinds[:-1], kinds[1:]), 1)
        if z == 0:
            for kind, gap in zip(kinds, np.diff(history.times_T)):
                gaps[kind].append(np.log(max(gap, 0.05)))
    shares = counts / counts.sum(-1, keepdims=True)
    errors = np.sqrt(law.next_ZKK * (1 - law.next_ZKK) / counts.sum(-1, keepdims=True))
    assert (np.abs(shares - law.next_ZKK) < 4.5 * errors + 1e-9).all()
    for kind, logs in enumerate(gaps):
        if law.mean_ZK[0, kind] > 0:  # of short gaps the tenths hide too much
            width = 4.5 * law.spread_ZK[0, kind] / np.sqrt(len(logs)) + 0.02
            assert np.mean(logs) == pytest.approx(law.mean_ZK[0, kind], abs=width)


def test_the_best_forecast_is_below_what_forgets_the_persona() -> None:
    """Mean of personas' laws with equal weights: proper, and worse."""
    histories = process.customer_events()["test"][:60]
    event, _ = process.best_nats(histories)
    law, nats, count = process._law(), 0.0, 0
    for history in histories:
        kinds = [process.KINDS.index(str(name)) for name in history.fields["event"]]
        for before, after in pairwise(kinds):
            nats -= np.log(law.next_ZKK[:, before, after].mean())
            count += 1
    assert event < nats / count - 0.05
