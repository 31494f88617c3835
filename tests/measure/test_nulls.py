"""Null models and controls that claims are held against, each beside an obvious slow form."""

import math
from typing import Any

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.core.results.estimates import decay
from seqarena.core.results.measurement import Series
from seqarena.measure.costs.scaling import equal_tokens
from seqarena.measure.flow.gates import hold_gates
from seqarena.measure.flow.gradient import gradient_flow_series
from seqarena.measure.flow.heads import divergence, entropy, head_divergence, sharpened
from seqarena.measure.subject import subject
from seqarena.measure.trained.experiments import language
from seqarena.measure.trained.fit import begin, fit
from seqarena.measure.trained.recall import recall
from seqarena.tasks.registry import build_task, parse_task


def causal_weights(scores_BHTC: torch.Tensor) -> torch.Tensor:
    hidden_TC = torch.ones(scores_BHTC.shape[-2:]).triu(1).bool()
    return torch.softmax(scores_BHTC.masked_fill(hidden_TC, -math.inf), -1)


def test_sharpened_heads_are_multiplied_scores_of_the_wanted_entropy() -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    betas = torch.tensor([0.4, 1.0, 7.0]).double()[:, None, None]
    end = causal_weights(scores * betas)
    torch.testing.assert_close(sharpened(causal_weights(scores), end), end)
    other = causal_weights(5 * torch.randn_like(scores))
    found = sharpened(causal_weights(scores), other)
    torch.testing.assert_close(entropy(found).mean((0, 2)), entropy(other).mean((0, 2)))
    torch.testing.assert_close(found.argmax(-1), causal_weights(scores).argmax(-1))


def test_divergence_is_that_of_jensen_and_shannon() -> None:
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert float(divergence(p, q)) == pytest.approx(1.0)
    assert float(divergence(p, p)) == pytest.approx(0.0, abs=1e-6)


def test_untrained_heads_are_the_model_as_it_begins() -> None:
    small = {"steps": 2, "width": 16, "depth": 1, "sequence_length": 16, "batch_size": 2}
    found = {one.variant: one for one in head_divergence(**small, seeds=[3, 4])}  # pyright: ignore
    assert list(found) == ["initial", "sharpened", "trained"]
    assert all(len(point.repeats) == 2 for one in found.values() for point in one.points)
    task = build_task(parse_task({"kind": "language", "sequence_length": 16}))
    of = subject("attention", width=16, depth=1)
    model = begin(of, task, seed=3)
    same = fit(of, task, steps=1, batch_size=2, learning_rate=1e-30, seed=3).model
    for one, other in zip(model.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-28)


def test_held_gates_are_their_biases() -> None:
    """The cell's path by the closed form: c falls by sigmoid(b) a step."""
    bias, width = 4.0, 16
    of = subject("lstm", width=width, depth=1, options={"forget_bias": bias})
    model = of.build(8)
    hold_gates(model)
    (layer,) = [m for m in model.modules() if hasattr(m, "recurrent_FE")]
    cell: Any = layer
    i, f, g, o = cell.recurrent_FE.chunk(4)
    assert not any(rows.any() for rows in (i, f, o))
    assert g.any()
    with torch.no_grad():
        g.zero_()
        start = cell.initial_state(1)
        start = start._replace(c_BE=start.c_BE + 1.0)
        silent = torch.zeros(1, 3, width)
        cell.bias_F.chunk(4)[2].zero_()  # nothing is added to the cell
        _, end = cell(silent, start)
    torch.testing.assert_close(end.c_BE, torch.sigmoid(torch.tensor(bias)).pow(3).expand(1, width))


def test_gates_that_are_held_change_the_flow_and_the_record() -> None:
    def flow(**more: Any) -> Any:
        (found,) = gradient_flow_series("lstm", length=16, width=16, seeds=1, of="state", **more)
        return found

    read, held = flow(), flow(held_gates=True)
    assert held.settings["gates"] == "held"
    assert "gates" not in read.settings
    assert decay(read).value != decay(held).value
    with pytest.raises(UserError, match="of an LSTM"):
        gradient_flow_series("gru", length=16, width=16, seeds=1, held_gates=True)


def test_equal_tokens_are_cut_into_lengths() -> None:
    (found,) = equal_tokens(
        "lstm", tokens=64, lengths=[32, 8], width=8, depth=1, repeats=3, seconds=0.0,
        options={"algorithm": "fused"},
    )  # fmt: skip
    assert [point.x for point in found.points] == [8, 32]
    assert all(len(point.repeats) == 3 for point in found.points)
    assert found.settings["batch_size"] == [8, 2]
    short, long = found.settings["serial_steps"]
    assert (long - 1) / (short - 1) == pytest.approx(4)
    one, other = found.settings["flops"]  # a linear cost a token: the same work
    assert one == other
    with pytest.raises(UserError, match="cannot be cut"):
        equal_tokens("lstm", tokens=64, lengths=[24])


def test_a_record_says_how_each_training_ended() -> None:
    of = subject("gru", width=8, depth=1)
    task = build_task(parse_task({"kind": "language", "sequence_length": 16}))
    found = fit(of, task, steps=11, batch_size=2)
    assert found.loss_tail == pytest.approx((sum(found.losses[7:9]) / 2, sum(found.losses[9:]) / 2))
    (series,) = language(
        "gru", sizes=[{"width": 8, "depth": 1}, {"width": 16, "depth": 1}], steps=[3, 6],
        sequence_length=16, batch_size=2, seeds=(0, 1),
    )  # fmt: skip
    assert series.settings["tokens"] == [96, 192]
    assert [len(pairs) for pairs in series.settings["loss_tails"]] == [2, 2]
    assert Series.model_validate_json(series.model_dump_json()) == series
    (copied,) = recall("gru", distances=(2, 4), steps=5, width=8, depth=1, seeds=(0, 1))
    assert [len(pairs) for pairs in copied.settings["loss_tails"]] == [2, 2]
    with pytest.raises(UserError, match="as many steps"):
        language("gru", sizes=[{"width": 8, "depth": 1}], steps=[3, 6])
