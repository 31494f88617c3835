"""Every architecture of the catalog that writes: step after step equals the whole at once, the
state holds the bytes that are declared, and what it is asked for agrees with what it is."""

import math

import pytest
import torch
from torch import Tensor

from seqarena.core.batch import START, Batch, Problem, random_batch
from seqarena.core.shapes import measured_state_bytes, state_tensors
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.model import Model, select

PAIRS = Problem(
    form="pairs", num_outputs=13, vocab_size=13, source_vocab_size=17, causal=True, max_length=12,
    max_source_length=12,
)  # fmt: skip
PROBLEMS = {
    "tokens": Problem(num_outputs=17, vocab_size=17, causal=True, max_length=24),
    "features": Problem(num_outputs=5, features=3, causal=True, max_length=24),
    "words to words": PAIRS,
    "shared words": PAIRS.model_copy(
        update={"source_vocab_size": 13, "shared_vocabulary": True}
    ),
}  # fmt: skip
CASES = [
    (name, what)
    for name, row in CATALOG.items()
    for what, problem in PROBLEMS.items()
    if why_not(row, problem) is None
]
OF_TOKENS = [case for case in CASES if PROBLEMS[case[1]].form == "tokens"]
OF_PAIRS = [case for case in CASES if PROBLEMS[case[1]].form == "pairs"]


def made(name: str, what: str) -> Model:
    problem = PROBLEMS[what]
    return build(name, problem=problem, width=16, seed=1).double().eval()


def example(what: str, length: int, batch_size: int = 2) -> Batch:
    batch = random_batch(PROBLEMS[what], batch_size, length=length, seed=2)
    if batch.source_BS is not None:
        batch.inputs_BT[:, 0] = START
    if batch.inputs_BT.is_floating_point():
        batch = batch._replace(inputs_BT=batch.inputs_BT.double())
    return batch


def given(batch: Batch, length: int) -> Batch:
    """The first positions of a batch."""
    return batch._replace(inputs_BT=batch.inputs_BT[:, :length])


def steps(model: Model, inputs_BL: Tensor, state: object) -> tuple[Tensor, object]:
    """Logits [B, L, V] of one step after the other, and the last state."""
    found = []
    for input_B in inputs_BL.unbind(1):
        logits_BV, state = model.step(input_B, state)
        found.append(logits_BV)
    return torch.stack(found, 1), state


@pytest.mark.parametrize("prompt", [0, 1, 11])
@pytest.mark.parametrize(("name", "what"), OF_TOKENS)
def test_steps_from_a_prompt_equal_the_whole(name: str, what: str, prompt: int) -> None:
    model, batch = made(name, what), example(what, 20)
    assert model.writes
    with torch.no_grad():
        state = model.begin(given(batch, prompt), 20 - prompt)
        found_BLV, state = steps(model, batch.inputs_BT[:, prompt:], state)
        whole_BTV = model.answer(batch)
    torch.testing.assert_close(found_BLV, whole_BTV[:, prompt:])
    assert measured_state_bytes(state) == 2 * model.state_bytes(20)


@pytest.mark.parametrize(("name", "what"), OF_TOKENS)
def test_prompts_of_different_length_are_continued_together(name: str, what: str) -> None:
    model, batch = made(name, what), example(what, 12, batch_size=3)
    mask_BT = torch.ones(3, 9, dtype=torch.bool)
    mask_BT[0, :4], mask_BT[1, 6:] = False, False
    with torch.no_grad():
        state = model.begin(given(batch, 9)._replace(mask_BT=mask_BT), 3)
        together_BLV, _ = steps(model, batch.inputs_BT[:, 9:], state)
        for row in range(3):
            own = batch.inputs_BT[row : row + 1, :9][:, mask_BT[row]]
            alone_1LV, _ = steps(
                model, batch.inputs_BT[row : row + 1, 9:], model.begin(Batch(own, own), 3)
            )
            torch.testing.assert_close(together_BLV[row], alone_1LV[0])


