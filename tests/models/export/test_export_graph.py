"""The graph of one step: it continues as the model does, and holds nothing but real numbers."""

from typing import Any

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.export import compared
from seqarena.models.export.graph import step_graph
from seqarena.models.export.step import StateTensor, why_no_step
from seqarena.models.export.whole.continued import continued_graph
from seqarena.models.model import Model


def noisy(name: str, **options: object) -> Model:
    """A small model none of whose weights is zero."""
    sizes: Any = {"width": 16, "depth": len(CATALOG[name].cycle), **options}  # a pattern whole
    model = build(name, vocab_size=19, seed=1, **sizes)
    model.eval()
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    return model


@pytest.mark.parametrize("name", ["gru", "s4d", "attention_learned", "lstm_experts"])
def test_steps_equal_the_model(name: str) -> None:
    """A state of its own, complex numbers, a cache with learned positions, and experts."""
    model = noisy(name, max_length=32)
    inputs = torch.randint(19, (3, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(inputs)[0]
    found = compared.by_steps(step_graph(model), inputs)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1.0)


def test_no_node_is_complex_and_no_idle_state_is_left() -> None:
    graph = step_graph(noisy("s4d"))
    targets = {str(node.target) for node in graph.module.graph.nodes}
    assert [target for target in targets if "complex" in target] == []
    assert [state.name for state in graph.states] == ["layers_0_h"]  # no counter of positions


def test_tracing_fills_no_large_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbol stands for a thousand rows of a thousand positions."""
    filled, initial = [], StateTensor.initial

    def noted(self: StateTensor, rows: int, room: int = 0) -> Any:
        filled.append(rows)
        return initial(self, rows, room)

    monkeypatch.setattr(StateTensor, "initial", noted)
    for made in (step_graph, continued_graph):
        made(noisy("attention"))
    assert all(rows < 10 for rows in filled)


def test_a_graph_of_many_positions_copies_a_cache_once_and_folds_no_product() -> None:
    """Keys and values of two layers: each gets room once, and is sliced nowhere."""
    graph, step = continued_graph(noisy("attention", depth=2))
    targets = [str(node.target) for node in graph.module.graph.nodes]
    assert len([state for state in step.states if state.grows is not None]) == 4
    assert targets.count("aten.constant_pad_nd.default") == 4
    assert targets.count("aten.matmul.default") == 4
    assert {"aten.bmm.default", "aten.slice.Tensor"}.isdisjoint(targets)


def test_the_model_itself_is_not_changed() -> None:
    model = noisy("attention_experts")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    algorithms = model.algorithms
    step_graph(model)
    assert model.algorithms == algorithms
    assert model.state_dict().keys() == before.keys()


def test_the_model_runs_after_it_was_traced() -> None:
    """RetNet's rotations by whole positions are remembered from call to call."""
    model = noisy("retnet")
    step_graph(model)
    with torch.no_grad():
        assert model(torch.tensor([[3]]))[0].isfinite().all()


def test_a_cache_may_have_any_room() -> None:
    model = noisy("attention")
    graph = step_graph(model)
    for room in (1, 2, 40):
        logits, *state = graph.module(
            torch.tensor([3]), *(one.initial(1, room) for one in graph.states)
        )
        assert logits.shape == (1, 19)
        assert state[0].shape[2] == room


@pytest.mark.parametrize(
    ("name", "reason"), [("hyena", "its filter is as long"), ("bi_lstm", "sees the whole sequence")]
)
def test_what_has_no_step_says_why(name: str, reason: str) -> None:
    problem = None
    if not CATALOG[name].causal:
        from seqarena.core.batch import Problem

        problem = Problem(form="label", num_outputs=3, vocab_size=19)
    vocabulary = None if problem else 19
    model = build(name, vocab_size=vocabulary, problem=problem, width=16, depth=1)
    assert reason in (why_no_step(model) or "")
    with pytest.raises(UserError, match=reason):
        step_graph(model)
