"""What a folder holds and the model has no place for is refused by its name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published import (
    CONFIGS,
    Tensors,
    as_authors_mamba,
    cut_into_shards,
    folder,
    write,
    write_index,
)

from seqarena.core.errors import UserError
from seqarena.models.exchange import huggingface


def refused(place: Path, words: str, **options: Any) -> None:
    """In one line that has these words."""
    with pytest.raises(UserError) as caught:
        huggingface.load(place, say=lambda _: None, **options)
    message = str(caught.value)
    assert words in message
    assert message.startswith(str(place))
    assert "\n" not in message


SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"scale_attn_weights": False}),
    ("gpt2", {"scale_attn_weights": None}),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    ("gpt2", {"add_cross_attention": True}),
    ("gpt2", {"activation_function": "quick_gelu"}),
    ("gpt2", {"quantization_config": {"load_in_4bit": True}}),
    ("gpt2", {"pruned_heads": {"0": [1]}}),
    ("gpt2", {"attn_logit_softcapping": 30.0}),
    ("gpt2", {"auto_map": {"AutoModelForCausalLM": "modeling.Model"}}),
    ("gpt2", {"architectures": ["GPT2ForSequenceClassification"]}),
    ("bert", {"is_decoder": True}),
    ("bert", {"position_embedding_type": "relative_key"}),
    ("bert", {"hidden_act": "silu"}),
    ("bert", {"tie_word_embeddings": False}),
    ("bert", {"embedding_size": 12}),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 1e4}}),
    ("llama", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}),
    ("llama", {"sliding_window": 16}),
    ("llama", {"head_dim": 8}),
    ("llama", {"hidden_act": "gelu"}),
    ("llama", {"mlp_bias": True}),
    ("llama", {"rope_interleaved": True}),
    ("llama", {"quantization_config": {"quant_method": "gptq", "bits": 4}}),
    ("mamba", {"hidden_act": "gelu"}),
    ("mamba", {"rms_norm": False}),
    ("mamba", {"ssm_cfg": {"layer": "Mamba2"}}),
    ("mamba", {"d_inner": 96}),
    ("mamba2", {"n_groups": 3}),
    ("mamba2", {"num_heads": 4}),
    ("mamba2", {"use_bias": True}),
    ("mamba2", {"rms_norm": False}),
    ("mamba2", {"time_step_limit": [0.0, 0.1]}),
]


@pytest.mark.parametrize(("family", "settings"), SETTINGS)
def test_a_setting_that_we_do_not_have(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    folder(family, tmp_path).set(**settings)
    refused(tmp_path, next(iter(settings)))


@pytest.mark.parametrize(
    ("family", "settings", "both"),
    [
        ("gpt2", {"hidden_size": 32}, ("n_embd", "hidden_size")),
        ("mamba", {"d_model": 32}, ("hidden_size", "d_model")),
        ("llama", {"rope_theta": 5.0, "rope_parameters": {"rope_theta": 6.0}}, ("5", "6")),
    ],
)
def test_two_spellings_that_contradict_each_other(
    family: str, settings: dict[str, Any], both: tuple[str, str], tmp_path: Path
) -> None:
    folder(family, tmp_path).set(**settings)
    for word in both:
        refused(tmp_path, word)


@pytest.mark.parametrize(
    "settings",
    [
        {"ssm_cfg": {"layer": "Mamba2"}},
        {"ssm_cfg": {"dt_limit": [0.0, 1.0]}},
        {"ssm_cfg": [16]},
        {"d_intermediate": 64},
        {"attn_layer_idx": [1]},
        {"attn_cfg": {"num_heads": 4}},
    ],
)
def test_a_setting_of_the_authors_mamba_that_we_do_not_have(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    as_authors_mamba(folder("mamba", tmp_path)).set(**settings)
    refused(tmp_path, next(iter(settings)))


def test_a_setting_is_passed_over_where_the_user_says_so(tmp_path: Path) -> None:
    folder("gpt2", tmp_path).set(my_note="written on a Sunday", auto_map={"AutoModel": "m.M"})
    refused(tmp_path, "load with ignore=['my_note']", ignore=["auto_map"])
    said: list[str] = []
    huggingface.load(tmp_path, ignore=["auto_map", "my_note"], say=said.append)
    assert any("passed over, as you say: auto_map, my_note" in note for note in said)


def test_a_setting_that_is_off_is_passed_over_and_said(tmp_path: Path) -> None:
    folder("gpt2", tmp_path).set(use_rotary=False, adapters={})
    said: list[str] = []
    huggingface.load(tmp_path, say=said.append)
    assert any("as they are off: 'adapters', 'use_rotary'" in note for note in said)


def with_tensor(name: str, tensor: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: tensor}


def reshaped(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: torch.zeros(shape)}


HEAD = "lm_head.weight"
INV_FREQ = "model.layers.0.self_attn.rotary_emb.inv_freq"
TENSORS: list[tuple[str, Callable[[Tensors], Tensors], str]] = [
    ("gpt2", with_tensor("score.weight", torch.ones(2, 24)), "score.weight"),
    ("gpt2", with_tensor(HEAD, torch.ones(50, 24)), HEAD),  # tied, and other numbers
    ("gpt2", with_tensor("lm_head.bias", torch.ones(50)), "lm_head.bias"),
    ("gpt2", with_tensor("h.0.attn.bias", torch.ones(1, 1, 32, 32)), "h.0.attn.bias"),  # no mask
    ("gpt2", with_tensor("h.0.attn.masked_bias", torch.tensor(0.0)), "masked_bias"),
    ("gpt2", with_tensor("h.1.crossattention.c_attn.weight", torch.ones(2)), "crossattention"),
    ("gpt2", with_tensor("transformer.wte.weight", torch.ones(50, 24)), "wte.weight"),  # twice
    ("gpt2", with_tensor("h.2.ln_1.weight", torch.ones(24)), "3"),  # another layer
    ("gpt2", lambda tensors: {k: x for k, x in tensors.items() if k[:3] != "h.1"}, "2 layers"),
    ("gpt2", reshaped("h.0.mlp.c_fc.weight", 96, 24), "h.0.mlp.c_fc.weight"),  # not transposed
    ("gpt2", reshaped("wte.weight", 51, 24), "wte.weight"),
    ("gpt2", with_tensor("wpe.weight", torch.ones(32, 24, dtype=torch.int8)), "wpe.weight"),
    ("gpt2", with_tensor("wpe.weight", torch.full((32, 24), torch.nan)), "wpe.weight"),
    ("bert", with_tensor("classifier.weight", torch.ones(2, 24)), "classifier.weight"),
    ("bert", with_tensor("bert.embeddings.position_ids", torch.zeros(1, 32)), "position_ids"),
    ("bert", with_tensor("cls.predictions.decoder.bias", torch.ones(50)), "decoder.bias"),
    ("bert", with_tensor("cls.predictions.decoder.weight", torch.ones(50, 24)), "decoder.weight"),
    ("bert", lambda tensors: {k: x for k, x in tensors.items() if "transform" not in k},
     "cls.predictions.transform.dense.weight' (and 3 more) is missing: the file holds a body"),
    ("llama", with_tensor(INV_FREQ, torch.tensor([1.0, 0.05, 0.001])), INV_FREQ),  # scaled
    ("llama", with_tensor("model.layers.0.self_attn.q_proj.bias", torch.ones(24)), "q_proj.bias"),
    ("llama", with_tensor("model.layers.1.mlp.gate_proj.qweight", torch.ones(3)), "qweight"),
    ("llama", lambda tensors: {k: x for k, x in tensors.items() if k != HEAD}, HEAD),
    ("llama", reshaped("model.layers.1.self_attn.k_proj.weight"), "k_proj.weight"),
    ("llama", reshaped("model.layers.0.self_attn.k_proj.weight", 24, 24), "k_proj.weight"),
    ("mamba", with_tensor("backbone.layers.0.mixer.dt_layernorm.weight", torch.ones(2)),
     "dt_layernorm"),
    ("mamba", with_tensor("backbone.layers.0.mixer.in_proj.bias", torch.ones(96)), "in_proj.bias"),
    ("mamba", with_tensor("backbone.layers.0.norm.bias", torch.ones(24)), "norm.bias"),
    ("mamba", reshaped("backbone.layers.1.mixer.x_proj.weight", 33, 48), "x_proj.weight"),
    ("mamba", lambda tensors: {k.replace("A_log", "A_ln"): x for k, x in tensors.items()},
     "A_log' (and 1 more) is missing; the file has 'backbone.layers.0.mixer.A_ln'"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "change", "name"), TENSORS)
def test_a_tensor_that_is_not_as_it_should_be(
    family: str, change: Callable[[Tensors], Tensors], name: str, tmp_path: Path
) -> None:
    folder(family, tmp_path).put(change)
    refused(tmp_path, name)


def test_a_shard_is_missing(tmp_path: Path) -> None:
    folder("llama", tmp_path)
    cut_into_shards(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    refused(tmp_path, "model-00002-of-00003.safetensors is missing")


def test_a_shard_lacks_its_tensor_or_has_another(tmp_path: Path) -> None:
    folder("llama", tmp_path)
    files = cut_into_shards(tmp_path)
    first, second = "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"
    name = next(name for name, file in files.items() if file == first)
    write_index(tmp_path, {**files, name: second})
    refused(tmp_path, f"{second} lacks {name!r}")
    write_index(tmp_path, {key: file for key, file in files.items() if key != name})
    refused(tmp_path, f"{first} holds {name!r}")


@pytest.mark.parametrize(
    "file",
    ["../outside/model.safetensors", "/etc/passwd", "C:\\model.safetensors", "a.bin", "", 3, None,
     "\ud800.safetensors", "a\0.safetensors"],
)  # fmt: skip
def test_an_index_that_names_what_it_must_not(file: Any, tmp_path: Path) -> None:
    place = tmp_path / "folder"
    folder("llama", place)
    (tmp_path / "outside").mkdir()
    tensors = (tmp_path / "folder" / "model.safetensors").read_bytes()
    (tmp_path / "outside" / "model.safetensors").write_bytes(tensors)
    files = cut_into_shards(place)
    write_index(place, dict.fromkeys(files, file))
    refused(place, "it must name .safetensors files in the same folder")


def test_an_index_without_a_map(tmp_path: Path) -> None:
    folder("llama", tmp_path)
    cut_into_shards(tmp_path)
    for text in ("{}", '{"weight_map": {}}', '{"weight_map": ["a"]}', "[]", "", "{"):
        (tmp_path / "model.safetensors.index.json").write_text(text)
        refused(tmp_path, "model.safetensors.index.json")


def test_files_that_are_no_safetensors_are_named(tmp_path: Path) -> None:
    found = folder("gpt2", tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 548105171\n"
    for content, words in (
        (pointer, "git lfs pull"),
        (b"", "empty"),
        (whole[:-500], "damaged, cut"),
        (whole[:30], "damaged, cut"),
        (whole + b"more", "damaged, cut"),
        (b"<!doctype html><title>404</title>", "a page of the web"),
        (b"\n<html>", "a page of the web"),
        (b"PK\x03\x04" + whole, "a pickle, which can run code"),
        (b"\x80\x02ccollections\nOrderedDict", "a pickle, which can run code"),
        (b"GGUF" + whole, "llama.cpp"),
    ):
        path.write_bytes(content)
        refused(tmp_path, words)
    (tmp_path / "config.json").write_bytes(pointer)
    refused(tmp_path, "config.json is a pointer of Git LFS")
    assert found.logits_BTV.isfinite().all()


def test_pickles_without_safetensors_are_named_and_never_opened(tmp_path: Path) -> None:
    folder("gpt2", tmp_path)
    path = tmp_path / "model.safetensors"
    path.rename(tmp_path / "pytorch_model.bin")
    refused(tmp_path, "it has pytorch_model.bin and no model.safetensors: only safetensors")
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "gpt2.safetensors")
    refused(tmp_path, "it has gpt2.safetensors and neither model.safetensors nor")
    (tmp_path / "gpt2.safetensors").unlink()
    refused(tmp_path, "model.safetensors is missing")


def test_tensors_in_the_layout_of_another_library(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    found = folder("gpt2", tmp_path)
    save_file(found.tensors, tmp_path / "model.safetensors", metadata={"format": "mlx"})
    refused(tmp_path, "'mlx'")


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    folder("gpt2", tmp_path).set(model_type="gpt_neo")
    refused(tmp_path, 'model_type is "gpt_neo": gpt2, bert, llama, mamba, mamba2 can be read')
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "recurrent_gemma"}))
    refused(tmp_path, "leaves out the factor sqrt(1 - a^2) at the first position of a text")
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 50}))
    refused(tmp_path, "model_type is missing")


@pytest.mark.parametrize("family", CONFIGS)
def test_no_tensor_at_all(family: str, tmp_path: Path) -> None:
    folder(family, tmp_path)
    write({}, tmp_path / "model.safetensors")
    refused(tmp_path, "no tensor")
