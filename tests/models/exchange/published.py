"""Folders as the hubs of the five families have them, small and with random numbers.

Weights are those of a model of `transformers`, under the names, in the files and with the
config.json of a published checkpoint; `Folder.logits` are what `transformers` makes of them.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers as hub
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqarena.core.batch import Batch
from seqarena.models.exchange import huggingface

TOKENS_BT = torch.randint(50, (2, 23), generator=torch.Generator().manual_seed(0))
FLOAT32 = {"rtol": 1e-5, "atol": 3e-5}  # two implementations add in another order
Tensors = dict[str, Tensor]

# config.json of openai-community/gpt2, google-bert/bert-base-uncased, meta-llama/Llama-2-7b-hf,
# state-spaces/mamba-130m-hf and AntonV/mamba2-130m-hf, with other sizes.
GPT2 = json.loads("""{"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
    "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 32,
    "n_embd": 24, "n_head": 4, "n_layer": 2, "n_positions": 32, "resid_pdrop": 0.1,
    "summary_activation": null, "summary_first_dropout": 0.1, "summary_proj_to_labels": true,
    "summary_type": "cls_index", "summary_use_proj": true, "vocab_size": 50,
    "task_specific_params": {"text-generation": {"do_sample": true, "max_length": 50}}}""")
BERT = json.loads("""{"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": false, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 32, "model_type": "bert",
    "num_attention_heads": 4, "num_hidden_layers": 2, "pad_token_id": 0,
    "position_embedding_type": "absolute", "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2, "use_cache": true, "vocab_size": 50}""")
LLAMA = json.loads("""{"_name_or_path": "meta-llama/Llama-2-7b-hf",
    "architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.02, "intermediate_size": 40,
    "max_position_embeddings": 4096, "model_type": "llama", "num_attention_heads": 4,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
    "rope_scaling": null, "tie_word_embeddings": false, "torch_dtype": "float16",
    "transformers_version": "4.31.0.dev0", "use_cache": true, "vocab_size": 50}""")
MAMBA = json.loads("""{"architectures": ["MambaForCausalLM"], "bos_token_id": 0, "conv_kernel": 4,
    "d_inner": 48, "d_model": 24, "eos_token_id": 0, "expand": 2, "fused_add_norm": true,
    "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.1, "intermediate_size": 48,
    "layer_norm_epsilon": 1e-05, "model_type": "mamba", "n_layer": 2, "num_hidden_layers": 2,
    "pad_token_id": 0, "pad_vocab_size_multiple": 8, "rescale_prenorm_residual": false,
    "residual_in_fp32": true, "rms_norm": true, "ssm_cfg": {}, "state_size": 16,
    "time_step_floor": 0.0001, "time_step_init_scheme": "random", "time_step_max": 0.1,
    "time_step_min": 0.001, "time_step_rank": 2, "time_step_scale": 1.0, "torch_dtype": "float32",
    "transformers_version": "4.39.0.dev0", "use_bias": false, "use_cache": true,
    "use_conv_bias": true, "vocab_size": 56}""")
MAMBA2 = json.loads("""{"architectures": ["Mamba2ForCausalLM"], "bos_token_id": 0,
    "chunk_size": 8, "conv_kernel": 4, "eos_token_id": 0, "expand": 2, "head_dim": 16,
    "hidden_act": "silu", "hidden_size": 24, "initializer_range": 0.1,
    "layer_norm_epsilon": 1e-05, "model_type": "mamba2", "n_groups": 1, "norm_before_gate": true,
    "num_heads": 3, "num_hidden_layers": 2, "pad_token_id": 0,
    "rescale_prenorm_residual": false, "residual_in_fp32": true, "rms_norm": true,
    "state_size": 16, "tie_word_embeddings": true, "time_step_floor": 0.0001,
    "time_step_limit": [0.0, Infinity], "time_step_max": 0.1, "time_step_min": 0.001,
    "time_step_rank": 2, "torch_dtype": "float32", "transformers_version": "4.44.0.dev0",
    "use_bias": false, "use_cache": true, "use_conv_bias": true, "vocab_size": 56}""")
CONFIGS = {"gpt2": GPT2, "bert": BERT, "llama": LLAMA, "mamba": MAMBA, "mamba2": MAMBA2}
_CLASSES: dict[str, tuple[Any, Any]] = {
    "gpt2": (hub.GPT2Config, hub.GPT2LMHeadModel),
    "bert": (hub.BertConfig, hub.BertForPreTraining),
    "llama": (hub.LlamaConfig, hub.LlamaForCausalLM),
    "mamba": (hub.MambaConfig, hub.MambaForCausalLM),
    "mamba2": (hub.Mamba2Config, hub.Mamba2ForCausalLM),
}


