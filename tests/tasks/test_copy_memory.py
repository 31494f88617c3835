"""Copy memory: a loss over all positions, and the loss of whoever remembers nothing."""

import math

import pytest
import torch

from seqarena.tasks import CopyingConfig, build_task
from seqarena.tasks.probes.copying import BLANK, FIRST_SYMBOL, MARKER

T = 30  # as Arjovsky et al. count: blanks and marker


def task_of():
    return build_task(
        CopyingConfig(
            all_positions=True, min_distance=T - 1, max_distance=T - 1, evaluation_examples=50
        )
    )


def counting_guesser(batch):
    """Knows where it stands, remembers no symbol: blanks, then the eight symbols alike."""
    logits_BTV = torch.full((*batch.inputs_BT.shape, FIRST_SYMBOL + 8), -50.0)
    logits_BTV[:, :, BLANK] = 50.0
    slots = torch.full((FIRST_SYMBOL + 8,), -50.0)
    slots[FIRST_SYMBOL:] = 0.0
    logits_BTV[:, -10:] = slots
    return logits_BTV


def test_targets_are_blanks_and_then_the_symbols():
    batch = task_of().training_batch(0, 8, seed=0)
    assert batch.inputs_BT.shape == (8, T + 20)
    assert (batch.inputs_BT[:, T + 9] == MARKER).all()
    assert (batch.targets_BT[:, :-10] == BLANK).all()
    assert torch.equal(batch.targets_BT[:, -10:], batch.inputs_BT[:, :10])


def test_the_counting_guesser_has_the_published_loss():
    task = task_of()
    published = 10 * math.log(8) / (T + 20)
    assert task.baseline()["loss_nats"] == pytest.approx(published)
    scores = task.evaluate(counting_guesser, "test", 16)
    assert scores.slices["loss_nats"] == pytest.approx(published, rel=1e-4)
    assert scores.slices["share of the memoryless loss"] == pytest.approx(1, rel=1e-4)
    batch = task.training_batch(0, 64, seed=0)
    assert float(task.loss(counting_guesser(batch), batch)) == pytest.approx(published, rel=1e-4)


def test_accuracy_is_of_the_symbols_alone():
    task = task_of()

    def blanks(batch):
        return torch.nn.functional.one_hot(batch.inputs_BT * 0, task.vocab_size).float()

    def right(batch):
        return 50.0 * torch.nn.functional.one_hot(batch.targets_BT, task.vocab_size)

    assert task.evaluate(blanks, "test", 16).value == 0
    scores = task.evaluate(right, "test", 16)
    assert scores.value == 1
    assert scores.slices["share of the memoryless loss"] < 1e-4
    # the batch size changes nothing
    other = task.evaluate(counting_guesser, "test", 50).slices["loss_nats"]
    assert task.evaluate(counting_guesser, "test", 7).slices["loss_nats"] == pytest.approx(other)
