"""BERT as `transformers` lays it out (Devlin et al. 2018), with its head for masked words, for one
label, for a label at each position, or for a span."""

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from seqarena.core.batch import Problem, own_inputs
from seqarena.models.any import AnyConfig
from seqarena.models.exchange.family import PublishedFamily, Spare, WeightMatch, blocks, pair
from seqarena.models.exchange.gpt2 import ACTIVATIONS, activation_name
from seqarena.models.exchange.settings import NO_SPECIAL_TOKENS, Settings
from seqarena.models.language.bert import Bert
from seqarena.models.model import SystemConfig

_LABEL, _TAGS = "BertForSequenceClassification", "BertForTokenClassification"
_MASKED, _SPAN = "BertForMaskedLM", "BertForQuestionAnswering"
_TABLE = "bert.embeddings.word_embeddings.weight"
_DECODER = "cls.predictions.decoder"


def _read(settings: Settings) -> AnyConfig:
    settings.only(position_embedding_type="absolute", is_decoder=False, tie_word_embeddings=True)
    positions = settings.size("max_position_embeddings", default=512)
    options = {
        "layers": settings.layers("num_hidden_layers", default=12),
        "num_heads": settings.size("num_attention_heads", default=12),
        "hidden_width": settings.size("intermediate_size", default=3072),
        "num_segments": settings.size("type_vocab_size", default=2),
        "activation": settings.choice("hidden_act", default="gelu", choices=ACTIVATIONS),
        "norm_epsilon": settings.number("layer_norm_eps", default=1e-12, above=0, below=1),
    }
    return SystemConfig(
        system="seqarena.models.language.bert:Bert",
        problem=_problem(settings, settings.size("vocab_size", default=30522), positions),
        width=settings.size("hidden_size", default=768),
        options=options,
    )


def _problem(settings: Settings, vocab_size: int, positions: int) -> Problem:
    """What the head answers, by the class that the file names."""
    if settings.architecture() == _SPAN:
        return Problem(
            form="span", num_outputs=2, vocab_size=vocab_size, num_segments=2, max_length=positions
        )
    if settings.architecture() not in (_LABEL, _TAGS):
        return own_inputs(vocab_size, positions)
    labels = settings.labels()
    return Problem(
        form="label" if settings.architecture() == _LABEL else "tokens",
        targets="classes" if labels > 1 else "numbers",
        num_outputs=labels,
        vocab_size=vocab_size,
        max_length=positions,
    )


def _write(model: Bert) -> dict[str, Any]:
    options, problem = model.options, model.problem
    fields = {
        "model_type": "bert",
        "architectures": [_architecture(model)],
        "vocab_size": problem.vocab_size,
        "hidden_size": model.width,
        "num_hidden_layers": options.layers,
        "num_attention_heads": options.num_heads,
        "intermediate_size": model.stack.config.channel_width,
        "max_position_embeddings": model.positions.num_embeddings,
        "type_vocab_size": model.segments.num_embeddings,
        "layer_norm_eps": options.norm_epsilon,
        "hidden_act": activation_name(options.activation),
        "hidden_dropout_prob": options.dropout,
        "attention_probs_dropout_prob": 0.0,
        "tie_word_embeddings": True,
        **NO_SPECIAL_TOKENS,
    }
    if not model.is_masked_lm:
        fields["id2label"] = {str(k): f"LABEL_{k}" for k in range(problem.num_outputs)}
        fields["label2id"] = {name: int(k) for k, name in fields["id2label"].items()}
        if problem.targets == "numbers":
            fields["problem_type"] = "regression"
    return fields


def _architecture(model: Bert) -> str:
    if model.is_masked_lm:
        return _MASKED
    if model.problem.form == "span":
        return _SPAN
    return _TAGS if model.pooler is None else _LABEL


