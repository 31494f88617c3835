"""Targets that are classes and targets that are numbers."""

import pytest
import torch

from seqarena.core.batch import IGNORE, Problem, asked, nothing_asked, random_batch


def test_what_is_asked_is_read_from_the_targets() -> None:
    classes = torch.tensor([[3, IGNORE, 0]])
    numbers = torch.tensor([[0.5, torch.nan, float(IGNORE)]])
    assert asked(classes).tolist() == [[True, False, True]]
    assert asked(numbers).tolist() == [[True, False, True]]
    for targets in (classes, numbers):
        nothing = nothing_asked(targets)
        assert nothing.dtype == targets.dtype
        assert not asked(nothing).any()


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"form": "label", "num_outputs": 1}, (3, 1)),
        ({"form": "label", "num_outputs": 4}, (3, 1, 4)),
        ({"num_outputs": 1}, (3, 5)),
        ({"num_outputs": 4}, (3, 5, 4)),
    ],
)
def test_random_numbers_have_the_shape_of_the_problem(
    fields: dict[str, object], shape: tuple[int, ...]
) -> None:
    problem = Problem.model_validate(
        {"targets": "numbers", "features": 2, "max_length": 5, **fields}
    )
    batch = random_batch(problem, 3, length=8, seed=0)
    assert batch.inputs_BT.shape == (3, 5, 2)
    assert batch.targets_BT.shape == shape
    assert batch.targets_BT.is_floating_point()
    assert torch.equal(batch.targets_BT, random_batch(problem, 3, length=8, seed=0).targets_BT)


def test_random_classes_stay_below_their_number() -> None:
    batch = random_batch(Problem(num_outputs=3, vocab_size=9, max_length=50), 4, length=50, seed=0)
    assert batch.targets_BT.unique().tolist() == [0, 1, 2]
