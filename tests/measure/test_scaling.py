"""Curves against length, on planted architectures whose growth is known and on real ones."""

import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import exponent
from seqarena.core.results.measurement import Series
from seqarena.core.user_code import allow
from seqarena.measure.costs import scaling
from seqarena.measure.costs.costs import RandomTask
from seqarena.measure.costs.scaling import algorithms, memory, speed, utilisation
from seqarena.models.build import build
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.checkpoint import save
from seqarena.train.config import TrainConfig
from seqarena.train.loop import Trainer

PLANTED = '''
from typing import NamedTuple

import time
import torch

from seqarena.mixers.base import Complexity, Mixer, MixerConfig


class State(NamedTuple):
    x_BD: torch.Tensor


class Linear(Mixer):
    """Does so much work at every position."""

    Config = MixerConfig
    algorithms = ("loop",)
    complexity = Complexity("T", "1", "1", "D")
    work = torch.ones(64)

    def __init__(self, width, config):
        super().__init__(width, config)
        self.scale = torch.nn.Parameter(torch.ones(width))

    def units(self, length):
        return 64 * length

    def mix(self, x_BTD, state, lengths_B):
        for _ in range(self.units(x_BTD.shape[1])):
            time.sleep(1e-6)
            self.work.mul(1.0)
        return x_BTD * self.scale, State(x_BTD[:, -1].clone())

    def initial_state(self, batch_size, max_length=0):
        return State(torch.zeros(batch_size, self.width))

    def state_bytes(self, length): return 4 * self.width
    def flops(self, length): return 64 * self.units(length)
    def serial_steps(self, length): return self.units(length)
    def path_length(self, distance): return distance
    def reach(self): return 0


class Quadratic(Linear):
    """A loop over all pairs of positions."""

    def units(self, length):
        return length * length
'''
SMALL: dict[str, Any] = {"width": 16, "depth": 1, "repeats": 2, "seconds": 0.0}
SIZES: dict[str, Any] = {"width": 16, "depth": 1}


@pytest.fixture
def planted(tmp_path: Path) -> str:
    path = tmp_path / "planted.py"
    path.write_text(PLANTED)
    allow(f"{path}:Planted")
    return str(path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands still but for the planted work, which moves it and takes no time."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def by_quantity(found: list[Series]) -> dict[str, Series]:
    return {series.quantity: series for series in found}


@pytest.mark.parametrize(("name", "power"), [("Linear", 1.0), ("Quadratic", 2.0)])
def test_a_planted_architecture_gets_its_exponent(
    planted: str, clock: None, name: str, power: float
) -> None:
    found = speed(f"{planted}:{name}", lengths=(8, 16, 32), **SMALL)
    for series in found[:2]:
        estimate = exponent(series)
        assert estimate.value == pytest.approx(power)
        assert estimate.low - 1e-9 <= power <= estimate.high + 1e-9
    assert exponent(found[2]).value == pytest.approx(0.0)  # decoding is of one position


def test_real_work_tells_the_planted_apart(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The exponents are exact on the clock above. Here caches and neighbours blur them, even in the
    # time of this process: on a busy machine one call in some dozens found 0.6 for the linear one.
    # A wrong exponent fails in all of three calls.
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def found(name: str, lengths: tuple[int, ...]) -> float:
        options: dict[str, Any] = {**SMALL, "repeats": 9, "what": ["forward"]}
        return exponent(speed(f"{planted}:{name}", lengths=lengths, **options)[0]).value

    near_one = (abs(found("Linear", (64, 128, 256)) - 1) < 0.3 for _ in range(3))
    near_two = (abs(found("Quadratic", (48, 96, 192)) - 2) < 0.5 for _ in range(3))
    assert any(near_one)
    assert any(near_two)


def test_the_algorithm_is_chosen_named_and_recorded() -> None:
    assert algorithms("mingru") == ("loop", "chunked", "compiled", "fused", "scan")
    assert algorithms("attention") == ("explicit", "fused")
    assert algorithms("gru_before") == ("loop", "stepwise")  # torch's kernel is of the other form
    assert algorithms("hybrid") == algorithms("seq2seq_lstm") == ()
    for name in ("scan", "fused"):
        (series,) = speed(
            "mingru", lengths=(8, 16), what=["training"], options={"algorithm": name}, **SMALL
        )
        assert series.variant == name
        assert series.settings["algorithms"] == [name]
        steps = [20 - 12, 22 - 12] if name == "scan" else [8 + 2, 16 + 2]
        assert series.settings["serial_steps"] == steps
        assert [len(point.repeats) for point in series.points] == [2, 2]


def test_settings_say_all_that_the_number_depends_on() -> None:
    found = by_quantity(speed("lstm", lengths=(16, 8), batch_size=3, peak=True, **SMALL))
    forward, training, decoding = found.values()
    assert [point.x for point in forward.points] == [8, 16]
    assert training.settings["flops"] == [3 * x for x in forward.settings["flops"]]
    assert (training.settings["batch_size"], decoding.settings["batch_size"]) == (3, 1)
    assert training.settings["peak_flops_per_second"] > 0
    assert {"width", "depth", "parameters", "options", "repeats", "seconds", "form", "weights"} <= (
        training.settings.keys()
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bi_lstm", "sees the whole input"), ("text_cnn", "one label"), ("bert", "sees the whole")],
)
def test_what_cannot_decode_says_so(name: str, reason: str) -> None:
    timed, held = speed(name, lengths=(8,), **SMALL), memory(name, lengths=(8,), **SIZES)
    assert reason in timed[0].settings["not_measured"]["decode_seconds_per_token"]
    assert reason in held[0].settings["not_measured"]["state_bytes"]
    assert {series.quantity for series in timed} == {"forward_seconds", "training_step_seconds"}
    with pytest.raises(UserError, match=reason):
        speed(name, lengths=(8,), what=["decoding"], **SMALL)


@pytest.mark.parametrize("name", ["wavenet", "rnnsearch", "transformer"])
def test_systems_that_write_are_timed_writing(name: str) -> None:
    found = by_quantity(speed(name, lengths=(4, 8), **SMALL))
    assert len(found["decode_seconds_per_token"].points) == 2


def test_a_length_that_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="pictures of 32 x 32 pixels"):
        speed("lenet5", lengths=(64, 128), **SMALL)
    (series,) = speed("lenet5", lengths=(64, 1024), what=["forward"], **SMALL)
    assert [point.x for point in series.points] == [1024]
    assert "32 x 32" in series.settings["skipped"]["64"]
    with pytest.raises(UserError, match="at least one length"):
        speed("lstm", lengths=(), **SMALL)
    with pytest.raises(UserError, match="did you mean forward"):
        speed("lstm", lengths=(8,), what=["forwards"], **SMALL)


def test_what_would_break_a_limit_is_left_out(planted: str, clock: None) -> None:
    # two warm-up calls and two repeats of 256 units, then of 1,024 and of 4,096
    seconds = 4 * 1024 * 1e-6
    (series,) = speed(
        f"{planted}:Quadratic", lengths=(16, 32, 64), what=["forward"],
        limit_seconds=1.5 * seconds, **SMALL,
    )  # fmt: skip
    assert [point.x for point in series.points] == [16, 32]
    assert "more than the limit" in series.settings["skipped"]["64"]
    explicit = {"algorithm": "explicit"}
    (series,) = speed(
        "attention", lengths=(64, 16384), what=["forward"], options=explicit,
        limit_bytes=2**30, **SMALL,
    )  # fmt: skip
    assert [point.x for point in series.points] == [64]
    assert "training would hold about" in series.settings["skipped"]["16384"]
    with pytest.raises(UserError, match="measured nowhere: length 8: training would hold"):
        speed("lstm", lengths=(8,), limit_bytes=1, **SMALL)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("attention", "explicit"), ("attention", "fused"), ("lstm", "fused"), ("mingru", "scan")],
)
def test_peak_memory_is_what_is_predicted(name: str, algorithm: str) -> None:
    options = {"algorithm": algorithm}
    peak, state = memory(name, lengths=(256, 512, 768), options=options, width=32)
    measured = [point.repeats[0] for point in peak.points]
    # scratch memory and rounding are not predicted
    assert measured == pytest.approx(peak.baselines["formula"], rel=0.15)
    assert state.baselines["formula"] == tuple(point.repeats[0] for point in state.points)


