"""Rows that join and leave a batch while a model writes answer as they do alone."""

import pytest
import torch
from torch import Tensor

from seqarena.core.batch import Batch, Problem
from seqarena.core.shapes import measured_state_bytes
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import CATALOG, architecture, why_not
from seqarena.models.combinations import whole_depth
from seqarena.models.model import StatefulModel
from seqarena.models.states.rows import chosen, compact, joined, kind

VOCABULARY = 11
PROBLEM = Problem(num_outputs=VOCABULARY, vocab_size=VOCABULARY, causal=True, max_length=32)
LENGTHS = (5, 1, 9)
WRITING = [name for name, row in CATALOG.items() if why_not(row, PROBLEM) is None]
ONLY_EQUAL = {"hyena"}  # their past ends in one slot for all rows


def language_model(name: str) -> StatefulModel:
    torch.manual_seed(0)
    row = architecture(name)
    config = model_config(row, PROBLEM, params=None, width=16, depth=whole_depth(row, 2))
    model = build_model(config)
    assert isinstance(model, StatefulModel)
    return model.double().eval()


def read(model: StatefulModel, tokens: Tensor, room: int) -> object:
    return model.begin(Batch(tokens[None], tokens[None]), max_length=room)


@pytest.mark.parametrize("name", WRITING)
def test_joined_rows_answer_as_they_do_alone(name: str) -> None:
    model = language_model(name)
    tokens = torch.randint(VOCABULARY, (3, 30), generator=torch.Generator().manual_seed(1))
    lengths = (5, 5, 5) if name in ONLY_EQUAL else LENGTHS
    with torch.inference_mode():
        whole = [
            model.answer(Batch(row[None], row[None]))[0, end : end + 8]
            for row, end in zip(tokens, lengths, strict=True)
        ]
        states = [read(model, tokens[b, : lengths[b]], 4 if b else 20) for b in range(3)]
        if name in ONLY_EQUAL:
            states = [read(model, tokens[b, : lengths[b]], 12) for b in range(3)]
        assert len({kind(state) for state in states}) == 1
        state = joined(states[:2])
        rows = [0, 1]
        for step in range(8):
            if step == 3:  # the third joins, if it can while the others have read on
                more = states[2] if kind(states[2]) == kind(state) else None
                if more is not None:
                    state, rows = joined([state, more]), [0, 1, 2]
            if step == 5:  # the first leaves, and the others change places
                rows = rows[1:][::-1]
                state = compact(chosen(state, range(1, len(rows) + 1)[::-1]))
            late = {2: 3}
            at = [lengths[b] + step - late.get(b, 0) for b in rows]
            logits, state = model.step(tokens[rows, at], state)
            for logits_V, b in zip(logits, rows, strict=True):
                expected = whole[b][step - late.get(b, 0)]
                torch.testing.assert_close(logits_V, expected, atol=1e-9, rtol=1e-9)
        assert len(rows) == (1 if name in ONLY_EQUAL else 2)


def test_lengths_that_one_slot_must_end_are_of_another_kind() -> None:
    model = language_model("hyena")
    tokens = torch.zeros(8, dtype=torch.int64)
    with torch.inference_mode():
        short, long = read(model, tokens[:3], 20), read(model, tokens[:5], 18)
    assert kind(short) != kind(long)


def test_slots_of_rows_that_left_are_free_again() -> None:
    model = language_model("attention")
    tokens = torch.arange(9)
    with torch.inference_mode():
        both = joined([read(model, tokens[:3], 5), read(model, tokens, 5)])
        slots = [compact(state).layers[0].k_BGCE.shape[2] for state in (both, chosen(both, [0]))]
    assert slots == [9, 3]


def test_a_compact_state_has_no_free_slots_and_its_own_memory() -> None:
    model = language_model("attention")
    tokens = torch.arange(6)
    with torch.inference_mode():
        state = read(model, tokens, 100)
        kept = compact(state)
        assert measured_state_bytes(kept) == model.state_bytes(6)
        first = model.step(tokens[:1], state)[0]
        model.step(tokens[1:2], state)  # writes into the roomy state and not into the copy
        torch.testing.assert_close(model.step(tokens[:1], kept)[0], first)
