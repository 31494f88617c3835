"""Quantities: a new cost is one row, and everything that stores, ranks and draws costs reads it."""

import io
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError
from report_views import ARENA, cost, whole_view
from rich.console import Console

import seqarena
from seqarena.arena.folder import RunFolder
from seqarena.arena.front import pareto_front
from seqarena.arena.recommend import recommend
from seqarena.arena.store import write_database
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, append_measurements
from seqarena.core.results.quantities import (
    QUANTITIES,
    CostPhrases,
    CostTable,
    Quantity,
    cost_quantities,
    latest_costs,
    quantity,
)
from seqarena.report.figures import cost_figure
from seqarena.report.run.page import render_html
from seqarena.report.tables import ranking_table

ENERGY = Quantity(
    key="decode_joules_per_token",
    title="Energy of decoding",
    heading="energy",
    unit="J",
    per="per token",
    better="lower",
    cost=CostPhrases(
        goal="the least energy",
        noun="energy",
        gain="needs {} times less energy",
        loss="needs {} times more energy",
    ),
)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Quantity:
    """One row more, and nothing else."""
    monkeypatch.setitem(QUANTITIES, ENERGY.key, ENERGY)
    return ENERGY


def energies(**joules: float) -> list:
    """A record of each architecture: 4 J where none is given."""
    return [cost(name, ENERGY.key, joules.get(name, 4.0)) for name in ARENA]


def test_a_new_cost_is_stored_and_read(planted: Quantity, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    append_measurements(folder.measurements_path, [*whole_view().costs, *energies(gru=9.0)])
    append_measurements(folder.measurements_path, energies(gru=2.0))
    table = CostTable(folder.costs())
    assert table.value("gru", planted) == 2.0
    assert table.measured()[-1] == planted
    write_database(tmp_path / "results.sqlite", [], folder.costs())
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as database:
        asked = "select value from costs where architecture = 'gru' and quantity = ?"
        assert database.execute(asked, [planted.key]).fetchall() == [(2.0,)]


def test_a_new_cost_is_an_axis_of_the_front_and_a_sentence(planted: Quantity) -> None:
    view = whole_view()
    assert view.ranking is not None
    rows, noise = view.ranking.rows, view.ranking.noise_floor
    assert "mamba" not in pareto_front(rows, CostTable(view.costs), noise)
    with_energy = CostTable([*view.costs, *energies(mamba=0.5)])
    front = pareto_front(rows, with_energy, noise)
    assert "mamba" in front
    placed = [row.model_copy(update={"on_front": row.architecture in front}) for row in rows]
    ranking = view.ranking.model_copy(update={"rows": tuple(placed)})
    said = recommend(ranking, with_energy)
    (sentence,) = (one for one in said if "energy" in one)
    assert sentence.startswith(
        "For the least energy: mamba needs 8.0 times less energy (0.5 J per token) than "
    )


def test_a_new_cost_is_a_column_and_a_figure(planted: Quantity) -> None:
    view = whole_view()
    view = view.model_copy(update={"costs": (*view.costs, *energies(gru=0.0625))})
    console = Console(file=io.StringIO(), width=200)
    console.print(ranking_table(view))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "energy" in text
    assert "J/token" in text
    assert "0.0625" in text
    figure = cost_figure(view, planted)
    assert figure is not None
    assert figure.layout.xaxis.title.text == "Energy of decoding, J per token"
    assert "Energy of decoding" in render_html(view)
    assert "Energy of decoding" not in render_html(whole_view())


def test_no_other_file_describes_a_cost() -> None:
    source = Path(seqarena.__file__).parent
    files = [path for room in ("core", "arena", "report", "cli") for path in
             (source / room).rglob("*.py") if "claims" not in path.parts]  # fmt: skip
    for row in cost_quantities():
        if row.key == "state_bytes":  # a trial's result has it too
            continue
        naming = [path.name for path in files if f'"{row.key}"' in path.read_text("utf-8")]
        assert naming == ["quantities.py"]


def test_a_cost_that_grows_is_a_burden_when_it_is_small() -> None:
    speed = quantity("training_tokens_per_second")
    table = CostTable([cost("fast", speed.key, 400.0), cost("slow", speed.key, 0.0)])
    assert table.burden("fast", speed) == 1 / 400
    assert table.burden("slow", speed) == math.inf
    assert table.burden("absent", speed) is None


def test_repeats_have_a_middle_and_a_spread() -> None:
    latency = quantity("decode_seconds_per_token")
    table = CostTable([cost("gru", latency.key, 3.0, 1.0, 9.0), cost("lstm", latency.key, 2.0)])
    assert table.value("gru", latency) == 3.0
    assert table.spread("gru", latency) == (1.0, 9.0)
    assert table.spread("lstm", latency) is None
    assert table.spread("absent", latency) is None
    assert sorted(table.values(latency)) == [2.0, 3.0]


def test_costs_are_listed_in_the_order_of_their_rows() -> None:
    reverse = [cost("gru", row.key, 1.0) for row in reversed(cost_quantities())]
    assert CostTable(reverse).measured() == list(cost_quantities())
    assert CostTable(reverse).measured(["lstm"]) == []


def test_a_cost_that_comes_twice_is_refused() -> None:
    twice = [cost("gru", "state_bytes", 1.0), cost("gru", "state_bytes", 2.0)]
    with pytest.raises(UserError, match="gru: state_bytes is measured twice"):
        CostTable(twice)
    assert CostTable(latest_costs(twice)).value("gru", quantity("state_bytes")) == 2.0


def test_a_curve_of_the_same_file_is_no_cost() -> None:
    curve = cost("gru", "state_bytes", 1.0).model_copy(update={"measurement": "memory"})
    assert latest_costs([curve]) == []


def test_a_cost_needs_a_direction() -> None:
    with pytest.raises(ValidationError, match="needs better='lower' or better='higher'"):
        Quantity(key="joules", title="Energy", cost=ENERGY.cost)


@pytest.mark.parametrize(
    ("key", "unit", "middle", "share"),
    [
        ("layer_seconds", "seconds", "median", False),
        ("words_per_second", "count", "mean", False),
        ("cache_bytes", "bytes", "mean", False),
        ("slot_accuracy", "", "mean", True),
        ("BLEU", "", "mean", False),
    ],
)
def test_what_has_no_row_is_read_by_its_name(key: str, unit: str, middle: str, share: bool) -> None:
    found = quantity(key)
    assert key not in QUANTITIES
    assert (found.unit, found.middle, found.share) == (unit, middle, share)


def test_a_title_goes_into_a_sentence() -> None:
    assert quantity("decode_seconds_per_token").name == "decode latency"
    assert quantity("BLEU").name == "BLEU"
    assert quantity("slot_accuracy").name == "slot accuracy"


def test_a_value_leaves_out_what_is_not_finite() -> None:
    row = quantity("accuracy")
    assert row.value(Point(x=1, repeats=(0.5, math.nan, 1.0))) == 0.75
    assert math.isnan(row.value(Point(x=1, repeats=(math.inf,))))
