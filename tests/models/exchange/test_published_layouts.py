"""Published layouts of the four families are read with the logits of `transformers`."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hub
from published import (
    CONFIGS,
    FLOAT32,
    TOKENS_BT,
    Folder,
    Tensors,
    cut_into_shards,
    folder,
    logits,
    same,
    shaken,
    write,
)

from seqarena.models.exchange import huggingface


def notes(place: Path) -> str:
    said: list[str] = []
    huggingface.load(place, say=said.append)
    return "\n".join(said)


@pytest.mark.parametrize("family", CONFIGS)
def test_as_the_hub_has_it(family: str, tmp_path: Path) -> None:
    same(folder(family, tmp_path))


@pytest.mark.parametrize("family", CONFIGS)
def test_in_shards(family: str, tmp_path: Path) -> None:
    found = folder(family, tmp_path)
    cut_into_shards(tmp_path)
    same(found)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_become_float32_and_it_is_said(
    family: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    found = folder(family, tmp_path, dtype)
    same(found)
    assert f"{str(dtype)[6:]} becomes float32: " in notes(tmp_path)
    model = huggingface.load(tmp_path, say=lambda _: None)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


BODIES = {
    "gpt2": "transformer.",
    "bert": "bert.",
    "llama": "model.",
    "mamba": "backbone.",
    "mamba2": "backbone.",
}


@pytest.mark.parametrize("prefixed", [True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_names_with_and_without_the_prefix_of_the_body(
    family: str, prefixed: bool, tmp_path: Path
) -> None:
    found, body = folder(family, tmp_path), BODIES[family]

    def renamed(name: str) -> str:
        bare = name.removeprefix(body)
        return body + bare if prefixed and not bare.startswith(("lm_head", "cls.")) else bare

    same(found.put(lambda tensors: {renamed(name): x for name, x in tensors.items()}))


def test_names_of_later_releases_of_bert(tmp_path: Path) -> None:
    """weight and bias in place of gamma and beta; the decoder and its bias again, or instead."""
    found = folder("bert", tmp_path)

    def later(tensors: Tensors) -> Tensors:
        named = {
            name.replace("gamma", "weight").replace("beta", "bias"): x
            for name, x in tensors.items()
        }
        return named | {
            "cls.predictions.decoder.weight": named["bert.embeddings.word_embeddings.weight"],
            "cls.predictions.decoder.bias": named["cls.predictions.bias"],
            "bert.embeddings.position_ids": torch.arange(32)[None],
        }

    same(found.put(later))
    doubled = ("cls.predictions.bias", "bert.embeddings.word_embeddings.weight")
    same(found.put(lambda tensors: {k: x for k, x in tensors.items() if k not in doubled}))
    said = notes(tmp_path)
    assert "passed over: the head for the next sentence (4 tensors)" in said
    assert "passed over: 0, 1, 2 ... (1 tensor)" in said


@pytest.mark.parametrize("family", ["gpt2", "llama", "mamba"])
def test_a_head_of_its_own(family: str, tmp_path: Path) -> None:
    found = folder(family, tmp_path, tie_word_embeddings=False)
    assert "lm_head.weight" in found.tensors
    same(found)


MAMBA_TABLE = "backbone.embeddings.weight"
TABLES = {"gpt2": "wte.weight", "llama": "model.embed_tokens.weight", "mamba": MAMBA_TABLE,
          "mamba2": MAMBA_TABLE}  # fmt: skip


@pytest.mark.parametrize("family", TABLES)
def test_a_tied_head_twice_or_instead_of_the_table(family: str, tmp_path: Path) -> None:
    found, table = folder(family, tmp_path, tie_word_embeddings=True), TABLES[family]
    found.put(lambda tensors: tensors | {"lm_head.weight": tensors[table]})
    same(found)
    found.put(lambda tensors: {k: x for k, x in tensors.items() if k != table})
    same(found)


# What each config.json may lack, with the value that the family gives it.
DEFAULTS = {
    "gpt2": ("activation_function", "layer_norm_epsilon", "tie_word_embeddings"),
    "bert": ("hidden_act", "layer_norm_eps", "type_vocab_size", "position_embedding_type"),
    "llama": ("num_key_value_heads", "hidden_act", "rms_norm_eps", "tie_word_embeddings",
              "rope_theta", "rope_scaling", "attention_bias"),
    "mamba": ("layer_norm_epsilon", "state_size", "conv_kernel", "expand", "use_bias",
              "use_conv_bias", "time_step_rank", "hidden_act", "tie_word_embeddings"),
    "mamba2": ("layer_norm_epsilon", "conv_kernel", "expand", "use_bias", "use_conv_bias",
               "hidden_act", "tie_word_embeddings", "time_step_limit"),
}  # fmt: skip


@pytest.mark.parametrize("family", CONFIGS)
def test_settings_that_are_missing_are_the_familys_defaults(family: str, tmp_path: Path) -> None:
    """What `transformers` itself makes of the shorter config.json."""
    config_class = {"gpt2": hub.GPT2Config, "bert": hub.BertConfig, "llama": hub.LlamaConfig,
                    "mamba": hub.MambaConfig, "mamba2": hub.Mamba2Config}[family]  # fmt: skip
    short = {k: v for k, v in CONFIGS[family].items() if k not in DEFAULTS[family]}
    full = config_class(**short).to_dict()
    known = {k: full[k] for k in DEFAULTS[family] if k in full and not k.startswith("rope_")}
    found = folder(family, tmp_path, **known).set(drop=DEFAULTS[family])
    same(found)
    said = notes(tmp_path)
    assert "config.json does not say, so these are assumed" in said


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("gpt2", ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")),
        ("bert", ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                  "intermediate_size", "max_position_embeddings")),
        ("llama", ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                   "intermediate_size")),
        ("mamba", ("vocab_size", "hidden_size", "num_hidden_layers")),
    ],
)  # fmt: skip
def test_default_sizes_are_theirs(family: str, sizes: tuple[str, ...]) -> None:
    theirs = {"gpt2": hub.GPT2Config, "bert": hub.BertConfig, "llama": hub.LlamaConfig,
              "mamba": hub.MambaConfig}[family]()  # fmt: skip
    settings = huggingface.Settings({}, {str(number): (1_000_000,) for number in range(100)})
    huggingface.FAMILIES[family].read(settings)
    assert {name: settings.assumed[name] for name in sizes} == {
        name: getattr(theirs, name) for name in sizes
    }


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gpt2", {"activation_function": "gelu_pytorch_tanh", "n_inner": 40}),
        ("gpt2", {"activation_function": "gelu", "n_inner": None, "layer_norm_epsilon": 0.01}),
        ("gpt2", {"activation_function": "relu", "reorder_and_upcast_attn": True}),
        ("bert", {"hidden_act": "relu", "layer_norm_eps": 0.01, "type_vocab_size": 3}),
        ("bert", {"hidden_act": "gelu_new"}),
        ("llama", {"attention_bias": True, "rope_theta": 500.0}),
        ("llama", {"num_key_value_heads": 1, "head_dim": 6, "rms_norm_eps": 0.01}),
        ("llama", {"num_key_value_heads": None, "head_dim": None}),
        ("mamba", {"use_bias": True, "use_conv_bias": False, "residual_in_fp32": False}),
        ("mamba", {"expand": 3, "d_inner": 72, "intermediate_size": 72, "state_size": 5,
                   "conv_kernel": 3, "time_step_rank": "auto", "layer_norm_epsilon": 0.01}),
    ],
)  # fmt: skip
def test_other_settings(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    same(folder(family, tmp_path, **settings))


def test_heads_of_keys_that_config_does_not_say_are_those_of_the_matrix(tmp_path: Path) -> None:
    """The first Llama has as many as heads; a later one has as many as rows say."""
    for groups in (4, 2, 1):
        found = folder("llama", tmp_path, num_key_value_heads=groups)
        same(found.set(drop=("num_key_value_heads",)))
        assert f"num_key_value_heads (by .self_attn.k_proj.weight) = {groups}" in notes(tmp_path)


def test_the_newer_place_of_the_rotary_base(tmp_path: Path) -> None:
    found = folder("llama", tmp_path, rope_theta=500.0)
    rope = {"rope_type": "default", "rope_theta": 500.0}
    same(found.set(drop=("rope_theta", "rope_scaling"), rope_parameters=rope))


def test_spellings_of_the_sizes_of_gpt2(tmp_path: Path) -> None:
    found = folder("gpt2", tmp_path)
    spelled = {"hidden_size": 24, "num_attention_heads": 4, "num_hidden_layers": 2,
               "max_position_embeddings": 32}  # fmt: skip
    same(found.set(drop=("n_embd", "n_head", "n_layer", "n_positions", "n_ctx"), **spelled))


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification"])
def test_a_bert_that_classifies(kind: str, labels: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = hub.BertConfig(**{**CONFIGS["bert"], "num_labels": labels})
    theirs = shaken(getattr(hub, f"BertFor{kind}")(config))
    theirs.save_pretrained(tmp_path)
    with torch.no_grad():
        expected = theirs(TOKENS_BT).logits
    found = logits(tmp_path)
    torch.testing.assert_close(found.reshape(expected.shape), expected, **FLOAT32)


def test_a_body_saved_by_itself_has_the_tied_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = shaken(hub.GPT2LMHeadModel(hub.GPT2Config(**CONFIGS["gpt2"])))
    theirs.transformer.save_pretrained(tmp_path)
    with torch.no_grad():
        same(Folder(tmp_path, theirs(TOKENS_BT).logits))


def test_the_class_of_another_library(tmp_path: Path) -> None:
    same(folder("gpt2", tmp_path).set(architectures=["TFGPT2LMHeadModel"]))


def test_loading_leaves_the_random_numbers_as_they_are(tmp_path: Path) -> None:
    folder("gpt2", tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    huggingface.load(tmp_path, say=lambda _: None)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_what_is_passed_over_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder("gpt2", tmp_path)
    huggingface.load(tmp_path)
    printed = capsys.readouterr().err
    assert "passed over: the mask of the future (2 tensors)" in printed
    assert json.dumps(str(tmp_path))[1:-1] in printed


def test_a_whole_file_beside_an_index_is_read_and_said(tmp_path: Path) -> None:
    found = folder("gpt2", tmp_path)
    tensors = found.tensors
    cut_into_shards(tmp_path)
    write(tensors, tmp_path / "model.safetensors")
    same(found)
    assert "model.safetensors.index.json is passed over" in notes(tmp_path)


def test_a_header_whose_length_begins_like_a_pickle_or_a_page(tmp_path: Path) -> None:
    """The first bytes of a safetensors file are the length of its header, which may be any."""
    found = folder("gpt2", tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    (length,) = struct.unpack("<Q", whole[:8])
    for first in (0x80, 0x3C, 0x20):
        padding = (first - length) % 256
        longer = struct.pack("<Q", length + padding) + whole[8 : 8 + length] + b" " * padding
        path.write_bytes(longer + whole[8 + length :])
        assert path.read_bytes()[0] == first
        same(found)
