"""What we write, `transformers` reads with equal logits; what has no place there is refused."""

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hub
from published import FLOAT32, TOKENS_BT, shaken

from seqarena.core.batch import Batch, Problem, own_inputs
from seqarena.core.errors import UserError
from seqarena.models.any import build_model
from seqarena.models.build import build
from seqarena.models.exchange import huggingface
from seqarena.models.model import Model
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

MAMBA = "seqarena.mixers.state_space.mamba:Mamba"
MAMBA2 = "seqarena.mixers.state_space.mamba2:Mamba2"
AUTO = {
    "GPT2LMHeadModel": hub.AutoModelForCausalLM,
    "LlamaForCausalLM": hub.AutoModelForCausalLM,
    "MambaForCausalLM": hub.AutoModelForCausalLM,
    "Mamba2ForCausalLM": hub.AutoModelForCausalLM,
    "BertForMaskedLM": hub.AutoModelForMaskedLM,
    "BertForSequenceClassification": hub.AutoModelForSequenceClassification,
    "BertForTokenClassification": hub.AutoModelForTokenClassification,
}


def catalog(row: str, **options: Any) -> Model:
    return build(row, problem=own_inputs(50, 32), width=24, options=options, seed=0)


def published_mamba(mixer: str = MAMBA, **changes: Any) -> Model:
    """A Mamba wired as the published ones: no channel mixer, root-mean-square norms."""
    layer = LayerConfig(mixer=mixer, options=changes.pop("options", {}))
    tied = changes.pop("tie_embeddings", True)
    stack = {"width": 24, "layers": (layer,) * 2, "channel_mixer": "none", "norm": "rms", **changes}
    config = ModelConfig(vocab_size=50, stack=StackConfig(**stack), tie_embeddings=tied)
    return build_model(config)


def changed(
    model: Model, *, options: dict[str, Any], stack: dict[str, Any], **fields: Any
) -> Model:
    """The same with other options in its layers, another stack, another head."""
    config = model.config
    layers = tuple(
        layer.model_copy(update={"options": {**layer.options, **options}})
        for layer in config.stack.layers
    )
    other = config.stack.model_copy(update={"layers": layers, **stack})
    return build_model(config.model_copy(update={"stack": other, **fields}))


def they_read(model: Model, place: Path) -> None:
    """Both read what was written, whole, with its logits."""
    torch.manual_seed(0)
    shaken(model)
    huggingface.save(model, place)
    architecture = hub.AutoConfig.from_pretrained(place).architectures[0]
    theirs, info = AUTO[architecture].from_pretrained(place, output_loading_info=True)
    assert not any(info.values()), info
    batch = Batch(TOKENS_BT, TOKENS_BT)
    with torch.no_grad():
        ours = model.answer(batch)
        found = theirs.eval()(TOKENS_BT).logits
        again = huggingface.load(place, say=lambda _: None).answer(batch)
    torch.testing.assert_close(found.reshape(ours.shape), ours, **FLOAT32)
    torch.testing.assert_close(again, ours, rtol=0, atol=1e-6)


# Of each row: options of a layer, fields of the stack, fields of the model, as far as they cross.
CROSSES: dict[str, tuple[dict[str, list[Any]], dict[str, list[Any]], dict[str, list[Any]]]] = {
    "gpt2": (
        {"num_heads": [2, 4], "num_groups": [None], "bias": [True], "algorithm": ["auto"],
         "rotary_base": [7.0]},
        {"activation": ["gelu", "gelu_tanh", "relu"], "norm_epsilon": [1e-5, 0.01],
         "dropout": [0.0, 0.3], "channel_width": [7, 96]},
        {"tie_embeddings": [True, False], "max_length": [23, 40]},
    ),
    "llama": (
        {"num_heads": [2, 4], "num_groups": [1, 2, None], "bias": [True, False],
         "rotary_base": [10_000.0, 50.0]},
        {"norm_epsilon": [1e-6, 0.01], "dropout": [0.0, 0.3], "channel_width": [7, 64],
         "activation": ["gelu", "relu"]},
        {"tie_embeddings": [True, False]},
    ),
}  # fmt: skip


