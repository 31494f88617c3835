"""The costs together, on planted mixers whose costs are known."""

import textwrap
import time
from pathlib import Path

import pytest
import torch

from seqarena.core.batch import Problem, own_inputs
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Series
from seqarena.core.results.quantities import CostTable, quantity
from seqarena.core.user_code import allow
from seqarena.measure.costs.costs import CostSubject, exact_costs, timed_costs
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import Architecture, architecture, yours
from seqarena.train.config import OptimizerConfig

PLANTED = '''
import time
from typing import NamedTuple

import torch

from seqarena.mixers.base import Complexity, Mixer, MixerConfig

class PlantedConfig(MixerConfig):
    seconds: float = 0.0
    extra_numbers: int = 0
    declared: int = 0
    sees_future: bool = False

class State(NamedTuple):
    x_BD: torch.Tensor

class Planted(Mixer):
    """Passes its input through; what it costs is planted."""
    Config = PlantedConfig
    algorithms = ("loop",)
    complexity = Complexity("T", "1", "1", "D")

    def __init__(self, width, config):
        super().__init__(width, config)
        self.causal = not config.sees_future
        self.scale = torch.nn.Parameter(torch.ones(width))

    def mix(self, x_BTD, state, lengths_B):
        time.sleep(self.config.seconds)
        torch.empty(self.config.extra_numbers)
        return x_BTD * self.scale, State(x_BTD[:, -1].clone()) if self.causal else None

    def initial_state(self, batch_size, max_length=0):
        return State(torch.zeros(batch_size, self.width)) if self.causal else None

    def state_bytes(self, length):
        return self.config.declared or 4 * self.width

    def flops(self, length): return length * self.width
    def serial_steps(self, length): return 1
    def path_length(self, distance): return distance
    def reach(self): return 0
'''


@pytest.fixture
def planted(tmp_path: Path) -> str:
    path = tmp_path / "planted.py"
    path.write_text(textwrap.dedent(PLANTED))
    allow(f"{path}:Planted")
    return f"{path}:Planted"


def subject_of(row: Architecture, length: int, problem: Problem | None = None) -> CostSubject:
    problem = problem or own_inputs(32, length)
    return CostSubject(
        architecture=row.name,
        config=model_config(row, problem, params=None, width=16, depth=2),
        problem=problem,
        batch_size=2,
        sequence_length=length,
        device="cpu",
        dtype="float32",
        threads=1,
        optimizer=OptimizerConfig(),
    )


def costs(row: Architecture, length: int = 16, problem: Problem | None = None) -> dict[str, Series]:
    subject = subject_of(row, length, problem)
    records = [*exact_costs(subject), *timed_costs(subject, seconds=0.02)]
    return {record.quantity: record for record in records}


def value(found: dict[str, Series], key: str) -> float:
    measured = CostTable(found.values()).value(found[key].architecture, quantity(key))
    assert measured is not None
    return measured


def test_a_slower_model_is_measured_slower_by_the_planted_ratio(
    planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    slow, fast = (costs(yours("a", planted, {"seconds": s})) for s in (0.04, 0.01))
    speed, latency = "training_tokens_per_second", "decode_seconds_per_token"
    # two layers; batch 2 of 16 tokens a step; one token a decoding step
    assert value(fast, speed) == pytest.approx(2 * 16 / 0.02)
    assert value(fast, latency) == pytest.approx(0.02)
    assert value(fast, speed) / value(slow, speed) == pytest.approx(4.0)
    assert value(slow, latency) / value(fast, latency) == pytest.approx(4.0)


def test_planted_memory_is_found_to_the_byte(planted: str) -> None:
    def peak(numbers: int) -> float:
        return value(costs(yours("a", planted, {"extra_numbers": numbers})), "peak_training_bytes")

    # far above everything else, so that the peak is where the planted tensor is
    assert peak(3_000_000) - peak(2_000_000) == 4_000_000
    assert peak(2_000_000) == peak(2_000_000)


def test_misstated_state_bytes_are_an_error(planted: str) -> None:
    with pytest.raises(UserError, match=r"holds 128 bytes, but the model declares 2"):
        costs(yours("a", planted, {"declared": 1}))


def test_an_encoder_has_no_state_and_no_decoding(planted: str) -> None:
    found = costs(yours("a", planted, {"sees_future": True}))
    assert set(found) == {
        "training_tokens_per_second", "peak_training_bytes", "answer_seconds_per_example"
    }  # fmt: skip


@pytest.mark.parametrize("length", [1, 33])
@pytest.mark.parametrize(
    "name", ["mingru", "attention", "attention_learned", "wavenet", "nnlm", "bytenet"]
)
def test_records_of_real_architectures(name: str, length: int) -> None:
    found = costs(architecture(name), length)
    assert set(found) == {
        "training_tokens_per_second",
        "peak_training_bytes",
        "decode_seconds_per_token",
        "state_bytes",
    }
    for key, series in found.items():
        (point,) = series.points
        assert point.x == length
        assert value(found, key) > 0
        timed = {"others_share"} if "second" in key else set()
        assert set(series.settings) == {"batch_size", "algorithms"} | timed
        alone = key in ("decode_seconds_per_token", "state_bytes")
        assert series.settings["batch_size"] == (1 if alone else 2)
        assert (series.machine.device, series.machine.dtype) == ("cpu", "float32")
        assert series.machine.threads == 1
        assert len(point.repeats) == 1
    config = model_config(
        architecture(name), own_inputs(32, length), params=None, width=16, depth=2
    )
    model = build_model(config)
    assert value(found, "state_bytes") == model.state_bytes(length)
    # parameters, gradients and two moments at the very least
    assert value(found, "peak_training_bytes") > 4 * 4 * model.num_parameters


@pytest.mark.parametrize("name", ["text_cnn", "gru"])
def test_what_gives_one_label_has_the_time_of_an_answer(name: str) -> None:
    problem = Problem(form="label", num_outputs=3, vocab_size=20, max_length=16)
    found = costs(architecture(name), problem=problem)
    assert value(found, "answer_seconds_per_example") > 0
    assert "decode_seconds_per_token" not in found


@pytest.mark.parametrize(
    ("form", "key"),
    [("label", "answer_seconds_per_example"), ("tokens", "decode_seconds_per_token")],
)
def test_costs_of_answers_that_are_numbers(form: str, key: str) -> None:
    problem = Problem.model_validate(
        {"form": form, "targets": "numbers", "num_outputs": 2, "features": 3, "max_length": 16}
    )
    for name in ("gru", "wavenet"):
        assert value(costs(architecture(name), problem=problem), key) > 0


@pytest.mark.parametrize("name", ["rnnsearch", "transformer", "gru"])
def test_what_writes_has_the_time_of_a_token_and_a_state(name: str) -> None:
    problem = Problem(
        form="pairs", num_outputs=20, vocab_size=20, source_vocab_size=20, max_length=16,
        max_source_length=16,
    )  # fmt: skip
    found = costs(architecture(name), problem=problem)
    assert value(found, "decode_seconds_per_token") > 0
    assert value(found, "state_bytes") > 0


def test_measuring_leaves_random_numbers_and_threads_alone() -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(3)
    costs(architecture("mingru"))
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads
