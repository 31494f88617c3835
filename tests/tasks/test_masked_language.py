"""Masked language modelling: what is hidden, how it is scored, and blanks filled for a user."""

import math

import numpy as np
import pytest
import torch

from seqarena.core.batch import IGNORE
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.text.masked_language import MaskedLanguageCodec
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer


@pytest.fixture(scope="module")
def task():
    return build_task(
        parse_task({"kind": "masked_language", "tokenizer": "byte", "sequence_length": 40})
    )


def test_a_share_is_asked_for_and_most_of_it_hidden(task):
    batch = task.training_batch(3, 200, seed=0)
    plain = task.language.training_batch(3, 200, seed=0).inputs_BT
    asked = batch.targets_BT != IGNORE
    assert (asked.sum(1) == 6).all()  # 15 % of 40
    assert torch.equal(batch.inputs_BT[~asked], plain[~asked])
    assert torch.equal(batch.targets_BT[asked], plain[asked])
    hidden = (batch.inputs_BT == task.mask_token)[asked].double().mean()
    kept = (batch.inputs_BT == plain)[asked].double().mean()
    # 1,200 draws: standard errors .012 and .009; a random byte is the right one in 1 of 256
    assert hidden.item() == pytest.approx(0.8, abs=0.04)
    assert kept.item() == pytest.approx(0.1, abs=0.04)


def test_batches_are_functions_of_their_index(task):
    one, again, other = (task.training_batch(k, 4, seed=0) for k in (7, 7, 8))
    assert torch.equal(one.inputs_BT, again.inputs_BT)
    assert not torch.equal(one.targets_BT != IGNORE, other.targets_BT != IGNORE)


def test_evaluation_hides_the_same_whatever_the_batch_size(task):
    def whole(size):
        return torch.cat([b.inputs_BT for b in task.evaluation_batches("test", size)])

    assert torch.equal(whole(7), whole(64))


def test_the_score_is_bits_over_bytes_of_what_is_hidden(task):
    scores = task.evaluate(
        lambda batch: torch.zeros(*batch.inputs_BT.shape, task.vocab_size), "test", 32
    )
    assert scores.value == pytest.approx(math.log2(257))
    assert scores.num_scored == 6 * task.num_evaluation_examples("test")

    def perfect(batch):
        wanted = batch.targets_BT.clamp(min=0)
        return 50.0 * torch.nn.functional.one_hot(wanted, task.vocab_size)

    scores = task.evaluate(perfect, "test", 32)
    assert scores.value == pytest.approx(0, abs=1e-9)
    assert scores.slices["right"] == 1


def test_bert_learns_to_guess(task):
    torch.manual_seed(0)
    model = build("bert", problem=task.problem, width=32)
    config = TrainConfig(
        budget=Budget(steps=80), batch_size=8, optimizer=OptimizerConfig(learning_rate=5e-3)
    )
    losses = [record.loss_nats for record in Trainer(model, task, config).steps()]
    assert losses[0] == pytest.approx(math.log(257), abs=0.2)
    assert np.mean(losses[-10:]) < losses[0] - 1.5


def test_blanks_are_filled(task):
    codec = MaskedLanguageCodec.from_artifacts(task.config, task.artifacts())
    batch = codec.encode(["the c___t", "a ___ b ___"])
    assert batch.inputs_BT[0, 5] == task.mask_token
    logits = torch.zeros(*batch.inputs_BT.shape, task.vocab_size)
    logits[..., ord("a")] = 99.0
    answers = codec.decode(logits, batch)
    assert [answer.text for answer in answers] == ["the cat", "a a b a"]
    assert answers[0].confidence == pytest.approx(1.0)
    with pytest.raises(UserError, match="has no blank"):
        codec.encode(["nothing to guess"])
    with pytest.raises(UserError, match="more than the 40"):
        codec.encode(["___" + "x" * 60])
