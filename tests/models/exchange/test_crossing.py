"""Weights cross both ways: equal logits from a model that either side made and the other read."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from seqarena.core.batch import Batch, own_inputs
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.exchange import huggingface

FLOAT32 = {"rtol": 0, "atol": 2e-5}  # logits of size one; two implementations round differently
TOKENS_BT = torch.randint(50, (2, 23), generator=torch.Generator().manual_seed(0))
THEIRS = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=50, n_positions=32, n_embd=24, n_layer=2, n_head=4)
    ),
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=40, rms_norm_eps=1e-5, rope_theta=500.0,
        )
    ),
    "bert": lambda: BertForMaskedLM(
        BertConfig(
            vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=40, max_position_embeddings=32,
        )
    ),
}  # fmt: skip


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Every parameter moved, so that a bias or a norm that was forgotten shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("family", THEIRS)
def test_we_read_what_they_wrote(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = shaken(THEIRS[family]())
    theirs.save_pretrained(tmp_path)
    ours = huggingface.load(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.answer(Batch(TOKENS_BT, TOKENS_BT)), theirs(TOKENS_BT).logits, **FLOAT32
        )


@pytest.mark.parametrize("family", THEIRS)
def test_they_read_what_we_wrote(family: str, tmp_path: Path) -> None:
    ours = shaken(build(family, problem=own_inputs(50, 32), width=24, seed=0))
    huggingface.save(ours, tmp_path)
    auto = BertForMaskedLM if family == "bert" else AutoModelForCausalLM
    theirs = auto.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            theirs(TOKENS_BT).logits, ours.answer(Batch(TOKENS_BT, TOKENS_BT)), **FLOAT32
        )


def test_bert_with_segments_and_padding_equals_theirs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = shaken(THEIRS["bert"]())
    theirs.save_pretrained(tmp_path)
    ours = huggingface.load(tmp_path)
    mask_BT = torch.ones_like(TOKENS_BT, dtype=torch.bool)
    mask_BT[1, 15:] = False
    segments_BT = (torch.arange(23) >= 9).long().expand(2, 23)
    with torch.no_grad():
        expected = theirs(
            TOKENS_BT, attention_mask=mask_BT.long(), token_type_ids=segments_BT
        ).logits
        found = ours.answer(Batch(TOKENS_BT, TOKENS_BT, mask_BT, segments_BT=segments_BT))
    torch.testing.assert_close(found[mask_BT], expected[mask_BT], **FLOAT32)


def test_what_cannot_cross_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wired as the catalog's gpt2, llama or bert"):
        huggingface.save(build("attention", vocab_size=50, width=16), tmp_path)
    with pytest.raises(UserError, match="not a model in the transformers layout"):
        huggingface.load(tmp_path)
    THEIRS["gpt2"]().save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace("gelu_new", "relu"))
    with pytest.raises(UserError, match="activation_function = 'relu' cannot be read"):
        huggingface.load(tmp_path)
