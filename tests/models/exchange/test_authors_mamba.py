"""Mamba in the layout of its authors' releases (`mamba_ssm`) is read as well."""

from pathlib import Path

import torch
import transformers as hub
from published import CONFIGS, TOKENS_BT, Folder, as_authors_mamba, folder, same, shaken, write


def test_the_authors_layout_of_mamba(tmp_path: Path) -> None:
    same(as_authors_mamba(folder("mamba", tmp_path)))


def test_the_authors_settings_of_the_state_space(tmp_path: Path) -> None:
    found = folder(
        "mamba", tmp_path, state_size=5, conv_kernel=3, expand=3, time_step_rank=7, use_bias=True,
        use_conv_bias=False, d_inner=72, intermediate_size=72, tie_word_embeddings=True,
    )  # fmt: skip
    same(
        as_authors_mamba(found).set(
            ssm_cfg={"layer": "Mamba1", "d_state": 5, "d_conv": 3, "expand": 3, "dt_rank": 7,
                     "bias": True, "conv_bias": False, "dt_min": 0.01, "use_fast_path": False},
            d_intermediate=0, attn_layer_idx=[], attn_cfg={}, tie_embeddings=True,
        )
    )  # fmt: skip


def test_the_authors_mamba_with_layer_norms(tmp_path: Path) -> None:
    """rms_norm false: as `torch.nn.LayerNorm` has it, by a hook on the norms of `transformers`."""
    config = hub.MambaConfig(**CONFIGS["mamba"])
    torch.manual_seed(0)
    model = hub.MambaForCausalLM(config)
    for block in model.backbone.layers:
        block.norm = torch.nn.LayerNorm(24, eps=1e-5)
    model.backbone.norm_f = torch.nn.LayerNorm(24, eps=1e-5)
    shaken(model)
    with torch.no_grad():
        expected = model(TOKENS_BT).logits
    tensors = model.state_dict()
    write(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    found = as_authors_mamba(Folder(tmp_path, expected))
    same(found.set(rms_norm=False))