def test_explicit_softmax_holds_the_square_and_the_fused_form_does_not() -> None:
    def quadratic(algorithm: str) -> float:
        found = memory(
            "attention", lengths=(64, 128, 192), batch_size=2, width=32, depth=3,
            options={"algorithm": algorithm},
        )  # fmt: skip
        return found[0].baselines["quadratic term"][0] / 64**2

    # 4 bytes for each of 2 sequences, 4 heads and 3 layers, and the gradients of two such matrices;
    # which positions are hidden is told by a byte or two for each layer
    assert quadratic("explicit") == pytest.approx(4 * 2 * 4 * (3 + 2), abs=2 * 3)
    assert quadratic("fused") == 0.0


def test_utilisation_is_operations_over_seconds_over_the_peak(
    planted: str, clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "peak_flops_per_second", lambda *_: 1e9)
    found = utilisation(
        f"{planted}:Linear", lengths=(8, 16), batch_sizes=(1, 4), what="forward", **SMALL
    )
    assert [series.variant for series in found] == ["batch 1", "batch 4"]
    for series, batch_size in zip(found, (1, 4)):
        for point, flops in zip(series.points, series.settings["flops"]):
            # the planted work takes as long for any number of sequences
            share = flops / (64 * point.x * 1e-6) / 1e9
            assert point.repeats == pytest.approx((share, share))
        assert series.settings["flops"][0] % batch_size == 0
    with pytest.raises(UserError, match="one token at a time"):
        utilisation("lstm", lengths=(8,), batch_sizes=(1,), what="decoding")


@pytest.mark.parametrize("name", ["gru", "transformer", "attention_learned", "lstm"])
def test_a_checkpoint_is_measured_as_far_as_it_was_built_for(name: str, tmp_path: Path) -> None:
    pairs = {"form": "pairs", "source_vocab_size": 30, "max_source_length": 12}
    problem = Problem(
        num_outputs=20, vocab_size=20, causal=True, max_length=12,
        **(pairs if name in ("gru", "transformer") else {}),
    )  # fmt: skip
    model = build(name, problem=problem, width=16, depth=1)
    training = TrainConfig(budget=Budget(steps=1))
    trainer = Trainer(model, cast("Task", RandomTask(problem, 12)), training)
    save(tmp_path / "checkpoint", trainer, {"architecture": name, "task": {}})
    (series,) = speed(
        name, lengths=(6, 24), checkpoint=str(tmp_path / "checkpoint"), what=["decoding"], **SMALL
    )
    assert series.variant == "trained"
    assert series.settings["parameters"] == model.num_parameters
    bounded = name in ("transformer", "attention_learned")
    assert [point.x for point in series.points] == ([6] if bounded else [6, 24])
    assert ("at most 12 positions" in str(series.settings.get("skipped"))) == bounded


def test_measuring_leaves_random_numbers_and_threads_alone() -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    found = speed("mingru", lengths=(8,), what=["training"], threads=threads + 1, **SMALL)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads
    assert found[0].machine.threads == threads + 1
