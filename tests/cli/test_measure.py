"""`seqarena measure`: what is called, kept, reused, refused and said, with planted functions."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from seqarena.cli import app
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Map, Point, Series, read_measurements, this_machine

Call = Callable[..., Result]
POWERS = {"lstm": 1.0, "attention": 2.0, "gru": 0.5}


class Planted:
    """Stands for a measuring module: remembers its calls, and what it finds is made up."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, BaseException] = {}

    def speed(self, architecture: str, **arguments: Any) -> list[Series]:
        self.calls.append((architecture, arguments))
        if architecture in self.refuse:
            raise self.refuse[architecture]
        power = POWERS.get(architecture, 1.5)
        points = tuple(Point(x=x, repeats=(1e-3 * x**power,)) for x in arguments["lengths"])
        return [
            Series(
                measurement="speed",
                quantity=quantity,
                axis="length",
                architecture=architecture,
                variant=arguments.get("variant", ""),
                points=points,
                settings={"not_measured": {"decode_seconds_per_token": "it writes no tokens"}},
                machine=this_machine(),
            )
            for quantity in ("forward_seconds", "training_step_seconds")
        ]

    def algorithms(self, architecture: str) -> tuple[str, ...]:
        return {"lstm": ("loop", "fused"), "attention": ("explicit", "fused")}.get(architecture, ())


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    planted = Planted()
    module = SimpleNamespace(speed=planted.speed, algorithms=planted.algorithms)
    monkeypatch.setitem(sys.modules, "seqarena.measure.costs.scaling", module)
    monkeypatch.setattr("seqarena.engine.measure.algorithms", planted.algorithms)
    return planted


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *words: CliRunner().invoke(app, ["measure", *words])


SPEED = ("speed", "--models", "lstm,attention", "--lengths", "8,16,32")


def test_curves_are_kept_tabled_and_summed_up(call: Call, planted: Planted, tmp_path: Path) -> None:
    result = call(*SPEED)
    assert result.exit_code == 0, result.output
    assert [name for name, _ in planted.calls] == ["lstm", "attention"]
    said = " ".join(result.output.split())
    assert "Training time grows with the length T as T^1 for lstm; T^2 for attention." in said
    found = list(read_measurements(tmp_path / "runs/measurements/measurements.jsonl"))
    assert [one.architecture for one in found] == ["lstm"] * 2 + ["attention"] * 2
    page = tmp_path / "runs/measurements/report.html"
    assert "attention" in page.read_text()
    assert str(page.relative_to(tmp_path)) in result.output


def test_what_is_missing_is_said_once(call: Call, planted: Planted) -> None:
    lines = call(*SPEED).stderr.splitlines()
    gap = "not measured: lstm, decode_seconds_per_token: it writes no tokens"
    assert lines.count(gap) == 1


def test_an_equal_call_is_reused_and_another_is_not(call: Call, planted: Planted) -> None:
    call(*SPEED)
    again = call(*SPEED)
    assert len(planted.calls) == 2
    assert "reused: lstm; attention" in again.stderr
    assert "T^2 for attention" in again.output
    call(*SPEED[:-1], "8,16,64")
    assert len(planted.calls) == 4


def test_the_curve_asked_for_last_is_the_one_that_is_shown(
    call: Call, planted: Planted, tmp_path: Path
) -> None:
    from seqarena.core.results.measurement import latest

    for lengths in ("8,16,32", "8,16,64", "8,16,32"):
        call(*SPEED[:-1], lengths)
    assert len(planted.calls) == 4
    records = tmp_path / "runs/measurements/measurements.jsonl"
    found = latest(read_measurements(records))
    assert {one.points[-1].x for one in found if isinstance(one, Series)} == {32}
    size = len(records.read_text().splitlines())
    call(*SPEED)
    assert len(records.read_text().splitlines()) == size


def test_another_version_of_a_users_file_is_measured_anew(
    call: Call, planted: Planted, tmp_path: Path
) -> None:
    source = "from seqarena.mixers.recurrent.lstm import LSTM as Mine\n"
    (tmp_path / "mine.py").write_text(source)
    words = ("speed", "--mixer", "own=mine.py:Mine", "--lengths", "8,16,32")
    for _ in range(2):
        result = call(*words)
        assert result.exit_code == 0, result.output
    assert [name for name, _ in planted.calls] == ["own=mine.py:Mine"]
    assert "T^1.5 for own" in result.output
    (tmp_path / "mine.py").write_text(source + "# changed\n")
    call(*words)
    assert len(planted.calls) == 2


def test_one_that_cannot_be_measured_leaves_the_others(call: Call, planted: Planted) -> None:
    planted.refuse["lstm"] = UserError("it is planted to refuse")
    result = call(*SPEED)
    assert result.exit_code == 0
    assert "not measured: lstm: it is planted to refuse" in result.stderr
    assert "T^2 for attention" in result.output
    planted.refuse["attention"] = UserError("so is this")
    result = call(*SPEED, "--out", "other")
    assert result.exit_code == 2
    assert "nothing was measured: lstm: it is planted to refuse (and 1 more)" in result.stderr
    assert "Traceback" not in result.output


