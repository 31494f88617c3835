"""Maps: the attention that is shown is the attention that computes, and rows sum to one."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import append_measurements, read_measurements
from seqarena.measure.flow.maps import attention_maps, influence_maps, language_maps
from seqarena.measure.flow.reading import WordPieces, by_words, read_as_tokens, read_as_words
from seqarena.measure.subject import subject
from seqarena.mixers.attention.attention import Attention, AttentionConfig
from seqarena.mixers.attention.bigbird import BigBird, BigBirdConfig
from seqarena.mixers.attention.forgetting_attention import (
    ForgettingAttention,
    ForgettingAttentionConfig,
)
from seqarena.mixers.attention.sliding_window import SlidingWindow, SlidingWindowConfig
from seqarena.mixers.attention.sparse_attention import SparseAttention, SparseAttentionConfig
from seqarena.models.catalog import CATALOG
from seqarena.models.watching import watching
from seqarena.train.checkpoint import save
from seqarena.train.loop import Trainer

TEXT = "The cat sat. Where was it?"
NO_ATTENTION = "no attention whose weights"
MIXERS = [
    Attention(16, AttentionConfig(num_groups=2)),
    Attention(16, AttentionConfig(positions="alibi")),
    Attention(16, AttentionConfig(causal=False)),
    SlidingWindow(16, SlidingWindowConfig(window=4)),
    SlidingWindow(16, SlidingWindowConfig(window=3, num_first=2)),
    SlidingWindow(16, SlidingWindowConfig(window=2, num_first=4, positions="cache")),
    SparseAttention(16, SparseAttentionConfig(stride=3)),
    BigBird(16, BigBirdConfig(block_size=2, random_blocks=1)),
    ForgettingAttention(16, ForgettingAttentionConfig(num_groups=2)),
]


@pytest.mark.parametrize("mixer", MIXERS, ids=range(len(MIXERS)))
def test_weights_times_values_are_the_output(mixer) -> None:
    mixer = mixer.double()
    x_BTD = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        with watching(mixer) as shown:
            y_BTD, _ = mixer(x_BTD)
        plain_BTD, _ = mixer(x_BTD)
        _, _, v_BTGE = mixer.projections.split(x_BTD)
        a_BHTC = shown[0].weights_BHTC[..., -9:]
        v_BHTE = v_BTGE.transpose(1, 2).repeat_interleave(4 // v_BTGE.shape[2], 1)
        rebuilt_BTD = mixer.projections.merge((a_BHTC @ v_BHTE).transpose(1, 2))
    assert len(shown) == 1
    assert torch.equal(y_BTD, plain_BTD)  # looking changes nothing
    torch.testing.assert_close(a_BHTC.sum(-1), torch.ones(2, 4, 9).double())
    torch.testing.assert_close(rebuilt_BTD, y_BTD)
    assert mixer.watcher is None


def test_the_decoders_look_at_the_source_is_that_of_align() -> None:
    chosen, reading = read_as_words(subject("transformer", width=16), TEXT, "one two three")
    model = chosen.build(8)
    found = attention_maps("transformer", text=TEXT, target="one two three", width=16)
    heads = [m for m in found if m.variant == "decoder to source" and m.layer == 2]
    with torch.no_grad():
        expected_TS = model.attention(reading.batch)[0]  # the last layer, its heads' mean
    np.testing.assert_allclose(np.mean([m.weights for m in heads], 0), expected_TS, atol=1e-6)
    assert heads[0].words == ("one", "two", "three")
    assert heads[0].columns == ("The", "cat", "sat", ".", "Where", "was", "it", "?")


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_architecture_that_reads_words_has_maps(name: str) -> None:
    if name in ("lenet5", "neocognitron"):
        with pytest.raises(UserError, match="reads numbers"):
            influence_maps(name, text=TEXT, width=16)
        return
    found = influence_maps(name, text=TEXT, width=16)
    with contextlib.suppress(UserError):  # which of them have attention is asked below
        found += attention_maps(name, text=TEXT, width=16)
    for one in found:
        weights = np.array(one.weights)
        assert weights.shape == (len(one.words), len(one.columns or one.words))
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("attention", 8), ("sliding_window", 8), ("sparse_attention", 8), ("llama", 8),
        ("gpt2", 8), ("bert", 8), ("hybrid", 4), ("jamba", 4), ("qwen3_next", 4), ("griffin", 4),
        ("longformer", 8), ("bigbird", 8), ("attention_sinks", 8), ("latent_attention", 8),
        ("forgetting_attention", 8), ("transformer", 36), ("rnnsearch", 1),
        ("luong_general", 1), ("convs2s", 3), ("self_attention_encoder", 1), ("memory_network", 1),
        ("attentive_reader", 1), ("attention_flow", 2),
        ("memory_language_model", 6),
    ],
)  # fmt: skip
def test_attention_has_a_map_for_every_layer_and_head(name: str, maps: int) -> None:
    found = attention_maps(name, text=TEXT, width=16)
    assert len({(m.variant, m.layer, m.head) for m in found}) == maps


def test_causal_models_do_not_look_ahead_and_others_do() -> None:
    for name in ("attention", "lstm", "mamba"):
        assert not np.triu(influence_maps(name, text=TEXT, width=16)[0].weights, 1).any()
    for name in ("bert", "bi_lstm"):
        assert np.triu(influence_maps(name, text=TEXT, width=16)[0].weights, 1).any()


def test_looks_and_sentences_are_named() -> None:
    (looks,) = attention_maps("self_attention_encoder", text=TEXT, width=16)
    assert looks.words[:2] == ("look 1", "look 2")
    assert looks.columns[:2] == ("The", "cat")
    (hops,) = attention_maps("memory_network", text=TEXT, width=16)
    assert hops.words == ("look 1", "look 2", "look 3")
    assert hops.columns[0] == "sentence 1"


def test_pieces_are_gathered_into_words() -> None:
    class Halves:
        def encode(self, text: str) -> list[int]:
            return [0, 1, 2, 3]  # "ab", "c", " d", "é"

        def bytes_per_token(self, ids):
            return np.array([2, 1, 2, 2])

    reading = read_as_tokens(Halves(), "abc dé")
    assert reading.read == WordPieces(("abc", "dé"), (0, 0, 1, 1))
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.2, 0.6, 0], [0, 0.2, 0.4, 0.4]])
    merged = by_words(weights, reading.written, reading.read)
    np.testing.assert_allclose(merged, [[1, 0], [0.3, 0.7]])


def test_a_trained_model_is_mapped_from_memory_and_from_its_checkpoint(tmp_path: Path) -> None:
    from seqarena.measure.trained.fit import fit
    from seqarena.tasks.registry import build_task, parse_task

    place = tmp_path / "text.txt"
    place.write_text("the cat sat on the mat and the dog sat on the log. " * 60, encoding="utf-8")
    found = language_maps(
        ["attention", "gru"], steps=3, tokenizer="byte", data=str(place), text="the cat sat",
        width=16, depth=1, sequence_length=16,
    )  # fmt: skip
    assert [(m.measurement, m.architecture, m.variant) for m in found] == [
        ("attention", "attention", "initial"), *[("attention", "attention", "initial")] * 3,
        ("influence", "attention", "initial"),
        ("attention", "attention", "trained"), *[("attention", "attention", "trained")] * 3,
        ("influence", "attention", "trained"),
        ("influence", "gru", "initial"), ("influence", "gru", "trained"),
    ]  # fmt: skip
    assert {m.words for m in found} == {("the", "cat", "sat")}
    assert found[4].settings["steps"] == 0
    assert found[9].settings["steps"] == 3
    assert found[4].weights != found[9].weights
    append_measurements(tmp_path / "measurements.jsonl", found)
    assert list(read_measurements(tmp_path / "measurements.jsonl")) == found

    fields = {"kind": "language", "data": str(place), "tokenizer": "byte", "sequence_length": 16}
    task = build_task(parse_task(fields))
    trainer: Trainer = fit(
        subject("attention", width=16, depth=1), task, steps=3, batch_size=16, learning_rate=3e-3
    ).trainer
    about = {"task": json.loads(json.dumps(fields)), "artifacts": task.artifacts()}
    save(tmp_path / "checkpoint", trainer, about)
    again = attention_maps("attention", text="the cat sat", checkpoint=str(tmp_path / "checkpoint"))
    assert [m.variant for m in again] == ["trained"] * 4
    for one, other in zip(again, found[5:9]):
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-6)


def test_what_cannot_be_mapped_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match=NO_ATTENTION):
        attention_maps("lstm", text=TEXT, width=16)
    with pytest.raises(UserError, match="no word"):
        influence_maps("lstm", text="  ", width=16)
    with pytest.raises(UserError, match="cannot be trained on a text"):
        language_maps(["bert"], tokenizer="byte", sequence_length=16)