class Folder(NamedTuple):
    """A folder and what `transformers` answers to `TOKENS_BT` with its weights."""

    place: Path
    logits_BTV: Tensor

    @property
    def config(self) -> dict[str, Any]:
        return json.loads((self.place / "config.json").read_text())

    @property
    def tensors(self) -> Tensors:
        return load_file(self.place / "model.safetensors")

    def set(self, drop: tuple[str, ...] = (), **values: Any) -> "Folder":
        """Changes config.json."""
        config = {name: value for name, value in self.config.items() if name not in drop}
        (self.place / "config.json").write_text(json.dumps({**config, **values}))
        return self

    def put(self, change: Callable[[Tensors], Tensors]) -> "Folder":
        """Changes the tensors of model.safetensors."""
        write(change(self.tensors), self.place / "model.safetensors")
        return self


def write(tensors: Tensors, path: Path) -> None:
    whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(whole, path, metadata={"format": "pt"})


def shaken(model: nn.Module) -> nn.Module:
    """Every parameter moved, so that a bias or a norm that was forgotten shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def folder(family: str, place: Path, dtype: torch.dtype = torch.float32, **settings: Any) -> Folder:
    """The family's published folder, with these settings in its config.json."""
    config_class, model_class = _CLASSES[family]
    config = {**CONFIGS[family], **settings}
    torch.manual_seed(0)
    model = shaken(model_class(config_class(**config)))
    with torch.no_grad():  # numbers that the file's type has; buffers stay as they are computed
        for parameter in model.parameters():
            parameter.copy_(parameter.to(dtype))
    tensors = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    place.mkdir(exist_ok=True)
    write(PUBLISHED_NAMES[family](tensors, config), place / "model.safetensors")
    (place / "config.json").write_text(json.dumps(config))
    with torch.no_grad():
        answer = model(TOKENS_BT)
    return Folder(place, answer.prediction_logits if family == "bert" else answer.logits)


def _gpt2(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """No prefix, no head where it is tied, and the mask of each layer."""
    found = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    if config.get("tie_word_embeddings", True):
        del found["lm_head.weight"]
    mask = torch.ones(1, 1, config["n_ctx"], config["n_ctx"]).tril()
    return found | {f"h.{layer}.attn.bias": mask for layer in range(config["n_layer"])}


def _bert(tensors: Tensors, _: dict[str, Any]) -> Tensors:
    """gamma and beta; the pooler and the head of the next sentence; a decoder that is tied."""
    found = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in tensors.items()
    }
    return {name: x for name, x in found.items() if not name.startswith("cls.predictions.decoder")}


def _llama(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """The angles of each layer, as releases of 2023 hold them."""
    features = config["hidden_size"] // config["num_attention_heads"]
    angles = config.get("rope_theta", 10_000.0) ** -(torch.arange(0, features, 2) / features)
    names = (f"model.layers.{k}.self_attn.rotary_emb.inv_freq" for k in range(2))
    return tensors | dict.fromkeys(names, angles)


def _mamba(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    if config.get("tie_word_embeddings", True):
        del tensors["lm_head.weight"]
    return tensors


PUBLISHED_NAMES: dict[str, Callable[[Tensors, dict[str, Any]], Tensors]] = {
    "gpt2": _gpt2, "bert": _bert, "llama": _llama, "mamba": _mamba, "mamba2": _mamba,
}  # fmt: skip


def cut_into_shards(place: Path, parts: int = 3) -> dict[str, str]:
    """model.safetensors as shards with their index; the index's weight_map."""
    tensors = load_file(place / "model.safetensors")
    (place / "model.safetensors").unlink()
    names = sorted(tensors)
    files = {}
    for part in range(parts):
        file = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        write({name: tensors[name] for name in names[part::parts]}, place / file)
        files |= dict.fromkeys(names[part::parts], file)
    write_index(place, files)
    return files


def write_index(place: Path, files: dict[str, Any]) -> None:
    index = {"metadata": {"total_size": 1}, "weight_map": files}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))


def as_authors_mamba(found: Folder) -> Folder:
    """A folder in the layout of the authors' `mamba_ssm`, its vocabulary given before padding."""
    config = {
        "d_model": 24, "n_layer": 2, "vocab_size": 50, "ssm_cfg": {}, "rms_norm": True,
        "residual_in_fp32": True, "fused_add_norm": True, "pad_vocab_size_multiple": 8,
    }  # fmt: skip
    (found.place / "config.json").write_text(json.dumps(config))

    def renamed(tensors: Tensors) -> Tensors:
        table = tensors.pop("backbone.embeddings.weight")
        return tensors | {"backbone.embedding.weight": table, "lm_head.weight": table}

    return found.put(renamed)


def logits(place: Path) -> Tensor:
    """Ours, of what the folder holds."""
    model = huggingface.load(place, say=lambda _: None)
    with torch.no_grad():
        return model.answer(Batch(TOKENS_BT, TOKENS_BT))


def same(found: Folder) -> None:
    """Ours are theirs."""
    torch.testing.assert_close(logits(found.place), found.logits_BTV, **FLOAT32)
