"""GPT-2, Llama and BERT to and from the layout that `transformers` reads: config.json and
model.safetensors.

One table a family says which of their tensors is which of ours, so that reading is writing
backwards. Their linear maps are ours, but for GPT-2, whose `Conv1D` is [in, out]; a matrix that we
keep whole (queries, keys and values; gate and value) they may keep in parts.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqarena.core.batch import Problem, own_inputs
from seqarena.core.errors import UserError
from seqarena.mixers.attention.attention import Attention
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.language.bert import EPSILON, Bert
from seqarena.models.model import SystemConfig
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig


class WeightMatch(NamedTuple):
    """Rows `first` .. `end` of our parameter, by its name, are their tensor."""

    theirs: str
    ours: str
    first: int = 0
    end: int | None = None
    transposed: bool = False


def save(model: nn.Module, directory: str | Path) -> None:
    """Writes a GPT-2, a Llama or a BERT so that `from_pretrained(directory)` reads it.

    Raises UserError for a model that is wired otherwise, with what differs.
    """
    family = _family_of(model)
    config, places = _FAMILIES[family]
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    parameters = dict(model.named_parameters())
    tensors = {
        place.theirs: _oriented(parameters[place.ours][place.first : place.end], place)
        .detach()
        .contiguous()
        .clone()
        for place in places(model)
    }
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config(model), indent=1), encoding="utf-8")


def load(directory: str | Path) -> LanguageModel | Bert:
    """The model that a folder in their layout holds, in evaluation mode.

    Raises UserError for another family, a setting that we do not have, or a missing tensor.
    """
    directory = Path(directory)
    try:
        theirs = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "model.safetensors")
    except (OSError, ValueError) as error:
        raise UserError(f"{directory}: not a model in the transformers layout: {error}") from error
    family = theirs.get("model_type")
    if family not in _READERS:
        raise UserError(f"{directory}: model type {family!r}: {', '.join(_READERS)} can be read")
    model = build_model(_READERS[family](theirs))
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for place in _FAMILIES[family][1](model):
            if place.theirs not in tensors:
                raise UserError(f"{directory}: tensor {place.theirs!r} is missing")
            target = parameters[place.ours][place.first : place.end]
            target.copy_(_oriented(tensors[place.theirs], place))
    assert isinstance(model, LanguageModel | Bert)
    return model.eval()


def _oriented(tensor: Tensor, place: WeightMatch) -> Tensor:
    return tensor.T if place.transposed else tensor


def _family_of(model: nn.Module) -> str:
    if isinstance(model, Bert):
        if not model.is_masked_lm:
            raise UserError("of BERT, the masked language model is written, not a fine-tuned head")
        return "bert"
    if not isinstance(model, LanguageModel):
        raise UserError(f"{type(model).__name__} has no place in the transformers layout")
    config, stack = model.config, model.config.stack
    mixers = model.stack.mixers
    attention = all(type(mixer) is Attention for mixer in mixers)
    wiring = (stack.norm, stack.norm_position, stack.channel_mixer, config.positions)
    alike = all(layer == stack.layers[0] for layer in stack.layers)
    if attention and alike and stack.residual:
        options = mixers[0].config
        positions, bias = getattr(options, "positions", None), getattr(options, "bias", None)
        gpt2 = (*wiring, positions, bias, stack.activation, config.tie_embeddings)
        if gpt2 == ("layer", "pre", "mlp", "learned", "none", True, "gelu_tanh", True):
            return "gpt2"
        if wiring == ("rms", "pre", "gated", "none") and (positions, bias) == ("rotary", False):
            return "llama"
    raise UserError("only models wired as the catalog's gpt2, llama or bert can be written")


def _blocks(model: LanguageModel | Bert) -> Iterator[tuple[int, str]]:
    for number in range(len(model.stack.blocks)):
        yield number, f"stack.blocks.{number}"


def _pair(theirs: str, ours: str, transposed: bool = False) -> Iterator[WeightMatch]:
    yield WeightMatch(f"{theirs}.weight", f"{ours}.weight", transposed=transposed)
    yield WeightMatch(f"{theirs}.bias", f"{ours}.bias")


def _gpt2_places(model: LanguageModel) -> Iterator[WeightMatch]:
    yield WeightMatch("transformer.wte.weight", "embedding.tokens.weight")
    yield WeightMatch("transformer.wpe.weight", "embedding.learned.weight")
    yield from _pair("transformer.ln_f", "stack.last_norm")
    for number, ours in _blocks(model):
        theirs = f"transformer.h.{number}"
        yield from _pair(f"{theirs}.ln_1", f"{ours}.mixer_norm")
        yield from _pair(f"{theirs}.ln_2", f"{ours}.channel_norm")
        yield from _pair(f"{theirs}.attn.c_attn", f"{ours}.mixer.projections.inward", True)
        yield from _pair(f"{theirs}.attn.c_proj", f"{ours}.mixer.projections.outward", True)
        yield from _pair(f"{theirs}.mlp.c_fc", f"{ours}.channel_mixer.expand", True)
        yield from _pair(f"{theirs}.mlp.c_proj", f"{ours}.channel_mixer.contract", True)


def _llama_places(model: LanguageModel) -> Iterator[WeightMatch]:
    width, channel_width = model.config.stack.width, model.config.stack.channel_width
    yield WeightMatch("model.embed_tokens.weight", "embedding.tokens.weight")
    yield WeightMatch("model.norm.weight", "stack.last_norm.weight")
    if not model.config.tie_embeddings:
        yield WeightMatch("lm_head.weight", "head.weight")
    options = model.stack.mixers[0].config
    heads = getattr(options, "num_heads", 1)
    shared = width // heads * (getattr(options, "num_groups", None) or heads)
    for number, ours in _blocks(model):
        theirs, inward = f"model.layers.{number}", f"{ours}.mixer.projections.inward.weight"
        yield WeightMatch(f"{theirs}.input_layernorm.weight", f"{ours}.mixer_norm.weight")
        yield WeightMatch(
            f"{theirs}.post_attention_layernorm.weight", f"{ours}.channel_norm.weight"
        )
        yield WeightMatch(f"{theirs}.self_attn.q_proj.weight", inward, 0, width)
        yield WeightMatch(f"{theirs}.self_attn.k_proj.weight", inward, width, width + shared)
        yield WeightMatch(f"{theirs}.self_attn.v_proj.weight", inward, width + shared)
        yield WeightMatch(
            f"{theirs}.self_attn.o_proj.weight", f"{ours}.mixer.projections.outward.weight"
        )
        expand = f"{ours}.channel_mixer.expand.weight"
        yield WeightMatch(f"{theirs}.mlp.gate_proj.weight", expand, 0, channel_width)
        yield WeightMatch(f"{theirs}.mlp.up_proj.weight", expand, channel_width)
        yield WeightMatch(f"{theirs}.mlp.down_proj.weight", f"{ours}.channel_mixer.contract.weight")


def _bert_places(model: Bert) -> Iterator[WeightMatch]:
    for theirs, ours in (("word", "tokens"), ("position", "positions"), ("token_type", "segments")):
        yield WeightMatch(f"bert.embeddings.{theirs}_embeddings.weight", f"{ours}.weight")
    yield from _pair("bert.embeddings.LayerNorm", "norm")
    width = model.width
    for number, ours in _blocks(model):
        theirs, inward = f"bert.encoder.layer.{number}", f"{ours}.mixer.projections.inward"
        for place, name in enumerate(("query", "key", "value")):
            rows = (place * width, (place + 1) * width)
            for part in ("weight", "bias"):
                their_name = f"{theirs}.attention.self.{name}.{part}"
                yield WeightMatch(their_name, f"{inward}.{part}", *rows)
        yield from _pair(f"{theirs}.attention.output.dense", f"{ours}.mixer.projections.outward")
        yield from _pair(f"{theirs}.attention.output.LayerNorm", f"{ours}.mixer_norm")
        yield from _pair(f"{theirs}.intermediate.dense", f"{ours}.channel_mixer.expand")
        yield from _pair(f"{theirs}.output.dense", f"{ours}.channel_mixer.contract")
        yield from _pair(f"{theirs}.output.LayerNorm", f"{ours}.channel_norm")
    yield from _pair("cls.predictions.transform.dense", "transform")
    yield from _pair("cls.predictions.transform.LayerNorm", "transform_norm")
    yield WeightMatch("cls.predictions.bias", "output_bias_V")


def _gpt2_config(model: LanguageModel) -> dict[str, Any]:
    config, stack = model.config, model.config.stack
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": config.vocab_size,
        "n_positions": config.max_length,
        "n_embd": stack.width,
        "n_layer": len(stack.layers),
        "n_head": stack.layers[0].options.get("num_heads", 4),
        "n_inner": stack.channel_width,
        "layer_norm_epsilon": stack.norm_epsilon,
        "activation_function": "gelu_new",
        "tie_word_embeddings": True,
    }


def _read_gpt2(theirs: dict[str, Any]) -> AnyConfig:
    _only(theirs, activation_function="gelu_new", scale_attn_by_inverse_layer_idx=False)
    options = {"num_heads": theirs["n_head"], "positions": "none", "bias": True}
    layer = LayerConfig(mixer="seqarena.mixers.attention.attention:Attention", options=options)
    stack = StackConfig(
        width=theirs["n_embd"],
        layers=(layer,) * theirs["n_layer"],
        channel_width=theirs.get("n_inner") or 4 * theirs["n_embd"],
        activation="gelu_tanh",
        norm_epsilon=theirs["layer_norm_epsilon"],
    )
    return ModelConfig(
        vocab_size=theirs["vocab_size"],
        stack=stack,
        positions="learned",
        max_length=theirs["n_positions"],
    )


def _llama_config(model: LanguageModel) -> dict[str, Any]:
    config, stack = model.config, model.config.stack
    options = model.stack.mixers[0].config.model_dump()
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": config.vocab_size,
        "hidden_size": stack.width,
        "num_hidden_layers": len(stack.layers),
        "num_attention_heads": options["num_heads"],
        "num_key_value_heads": options["num_groups"] or options["num_heads"],
        "intermediate_size": stack.channel_width,
        "rms_norm_eps": stack.norm_epsilon,
        "rope_theta": options["rotary_base"],
        "rope_parameters": {"rope_type": "default", "rope_theta": options["rotary_base"]},
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": config.tie_embeddings,
    }


def _read_llama(theirs: dict[str, Any]) -> AnyConfig:
    _only(theirs, hidden_act="silu", attention_bias=False, mlp_bias=False, rope_scaling=None)
    rope = theirs.get("rope_parameters") or {}
    _only(rope, rope_type="default")
    options = {
        "num_heads": theirs["num_attention_heads"],
        "num_groups": theirs["num_key_value_heads"],
        "rotary_base": rope.get("rope_theta", theirs.get("rope_theta", 10_000.0)),
    }
    layer = LayerConfig(mixer="seqarena.mixers.attention.attention:Attention", options=options)
    stack = StackConfig(
        width=theirs["hidden_size"],
        layers=(layer,) * theirs["num_hidden_layers"],
        channel_mixer="gated",
        channel_width=theirs["intermediate_size"],
        norm="rms",
        norm_epsilon=theirs["rms_norm_eps"],
    )
    tied = theirs.get("tie_word_embeddings", False)
    return ModelConfig(vocab_size=theirs["vocab_size"], stack=stack, tie_embeddings=tied)


def _bert_config(model: Bert) -> dict[str, Any]:
    return {
        "model_type": "bert",
        "architectures": ["BertForMaskedLM"],
        "vocab_size": model.problem.vocab_size,
        "hidden_size": model.width,
        "num_hidden_layers": model.options.layers,
        "num_attention_heads": model.options.num_heads,
        "intermediate_size": model.stack.config.channel_width,
        "max_position_embeddings": model.positions.num_embeddings,
        "type_vocab_size": model.segments.num_embeddings,
        "layer_norm_eps": EPSILON,
        "hidden_act": "gelu",
        "tie_word_embeddings": True,
    }


def _read_bert(theirs: dict[str, Any]) -> AnyConfig:
    _only(theirs, hidden_act="gelu", layer_norm_eps=EPSILON, position_embedding_type="absolute")
    problem: Problem = own_inputs(theirs["vocab_size"], theirs["max_position_embeddings"])
    options = {
        "layers": theirs["num_hidden_layers"],
        "num_heads": theirs["num_attention_heads"],
        "hidden_width": theirs["intermediate_size"],
        "num_segments": theirs["type_vocab_size"],
    }
    system = "seqarena.models.language.bert:Bert"
    return SystemConfig(
        system=system, problem=problem, width=theirs["hidden_size"], options=options
    )


def _only(theirs: dict[str, Any], **values: Any) -> None:
    """Raises UserError for a setting that we do not have; one that is not said is the default."""
    for name, value in values.items():
        if theirs.get(name, value) != value:
            raise UserError(f"{name} = {theirs[name]!r} cannot be read: it must be {value!r}")


_FAMILIES: dict[str, tuple[Any, Any]] = {
    "gpt2": (_gpt2_config, _gpt2_places),
    "llama": (_llama_config, _llama_places),
    "bert": (_bert_config, _bert_places),
}
_READERS = {"gpt2": _read_gpt2, "llama": _read_llama, "bert": _read_bert}