def _places(model: Bert) -> Iterator[WeightMatch]:
    also = (f"{_DECODER}.weight",) if model.is_masked_lm else ()
    yield WeightMatch(_TABLE, "tokens.weight", also=also)
    for theirs, ours in (("position", "positions"), ("token_type", "segments")):
        yield WeightMatch(f"bert.embeddings.{theirs}_embeddings.weight", f"{ours}.weight")
    yield from pair("bert.embeddings.LayerNorm", "norm")
    for number, ours in blocks(model):
        theirs = f"bert.encoder.layer.{number}"
        yield from _attention(model.width, f"{theirs}.attention", f"{ours}.mixer.projections")
        yield from pair(f"{theirs}.attention.output.LayerNorm", f"{ours}.mixer_norm")
        yield from pair(f"{theirs}.intermediate.dense", f"{ours}.channel_mixer.expand")
        yield from pair(f"{theirs}.output.dense", f"{ours}.channel_mixer.contract")
        yield from pair(f"{theirs}.output.LayerNorm", f"{ours}.channel_norm")
    yield from _head(model)


def _attention(width: int, theirs: str, ours: str) -> Iterator[WeightMatch]:
    for place, name in enumerate(("query", "key", "value")):
        rows = (place * width, (place + 1) * width)
        for part in ("weight", "bias"):
            yield WeightMatch(f"{theirs}.self.{name}.{part}", f"{ours}.inward.{part}", *rows)
    yield from pair(f"{theirs}.output.dense", f"{ours}.outward")


def _head(model: Bert) -> Iterator[WeightMatch]:
    if model.is_masked_lm:
        yield from pair("cls.predictions.transform.dense", "transform")
        yield from pair("cls.predictions.transform.LayerNorm", "transform_norm")
        bias = f"{_DECODER}.bias"
        yield WeightMatch("cls.predictions.bias", "output_bias_V", also=(bias,))
        return
    if model.pooler is not None:
        yield from pair("bert.pooler.dense", "pooler")
    span = model.problem.form == "span"
    yield from pair("qa_outputs" if span else "classifier", "classifier")


def _spellings(name: str) -> tuple[str, ...]:
    """The body without its prefix; gamma and beta of a norm, as the first releases have them."""
    older = re.sub(r"LayerNorm\.(weight|bias)$", _older, name)
    names = (name, older, name.removeprefix("bert."), older.removeprefix("bert."))
    return tuple(dict.fromkeys(names))


def _older(part: re.Match[str]) -> str:
    return "LayerNorm.gamma" if part[1] == "weight" else "LayerNorm.beta"


def _misfits(model: Bert) -> Iterator[str]:
    problem = model.problem
    if not model.is_masked_lm and problem.targets == "numbers" and problem.form == "tokens":
        yield "the layout has no number at each position"


def _counts_up(tensor: Tensor, _: Any) -> bool:
    flat = tensor.flatten()
    return torch.equal(flat.long(), torch.arange(len(flat)))


def _is_zero(tensor: Tensor, _: Any) -> bool:
    return not tensor.any()


BERT = PublishedFamily(
    title="BERT",
    architectures=(_MASKED, "BertForPreTraining", _LABEL, _TAGS, _SPAN, "BertModel"),
    read=_read,
    harmless=frozenset(
        {
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "directionality",
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
        }
    ),
    write=_write,
    places=_places,
    spellings=_spellings,
    layer=re.compile(r"(?:bert\.)?encoder\.layer\.(\d+)\."),
    spares=(
        Spare(re.compile(r"(?:bert\.)?embeddings\.position_ids"), "0, 1, 2 ...", _counts_up),
        Spare(re.compile(r"(?:bert\.)?embeddings\.token_type_ids"), "zeros", _is_zero),
        Spare(
            re.compile(r"(?:bert\.)?pooler\.dense\.(?:weight|bias)|cls\.seq_relationship\..*"),
            "the head for the next sentence",
        ),
    ),
    misfits=_misfits,
)
