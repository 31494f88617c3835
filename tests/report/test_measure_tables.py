"""The terminal's tables and sentences say what the records say, and change when they change."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from seqarena.core.results.measurement import Map, Point, Series, this_machine
from seqarena.report.measure_tables import measurement_tables, shown_places
from seqarena.report.measured.summaries import summarise, summarise_map, summary_sentence

MACHINE = this_machine()


def curve(quantity: str, axis: str, y: Mapping[float, Sequence[float]], **more: Any) -> Series:
    points = tuple(Point(x=x, repeats=tuple(repeats)) for x, repeats in y.items())
    return Series(measurement="planted", quantity=quantity, axis=axis, points=points,
                  machine=MACHINE, **{"architecture": "gru", **more})  # fmt: skip


def power(p: float, **more: Any) -> Series:
    y = {x: (2e-3 * x**p,) for x in (8.0, 16.0, 32.0, 64.0)}
    return curve("training_step_seconds", "length", y, **more)


def printed(*found: Series | Map, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(measurement_tables(found))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("p", [1.0, 2.0, 0.5])
def test_the_exponent_is_the_curves_own(p: float) -> None:
    assert summarise(power(p)).text == f"T^{p:g}"
    assert (
        summary_sentence([power(p)]) == f"Training time grows with the length T as T^{p:g} for gru."
    )


def test_a_doubtful_exponent_has_its_interval() -> None:
    y = {8.0: (1.0,), 16.0: (2.5,), 32.0: (3.6,), 64.0: (8.8,)}
    text = summarise(curve("forward_seconds", "length", y)).text
    assert text.startswith("T^0.994 (")
    low, high = (float(end) for end in text.split("(")[1].strip(")").split(" to "))
    assert low < 0.7 < 1.3 < high


def test_a_constant_does_not_grow() -> None:
    flat = curve("state_bytes", "length", dict.fromkeys((8.0, 16.0, 32.0), (512,)))
    assert summarise(flat).text == "T^0 (constant)"


def test_the_share_of_the_peak_is_of_the_last_length() -> None:
    settings = {"peak_flops_per_second": 1e6, "flops": [1, 2, 4, 128e3 * 0.25]}
    assert "25 % of the peak" in summarise(power(1.0, settings=settings)).aside


def test_a_gradient_halves_holds_or_grows() -> None:
    def chain(rate: float) -> Series:
        y = {float(k): (rate**k,) for k in range(12)}
        return curve("gradient_norm", "distance", y)

    assert summarise(chain(0.5)).text == "0.5"
    assert summarise(chain(0.5)).aside == "halves every 1 steps"
    assert summarise(chain(1.3)).aside == "grows without end"
    gone = curve("gradient_norm", "distance", {0.0: (1,), 1.0: (0,), 2.0: (0,)})
    assert summarise(gone).text == "0 (nothing comes through)"


def test_the_reach_ends_at_the_first_miss() -> None:
    y = {5.0: (1.0,), 10.0: (0.95,), 20.0: (0.4,)}
    assert summarise(curve("accuracy", "distance", y)).text == "10"
    assert summarise(curve("accuracy", "distance", {**y, 20.0: (0.9,)})).text == "at least 20"
    assert summarise(curve("accuracy", "distance", {**y, 5.0: (0.2,)})).text == "0 (nowhere)"
    assert summarise(curve("solved", "distance", y)).text == "10"


def test_what_has_no_estimate_tells_its_ends() -> None:
    loss = curve("bits_per_byte", "length", {64.0: (3.0,), 1024.0: (3.5,)})
    assert summarise(loss).text == "3 to 3.5"
    share = curve("share_of_peak", "length", {64.0: (0.02,), 256.0: (0.12,)})
    assert summarise(share).text == "12 % at length 256"


def test_a_sentence_names_the_extremes_of_many() -> None:
    many = [power(0.1 * i, architecture=f"model_{i}") for i in range(1, 10)]
    text = summary_sentence(many)
    assert "T^0.1 for model_1" in text
    assert "T^0.9 for model_9" in text
    assert "model_5" not in text
    assert "(3 more lie between)" in text


def test_a_table_has_a_row_a_curve_and_shared_baselines_once() -> None:
    y = {5.0: (1.0, 0.9), 10.0: (0.5, 0.7)}
    guess = {"memoryless guesser": (0.125, 0.125)}
    both = [curve("accuracy", "distance", y, architecture=name, baselines=guess)
            for name in ("lstm", "gru")]  # fmt: skip
    text = printed(*both)
    assert text.count("memoryless guesser") == 1
    assert "0.950" in text
    assert "0.600" in text
    other = both[1].model_copy(update={"baselines": {"memoryless guesser": (0.25, 0.25)}})
    assert printed(both[0], other).count("memoryless guesser") == 2


def test_timings_are_read_in_one_unit_by_their_median() -> None:
    slow = curve("forward_seconds", "length", {8.0: (2e-3, 3e-3, 90e-3), 16.0: (4e-3,)})
    text = printed(slow)
    assert "ms" in text
    assert "3.00" in text
    assert "medians" in text


@pytest.mark.parametrize("size", [1, 5, 8, 9, 100, 128])
def test_long_curves_are_thinned_to_their_ends_and_between(size: int) -> None:
    places = shown_places([float(x) for x in range(size)])
    assert len(places) <= 8
    assert (places[0], places[-1]) == (0.0, size - 1.0)
    assert places == sorted(set(places))


def test_a_map_tells_how_far_it_looks() -> None:
    back = Map(measurement="influence", architecture="lstm", words=("the", "cat", "sat"),
               weights=((1, 0, 0), (1, 0, 0), (0.5, 0.5, 0)), machine=MACHINE)  # fmt: skip
    assert summarise_map(back).text == "0.8 positions away, mostly 'the'"
    text = printed(back)
    assert "the cat sat" in text
    assert "influence" in text


def test_a_map_of_pairs_names_the_source_word() -> None:
    pairs = Map(measurement="attention", architecture="rnnsearch", words=("chat",), layer=0,
                columns=("the", "cat"), weights=((0.2, 0.8),), machine=MACHINE)  # fmt: skip
    assert summarise_map(pairs).text == "mostly 'cat'"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_names_and_numbers_stay_whole_in_a_narrow_window(width: int) -> None:
    y = {float(k): (0.46**k,) for k in range(64)}
    text = printed(curve("gradient_norm", "distance", y, architecture="sparse_attention"),
                   width=width)  # fmt: skip
    assert "sparse_attention" in text
    assert "5.67e-22" in text
    assert "halves every" in " ".join(text.split())
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