def drawn(choices: dict[str, list[Any]], draw: random.Random) -> dict[str, Any]:
    return {name: draw.choice(values) for name, values in choices.items()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("row", CROSSES)
def test_every_configuration_of_a_row_crosses(row: str, seed: int, tmp_path: Path) -> None:
    options, stack, fields = (drawn(choices, random.Random(seed)) for choices in CROSSES[row])
    they_read(changed(catalog(row), options=options, stack=stack, **fields), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"expand": 1}, {"state_size": 5}, {"kernel": 2}, {"time_step_rank": 7}, {"bias": True},
        {"convolution_bias": False},
        {"bias": True, "convolution_bias": False, "expand": 3, "kernel": 5},
    ],
)  # fmt: skip
def test_a_published_mamba_crosses(options: dict[str, Any], tmp_path: Path) -> None:
    they_read(published_mamba(options=options), tmp_path)


@pytest.mark.parametrize(
    "options",
    [{}, {"expand": 1, "num_heads": 3}, {"state_size": 5, "kernel": 2}, {"num_heads": 8}],
)
def test_a_published_mamba2_crosses(options: dict[str, Any], tmp_path: Path) -> None:
    they_read(published_mamba(MAMBA2, options=options), tmp_path)


def test_what_recurrent_gemma_does_otherwise_is_said(tmp_path: Path) -> None:
    for row in ("hawk", "griffin"):
        with pytest.raises(UserError, match="RecurrentGemma computes otherwise: it leaves out"):
            huggingface.save(catalog(row), tmp_path / "folder")


@pytest.mark.parametrize("changes", [{"tie_embeddings": False}, {"norm_epsilon": 0.01}])
def test_a_published_mamba_with_another_head_or_epsilon_crosses(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    they_read(published_mamba(**changes), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"layers": 3}, {"num_heads": 2}, {"hidden_width": 7}, {"num_segments": 3},
        {"max_positions": 40}, {"activation": "relu"}, {"activation": "gelu_tanh"},
        {"norm_epsilon": 0.01}, {"dropout": 0.2},
    ],
)  # fmt: skip
def test_every_configuration_of_bert_crosses(options: dict[str, Any], tmp_path: Path) -> None:
    they_read(catalog("bert", **options), tmp_path)


@pytest.mark.parametrize(
    ("form", "targets", "outputs"),
    [("label", "classes", 3), ("label", "numbers", 1), ("tokens", "classes", 5)],
)
def test_a_bert_that_classifies_crosses(
    form: Any, targets: Any, outputs: int, tmp_path: Path
) -> None:
    problem = Problem(form=form, targets=targets, num_outputs=outputs, vocab_size=50, max_length=32)
    they_read(build("bert", problem=problem, width=24, seed=0), tmp_path)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gpt2", {"options": {"num_groups": 1}}, "num_groups is 1"),
    ("gpt2", {"options": {"num_groups": 2}}, "num_groups is 2"),
    ("gpt2", {"options": {"bias": False}}, "bias is False"),
    ("gpt2", {"options": {"positions": "rotary"}}, "positions inside the layers is 'rotary'"),
    ("gpt2", {"options": {"positions": "alibi"}}, "positions inside the layers is 'alibi'"),
    ("gpt2", {"positions": "sinusoidal"}, "positions is 'sinusoidal'"),
    ("gpt2", {"positions": "none"}, "positions is 'none'"),
    ("gpt2", {"stack": {"norm": "none"}}, "norm is 'none'"),
    ("gpt2", {"stack": {"norm_position": "post"}}, "norm_position is 'post'"),
    ("gpt2", {"stack": {"channel_mixer": "gated"}}, "channel_mixer is 'gated'"),
    ("gpt2", {"stack": {"channel_mixer": "experts"}}, "channel_mixer is 'experts'"),
    ("gpt2", {"stack": {"channel_mixer": "none"}}, "channel_mixer is 'none'"),
    ("gpt2", {"stack": {"residual": False}}, "residual is False"),
    ("gpt2", {"stack": {"short_convolution": 4}}, "short_convolution is 4"),
    ("llama", {"options": {"gate": True}}, "its attention has a gate"),
    ("gpt2", {"num_outputs": 7}, "not a language model of its own inputs"),
    ("gpt2", {"num_segments": 2}, "num_segments"),
    ("gpt2", {"num_characters": 9}, "num_characters"),
    ("llama", {"options": {"positions": "none"}}, "positions inside the layers is 'none'"),
    ("llama", {"options": {"positions": "alibi"}}, "positions inside the layers is 'alibi'"),
    ("llama", {"stack": {"channel_mixer": "mlp"}}, "channel_mixer is 'mlp'"),
    ("llama", {"positions": "sinusoidal"}, "positions is 'sinusoidal'"),
    ("llama", {"form": "pairs", "source_offset": 20}, "not a language model of its own inputs"),
    ("mamba", {}, "norm is 'layer'"),
    ("mamba", {"stack": {"norm": "rms"}}, "channel_mixer is 'mlp'"),
    ("mamba", {"stack": {"norm": "rms", "channel_mixer": "none"}, "positions": "sinusoidal"},
     "positions is 'sinusoidal'"),
    ("mamba", {"stack": {"norm": "rms", "channel_mixer": "none"},
               "options": {"negative_eigenvalues": True}}, "its decays may be negative"),
    ("mamba2", {"stack": {"norm": "rms"}}, "channel_mixer is 'mlp'"),
    ("mamba2", {"stack": {"norm": "rms", "channel_mixer": "none", "norm_epsilon": 1e-6}},
     "its two norms differ"),
    ("hybrid", {}, "not all of its layers are Mamba"),
    ("attention", {}, "positions is 'none'"),
    ("gru", {}, "not all of its layers are Attention"),
    ("sliding_window", {}, "not all of its layers are Attention"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "changes", "reason"), REFUSED)
