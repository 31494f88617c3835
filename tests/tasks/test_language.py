"""Bits per byte, computed by hand; splits and windows of the embedded text."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.data.splits import split_text
from seqarena.data.text.corpora import embedded_corpus
from seqarena.tasks import LanguageConfig, build_task
from seqarena.tasks.base import IGNORE
from seqarena.tasks.text.language import LanguageTask, position_ranges

NAMES = ("byte", "char", "bpe:400")
TASKS = {name: LanguageTask(LanguageConfig(tokenizer=name, sequence_length=48)) for name in NAMES}


def uniform(task):
    return lambda batch: torch.zeros(*batch.inputs_BT.shape, task.vocab_size)


def unigram(task):
    """A model that knows the frequencies of the training tokens and nothing else."""
    counts = np.bincount(task.tokenizer.encode(splits().train), minlength=task.vocab_size) + 1
    log_probabilities = torch.from_numpy(np.log(counts / counts.sum())).float()
    return lambda batch: log_probabilities.expand(*batch.inputs_BT.shape, -1)


def splits():
    return split_text(embedded_corpus().text)


def scored_text(task, split):
    batches = list(task.evaluation_batches(split, 7))
    targets = torch.cat([batch.targets_BT.flatten() for batch in batches])
    return task.tokenizer.decode(targets.numpy())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_scores_the_same_text_under_every_tokenizer(name, split):
    task = TASKS[name]
    text = getattr(splits(), split)
    asked = scored_text(task, split)
    # the first token and less than one window at the end are not asked
    first_bytes = task.tokenizer.bytes_per_token(task.tokenizer.encode(text)[:1])[0]
    assert text.encode()[first_bytes:].startswith(asked.encode())
    assert len(asked.encode()) > len(text.encode()) - 48 * 8


@pytest.mark.parametrize("name", NAMES)
def test_training_shows_the_training_text_and_nothing_else(name):
    task = TASKS[name]
    text = splits().train
    for index in (0, 17, 10_000):
        batch = task.training_batch(index, 4, seed=index)
        assert torch.equal(batch.inputs_BT[:, 1:], batch.targets_BT[:, :-1])
        for row in batch.inputs_BT:
            shown = task.tokenizer.decode(row.numpy()).strip(
                "\ufffd"
            )  # a window may cut a character
            assert shown in text


def test_training_batches_are_pure_functions():
    task = TASKS["byte"]
    expected = {index: task.training_batch(index, 8, seed=5) for index in (0, 3, 2_000)}
    fresh = LanguageTask(LanguageConfig(tokenizer="byte", sequence_length=48))
    for index in (2_000, 0, 3):
        for ours, theirs in zip(fresh.training_batch(index, 8, seed=5)[:2], expected[index][:2]):
            assert torch.equal(ours, theirs)
    other = task.training_batch(0, 8, seed=6)
    assert not torch.equal(other.inputs_BT, expected[0].inputs_BT)


def test_uniform_bytes_cost_eight_bits():
    scores = TASKS["byte"].evaluate(uniform(TASKS["byte"]), "test", 16)
    assert scores.value == pytest.approx(8, abs=1e-6)
    assert scores.chunk_values == pytest.approx([8] * 100, abs=1e-6)
    assert scores.slices["nats_per_token"] == pytest.approx(math.log(256), abs=1e-6)
    assert set(scores.slices) == {
        "position 0-7",
        "position 8-31",
        "position 32-47",
        "nats_per_token",
    }


@pytest.mark.parametrize("name", NAMES)
def test_uniform_predictor_by_arithmetic(name):
    task = TASKS[name]
    scores = task.evaluate(uniform(task), "validation", 16)
    num_bytes = len(scored_text(task, "validation").encode())
    expected = scores.num_scored * math.log2(task.vocab_size) / num_bytes
    assert scores.value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_value_chunks_and_slices_equal_a_plain_loop(name):
    task = TASKS[name]
    logits_V = unigram(task)(next(task.evaluation_batches("test", 1)))[0, 0].double()
    log2_V = (torch.log_softmax(logits_V, -1) / math.log(2)).numpy()
    rows = [
        row for batch in task.evaluation_batches("test", 5) for row in batch.targets_BT.tolist()
    ]
    table = task.tokenizer.bytes_per_token(np.arange(task.vocab_size))
    bits = [[-log2_V[token] for token in row] for row in rows]
    sizes = [[table[token] for token in row] for row in rows]

    scores = task.evaluate(unigram(task), "test", 32)
    total_bits, total_bytes = sum(map(sum, bits)), sum(map(sum, sizes))
    assert scores.value == pytest.approx(total_bits / total_bytes, rel=1e-5)
    num_chunks = len(scores.chunk_values)
    assert num_chunks == min(100, len(rows))
    for chunk in (0, num_chunks // 2, num_chunks - 1):
        members = [i for i in range(len(rows)) if i * num_chunks // len(rows) == chunk]
        expected = sum(sum(bits[i]) for i in members) / sum(sum(sizes[i]) for i in members)
        assert scores.chunk_values[chunk] == pytest.approx(expected, rel=1e-5)
    expected = sum(sum(row[8:32]) for row in bits) / sum(sum(row[8:32]) for row in sizes)
    assert scores.slices["position 8-31"] == pytest.approx(expected, rel=1e-5)


def test_a_better_model_has_fewer_bits_and_bpe_does_not_cheat():
    values = {name: TASKS[name].evaluate(unigram(TASKS[name]), "test", 64).value for name in NAMES}
    # unigram entropy: byte and character nearly agree on English; merges can only help
    assert values["byte"] == pytest.approx(values["char"], abs=0.1)
    assert 2.0 < values["bpe:400"] < values["char"] < 5.5


@pytest.mark.parametrize("max_batches", [None, 3])
def test_scores_do_not_depend_on_the_batch_size(max_batches):
    task = TASKS["byte"]
    one = task.evaluate(unigram(task), "test", 12, max_batches)
    other = task.evaluate(unigram(task), "test", 6, max_batches and 2 * max_batches)
    assert one.value == pytest.approx(other.value, rel=1e-9)
    assert one.chunk_values == pytest.approx(other.chunk_values, rel=1e-9)
    assert one.num_scored == other.num_scored


def test_limited_evaluation_is_spread_over_the_split():
    task = TASKS["byte"]
    whole = [row for b in task.evaluation_batches("test", 8) for row in b.inputs_BT.tolist()]
    part = [row for b in task.evaluation_batches("test", 8, 2) for row in b.inputs_BT.tolist()]
    assert part == [whole[i * len(whole) // 16] for i in range(16)]


def test_loss_is_the_mean_over_what_is_asked():
    task = TASKS["byte"]
    batch = task.training_batch(0, 2, seed=0)
    targets_BT = batch.targets_BT.clone()
    targets_BT[:, ::2] = IGNORE
    logits_BTV = torch.randn(2, 48, 256, generator=torch.Generator().manual_seed(0))
    picked = torch.log_softmax(logits_BTV.double(), -1).gather(-1, batch.targets_BT[..., None])
    loss = task.loss(logits_BTV, batch._replace(targets_BT=targets_BT))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(-picked[:, 1::2].mean().item(), rel=1e-5)
    assert task.loss(logits_BTV.bfloat16(), batch).dtype == torch.float32


def test_published_two_part_split(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(embedded_corpus().text[:20_000], encoding="utf-8")
    config = LanguageConfig(
        data=str(path),
        tokenizer="char",
        sequence_length=64,
        validation_fraction=0.1,
        test_fraction="validation",
    )
    task = build_task(config)
    facts = task.describe()
    assert facts["splits"]["train"]["tokens"] == 18_000
    assert facts["splits"]["validation"] == facts["splits"]["test"]
    assert facts["tokens"] == 20_000
    assert facts["test_is_validation"]
    assert scored_text(task, "validation") == scored_text(task, "test")


def test_digest_follows_what_determines_the_numbers_and_nothing_else(tmp_path):
    paths = [tmp_path / "one.txt", tmp_path / "two.txt", tmp_path / "other.txt"]
    for path, text in zip(paths, ["same text, " * 99, "same text, " * 99, "other text " * 99]):
        path.write_text(text, encoding="utf-8")
    base = {"sequence_length": 16}
    digests = [LanguageTask(LanguageConfig(data=str(p), **base)).digest() for p in paths]
    assert digests[0] == digests[1] != digests[2]
    changed = [{"sequence_length": 17}, {**base, "tokenizer": "char"}]
    changed.append({**base, "validation_fraction": 0.06})
    for fields in changed:
        other = LanguageTask(LanguageConfig(data=str(paths[0]), **fields))
        assert other.digest() != digests[0]


def test_too_long_a_window_names_the_longest(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcd " * 200, encoding="utf-8")
    message = r"sequence_length 100 is too long .*50 tokens.*the longest possible is 49"
    with pytest.raises(UserError, match=message):
        build_task(LanguageConfig(data=str(path), sequence_length=100))
    longest = build_task(LanguageConfig(data=str(path), sequence_length=49))
    assert longest.evaluate(uniform(longest), "test", 4).num_scored == 49


def test_evaluation_refuses_empty_batches():
    with pytest.raises(UserError, match="must be at least 1"):
        TASKS["byte"].evaluate(uniform(TASKS["byte"]), "test", 0)


def test_position_ranges_cover_every_length():
    for length in (1, 7, 8, 9, 33, 1_000):
        covered = [p for first, last in position_ranges(length) for p in range(first, last + 1)]
        assert covered == list(range(length))
