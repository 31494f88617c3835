"""Both directions: the contract, torch.nn's bidirectional layers, and padding."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.composed.bidirectional import Bidirectional, BidirectionalConfig
from seqarena.mixers.contract import CHECKS, subject
from seqarena.ops.recurrent.lstm import lstm

CONFIGS = {
    "lstm": BidirectionalConfig(),
    "gru before": BidirectionalConfig(inner="gru", options={"reset": "before"}, combine="sum"),
    "elman": BidirectionalConfig(inner="elman", algorithm="loop"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_contract(check, config):
    check(subject(Bidirectional, config))


def pair(algorithm, combine):
    """Ours and torch.nn.LSTM with the same numbers."""
    torch.manual_seed(0)
    ours = Bidirectional(6, BidirectionalConfig(algorithm=algorithm, combine=combine)).double()
    theirs = torch.nn.LSTM(6, 6, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for layer, suffix in ((ours.ahead, "_l0"), (ours.back, "_l0_reverse")):
            getattr(theirs, f"weight_ih{suffix}").copy_(layer.input_FD)
            getattr(theirs, f"weight_hh{suffix}").copy_(layer.recurrent_FE)
            getattr(theirs, f"bias_ih{suffix}").copy_(layer.bias_F)
            getattr(theirs, f"bias_hh{suffix}").zero_()
    return ours, theirs


def join(ours, their_BTE):
    if ours.projection is None:
        return their_BTE[..., :6] + their_BTE[..., 6:]
    return ours.projection(their_BTE)


@pytest.mark.parametrize("combine", ["project", "sum"])
@pytest.mark.parametrize("algorithm", lstm.names)
def test_parity_with_torch(algorithm, combine):
    ours, theirs = pair(algorithm, combine)
    x_BTD = torch.randn(3, 20, 6, dtype=torch.float64, requires_grad=True)
    found_BTD, expected_BTD = ours(x_BTD)[0], join(ours, theirs(x_BTD)[0])
    torch.testing.assert_close(found_BTD, expected_BTD, rtol=1e-12, atol=1e-12)
    weight_BTD = torch.randn(3, 20, 6, dtype=torch.float64)
    leaves, their_leaves = [x_BTD], [x_BTD]
    for layer, suffix in ((ours.ahead, "_l0"), (ours.back, "_l0_reverse")):
        leaves += [layer.input_FD, layer.recurrent_FE, layer.bias_F]
        names = ("weight_ih", "weight_hh", "bias_ih")
        their_leaves += [getattr(theirs, name + suffix) for name in names]
    found = torch.autograd.grad((found_BTD * weight_BTD).sum(), leaves)
    expected = torch.autograd.grad((expected_BTD * weight_BTD).sum(), their_leaves)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("algorithm", lstm.names)
def test_parity_with_torch_on_ragged_rows(algorithm):
    ours, theirs = pair(algorithm, "project")
    x_BTD, lengths_B = torch.randn(3, 20, 6, dtype=torch.float64), torch.tensor([20, 1, 13])
    mask_BT = lengths_to_mask(lengths_B, 20)
    packed = pack_padded_sequence(x_BTD, lengths_B, batch_first=True, enforce_sorted=False)
    their_BTE, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    with torch.no_grad():
        found_BTD = ours(x_BTD, mask_BT=mask_BT)[0]
        torch.testing.assert_close(found_BTD[mask_BT], join(ours, their_BTE)[mask_BT])


def test_flops_are_both_directions_and_the_projection():
    mixer = Bidirectional(16, BidirectionalConfig(inner="elman", algorithm="loop"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        mixer(torch.randn(1, 7, 16))
    assert mixer.flops(7) == counter.get_total_flops()


def test_auto_is_that_of_the_inner_layer():
    for inner in ("elman", "gru", "lstm"):
        mixer = Bidirectional(8, BidirectionalConfig(inner=inner))
        assert mixer.algorithm == mixer.ahead.algorithm == mixer.back.algorithm


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"options": {"forget": 1.0}}, "lstm option 'forget': Extra inputs"),
        ({"options": {"algorithm": "loop"}}, "a field next to inner"),
        ({"options": {"initialisation": "chrono"}}, "max_time_steps"),
    ],
)
def test_wrong_options_are_told(wrong, message):
    with pytest.raises(UserError, match=message):
        BidirectionalConfig(**wrong)


def test_a_state_is_refused():
    mixer = Bidirectional(8, BidirectionalConfig())
    with pytest.raises(UserError, match="sees the future"):
        mixer(torch.randn(1, 3, 8), (torch.zeros(1, 8),))
