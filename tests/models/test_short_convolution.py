"""A short convolution before every mixer: its equation, its state, its costs, its options."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seqarena.arena.requests import CompareRequest
from seqarena.core.errors import UserError
from seqarena.core.options import build as build_request
from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.requests import MEASUREMENTS
from seqarena.models.any import count_parameters
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.language_model import Encoder, LanguageModel
from seqarena.models.stacks.stack import Block, LayerConfig, StackConfig

TOKENS = torch.randint(20, (3, 11), generator=torch.Generator().manual_seed(0))
CAUSAL = [name for name, row in CATALOG.items() if row.system is None and row.causal]


def language_model(name: str = "gru", **more: Any) -> LanguageModel:
    model = build(name, vocab_size=20, width=16, short_convolution=4, seed=0, **more)
    assert isinstance(model, LanguageModel)
    with torch.no_grad():  # a start at which the convolution is no small thing
        for block in model.stack.blocks:
            block.convolution.weight.normal_()  # pyright: ignore
    return model.double().eval()


def by_hand(block: Block, x_BTD: Tensor) -> Tensor:
    """Canon layer A, written out: position by position, tap by tap."""
    z_BTD = block.mixer_norm(x_BTD)
    taps_DK = block.convolution.weight[:, 0]  # pyright: ignore
    seen_BTD = z_BTD.clone()
    for t in range(x_BTD.shape[1]):
        for back in range(taps_DK.shape[1]):
            if t - back >= 0:
                seen_BTD[:, t] += taps_DK[:, -1 - back] * z_BTD[:, t - back]
    x_BTD = x_BTD + block.mixer(seen_BTD)[0]
    return x_BTD + block.channel_mixer(block.channel_norm(x_BTD))  # pyright: ignore


def test_the_mixer_sees_the_sum_of_input_and_convolution() -> None:
    layer = LayerConfig(mixer="seqarena.mixers.recurrent.gru:GRU")
    config = StackConfig(width=8, layers=(layer,), channel_width=8, short_convolution=3)
    block = Block(config, layer).double()
    x_BTD = torch.randn(2, 7, 8, dtype=torch.float64)
    torch.testing.assert_close(block(x_BTD)[0], by_hand(block, x_BTD), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CAUSAL)
def test_splitting_decoding_and_padding_change_nothing(name: str) -> None:
    model = language_model(name)
    with torch.no_grad():
        whole_BTV, _ = model(TOKENS)
        first_BTV, state = model(TOKENS[:, :5])
        second_BTV, _ = model(TOKENS[:, 5:], state)
        torch.testing.assert_close(torch.cat((first_BTV, second_BTV), 1), whole_BTV, **CLOSE)
        state, steps = model.initial_state(3, max_length=11), []
        for token_B1 in TOKENS.split(1, dim=1):
            logits_B1V, state = model(token_B1, state)
            steps.append(logits_B1V)
        torch.testing.assert_close(torch.cat(steps, 1), whole_BTV, **CLOSE)
        for left, right in ((3, 0), (0, 3)):
            mask_BT = F.pad(torch.ones_like(TOKENS), (left, right)).bool()
            padded_BTV, state = model(F.pad(TOKENS, (left, right), value=7), mask_BT=mask_BT)
            torch.testing.assert_close(padded_BTV[:, left : left + 11], whole_BTV, **CLOSE)
            ahead_BTV = model(TOKENS[:, :2], state)[0]
            torch.testing.assert_close(
                ahead_BTV, model(torch.cat((TOKENS, TOKENS[:, :2]), 1))[0][:, 11:], **CLOSE
            )


CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


def test_costs_are_those_of_the_convolution_more() -> None:
    plain = build("gru", vocab_size=20, width=16)
    more = build("gru", vocab_size=20, width=16, short_convolution=4)
    assert more.num_parameters - plain.num_parameters == 2 * 16 * 4
    assert more.flops(10) - plain.flops(10) == 2 * (2 * 10 * 16 * 4)
    assert more.state_bytes(10) - plain.state_bytes(10) == 2 * 3 * 16 * 4
    assert more.serial_steps(10) - plain.serial_steps(10) == 2 * 2
    assert isinstance(more, LanguageModel)
    state = more(TOKENS[:1])[1]
    assert measured_state_bytes(state) == more.state_bytes(11)
    assert measured_state_bytes(more.initial_state(1, 11)) == more.state_bytes(11)
    window = build("sliding_window", vocab_size=20, width=16, short_convolution=4)
    assert window.reach() == 2 * (63 + 3)


def test_the_size_is_solved_with_it() -> None:
    model = build("gru", vocab_size=20, params=50_000, short_convolution=4)
    assert abs(count_parameters(model.config) - 50_000) <= 500
    assert model.config.stack.short_convolution == 4


def test_what_reads_both_ways_has_one_too() -> None:
    model = build("bi_gru", vocab_size=20, width=16, short_convolution=4)
    assert isinstance(model, Encoder)
    assert model.state_bytes(10) == 0


def test_it_is_one_option_everywhere() -> None:
    request = build_request(CompareRequest, {"short_convolution": "4"})
    assert request.size.short_convolution == 4
    speed = build_request(MEASUREMENTS["speed"], {"short_convolution": 4})
    assert speed.subjects.variant() == {
        "options": {"short_convolution": 4}, "variant": "short_convolution=4",
    }  # fmt: skip
    by_option = build("gru", vocab_size=20, width=16, options={"short_convolution": 4})
    assert by_option.config == build("gru", vocab_size=20, width=16, short_convolution=4).config
    with pytest.raises(UserError, match="wavenet is a whole system: it has no place for a short"):
        build("wavenet", vocab_size=20, width=16, short_convolution=4)
