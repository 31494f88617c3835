"""LeNet-5: the paper's counts, its equations in plain NumPy, pictures of other sizes."""

import numpy as np
import pytest
import torch

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import architecture, why_not
from seqarena.models.vision import lenet
from seqarena.models.vision.lenet import TABLE, LeNet5, LeNetOptions


def problem(height: int = 28, width: int = 28, features: int = 1) -> Problem:
    return Problem(
        form="label", num_outputs=10, features=features, image=(height, width),
        max_length=height * width,
    )  # fmt: skip


def made(height: int = 28, width: int = 28) -> LeNet5:
    torch.manual_seed(0)
    return LeNet5(problem(height, width), 120, LeNetOptions()).double().eval()


def test_the_published_counts() -> None:
    model = made()
    counts = {
        name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()
    }
    assert counts == {
        "c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164,
        "output": 850, "dropout": 0,
    }  # fmt: skip
    assert [len(maps) for maps in TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len(set(TABLE)) == 16
    # every map of S2 goes to the same number of maps of C3
    assert [sum(seen in maps for maps in TABLE) for seen in range(6)] == [10] * 6


def squash(a: np.ndarray) -> np.ndarray:
    return 1.7159 * np.tanh(2 / 3 * a)


def convolve(x: np.ndarray, weights: list[dict[int, np.ndarray]], bias: np.ndarray) -> np.ndarray:
    """x [maps, side, side]; weights: for each output map, a field for each input map it sees."""
    side = x.shape[1] - 4
    found = np.zeros((len(weights), side, side))
    for out, fields in enumerate(weights):
        for row in range(side):
            for column in range(side):
                found[out, row, column] = bias[out] + sum(
                    (x[seen, row : row + 5, column : column + 5] * field).sum()
                    for seen, field in fields.items()
                )
    return found


def subsample(x: np.ndarray, coefficient: np.ndarray, bias: np.ndarray) -> np.ndarray:
    side = x.shape[1] // 2
    sums = sum(x[:, i::2, j::2] for i in range(2) for j in range(2))
    assert sums.shape == (len(x), side, side)
    return sums * coefficient + bias


def test_it_equals_its_equations() -> None:
    model = made()
    generator = np.random.default_rng(1)
    for parameter in model.parameters():  # biases start at zero: they must count as well
        parameter.data += 0.1 * torch.from_numpy(generator.standard_normal(parameter.shape))
    picture = generator.uniform(-0.1, 1.175, (28, 28))
    p = {name: x.detach().numpy() for name, x in model.named_parameters()}
    c1 = [{0: field} for field in p["c1.weight"]]
    fields = iter(p["c3.weight"])
    c3 = [{seen: next(fields) for seen in maps} for maps in TABLE]

    x = np.pad(picture, 2, mode="edge")[None]
    x = squash(convolve(x, c1, p["c1.bias"]))
    x = squash(subsample(x, p["s2.coefficient"], p["s2.bias"]))
    x = squash(convolve(x, c3, p["c3.bias"]))
    x = squash(subsample(x, p["s4.coefficient"], p["s4.bias"]))
    x = squash(p["c5.weight"] @ x.ravel() + p["c5.bias"])
    x = squash(p["f6.weight"] @ x + p["f6.bias"])
    x = p["output.weight"] @ x + p["output.bias"]

    batch = Batch(torch.from_numpy(picture.reshape(1, -1, 1)), torch.zeros(1, 1, dtype=torch.long))
    logits = model.answer(batch)
    assert logits.shape == (1, 1, 10)
    np.testing.assert_allclose(logits[0, 0].detach().numpy(), x, rtol=1e-10, atol=1e-10)


def test_the_squashing_function_is_fixed_at_one() -> None:
    found = lenet._squash(torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([-1.0, 0.0, 1.0]).double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("size", "times"), [((7, 7), 4), ((14, 10), 2), ((32, 32), 1), ((28, 28), 1)]
)
def test_padding_and_smaller_pictures(size: tuple[int, int], times: int) -> None:
    model = made(*size)
    count = size[0] * size[1]
    pixels = torch.randn(3, count, 1, dtype=torch.float64)
    targets = torch.zeros(3, 1, dtype=torch.long)
    alone = model.answer(Batch(pixels, targets))
    longer = torch.cat((pixels, torch.full((3, 5, 1), 9.0).double()), 1)
    mask = torch.arange(count + 5).expand(3, -1) < count
    assert torch.equal(model.answer(Batch(longer, targets, mask)), alone)
    # what is set into the middle is the picture, each pixel a square
    placed = model._in_the_middle(pixels.view(3, 1, *size))
    height, width = times * size[0], times * size[1]
    top, left = (32 - height) // 2, (32 - width) // 2
    inside = placed[:, 0, top : top + height, left : left + width]
    squares = torch.ones(times, times, dtype=torch.float64)
    assert torch.equal(inside, torch.kron(pixels.view(3, *size), squares))
    assert torch.equal(placed[:, 0, 0, 0], pixels[:, 0, 0])


def test_weights_start_within_their_bounds() -> None:
    model = made()
    for weight, fan_in in ((model.c1.weight, 25), (model.c5.weight, 400), (model.f6.weight, 120)):
        assert 0.9 * 2.4 / fan_in < weight.abs().max() <= 2.4 / fan_in
    assert model.c3.weight[-6:].abs().max() <= 2.4 / 150
    assert model.c3.weight[:3].abs().max() <= 2.4 / 75


def test_gradients_reach_everything_and_sizes_are_met() -> None:
    model = build("lenet5", problem=problem(), params=30_000, seed=0)
    assert abs(model.num_parameters - 30_000) <= 300
    batch = Batch(torch.randn(2, 784, 1), torch.tensor([[1], [2]]))
    model.answer(batch).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_what_it_cannot_read() -> None:
    row = architecture("lenet5")
    assert why_not(row, problem()) is None
    without = problem().model_copy(update={"image": None})
    assert "rows and columns" in (why_not(row, without) or "")
    for wrong in (problem(33, 28), problem(28, 28, 3)):
        with pytest.raises(UserError, match="at most 32 x 32"):
            LeNet5(wrong, 120, LeNetOptions())