@pytest.mark.parametrize(("name", "what"), OF_PAIRS)
def test_writing_a_target_equals_reading_it_whole(name: str, what: str) -> None:
    model, batch = made(name, what), example(what, 7, batch_size=3)
    assert model.writes
    assert not model.carries
    assert batch.source_BS is not None
    padding_B2 = torch.zeros(3, 2, dtype=torch.int64)
    mask_BS = torch.cat((torch.ones_like(batch.source_BS), padding_B2), 1) > 0
    padded = batch._replace(
        source_BS=torch.cat((batch.source_BS, padding_B2), 1), source_mask_BS=mask_BS
    )
    order = torch.tensor([2, 0, 1, 1])  # as a search does: rows doubled, in another order
    with torch.no_grad():
        whole_BTV = model.answer(batch)
        # what a batch shows of the target is not read before it is written
        state = select(model.begin(padded, 12), order)
        found_BLV, _ = steps(model, batch.inputs_BT[order], state)
    torch.testing.assert_close(found_BLV, whole_BTV[order], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "what"), OF_PAIRS)
def test_a_target_as_long_as_its_source_needs_the_declared_bytes(name: str, what: str) -> None:
    model, batch = made(name, what), example(what, 12)
    with torch.no_grad():
        _, state = steps(model, batch.inputs_BT, model.begin(batch, 12))
    assert all(len(tensor) == 2 for tensor in state_tensors(state))
    assert measured_state_bytes(state) == 2 * model.state_bytes(12)


@pytest.mark.parametrize(("name", "what"), OF_TOKENS)
def test_a_carried_state_continues_over_batches(name: str, what: str) -> None:
    model, batch = made(name, what), example(what, 20)
    assert model.carries == (model.state_bytes(1) == model.state_bytes(2))
    with torch.no_grad():
        whole_BTV = model.answer(batch)
        found, state = [], None
        for inputs_BT in batch.inputs_BT.split([9, 1, 10], 1):
            logits_BTV, state = model.resume(Batch(inputs_BT, inputs_BT), state)
            found.append(logits_BTV)
    torch.testing.assert_close(torch.cat(found, 1), whole_BTV)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("bi_gru", Problem(num_outputs=9, vocab_size=9)),  # sees the future
        ("bert", Problem(num_outputs=9, vocab_size=9, max_length=8)),
        ("gru", Problem(form="label", num_outputs=3, vocab_size=9)),  # answers once
        ("wavenet", Problem(form="label", num_outputs=3, vocab_size=9)),
        ("gru", Problem(num_outputs=4, vocab_size=9, num_characters=5)),  # a step has no spelling
        ("gru", Problem(num_outputs=4, features=2, categories=(3,))),  # nor categories
    ],
)
def test_what_cannot_write_says_so(name: str, problem: Problem) -> None:
    model = build(name, problem=problem, width=16)
    assert not model.writes
    assert not model.carries


def test_the_kinds_of_state() -> None:
    def carries(name: str) -> bool:
        return build(name, vocab_size=9, width=16, max_length=8).carries

    assert all(map(carries, ("gru", "mamba", "sliding_window", "wavenet", "nnlm", "bytenet")))
    assert not any(map(carries, ("attention", "hybrid")))


def test_reach_is_that_of_the_layers() -> None:
    def reach(name: str, **options: int) -> float | None:
        return build(name, vocab_size=9, width=16, depth=2, options=options).reach()

    assert reach("sliding_window", window=5) == 8
    assert reach("gru") == math.inf
    assert reach("nnlm", order=5) == 3
    assert build("text_cnn", problem=PROBLEM_OF_A_LABEL, width=16).reach() is None


PROBLEM_OF_A_LABEL = Problem(form="label", num_outputs=3, vocab_size=9, max_length=8)