def test_stopping_keeps_what_is_finished(call: Call, planted: Planted, tmp_path: Path) -> None:
    planted.refuse["attention"] = KeyboardInterrupt()
    result = call(*SPEED)
    assert result.exit_code == 130
    assert "the same command goes on from here" in result.stderr
    records = tmp_path / "runs/measurements/measurements.jsonl"
    assert {one.architecture for one in read_measurements(records)} == {"lstm"}
    with records.open("a") as file:
        file.write('{"kind": "series", "meas')  # what a kill leaves of a line
    del planted.refuse["attention"]
    result = call(*SPEED)
    assert "reused: lstm" in result.stderr
    assert [name for name, _ in planted.calls] == ["lstm", "attention", "attention"]
    assert len(list(read_measurements(records))) == 4


def test_algorithms_stand_side_by_side(call: Call, planted: Planted) -> None:
    result = call(*SPEED, "--algorithms", "all", "--option", "gate=3")
    given = [(name, made["variant"], made["options"]) for name, made in planted.calls]
    assert given == [
        ("lstm", "gate=3 loop", {"gate": 3, "algorithm": "loop"}),
        ("lstm", "gate=3 fused", {"gate": 3, "algorithm": "fused"}),
        ("attention", "gate=3 explicit", {"gate": 3, "algorithm": "explicit"}),
        ("attention", "gate=3 fused", {"gate": 3, "algorithm": "fused"}),
    ]
    assert "T^1 for lstm, gate=3 loop" in result.output
    planted.calls.clear()
    result = call(*SPEED, "--algorithms", "loop")
    assert [made["variant"] for _, made in planted.calls] == ["loop"]
    assert "attention: it cannot be computed by loop: it offers explicit, fused" in result.stderr


def test_sizes_and_threads_reach_the_function(call: Call, planted: Planted) -> None:
    call(*SPEED, "--params", "10k", "--depth", "3", "--threads", "1", "--batch", "4")
    (_, given), _ = planted.calls
    wanted = {"params": 10_000, "depth": 3, "threads": 1, "batch_size": 4, "lengths": [8, 16, 32]}
    assert wanted.items() <= given.items()
    assert "width" not in given
    assert "checkpoint" not in given


def test_json_is_the_records_alone(call: Call, planted: Planted) -> None:
    found = json.loads(call(*SPEED, "--json").stdout)
    assert [one["quantity"] for one in found[:2]] == ["forward_seconds", "training_step_seconds"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["speed", "--models", "lstn"], "unknown architecture 'lstn': did you mean lstm"),
        (["speed", "--lengths", "8,many"], "not a number"),
        (["speed", "--lengths", ","], "names nothing: write it as 64,128"),
        (["speed", "--width", "8", "--params", "10k"], "give --width or --params"),
        (["speed", "--device", "tpu"], "unknown device 'tpu'"),
        (["speed", "--mixer", "nowhere.py:M"], "nowhere.py"),
        (
            ["speed", "--models", "lstm", "--mixer", "lstm=nowhere.py:M"],
            "named twice",
        ),
        (["speed", "--model", "lstm"], "--model chooses from a --run"),
        (["speed", "--run", "runs/none"], "is not a run folder"),
        (["speed", "--run", "runs/none", "--models", "lstm"], "with --model NAME"),
        (["speed", "--run", "runs/none", "--width", "8"], "as it is"),
        (["reach", "--depth", "2"], "give --depths"),
        (["maps", "--algorithms", "all"], "leave out --algorithms"),
        (["recall", "--rates", "fast"], "not a number"),
        (["recall", "--set", "alphabet"], "write it as key=value"),
    ],
)
def test_mistakes_are_one_line(words: list[str], told: str, call: Call) -> None:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("verb", ["speed", "memory", "utilisation", "gradient", "reach", "recall",
                                  "length", "maps"])  # fmt: skip
def test_help_teaches(verb: str, call: Call) -> None:
    output = " ".join(call(verb, "-h").output.split())
    assert f"seqarena measure {verb} --models" in output  # an example
    assert "--run" in output
    assert "A row is" in output or "the page shows" in output


def test_maps_without_attention_show_the_flow_alone(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one(kind: Any, architecture: str, text: str) -> Map:
        words = tuple(text.split())
        size = len(words)
        weights = tuple(tuple(1.0 if j == 0 else 0.0 for j in range(size)) for _ in range(size))
        return Map(measurement=kind, architecture=architecture, words=words, weights=weights,
                   machine=this_machine())  # fmt: skip

    def attention_maps(architecture: str, *, text: str, **_: Any) -> list[Map]:
        if architecture == "lstm":
            raise UserError("lstm has no attention")
        return [one("attention", architecture, text)]

    module = SimpleNamespace(
        attention_maps=attention_maps,
        influence_maps=lambda architecture, *, text, **_: [one("influence", architecture, text)],
    )
    monkeypatch.setitem(sys.modules, "seqarena.measure.flow.maps", module)
    result = call("maps", "--models", "attention,lstm", "--text", "the cat sat")
    assert result.exit_code == 0, result.output
    assert "not measured: lstm has no attention" in result.stderr
    assert "mostly 'the'" in result.output
    assert result.output.count("influence") == 2


def test_an_option_that_a_measurement_has_not_is_refused(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def receptive_field_series(architecture: str, *, depths: Any, width: int = 32) -> list[Series]:
        raise AssertionError("it must not be called")

    module = SimpleNamespace(receptive_field_series=receptive_field_series)
    monkeypatch.setitem(sys.modules, "seqarena.measure.flow.gradient", module)
    for words, flag in ((["--params", "9k"], "params"), (["--option", "a=1"], "option")):
        result = call("reach", "--models", "gru", *words)
        assert result.exit_code == 2
        assert f"this measurement has no --{flag}" in result.stderr
