"""The neocognitron: its equations in plain loops, its competition, its shifts, its training."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import architecture, why_not
from seqarena.models.vision.cells import CLayer, Geometry, SLayer, representatives
from seqarena.models.vision.neocognitron import Neocognitron
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Task, mean_loss
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

GEOMETRY = Geometry(field=3, border=1, pool=3, stride=2)


def problem(height: int = 14, width: int = 14, features: int = 1) -> Problem:
    return Problem(
        form="label", num_outputs=10, features=features, image=(height, width),
        max_length=height * width,
    )  # fmt: skip


def falling(side: int, ratio: float) -> np.ndarray:
    middle = (side - 1) / 2
    away = [[np.hypot(i - middle, j - middle) for j in range(side)] for i in range(side)]
    weights = ratio ** np.array(away)
    return weights / weights.sum()


def padded(x: np.ndarray, border: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (border, border), (border, border)))


def s_cells(x: np.ndarray, a: np.ndarray, b: np.ndarray, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Equations 1 to 4 cell by cell, and the V-cells; x [planes before, side, side]."""
    field, side = a.shape[-1], x.shape[1]
    c = falling(field, 0.9) / len(x)
    assert c.sum() * len(x) == pytest.approx(1)  # equation 4
    x = padded(x, field // 2)
    u, v = np.zeros((len(a), side, side)), np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            seen = x[:, row : row + field, column : column + field]
            v[row, column] = np.sqrt((c * seen**2).sum())
            for k in range(len(a)):
                excited = 1 + (a[k] * seen).sum()
                inhibited = 1 + 2 * r / (1 + r) * b[k] * v[row, column]
                u[k, row, column] = r * max(0.0, excited / inhibited - 1)
    return u, v


def c_cells(u: np.ndarray, pool: int, stride: int, alpha: float) -> np.ndarray:
    """Equations 5 to 7 cell by cell."""
    d, x = falling(pool, 0.8), padded(u, (pool - 1) // 2)
    side = (x.shape[1] - pool) // stride + 1
    found = np.zeros((len(u), side, side))
    for row in range(side):
        for column in range(side):
            top, left = row * stride, column * stride
            pooled = [(d * plane[top : top + pool, left : left + pool]).sum() for plane in x]
            for k in range(len(u)):
                y = max(0.0, (1 + pooled[k]) / (1 + np.mean(pooled)) - 1)
                found[k, row, column] = y / (alpha + y)
    return found


def winners(u: np.ndarray, column: int = 5) -> dict[int, int]:
    """The cell of each plane that learns: the greatest of those that are first in an S-column."""
    planes, height, width = u.shape
    candidates: dict[int, tuple[float, int]] = {}
    for top in range(-(column // 2), height - column // 2):
        for left in range(-(column // 2), width - column // 2):
            cells = [
                (u[k, i, j], -(i * width + j), -k)
                for k in range(planes)
                for i in range(max(0, top), min(height, top + column))
                for j in range(max(0, left), min(width, left + column))
            ]
            output, place, k = max(cells)
            if output > 0:
                candidates[-k] = max(candidates.get(-k, (0.0, 0)), (output, place))
    return {k: -place for k, (_, place) in candidates.items()}


def s_layer(seed: int = 0, inputs: int = 2, planes: int = 4) -> SLayer:
    torch.manual_seed(seed)
    return SLayer(inputs, planes, GEOMETRY).double()


def picture(seed: int, planes: int = 2, side: int = 7) -> np.ndarray:
    x = np.random.default_rng(seed).uniform(-1, 1, (planes, side, side))
    return x.clip(0)


def test_cells_are_those_of_the_equations() -> None:
    layer, pooling = s_layer(), CLayer(GEOMETRY, 0.5).double()
    layer.a_KJFF.copy_(torch.rand_like(layer.a_KJFF))
    layer.b_K.copy_(torch.rand_like(layer.b_K))
    pictures = np.stack([picture(seed) for seed in (1, 2)])
    u_BKHW = layer(torch.from_numpy(pictures), 1.5)
    expected = [s_cells(x, layer.a_KJFF.numpy(), layer.b_K.numpy(), 1.5)[0] for x in pictures]
    assert 0.2 < (np.stack(expected) > 0).mean() < 1
    np.testing.assert_allclose(u_BKHW.numpy(), np.stack(expected), rtol=1e-6)
    pooled = [c_cells(u, 3, 2, 0.5) for u in expected]
    np.testing.assert_allclose(pooling(u_BKHW).numpy(), np.stack(pooled), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_representatives_are_the_winners_of_the_columns(seed: int) -> None:
    u = picture(seed, planes=5, side=9)
    if seed % 2:  # of few numbers, so that there are equal ones, and of silent places
        u = np.floor(3 * u) * (picture(seed + 9, planes=1, side=9) > 0.3)
    planes, places = representatives(torch.from_numpy(u))
    assert dict(zip(planes.tolist(), places.tolist(), strict=True)) == winners(u)


def test_only_representatives_learn_picture_after_picture() -> None:
    layer = s_layer()
    a, b = layer.a_KJFF.numpy().copy(), layer.b_K.numpy().copy()
    pictures = [picture(seed) for seed in (3, 4, 5)]
    layer.learn(torch.from_numpy(np.stack(pictures)), 2.0, 16.0)
    c = falling(3, 0.9) / 2
    for x in pictures:
        u, v = s_cells(x, a, b, 2.0)
        for k, place in winners(u).items():
            row, column = divmod(place, 7)
            a[k] += 16 * c * padded(x, 1)[:, row : row + 3, column : column + 3]  # equation 8
            b[k] += 16 / 2 * v[row, column]  # equation 9
    assert (b > 0).sum() > 1
    np.testing.assert_allclose(layer.a_KJFF.numpy(), a, rtol=1e-6)
    np.testing.assert_allclose(layer.b_K.numpy(), b, rtol=1e-6)


def test_what_a_cell_has_learnt_it_knows_by_its_cosine() -> None:
    """The threshold r / (r + 1), which makes r the selectivity."""
    layer = SLayer(1, 1, Geometry(3, 0, 1, 1)).double()
    learnt = torch.rand(1, 1, 3, 3, dtype=torch.float64)
    layer.learn(learnt, 4.0, 1e9)
    for other in torch.rand(20, 1, 1, 3, 3, dtype=torch.float64).square():
        product = (layer.c_FF * learnt * other).sum()
        norms = [(layer.c_FF * x.square()).sum().sqrt() for x in (learnt, other)]
        cosine = product / (norms[0] * norms[1])
        expected = max(0.0, 5 * float(cosine) - 4)
        assert float(layer(other, 4.0)) == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def task() -> Task:
    return build_task(parse_task({"kind": "pixels", "pool": 2}))


def trainer_of(
    task: Task, steps: int = 60, options: dict[str, float] | None = None, **settings: object
) -> Trainer:
    model = build("neocognitron", problem=task.problem, width=60, options=options, seed=0)
    fields = {
        "budget": Budget(steps=steps),
        "batch_size": 16,
        "optimizer": OptimizerConfig(learning_rate=0.05, warmup_fraction=0.05, weight_decay=0.0),
    }
    return Trainer(model, task, TrainConfig(**fields | settings))


@pytest.fixture(scope="module")
def trained(task: Task) -> Trainer:
    trainer = trainer_of(task, 200)
    assert not any(record.skipped for record in trainer.steps())
    return trainer


def as_batch(pictures_BHW: torch.Tensor) -> Batch:
    inputs_BT1 = pictures_BHW.flatten(1)[..., None]
    return Batch(inputs_BT1, torch.zeros(len(inputs_BT1), 1, dtype=torch.int64))


def test_what_competition_learns_is_worth_reading(trained: Trainer, task: Task) -> None:
    """More than the layers as they were drawn, under the same read-out."""
    drawn = trainer_of(task, 200, {"learning_share": 1e-9})
    assert len(list(drawn.steps())) == 200
    values = [task.evaluate(each.predict, "test", 100).value for each in (trained, drawn)]
    assert values[0] > values[1] + 0.3


def test_a_shift_by_whole_cells_shifts_the_answers() -> None:
    """Two pixels are a cell of C1 and four are one of C2, whose answers move with the picture."""
    model = build("neocognitron", problem=problem(28, 28), width=4, seed=0).double()
    assert isinstance(model, Neocognitron)
    for name, tensor in model.named_buffers():
        if name.endswith(("a_KJFF", "b_K")):
            tensor.copy_(torch.rand_like(tensor))
    pictures_BHW = torch.zeros(20, 28, 28, dtype=torch.float64)
    pictures_BHW[:, 12:15, 12:15] = torch.rand(20, 3, 3)  # so small that no field meets a border
    for count, pixels in ((1, 2), (2, 4)):
        before = model.cells(as_batch(pictures_BHW), count)
        after = model.cells(as_batch(pictures_BHW.roll(-pixels, 2)), count)
        assert 0 < (before > 0).double().mean() < 0.5
        torch.testing.assert_close(after, before.roll(-1, 3), rtol=1e-9, atol=0)


def test_tolerance_of_shifts_grows_from_layer_to_layer(trained: Trainer, task: Task) -> None:
    """The cosine between the cells of a digit and those of the same digit a pixel further grows
    with the layers, and is above that of another digit."""
    model = trained.model
    assert isinstance(model, Neocognitron)
    (batch,) = task.evaluation_batches("test", 200, 1)
    pictures_BHW = batch.inputs_BT[..., 0].unflatten(1, (14, 14))
    pictures_BHW = pictures_BHW * F.pad(torch.ones(12, 12), (1, 1, 1, 1))  # nothing at the border
    for shift, axis in ((-1, 1), (1, 1), (-1, 2), (1, 2)):
        alike = []
        for count in range(4):
            one, moved, other = (
                model.cells(as_batch(x), count).flatten(1)
                for x in (pictures_BHW, pictures_BHW.roll(shift, axis), pictures_BHW.roll(1, 0))
            )
            alike.append(float(F.cosine_similarity(one, moved).mean()))
            assert alike[-1] > float(F.cosine_similarity(one, other).mean())
        assert alike == sorted(alike)
        assert alike[-1] - alike[0] > 0.2


def test_layers_learn_one_after_the_other_and_by_no_gradient(task: Task) -> None:
    trainer = trainer_of(task)
    model = trainer.model
    assert isinstance(model, Neocognitron)
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"output"}
    assert model.algorithms == (*["competition without gradient"] * 3, "gradient")
    learnt, before = [], model.state_dict()
    before = {name: tensor.clone() for name, tensor in before.items()}
    for _ in trainer.steps():
        now = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        changed = {n for n in now if n.endswith("_K") and not torch.equal(now[n], before[n])}
        learnt.append(changed.pop().split(".")[1] if changed else "")
        assert not changed
        before = now
    assert learnt == ["0"] * 10 + ["1"] * 10 + ["2"] * 10 + [""] * 30


@pytest.mark.parametrize("after", [7, 25, 40])
def test_resuming_is_exact(task: Task, tmp_path: Path, after: int) -> None:
    whole = trainer_of(task)
    expected = [record.loss_nats for record in whole.steps()]
    first = trainer_of(task)
    losses = [record.loss_nats for record in islice(first.steps(), after)]
    checkpoint.save(tmp_path / "checkpoint", first, {})
    second = trainer_of(task)
    assert checkpoint.resume(second, tmp_path / "checkpoint")
    assert losses + [record.loss_nats for record in second.steps()] == expected
    for name, tensor in second.model.state_dict().items():
        assert torch.equal(tensor, whole.model.state_dict()[name]), name


def test_pieces_of_a_batch_teach_once(task: Task) -> None:
    """Memory that runs out, or --accumulation, changes nothing that is learnt by competition."""
    whole, pieces = trainer_of(task, 12), trainer_of(task, 12, accumulation=3)
    for trainer in (whole, pieces):
        assert len(list(trainer.steps())) == 12
    for name, tensor in pieces.model.state_dict().items():
        torch.testing.assert_close(tensor, whole.model.state_dict()[name], rtol=1e-4, atol=1e-5)


def test_its_size_counts_what_competition_learns() -> None:
    model = build("neocognitron", problem=problem(), width=24)
    fields = 24 * (25 + 1) + 24 * (24 * 25 + 1) + 24 * (24 * 9 + 1)
    assert model.num_parameters == fields + 24 * 10 + 10
    sized = build("neocognitron", problem=problem(28, 28), params=100_000)
    assert abs(sized.num_parameters - 100_000) <= 1_000
    # 5 x 5, 5 x 5 and 3 x 3 fields of 16 x 16, 8 x 8 and 2 x 2 cells, as in the paper
    assert [layer.field for layer in model.s_layers] == [5, 5, 3]


@pytest.mark.parametrize("size", [(3, 5), (14, 14), (28, 20), (40, 40)])
def test_pictures_of_other_sizes(size: tuple[int, int]) -> None:
    model = build("neocognitron", problem=problem(*size), width=8)
    batch = Batch(torch.rand(2, size[0] * size[1], 1), torch.zeros(2, 1, dtype=torch.int64))
    assert model.answer(batch).shape == (2, 1, 10)
    model.loss(batch, mean_loss).backward()


def test_what_it_cannot_read_is_said() -> None:
    row = architecture("neocognitron")
    words = Problem(form="label", num_outputs=5, vocab_size=17, max_length=12)
    assert (
        why_not(row, words) == "it needs pixels in rows and columns, which this task does not have"
    )
    with pytest.raises(UserError, match="one number a pixel: these have 3"):
        build("neocognitron", problem=problem(features=3), width=8)
