"""Names made of names: hybrids by ratio, and stacks that read both ways."""

import pytest
import torch

from seqarena.core.batch import own_inputs
from seqarena.core.errors import UserError
from seqarena.models.build import build, model_config
from seqarena.models.catalog import CATALOG, architecture, is_known
from seqarena.models.size import default_depth
from seqarena.models.stacks.language_model import Encoder, LanguageModel, ModelConfig


def mixers(name: str, depth: int | None = None) -> list[str]:
    model = build(name, vocab_size=20, width=16, depth=depth)
    return [type(mixer).__name__ for mixer in model.mixers]


def test_a_ratio_is_layers_in_turn() -> None:
    assert mixers("gru:attention@3:1", depth=8) == ["GRU", "GRU", "GRU", "Attention"] * 2
    assert mixers("gru:attention", depth=3) == ["GRU", "Attention", "GRU"]
    assert mixers("gru:mamba:gru@1:2:1", depth=4) == ["GRU", "Mamba", "Mamba", "GRU"]
    assert architecture("gru:attention@1:1").cycle == architecture("gru:attention").cycle


def test_a_hybrid_holds_its_pattern_whole_by_default() -> None:
    hybrid, plain = architecture("gru:attention@3:1"), architecture("gru")
    assert [default_depth(hybrid, params) for params in (None, 10**5, 10**7)] == [4, 4, 8]
    assert [default_depth(plain, params) for params in (None, 10**5, 10**7)] == [2, 2, 6]
    assert mixers("mamba:attention@7:1") == ["Mamba"] * 7 + ["Attention"]
    with pytest.raises(UserError, match=r"a pattern of 4 layers, and 2 hold less: give --depth 4"):
        mixers("gru:attention@3:1", depth=2)
    with pytest.raises(UserError, match="give --depth 4 or more"):
        build("gru:attention@3:1", vocab_size=20, params=50_000, depth=3)


def test_the_row_names_its_parts() -> None:
    row = architecture("gru:attention@3:1")
    assert row.name == "gru:attention@3:1"
    assert row.title == "hybrid of gated recurrent unit and Transformer, 3 to 1"
    assert row.family == "hybrid"
    assert row.year == 2017
    assert row.idea == "3 layers of gru, then 1 layer of attention, repeated"
    assert "Cho et al. 2014" in row.paper
    assert "Vaswani" in row.paper
    assert row.causal


def test_a_hybrid_equals_the_row_that_the_catalog_has_of_it() -> None:
    torch.manual_seed(3)
    ours = build("mamba:attention", vocab_size=20, width=16, depth=4)
    torch.manual_seed(3)
    theirs = build("hybrid", vocab_size=20, width=16, depth=4)
    tokens_BT = torch.randint(20, (2, 9))
    assert isinstance(ours, LanguageModel)
    assert isinstance(theirs, LanguageModel)
    assert torch.equal(ours(tokens_BT)[0], theirs(tokens_BT)[0])


def test_positions_of_one_part_are_those_of_all() -> None:
    model = build("linear_attention:gru@2:1", vocab_size=20, width=16)
    assert isinstance(model, LanguageModel)
    assert model.config.positions == "sinusoidal"
    assert architecture("attention_sinusoidal:gru").model == {"positions": "sinusoidal"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gru:attention@3", "one whole number for each part, such as gru:attention@3:1"),
        ("gru:attention@3:0", "one whole number for each part"),
        ("gru:attention@3:1:2", "one whole number for each part"),
        ("gru:attention@a:b", "one whole number for each part"),
        ("gru:attention@999:999", "1,998 layers in turn, and at most 1000"),
        ("gru:atention@3:1", "unknown architecture 'atention': did you mean attention"),
        ("gru:wavenet", "wavenet is a whole system and no stack of layers"),
        ("gru:conv", "conv repeats 4 different layers"),
        ("hybrid:gru", "hybrid repeats 2 different layers"),
        ("gru:llama", "their blocks differ in norm: gru has the usual and llama has rms"),
        ("gru:lstm_plain", "their blocks differ in norm"),
        ("attention_sinusoidal:gpt2", "differ in positions: attention_sinusoidal has sinusoidal"),
        ("bi:bi_gru", "bi_gru reads both ways already: name a causal stack"),
        ("bi:wavenet", "wavenet is a whole system"),
        ("bi:grv", "unknown architecture 'grv': did you mean gru"),
    ],
)
def test_what_cannot_be_combined_says_what_can(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        architecture(name)


def test_a_file_is_no_combination() -> None:
    assert not any(map(is_known, ("my_mixer.py:EMA", "own.module:Mixer", "a=b.py:C", "lstn")))
    assert all(map(is_known, ("gru", "gru:attention", "bi:gru")))


STACKS = [name for name, row in CATALOG.items() if row.system is None and row.causal]


@pytest.mark.parametrize("name", STACKS)
def test_every_causal_stack_reads_both_ways(name: str) -> None:
    """Left and right padding change no answer, and the first answer depends on the last token."""
    torch.manual_seed(0)
    row = architecture(f"bi:{name}")
    config = model_config(row, own_inputs(20), params=None, width=16, depth=len(row.cycle))
    assert isinstance(config, ModelConfig)
    model = Encoder(config).double().eval()
    tokens_BT = torch.randint(20, (1, 7))
    with torch.no_grad():
        for parameter in model.parameters():  # some begin as zeros, which would hide all
            parameter.add_(0.1 * torch.randn_like(parameter))
        alone_BTV = model(tokens_BT)[0]
        for left, right in ((3, 0), (0, 3), (2, 2)):
            padded_BT = torch.nn.functional.pad(tokens_BT, (left, right), value=1)
            mask_BT = torch.nn.functional.pad(torch.ones_like(tokens_BT), (left, right)).bool()
            padded_BTV = model(padded_BT, mask_BT=mask_BT)[0][:, left : left + 7]
            torch.testing.assert_close(padded_BTV, alone_BTV, rtol=1e-9, atol=1e-9)
        changed_BT = tokens_BT.clone()
        changed_BT[0, -1] = (changed_BT[0, -1] + 1) % 20
        assert not torch.equal(model(changed_BT)[0][:, 0], alone_BTV[:, 0])


def test_options_of_a_mixer_are_part_of_the_name() -> None:
    model = build("mamba+state_size=4+expand=1:attention@2:1", vocab_size=20, width=16, depth=3)
    sizes = [getattr(mixer.config, "state_size", None) for mixer in model.mixers]
    assert sizes == [4, 4, None]
    row = architecture("gated_delta+negative_eigenvalues=true")
    assert row.name == "gated_delta+negative_eigenvalues=true"
    assert row.title == "Gated DeltaNet with negative_eigenvalues true"
    assert row.cycle[0][1] == {"negative_eigenvalues": True}
    both = build("bi:gru+reset=before", vocab_size=20, width=16)
    assert both.mixers[0].config.options == {"reset": "before"}  # pyright: ignore
    blocks = build("gru+short_convolution=4", vocab_size=20, width=16)
    assert blocks.config.stack.short_convolution == 4  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gru+state=4", "state"),
        ("gru+reset=never", "reset"),
        ("gruu+reset=before", "did you mean gru"),
        ("seq2seq_lstm+short_convolution=4", "whole system"),
    ],
)
def test_options_that_a_mixer_does_not_have(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, vocab_size=20, width=16)
    assert is_known(name)
