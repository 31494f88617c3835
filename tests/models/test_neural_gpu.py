"""Neural GPUs against their equations in plain NumPy, on rows of unequal length, and learning."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.memory.diagonal_neural_gpu import shifted
from seqarena.models.model import Model
from seqarena.tasks import build_task
from seqarena.tasks.configs import AlgorithmsConfig
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

PROBLEM = Problem(num_outputs=3, vocab_size=4, max_length=11)
NAMES = ("neural_gpu", "diagonal_neural_gpu")


def made(name: str, width: int = 6, **options: object) -> Model:
    return build(name, problem=PROBLEM, width=width, options=options, seed=3).double().eval()


def parameters(model: Model) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def ragged(lengths: list[int]) -> Batch:
    """Rows of these lengths with whatever at the padding."""
    longest = max(lengths)
    inputs_BT = torch.randint(4, (len(lengths), longest), generator=torch.manual_seed(0))
    mask_BT = torch.arange(longest) < torch.tensor(lengths)[:, None]
    targets_BT = torch.where(mask_BT, inputs_BT.clamp(max=2), -100)
    return Batch(inputs_BT, targets_BT, mask_BT)


def cell(s: np.ndarray, *place: int) -> np.ndarray:
    """What stands there, zeros beyond the edges."""
    inside = all(0 <= i < n for i, n in zip(place, s.shape))
    return s[place] if inside else np.zeros(s.shape[-1])


def test_diagonal_neural_gpu_by_hand() -> None:
    model = made("diagonal_neural_gpu")
    weights, M, T = parameters(model), 6, 5
    for p in model.parameters():  # large enough to saturate here and there
        p.data *= 2.0
    tokens = [1, 2, 3, 0, 2]

    def tanh(x: np.ndarray) -> np.ndarray:
        return np.maximum(-1, np.minimum(1, x))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return np.clip(0.5 * x + 0.5, 0, 1)

    def convolved(s: np.ndarray, kernel: np.ndarray, t: int) -> np.ndarray:
        return sum(cell(s, t + d - 1) @ kernel[d * M : (d + 1) * M] for d in range(3))

    s = tanh(weights["write.weight"][tokens])
    for _ in range(T):
        gates = np.stack([convolved(s, weights["gates"], t) for t in range(T)])
        gates = sigmoid(gates + weights["gate_bias"])
        r, u = gates[:, :M], gates[:, M:]
        c = np.stack([convolved(r * s, weights["candidate"], t) for t in range(T)])
        c = tanh(c + weights["candidate_bias"])
        diagonal = np.stack(
            [np.concatenate((s[t][:2], cell(s, t - 1)[2:4], cell(s, t + 1)[4:])) for t in range(T)]
        )
        s = u * diagonal + (1 - u) * c
    expected = s @ weights["read.weight"].T + weights["read.bias"]
    found = model.answer(Batch(torch.tensor([tokens]), torch.zeros(1, T, dtype=torch.int64)))
    np.testing.assert_allclose(found.detach().numpy()[0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("relaxation", [1, 3])
def test_neural_gpu_by_hand(relaxation: int) -> None:
    model = made("neural_gpu", width=3, columns=2, relaxation=relaxation)
    if relaxation > 1:  # else all sets would be equal only by chance: they are drawn apart
        assert not torch.equal(model.gates[0], model.gates[1])
    weights, M, T, W = parameters(model), 3, 4, 2
    tokens = [1, 0, 3, 2]

    def convolved(s: np.ndarray, kernel: np.ndarray, t: int, w: int) -> np.ndarray:
        return sum(
            cell(s, t + i - 1, w + j - 1) @ kernel[(3 * i + j) * M : (3 * i + j + 1) * M]
            for i in range(3)
            for j in range(3)
        )

    def over(s: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return np.stack([[convolved(s, kernel, t, w) for w in range(W)] for t in range(T)])

    s = np.zeros((T, W, M))
    s[:, 0] = weights["write.weight"][tokens]
    for step in range(T):
        for layer in range(2):
            at = step % relaxation, layer
            gates = over(s, weights["gates"][at]) + weights["gate_bias"][at]
            gates = np.clip(1.2 / (1 + np.exp(-gates)) - 0.1, 0, 1)
            r, u = gates[..., :M], gates[..., M:]
            c = np.tanh(over(r * s, weights["candidate"][at]) + weights["candidate_bias"][at])
            s = u * s + (1 - u) * c
    expected = s[:, 0] @ weights["read.weight"].T + weights["read.bias"]
    found = model.answer(Batch(torch.tensor([tokens]), torch.zeros(1, T, dtype=torch.int64)))
    np.testing.assert_allclose(found.detach().numpy()[0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_bin_changes_nothing(name: str) -> None:
    model, batch = made(name), ragged([3, 7, 5, 7, 1])
    assert batch.mask_BT is not None
    together = model.answer(batch)
    for row, length in enumerate(batch.mask_BT.sum(1).tolist()):
        alone = model.answer(
            Batch(batch.inputs_BT[row : row + 1, :length], batch.targets_BT[row : row + 1, :length])
        )
        torch.testing.assert_close(together[row, :length], alone[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_news_one_position_further_a_unit(name: str) -> None:
    """T steps bring the last position's token to the first; fewer positions than a row has could
    not be enough, so the number of steps is the row's length and not less."""
    model = made(name)
    inputs_BT = torch.tensor([[1, 2, 3, 1, 2, 1], [1, 2, 3, 1, 2, 3]])
    logits = model.answer(Batch(inputs_BT, inputs_BT))
    assert not torch.allclose(logits[0, 0], logits[1, 0], rtol=0, atol=1e-12)


