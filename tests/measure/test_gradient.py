"""Gradients against distance: planted recurrences, exact Jacobians, honest bounds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.batch import Problem, map_batch, own_inputs, random_batch
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import at, decay
from seqarena.measure.flow.flow import loss_flow, state_flow
from seqarena.measure.flow.gradient import (
    clipping_series,
    gradient_flow_of,
    gradient_flow_series,
    receptive_field_series,
)
from seqarena.measure.flow.maps import influence_maps
from seqarena.measure.subject import subject
from seqarena.measure.trained.fit import fit
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.tasks.registry import build_task, parse_task
from seqarena.train.checkpoint import save

TOKENS_T = torch.randint(11, (12,), generator=torch.Generator().manual_seed(0))


class Planted(torch.nn.Module):
    """h = decay h + x; it answers with h, and its state is h."""

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.problem = own_inputs(11)
        self.table = torch.nn.Embedding(11, 11).double()

    def begin(self, batch, max_length=0):
        return torch.zeros(len(batch.inputs_BT), 11, dtype=torch.float64)

    def step(self, input_B, state):
        state = self.decay * state + self.table(input_B)
        return state, state

    def answer(self, batch):
        # looked up at once, as the flow of the loss watches it
        state, outputs = self.begin(batch), []
        for x_BD in self.table(batch.inputs_BT).unbind(1):
            state = self.decay * state + x_BD
            outputs.append(state)
        return torch.stack(outputs, 1)

    def loss(self, batch, criterion):
        return criterion(self.answer(batch), batch)


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.3])
def test_a_planted_recurrence_gets_its_rate_in_loss_and_state(rate: float) -> None:
    by_state, projections = state_flow(Planted(rate), TOKENS_T)
    assert projections == 11  # all directions of the state
    np.testing.assert_allclose(by_state.norms_T, rate ** np.arange(12.0), rtol=1e-12)
    by_loss = loss_flow(Planted(rate), TOKENS_T)
    np.testing.assert_allclose(by_loss.norms_T / by_loss.norms_T[0], by_state.norms_T, rtol=1e-12)


def test_what_forgets_everything_has_no_flow() -> None:
    for flow in (state_flow(Planted(0.0), TOKENS_T)[0], loss_flow(Planted(0.0), TOKENS_T)):
        assert (flow.norms_T[1:] == 0).all()
        assert flow.rate == 0
        assert flow.norms_T[0] > 0


def test_the_state_flow_is_the_norm_of_the_exact_jacobian() -> None:
    model = subject("elman", width=6, depth=1).build(12).double()
    (series,) = gradient_flow_series("elman", length=12, width=6, of="state", seeds=1)
    tokens_1T = random_batch(subject("elman").problem(12), 1, length=12, seed=0).inputs_BT
    cell = model.stack.mixers[0]
    with torch.no_grad():
        x_TD = model.stack.blocks[0].mixer_norm(model.embedding.tokens(tokens_1T[0]))
        h_E, jacobian_EE, expected = torch.zeros(6).double(), torch.eye(6).double(), [1.0]
        steps = []
        for x_D in x_TD:
            h_E = (cell.input_ED @ x_D + cell.recurrent_EE @ h_E + cell.bias_E).tanh()
            steps.append((1 - h_E**2)[:, None] * cell.recurrent_EE)
        for step_EE in reversed(steps[1:]):
            jacobian_EE = jacobian_EE @ step_EE
            expected.append(float(jacobian_EE.norm()) / 6**0.5)
    found = [point.repeats[0] for point in series.points]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_numbers_flow_as_the_tokens_that_they_stand_for() -> None:
    read = subject("elman", width=6, depth=1).build(9).double()
    size = read.problem.vocab_size
    problem = Problem(form="transcript", num_outputs=size, features=size, max_length=9)
    heard = build("elman", problem=problem, width=6, depth=1).double()
    heard.stack.load_state_dict(read.stack.state_dict())
    with torch.no_grad():
        heard.embedding.project.weight.copy_(read.embedding.tokens.weight.T)
        heard.embedding.project.bias.zero_()
    tokens_T = random_batch(read.problem, 1, length=9, seed=0).inputs_BT[0]
    one_hot_TF = torch.nn.functional.one_hot(tokens_T, size).double()
    expected, found = state_flow(read, tokens_T), state_flow(heard, one_hot_TF)
    assert found[1] == expected[1]
    np.testing.assert_allclose(found[0].norms_T, expected[0].norms_T, rtol=1e-9)


def test_the_loss_flow_is_what_differentiating_the_loss_gives() -> None:
    chosen = subject("lstm", width=8, depth=1)
    model, batch = chosen.build(9).double(), random_batch(chosen.problem(9), 1, length=9, seed=3)
    x_1TD = model.embedding.tokens(batch.inputs_BT).detach().requires_grad_()
    logits_TV = model.logits(model.stack(x_1TD)[0])[0]
    loss = torch.nn.functional.cross_entropy(logits_TV[-1:], batch.targets_BT[0, -1:])
    (gradient_1TD,) = torch.autograd.grad(loss, x_1TD)
    expected = gradient_1TD[0].norm(dim=-1).flip(0).numpy()
    np.testing.assert_allclose(gradient_flow_of(model, batch).norms_T, expected, rtol=1e-9)


def test_the_loss_of_numbers_flows_as_that_of_classes_does() -> None:
    problem = Problem(targets="numbers", num_outputs=2, features=3, max_length=9)
    model = build("lstm", problem=problem, width=8, depth=1, seed=0).double().eval()
    batch = map_batch(torch.Tensor.double, random_batch(problem, 1, length=9, seed=3))
    inputs = batch.inputs_BT.clone().requires_grad_()
    last_V = model.answer(batch._replace(inputs_BT=inputs))[0, -1]
    (gradient,) = torch.autograd.grad((last_V - batch.targets_BT[0, -1]).square().mean(), inputs)
    expected = gradient[0].norm(dim=-1).flip(0).numpy()
    np.testing.assert_allclose(gradient_flow_of(model, batch).norms_T, expected, rtol=1e-9)


def test_measured_norms_stay_under_the_bound_and_lambda_is_read_off_the_run() -> None:
    slow, fast = (
        gradient_flow_series(
            "elman", length=40, width=16, of="state", seeds=2, spectral_radius=radius,
            assumed_slope=0.25,
        )[0]
        for radius in (0.5, 3.0)
    )  # fmt: skip
    for series, radius in ((slow, 0.5), (fast, 3.0)):
        measured = np.array([point.repeats for point in series.points])
        bound = np.array(series.baselines["spectral norm^k"])[:, None]
        assert (measured <= bound * (1 + 1e-9)).all()
        np.testing.assert_allclose(series.baselines["spectral radius^k"][2], radius**2)
        np.testing.assert_allclose(series.baselines["assumed lambda^k"][1], radius / 4)
        mean_rate = radius * np.mean(series.settings["mean slope"])
        np.testing.assert_allclose(series.baselines["lambda^k"][1], mean_rate)
    assert decay(slow).value < 0.6
    assert decay(fast).value > decay(slow).value


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_architecture_has_a_gradient_flow(name: str) -> None:
    if name == "neocognitron":  # a negative number is silent, as the last one is here
        with pytest.raises(UserError, match="the answer does not depend on the last input"):
            gradient_flow_series(name, length=6, width=16, seeds=1)
        return
    (series,) = gradient_flow_series(name, length=6, width=16, seeds=1)
    assert series.points[0].repeats == (1.0,)
    values = [point.repeats[0] for point in series.points]
    assert np.isfinite(values).all()
    assert max(values[1:]) > 0
    assert series.machine.dtype == "float64"


@pytest.mark.parametrize("name", ["lstm", "gru", "mingru", "minlstm", "s4d", "mamba"])
def test_recurrent_states_are_measured(name: str) -> None:
    (series,) = gradient_flow_series(name, length=8, width=8, of="state", seeds=2)
    assert at(series, 0).repeats == (1.0, 1.0)
    assert all(0 < value < np.inf for point in series.points for value in point.repeats)


@pytest.mark.parametrize("name", ["gru", "rnnsearch"])
def test_a_trained_model_is_measured_from_its_checkpoint(name: str, tmp_path: Path) -> None:
    fields = {"kind": "translation"}
    task = build_task(parse_task(fields))
    fitted = fit(subject(name, width=8, depth=1), task, steps=2)
    save(tmp_path / "checkpoint", fitted.trainer, {"task": fields, "artifacts": task.artifacts()})
    place = str(tmp_path / "checkpoint")
    (series,) = gradient_flow_series(name, checkpoint=place, length=9, seeds=2)
    assert series.variant == "trained"
    assert len(series.points) == 9  # of the source
    assert all(0 < value < np.inf for point in series.points for value in point.repeats)
    (found,) = influence_maps(name, text="3 may 2001", checkpoint=place)
    assert found.columns[:4] == ("3", "·", "m", "a")


def test_clipping_bounds_the_whole_and_keeps_the_shape() -> None:
    before, after, along, scaled = clipping_series(
        width=16, lengths=(4, 24), spectral_radius=4.0, clip_norm=0.5, seeds=2
    )
    assert max(at(before, 24).repeats) > 0.5
    assert all(value <= 0.5 * (1 + 1e-6) for point in after.points for value in point.repeats)
    raw = np.array([point.repeats for point in along.points])
    cut = np.array([point.repeats for point in scaled.points])
    np.testing.assert_allclose(cut / cut[0], raw / raw[0], rtol=1e-9)
    ratio = np.array(at(after, 24).repeats) / np.array(at(before, 24).repeats)
    np.testing.assert_allclose(cut[0] / raw[0], ratio, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("feed_forward", {"window": 4}, (3, 6, 9)),
        ("conv", {"kernel": 3}, (2, 8, 26)),
        ("sliding_window", {"window": 5}, (4, 8, 12)),
        ("wavenet", {}, (2, 4, 8)),
    ],
)
def test_the_receptive_field_is_the_formula_at_each_depth(
    name: str, options: dict[str, int], expected: tuple[int, ...]
) -> None:
    (series,) = receptive_field_series(name, depths=(1, 2, 3), width=16, options=options)
    assert series.baselines["formula"] == expected
    assert tuple(point.repeats[0] for point in series.points) == expected


def test_what_sees_everything_reaches_the_first_position() -> None:
    (series,) = receptive_field_series("attention", depths=(1,), length=10, width=8)
    assert series.points[0].repeats == (9.0,)
    assert series.baselines["formula"] == (9.0,)


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    with pytest.raises(UserError, match="grows with every position"):
        gradient_flow_series("attention", length=6, width=8, of="state")
    with pytest.raises(UserError, match="no state"):
        gradient_flow_series("transformer", length=6, width=8, of="state")
    with pytest.raises(UserError, match="Elman"):
        gradient_flow_series("lstm", length=6, width=8, spectral_radius=1.0)
    with pytest.raises(UserError, match='"loss" or of the "state"'):
        gradient_flow_series("lstm", of="weights")
    with pytest.raises(UserError, match="at least one"):
        gradient_flow_series("lstm", seeds=0)
