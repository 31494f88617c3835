"""A plain torch module as a mixer: what is measured of it, and what is refused."""

from typing import Any

import pytest
import torch

from seqarena.core.config import parse_options
from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.checked import subject
from seqarena.mixers.contract import run_checks
from seqarena.mixers.plain import PlainModule, adapted
from seqarena.mixers.probing import ModuleFacts, module_facts
from tests.mixers import plain_modules as them

CAUSAL = (them.CausalEncoder, them.WrappedGRU, them.CausalConv, them.RunningMean)
FUTURE = {
    them.encoder: "position 0 moves when the input at position 1 changes",
    them.CenteredConv: "position 0 moves when the input at position 1 changes",
    them.SharedMean: "position 0 moves with how many positions follow",
    them.HiddenLeak: "position 9 moves when the input at position 11 changes",
    them.InPairs: "position 0 moves when the input at position 1 changes",
}
REFUSED = {
    them.TimeFirst: "mixes the rows of a batch.*batch_first=True",
    them.Wider: r"returns shape \(3, 21, 33\) for inputs \(3, 21, 32\)",
    them.Remembers: "another output for the same inputs",
    them.InPlace: "changes its inputs in place",
    them.WantsMask: "missing 1 required positional argument: 'mask'",
    them.NoWidth: "takes no width",
    them.not_a_module: "is no torch module",
}


def mixer_of(target: Any, **options: Any) -> tuple[type[PlainModule], Any]:
    mixer = adapted(target, target.__name__)
    return mixer, parse_options(mixer.__name__, mixer.Config, options)


def facts_of(target: Any, width: int = 32, length: int = 40) -> ModuleFacts:
    mixer, config = mixer_of(target)
    return module_facts(mixer, width, config, length)


@pytest.mark.parametrize("target", CAUSAL)
@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")
def test_a_causal_module_holds_the_contract(target: Any) -> None:
    assert facts_of(target).causal
    mixer, config = mixer_of(target)
    failures = {one.name: one.failure for one in run_checks(subject(mixer, config)) if one.failure}
    assert failures == {}


@pytest.mark.parametrize("target", FUTURE, ids=lambda target: target.__name__)
def test_a_module_that_sees_the_future_is_found_out(target: Any) -> None:
    assert FUTURE[target] in facts_of(target).leak


@pytest.mark.parametrize("target", REFUSED, ids=lambda target: target.__name__)
def test_what_cannot_be_taken_is_refused_in_one_line(target: Any) -> None:
    with pytest.raises(UserError, match=REFUSED[target]) as error:
        facts_of(target)
    assert "\n" not in str(error.value)


def test_what_is_found_is_said() -> None:
    assert facts_of(them.WrappedGRU).outputs == 2
    assert facts_of(them.Float32Alone).dtype == "float32"
    normed = facts_of(them.BatchNormed)
    assert normed.causal
    assert normed.leaks_in_training
    assert not facts_of(them.CausalEncoder).leaks_in_training  # its dropout draws alike


def test_rows_of_an_encoder_run_without_their_padding() -> None:
    mixer, config = mixer_of(them.encoder, sees_future=True)
    torch.manual_seed(0)
    module = mixer(16, config).double().eval()
    x_BTD = torch.randn(5, 9, 16, dtype=torch.float64)
    lengths_B = torch.tensor([9, 4, 0, 4, 7])
    y_BTD, state = module(x_BTD, mask_BT=lengths_to_mask(lengths_B, 9))
    assert state is None
    for row, length in enumerate(lengths_B.tolist()):
        if length:
            alone_1TD = module.module(x_BTD[row : row + 1, :length])
            torch.testing.assert_close(y_BTD[row : row + 1, :length], alone_1TD)
        assert not y_BTD[row, length:].any()
    plain, _ = module(x_BTD)
    assert (plain[1, :4] - y_BTD[1, :4]).abs().max() > 1e-3  # padding would have moved it


def test_operations_are_those_that_torch_counts() -> None:
    """2 T (3 D^2 + 3 D^2) of a GRU, 2 T K D^2 of a convolution; of an encoder the four products of
    attention and two of its feed-forward part, all pairs of positions among them."""
    T, D = 32, 64
    expected = {
        them.WrappedGRU: 12 * T * D * D,
        them.CausalConv: 2 * T * 4 * D * D,
        them.CausalEncoder: 2 * T * (4 * D * D + 4 * D * D) + 4 * T * T * D,
        them.LooksAtNumbers: 2 * T * D * D,
    }
    for target, operations in expected.items():
        mixer, config = mixer_of(target)
        assert mixer(D, config).flops(T) == operations, target.__name__


def test_what_is_not_known_is_not_a_number() -> None:
    mixer, config = mixer_of(them.RunningMean)
    module = mixer(8, config)
    assert module.unknown_costs == {"flops", "serial_steps", "path_length", "reach", "state_bytes"}
    for ask in (lambda: module.serial_steps(8), lambda: module.path_length(1), module.reach):
        with pytest.raises(UserError, match="is not known"):
            ask()
    gru, config = mixer_of(them.WrappedGRU)
    assert "flops" not in gru(8, config).unknown_costs


def test_arguments_of_the_constructor_are_options() -> None:
    mixer, config = mixer_of(them.CausalConv, taps=2)
    assert mixer(8, config).module.taps == 2
    with pytest.raises(UserError, match="option 'tap'"):
        mixer_of(them.CausalConv, tap=2)
    heads, config = mixer_of(them.CausalEncoder)
    with pytest.raises(UserError, match="cannot be built at width 6: AssertionError"):
        heads(6, config)


def test_it_is_built_where_there_is_no_memory() -> None:
    mixer, config = mixer_of(them.LooksAtNumbers)
    with torch.device("meta"):
        module = mixer(8, config)
    assert {p.device.type for p in module.parameters()} == {"meta"}


def test_measuring_leaves_the_draws_as_they_were() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    facts_of(them.CausalEncoder, width=20)
    mixer, config = mixer_of(them.CausalEncoder)
    before_flops = torch.get_rng_state()
    assert torch.equal(before, before_flops)
    module = mixer(24, config)
    after_build = torch.get_rng_state()
    module.flops(11)
    assert torch.equal(after_build, torch.get_rng_state())