def test_shifted_thirds() -> None:
    s_BTM = torch.arange(1.0, 13.0).reshape(1, 3, 4)  # 4 maps: 2 stay, 1 from before, 1 from behind
    expected = [[1.0, 2, 0, 8], [5, 6, 3, 12], [9, 10, 7, 0]]
    assert shifted(s_BTM)[0].tolist() == expected


def mean_loss(logits_BTV: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(logits_BTV.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=-100)


def test_the_saturation_cost_by_hand_and_without_padding() -> None:
    """Weights zero: gates are their biases, 0.5 and 0.7; a bias of 2 goes 1.1 beyond 0.9."""
    options = {"dropout": 0.0, "saturation_weight": 1e-3, "saturation_share": 1e9}
    model = made("diagonal_neural_gpu", width=3, **options).train()
    for p in (model.gates, model.candidate, model.write.weight):
        p.data.zero_()
    model.candidate_bias.data.fill_(-2.0)
    batch = ragged([4, 2])
    extra = model.loss(batch, mean_loss) - mean_loss(model.answer(batch), batch)
    # each of 3 maps at every position and step, T^2 of them a row, is 1.1 too low
    assert float(extra.detach()) == pytest.approx(1e-3 * 3 * 1.1)
    # what is written counts T times at each of T positions, whatever the bin
    model.write.weight.data.fill_(2.0)
    extra = model.loss(batch, mean_loss) - mean_loss(model.answer(batch), batch)
    assert float(extra.detach()) == pytest.approx(1e-3 * 3 * (1.1 + 1.1))
    model.eval()
    assert torch.equal(model.loss(batch, mean_loss), mean_loss(model.answer(batch), batch))


def test_the_saturation_cost_stays_below_its_share_of_the_loss() -> None:
    options = {"dropout": 0.0, "saturation_weight": 1e3, "saturation_share": 0.01}
    model = made("diagonal_neural_gpu", **options).train()
    model.candidate_bias.data.fill_(5.0)
    batch = ragged([4, 2])
    plain = mean_loss(model.answer(batch), batch)
    assert float((model.loss(batch, mean_loss) / plain).detach()) == pytest.approx(1.01)


def test_relaxed_weights_are_pulled_together_and_then_tied() -> None:
    model = made("neural_gpu", dropout=0.0, relaxation=3, tied_from=0.5, pull=(0.1, 10.0)).train()
    batch = ragged([4, 2])
    apart = sum(
        (p - p.mean(0, keepdim=True)).pow(2).sum()
        for p in (model.gates, model.candidate, model.gate_bias, model.candidate_bias)
    )
    for share, pull in ((0.0, 0.1), (0.25, 1.0)):
        model.at_progress(share)
        extra = model.loss(batch, mean_loss) - mean_loss(model.answer(batch), batch)
        assert float(extra.detach()) == pytest.approx(pull * float(apart.detach()), rel=1e-9)
    relaxed = model.answer(batch)
    model.at_progress(0.5)
    tied = model.answer(batch)
    assert not torch.allclose(tied, relaxed)
    assert torch.equal(model.loss(batch, mean_loss), mean_loss(tied, batch))
    # the same as a model that had one set, the mean, from the start
    single = made("neural_gpu", dropout=0.0)
    for name, p in single.named_parameters():
        source = model.get_parameter(name)
        p.data.copy_(source.mean(0, keepdim=True) if source.shape != p.shape else source)
    torch.testing.assert_close(single.answer(batch), tied)
    assert "share" in model.state_dict()  # a checkpoint knows which weights are meant


def test_dropout_of_the_neural_gpu_keeps_the_mean_and_spares_long_rows() -> None:
    model = made("neural_gpu", dropout=0.5).train()
    torch.manual_seed(0)
    mask_AT = torch.arange(36) < torch.tensor([4, 36])[:, None]
    kept = model._dropped(torch.ones(2, 36, 4, 300, dtype=torch.float64), mask_AT)
    dropped = (kept == 0).double().mean((1, 2, 3))
    torch.testing.assert_close(dropped, torch.tensor([0.5, 0.25]).double(), atol=0.01, rtol=0)
    torch.testing.assert_close(kept.mean((1, 2, 3)), torch.ones(2).double(), atol=0.03, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_spare_steps_are_of_training_alone(name: str) -> None:
    batch = ragged([3, 5])
    usual, spared = (made(name, dropout=0.0, spare_steps=most) for most in (0, 2))
    assert torch.equal(spared.answer(batch), usual.answer(batch))
    spared.train()
    torch.manual_seed(0)
    found = {round(float(spared.answer(batch)[0, 0, 0].detach()), 9) for _ in range(20)}
    assert len(found) == 3


def test_no_maps() -> None:
    with pytest.raises(UserError, match="at least 1 map"):
        made("neural_gpu", width=0)


@pytest.mark.parametrize(
    ("name", "problem", "width", "rate", "steps"),
    [("diagonal_neural_gpu", "addition", 24, 2e-2, 150), ("neural_gpu", "reversal", 12, 1e-2, 60)],
)
def test_learns_short_ones(name: str, problem: str, width: int, rate: float, steps: int) -> None:
    config = AlgorithmsConfig(problem=problem, max_bits=3, test_bits=(3,))
    task = build_task(config)
    model = build(name, problem=task.problem, width=width, options={"dropout": 0.0}, seed=0)
    optimizer = OptimizerConfig(
        name="adamax" if "diagonal" in name else "adamw",
        learning_rate=rate,
        warmup_fraction=0.05,
        weight_decay=0.0,
    )
    trainer = Trainer(
        model, task, TrainConfig(budget=Budget(steps=steps), optimizer=optimizer, batch_size=32)
    )
    list(trainer.steps())
    scores = task.evaluate(trainer.predict, "test", 32)
    assert scores.value > 0.85  # guessing: 0.5
