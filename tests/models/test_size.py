"""Equal size: within 1 % of the target, and an error that helps where there is no such size."""

import pytest

import seqarena
from seqarena.core.batch import Problem, own_inputs
from seqarena.core.errors import UserError
from seqarena.models.any import count_parameters
from seqarena.models.build import build, model_config
from seqarena.models.catalog import CATALOG, LINEUP, architecture, why_not
from seqarena.models.size import Shape, default_depth, solve

PROBLEMS = (
    own_inputs(256, 128),
    Problem(form="label", num_outputs=9, vocab_size=256, num_segments=9, max_length=60),
    Problem(form="label", num_outputs=9, features=1, image=(14, 14), max_length=196),
    Problem(form="span", num_outputs=2, vocab_size=256, num_segments=2, max_length=60),
    Problem(
        form="pairs", num_outputs=256, vocab_size=256, source_vocab_size=200, causal=True,
        max_length=30, max_source_length=30,
    ),
)  # fmt: skip


@pytest.mark.parametrize("params", [200_000, 1_000_000])
@pytest.mark.parametrize("name", CATALOG)
def test_every_architecture_meets_the_target(name: str, params: int) -> None:
    row = CATALOG[name]
    problem = next(problem for problem in PROBLEMS if why_not(row, problem) is None)
    config = solve(row, Shape(problem, default_depth(row, params)), params)
    assert abs(count_parameters(config) - params) <= 0.01 * params


def test_counted_without_allocation_equals_built() -> None:
    model = build("hybrid", vocab_size=100, params=50_000)
    assert sum(p.numel() for p in model.parameters()) == count_parameters(model.config)


def test_an_impossible_size_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"lstm cannot have 100 parameters.*nearest possible is \d"):
        build("lstm", vocab_size=256, params=100)


def test_an_unknown_name_is_answered_with_the_near_ones() -> None:
    with pytest.raises(UserError, match="unknown architecture 'lstn': did you mean lstm"):
        architecture("lstn")


def test_size_is_said_once() -> None:
    row = CATALOG["gru"]
    with pytest.raises(UserError, match="either a parameter count or a width"):
        model_config(row, own_inputs(9), params=1000, width=16, depth=1)


def test_the_same_seed_builds_the_same_numbers() -> None:
    one, two = (seqarena.build("gru", vocab_size=11, width=16, seed=3) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_lineup_is_of_causal_rows_of_the_catalog() -> None:
    assert len(LINEUP) >= 14
    assert all(CATALOG[name].causal for name in LINEUP)


@pytest.mark.parametrize("name", ["gru", "attention", "bi_lstm"])
def test_categories_count_towards_the_size(name: str) -> None:
    problem = Problem(form="label", num_outputs=4, features=3, categories=(1000, 5), max_length=100)
    config = solve(architecture(name), Shape(problem, 2), 100_000)
    assert count_parameters(config) == pytest.approx(100_000, rel=0.01)
    plain = config.model_copy(update={"categories": ()})
    assert count_parameters(config) - count_parameters(plain) == 1005 * config.width