def test_what_has_no_place_is_refused_with_what_differs(
    row: str, changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = changed(catalog(row), **{"options": {}, "stack": {}, **changes})
    with pytest.raises(UserError) as caught:
        huggingface.save(model, tmp_path / "folder")
    assert "wired as the catalog's gpt2, llama or bert" in str(caught.value)
    assert reason in str(caught.value)
    assert not (tmp_path / "folder").exists()


def test_other_stacks_and_systems_are_refused(tmp_path: Path) -> None:
    unlike = catalog("gpt2").config
    first, second = unlike.stack.layers
    second = second.model_copy(update={"options": {**second.options, "num_heads": 2}})
    layers = unlike.stack.model_copy(update={"layers": (first, second)})
    encoder = changed(catalog("gpt2"), options={"causal": False}, stack={})
    numbers = Problem(targets="numbers", num_outputs=1, vocab_size=50, max_length=32)
    for model, words in (
        (build_model(unlike.model_copy(update={"stack": layers})), "differ from each other"),
        (encoder, "Encoder has no place"),
        (catalog("wavenet"), "WaveNet has no place"),
        (build("gpt2", problem=numbers, width=24), "not a language model of its own inputs"),
        (build("bert", problem=numbers, width=24), "no number at each position"),
    ):
        with pytest.raises(UserError, match=words):
            huggingface.save(model, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "inside", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match="cannot be written"):
            huggingface.save(catalog("gpt2"), place)


def test_a_save_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface.save(catalog("llama"), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(huggingface, "save_file", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        huggingface.save(catalog("gpt2"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bert_with_segments_and_padding_equals_theirs(tmp_path: Path) -> None:
    ours = shaken(catalog("bert"))
    huggingface.save(ours, tmp_path)
    theirs = hub.BertForMaskedLM.from_pretrained(tmp_path).eval()
    mask_BT = torch.ones_like(TOKENS_BT, dtype=torch.bool)
    mask_BT[1, 15:] = False
    segments_BT = (torch.arange(23) >= 9).long().expand(2, 23)
    with torch.no_grad():
        expected = theirs(
            TOKENS_BT, attention_mask=mask_BT.long(), token_type_ids=segments_BT
        ).logits
        found = ours.answer(Batch(TOKENS_BT, TOKENS_BT, mask_BT, segments_BT=segments_BT))
    torch.testing.assert_close(found[mask_BT], expected[mask_BT], **FLOAT32)


def test_a_bert_that_points_at_spans_crosses(tmp_path: Path) -> None:
    problem = Problem(form="span", num_outputs=2, vocab_size=50, num_segments=2, max_length=32)
    model = build("bert", problem=problem, width=24, seed=0)
    torch.manual_seed(0)
    shaken(model)
    huggingface.save(model, tmp_path)
    theirs, info = hub.AutoModelForQuestionAnswering.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(info.values()), info
    segments_BT = (torch.arange(TOKENS_BT.shape[1]) >= 3).long().expand_as(TOKENS_BT)
    batch = Batch(TOKENS_BT, TOKENS_BT[:, :2], segments_BT=segments_BT)
    with torch.no_grad():
        ours = model.answer(batch)
        found = theirs.eval()(TOKENS_BT, token_type_ids=segments_BT)
        again = huggingface.load(tmp_path, say=lambda _: None).answer(batch)
    for row, logits_BT in enumerate((found.start_logits, found.end_logits)):
        torch.testing.assert_close(logits_BT[:, 3:], ours[:, row, 3:], **FLOAT32)
    torch.testing.assert_close(again, ours, rtol=0, atol=1e-6)
