"""Any mixer as encoder-decoder: padding on either side, step by step, costs, and that it learns."""

from typing import Any

import pytest
import torch
from pair_checks import PROBLEM, left_padded, ragged, share_learned

from seqarena.core.batch import START, Batch
from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, architecture
from seqarena.models.model import Model
from seqarena.models.search import greedy

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


def can(name: str) -> bool:
    try:
        architecture(f"encoder_decoder:{name}")
    except UserError:
        return False
    return True


NAMES = [f"encoder_decoder:{name}" for name in CATALOG if can(name)]
HYBRID = "encoder_decoder:gru:attention@2:1"


def made(name: str) -> Model:
    """With noise on every parameter, so that what begins as zero hides nothing."""
    model = build(name, problem=PROBLEM, width=16, seed=3).double().eval()
    with torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def test_which_stacks_can() -> None:
    assert len(NAMES) > 20
    for name in ("gru", "mamba", "gated_delta", "attention", "conv", "linear_attention"):
        assert f"encoder_decoder:{name}" in NAMES


@pytest.mark.parametrize("name", [*NAMES, HYBRID])
def test_padding_of_source_and_target_changes_nothing(name: str) -> None:
    """On the right and on the left, against each example by itself without any."""
    model, batch = made(name), ragged()
    assert batch.mask_BT is not None
    assert batch.source_BS is not None
    assert batch.source_mask_BS is not None
    with torch.no_grad():
        right_BTV, left_BTV = model.answer(batch), model.answer(left_padded(batch))
        for b, (real_T, real_S) in enumerate(zip(batch.mask_BT, batch.source_mask_BS)):
            own = Batch(
                batch.inputs_BT[b, real_T][None], batch.inputs_BT[b, real_T][None], None,
                batch.source_BS[b, real_S][None],
            )  # fmt: skip
            expected_TV = model.answer(own)[0]
            torch.testing.assert_close(right_BTV[b, real_T], expected_TV, **CLOSE)
            torch.testing.assert_close(left_BTV[b, real_T.flip(0)], expected_TV, **CLOSE)


@pytest.mark.parametrize("name", [*NAMES, HYBRID])
def test_a_word_at_a_time_equals_the_whole(name: str) -> None:
    model, batch = made(name), ragged(1)
    with torch.no_grad():
        whole_BTV = model.answer(batch._replace(mask_BT=None))
        for start in (batch, left_padded(batch)._replace(inputs_BT=batch.inputs_BT)):
            state = model.begin(start, max_length=5)
            for t, token_B in enumerate(batch.inputs_BT.unbind(1)):
                logits_BV, state = model.step(token_B, state)
                torch.testing.assert_close(logits_BV, whole_BTV[:, t], **CLOSE)


@pytest.mark.parametrize("name", ["encoder_decoder:gru", "encoder_decoder:mamba", HYBRID])
def test_every_answer_sees_the_whole_source_and_no_later_word(name: str) -> None:
    model = made(name)
    batch = Batch(
        torch.randint(4, 13, (1, 5)), torch.zeros(1, 5, dtype=torch.long), None,
        torch.randint(4, 11, (1, 6)),
    )  # fmt: skip
    assert batch.source_BS is not None
    with torch.no_grad():
        before_BTV = model.answer(batch)
        for s in range(6):
            other_BS = batch.source_BS.clone()
            other_BS[0, s] = 4 + (other_BS[0, s] - 3) % 7
            changed = model.answer(batch._replace(source_BS=other_BS)) != before_BTV
            assert changed.any(-1).all()
        later_BT = batch.inputs_BT.clone()
        later_BT[0, 3] = 4 + (later_BT[0, 3] - 3) % 9
        changed = (model.answer(batch._replace(inputs_BT=later_BT)) != before_BTV).any(-1)
    assert changed.tolist() == [[False, False, False, True, True]]


@pytest.mark.parametrize(
    "name", ["encoder_decoder:mamba", "encoder_decoder:sliding_window", HYBRID]
)
def test_the_state_holds_the_bytes_that_are_declared(name: str) -> None:
    model = build(name, problem=PROBLEM, width=16, seed=3)
    source = torch.randint(4, 11, (1, 7))
    state = model.begin(Batch(source[:, :0], source[:, :0], None, source), max_length=7)
    with torch.no_grad():
        for _ in range(7):
            _, state = model.step(torch.tensor([START]), state)
    assert measured_state_bytes(state) == model.state_bytes(7)


def test_the_row_is_the_combination() -> None:
    row, other = architecture("mamba_encoder_decoder"), architecture("encoder_decoder:mamba")
    assert row.system == other.system
    first, second = (
        build(name, problem=PROBLEM, width=16, seed=1).state_dict()
        for name in ("mamba_encoder_decoder", "encoder_decoder:mamba")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_mixer_draws_its_own_weights() -> None:
    model = build("encoder_decoder:mamba", problem=PROBLEM, width=16, seed=1)
    steps = [p for name, p in model.named_parameters() if name.endswith("step_proj.bias")]
    assert steps
    assert all((p < 0).all() for p in steps)  # the inverse softplus of small steps, and no zeros


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("encoder_decoder:bi_gru", "bi_gru reads both ways already: name a causal stack"),
        ("encoder_decoder:rnnsearch", "rnnsearch is a whole system"),
        ("encoder_decoder:llama", "llama has norm, norm_epsilon, channel_mixer and tie_embed"),
        ("encoder_decoder:gpt2", "gpt2 has activation of its own"),
        ("encoder_decoder:attention_learned", "has learned positions of its own"),
        ("encoder_decoder:grv", "unknown architecture 'grv'"),
    ],
)
def test_what_cannot_be_one_is_told(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        architecture(name)


def test_a_pattern_needs_its_layers() -> None:
    assert len(build(HYBRID, problem=PROBLEM, width=16).algorithms) == 6
    four = "encoder_decoder:gru:attention@3:1"
    assert len(build(four, problem=PROBLEM, width=16).algorithms) == 8
    with pytest.raises(UserError, match="its pattern has 4 layers, and 2 hold less"):
        build(four, problem=PROBLEM, width=16, options={"layers": 2})


def test_the_size_is_solved() -> None:
    model = build("encoder_decoder:gated_delta", problem=PROBLEM, params=100_000)
    assert abs(model.num_parameters - 100_000) <= 1000


@pytest.mark.parametrize("name", ["mamba_encoder_decoder", "encoder_decoder:gru"])
def test_it_learns_to_write_backwards(name: str) -> None:
    assert share_learned(name, steps=120, rate=5e-3) == 1.0


def test_it_writes_greedily() -> None:
    assert greedy(made("encoder_decoder:mamba"), ragged(), 6).shape[0] == 3
