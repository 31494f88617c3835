"""Whole models over stacks: padding changes nothing, costs add up."""

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.models.any import build_model
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.language_model import Encoder, LanguageModel, TokenModel

STACKS = [name for name, row in CATALOG.items() if row.system is None]


def small(name: str) -> TokenModel:
    return build(name, vocab_size=31, width=16, max_length=64, seed=1).double().eval()


@pytest.mark.parametrize("name", STACKS)
def test_padding_changes_nothing_even_with_positions(name: str) -> None:
    model = small(name)
    tokens_BT = torch.randint(31, (3, 15), generator=torch.Generator().manual_seed(0))
    mask_BT = torch.ones(3, 15, dtype=torch.bool)
    mask_BT[0, :6], mask_BT[1, 9:] = False, False
    with torch.no_grad():
        padded_BTV, _ = model(tokens_BT, mask_BT=mask_BT)
        for row in range(3):
            alone_BTV, _ = model(tokens_BT[row : row + 1, mask_BT[row]])
            torch.testing.assert_close(padded_BTV[row, mask_BT[row]], alone_BTV[0])


def test_a_stack_that_sees_the_future_becomes_an_encoder() -> None:
    model = small("bi_gru")
    assert isinstance(model, Encoder)
    with pytest.raises(UserError, match="sees the future"):
        LanguageModel(model.config)


def test_learned_positions_end_with_a_clear_error() -> None:
    model = build("attention_learned", vocab_size=5, width=16, max_length=8)
    with pytest.raises(UserError, match="learned positions end at 8"):
        model(torch.zeros(1, 9, dtype=torch.long))


def test_tied_weights_are_one_tensor_counted_once() -> None:
    tied = build("gru", vocab_size=50, width=16)
    free = build_model(tied.config.model_copy(update={"tie_embeddings": False}))
    assert tied.head.weight is tied.embedding.tokens.weight
    assert free.num_parameters == tied.num_parameters + 50 * 16


def test_bare_stack_has_nothing_but_its_mixers() -> None:
    config = build("lstm", vocab_size=5, width=8).config
    bare = config.stack.model_copy(
        update={"norm": "none", "residual": False, "channel_mixer": "none"}
    )
    model = build_model(config.model_copy(update={"stack": bare}))
    inside = sum(p.numel() for p in model.stack.parameters())
    assert inside == sum(p.numel() for mixer in model.stack.mixers for p in mixer.parameters())


def test_flops_are_the_sum_of_the_parts() -> None:
    model = build("attention", vocab_size=64, width=32, depth=3)
    head = 2 * 10 * 32 * 64
    mlp = 4 * 10 * 32 * 128
    assert model.flops(10) == head + 3 * mlp + sum(m.flops(10) for m in model.stack.mixers)
    assert model.training_flops(10) == 3 * model.flops(10)
