"""A mixer's algorithm is that of the device and dtype its parameters are on."""

import pytest
import torch

from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.mixers.minimal.mingru import MinGRU, MinGRUConfig
from seqarena.mixers.recurrent.gru import GRU, GRUConfig
from seqarena.models.any import algorithms_on, build_model, missing_packages
from seqarena.models.build import model_config
from seqarena.models.catalog import architecture
from seqarena.ops import measured
from seqarena.ops.minimal import minimal_recurrence


def config(name: str, **options: object):
    row = architecture(name)
    row = row._replace(cycle=tuple((place, {**own, **options}) for place, own in row.cycle))
    return model_config(row, own_inputs(50), params=None, width=24, depth=2)


def test_it_is_resolved_again_where_the_dtype_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    row = measured.MeasuredChoice("minimal_recurrence", "cpu", "fused", "planted", half="scan")
    monkeypatch.setitem(measured._BY_PLACE, ("minimal_recurrence", "", "cpu"), row)
    mixer = MinGRU(6, MinGRUConfig())
    assert mixer.algorithm == "fused"
    assert mixer.to(torch.bfloat16).algorithm == "scan"
    assert torch.nn.Sequential(mixer).float()[0].algorithm == "fused"


def test_a_mixer_that_is_not_on_a_device_yet_counts_as_on_the_cpu(without_packages: None) -> None:
    with torch.device("meta"):
        assert MinGRU(6, MinGRUConfig()).algorithm == "fused"


def test_what_runs_on_a_device_is_told_without_allocating_the_model(
    without_packages: None,
) -> None:
    assert algorithms_on(config("mingru"), "cpu") == ("fused", "fused")
    assert algorithms_on(config("mingru"), "cuda") == ("scan", "scan")
    assert algorithms_on(config("hybrid"), "cuda", torch.float64) == ("scan", "fused")
    assert algorithms_on(config("bi_gru"), "cuda") == ("fused", "fused")
    assert algorithms_on(config("gru"), "cpu") == build_model(config("gru")).algorithms
    assert algorithms_on(config("mingru", algorithm="loop"), "cuda") == ("loop", "loop")


def test_what_a_missing_package_would_make_faster_is_told(without_packages: None) -> None:
    found = missing_packages(config("mingru"), "cpu")
    assert [(one.algorithm, one.package) for one in found] == [("compiled", "numba")] * 2
    assert missing_packages(config("mingru", algorithm="fused"), "cpu") == []
    assert missing_packages(config("mingru"), "cuda") == []
    assert missing_packages(config("attention"), "cpu") == []


@pytest.mark.parametrize("name", ["lstm", "conv", "attention", "linear_attention"])
def test_choosing_does_not_break_a_compiled_graph(name: str) -> None:
    model, tokens_BT = build_model(config(name)), torch.randint(0, 50, (2, 9))
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        # the compiler may sum in another order
        torch.testing.assert_close(compiled(tokens_BT)[0], model(tokens_BT)[0])


def test_a_class_that_does_not_say_what_computes_it_is_refused() -> None:
    class Silent(GRU):
        operation_of = classmethod(Mixer.operation_of.__func__)  # pyright: ignore

    with pytest.raises(UserError, match="set `operation`, or name its own forms"):
        Silent(8, GRUConfig())


def test_a_name_is_refused_when_the_mixer_is_built() -> None:
    with pytest.raises(UserError, match="did you mean stepwise"):
        GRU(8, GRUConfig(algorithm="stepwize"))


def test_an_algorithm_that_cannot_run_on_the_device_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(minimal_recurrence, "_algorithms", dict(minimal_recurrence._algorithms))
    minimal_recurrence.algorithm("kernel", devices=("cuda",), serial_steps=len)(len)
    chosen = config("mingru", algorithm="kernel")
    assert algorithms_on(chosen, "cuda") == ("kernel", "kernel")
    with pytest.raises(
        UserError, match="does not run on cpu in float32: use auto or loop or chunked"
    ):
        algorithms_on(chosen, "cpu")
