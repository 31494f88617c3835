"""Flow of information: exact where the answer is known, honest where it is estimated."""

import numpy as np
import pytest
import torch

from seqarena.core.batch import Problem, own_inputs, random_batch
from seqarena.core.errors import UserError
from seqarena.measure.flow.flow import (
    GradientFlow,
    gradient_flow,
    influence,
    reaches,
    receptive_field,
)
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, architecture, why_not
from seqarena.models.combinations import whole_depth

PROBLEM = own_inputs(11, 24)
CAUSAL = [
    name
    for name, row in CATALOG.items()
    if why_not(row, PROBLEM.model_copy(update={"causal": True})) is None
]
TOKENS_T = torch.randint(11, (24,), generator=torch.Generator().manual_seed(0))


def made(name: str, **options: object) -> torch.nn.Module:
    depth = whole_depth(architecture(name), 1)
    return build(name, problem=PROBLEM, width=16, depth=depth, seed=0, options=options).double()


@pytest.mark.parametrize("name", CAUSAL)
def test_every_causal_architecture_is_measured_and_looks_back_alone(name: str) -> None:
    norms_TT = influence(made(name), TOKENS_T[:8], draws=1)
    assert np.isfinite(norms_TT).all()
    assert (np.triu(norms_TT, 1) == 0).all()
    assert norms_TT[-1, -1] > 0


def test_the_estimate_is_the_norm_of_the_jacobian() -> None:
    model = made("gru")
    tokens_T = TOKENS_T[:6]

    def outputs(embedded_TD: torch.Tensor) -> torch.Tensor:
        return model.logits(model.stack(embedded_TD[None])[0])[0]

    embedded_TD = model.embedding.tokens(tokens_T).detach()
    jacobian = torch.autograd.functional.jacobian(outputs, embedded_TD)  # [T, V, T, D]
    expected_TT = jacobian.square().sum((1, 3)).sqrt().numpy()
    found_TT = influence(model, tokens_T, draws=4000)
    # 4,000 draws of 11 outputs: a norm's relative error is below 1 / sqrt(2 x 4,000)
    np.testing.assert_allclose(found_TT, expected_TT, rtol=0.06)
    exact_TT = influence(model, tokens_T, draws=11)  # as many as outputs
    np.testing.assert_allclose(exact_TT, expected_TT, rtol=1e-9)


@pytest.mark.parametrize(
    ("decay", "verdict"), [(0.5, "vanishing"), (1.0, "steady"), (1.3, "exploding")]
)
def test_a_planted_recurrence_gets_its_own_rate(decay: float, verdict: str) -> None:
    class Planted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(11, 3).double()

        def answer(self, batch):
            h, outputs = torch.zeros(1, 3, dtype=torch.float64), []
            for x in self.table(batch.inputs_BT).unbind(1):
                h = decay * h + x
                outputs.append(h)
            return torch.stack(outputs, 1)

    flow = gradient_flow(Planted(), TOKENS_T)
    assert flow.rate == pytest.approx(decay, rel=1e-6)
    assert flow.verdict == verdict
    if decay == 0.5:
        assert flow.half_life == pytest.approx(1.0)
    np.testing.assert_allclose(flow.norms_T[1:] / flow.norms_T[:-1], decay, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("feed_forward", {"window": 4}),
        ("conv", {"kernel": 3}),
        ("sliding_window", {"window": 5}),
    ],
)
def test_the_reach_is_the_one_that_the_mixer_states(name: str, options: dict[str, int]) -> None:
    model = made(name, **options)
    assert receptive_field(model, TOKENS_T, 11) == model.stack.mixers[0].reach()


def test_attention_reaches_everything_before_and_nothing_after() -> None:
    np.testing.assert_array_equal(reaches(made("attention"), TOKENS_T, 11), np.tri(24, dtype=bool))


def test_what_is_too_faint_to_tell_is_not_reached() -> None:
    # 0.45^k is below float64's 10^-16 of what it is added to from k = 46 on
    model = made("elman")
    tokens_T = torch.randint(11, (120,), generator=torch.Generator().manual_seed(1))
    assert 15 < receptive_field(model, tokens_T, 11) < 60


def test_pairs_are_looked_back_to_at_the_source_and_labels_have_one_row() -> None:
    pairs = Problem(
        form="pairs", num_outputs=11, vocab_size=11, source_vocab_size=11, causal=True,
        max_length=7, max_source_length=7,
    )  # fmt: skip
    batch = random_batch(pairs, 1, length=7, seed=0)
    batch = batch._replace(inputs_BT=batch.inputs_BT[:, :5], targets_BT=batch.targets_BT[:, :5])
    for name in ("seq2seq_lstm", "transformer"):
        model = build(name, problem=pairs, width=16, seed=0).double()
        assert influence(model, batch).shape == (5, 7)
    label = Problem(form="label", num_outputs=3, vocab_size=11, max_length=7)
    model = build("gru", problem=label, width=16, seed=0).double()
    assert influence(model, TOKENS_T[:7]).shape == (1, 7)


def test_too_short_a_sequence_is_refused() -> None:
    with pytest.raises(UserError, match="at least three positions"):
        gradient_flow(made("gru"), TOKENS_T[:2])
    assert GradientFlow(np.ones(3)).verdict == "steady"
