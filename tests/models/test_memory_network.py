"""The End-to-End Memory Network against its equations in NumPy, word by word, in float64."""

from typing import Any

import numpy as np
import pytest
import torch

from seqarena.core.batch import Batch, Problem
from seqarena.models.build import build
from seqarena.models.memory.memory_network import MemoryNetwork

VOCABULARY, WIDTH, MEMORIES = 11, 6, 5
STORIES = [
    ([[4, 5, 6], [7, 8], [9, 4, 4, 10]], [5, 6]),
    ([[6], [7, 5, 4, 8]], [9, 10, 4]),
    ([[4, 4], [5, 5, 5], [6, 7], [8, 9], [10]], [7]),
]


def made(num_outputs: int = VOCABULARY, *, seed: int = 0, **options: Any) -> MemoryNetwork:
    problem = Problem(
        form="label", num_outputs=num_outputs, vocab_size=VOCABULARY,
        num_segments=MEMORIES + 1, max_length=20,
    )  # fmt: skip
    model = build("memory_network", problem=problem, width=WIDTH, options=options, seed=seed)
    assert isinstance(model, MemoryNetwork)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5)  # far from uniform attention
    return model.double().eval()


def batch_of(stories: list[tuple[list[list[int]], list[int]]], more: int = 0) -> Batch:
    """Stories as a task gives them, with `more` positions of padding behind the longest."""
    rows, numbers = [], []
    for statements, question in stories:
        sentences = [*statements, question]
        rows.append([word for sentence in sentences for word in sentence])
        first = MEMORIES + 1 - len(sentences)
        numbers.append([first + k for k, sentence in enumerate(sentences) for _ in sentence])
    length = max(map(len, rows)) + more
    tokens, segments = (
        torch.tensor([row + [0] * (length - len(row)) for row in table])
        for table in (rows, numbers)
    )
    mask = torch.tensor([[k < len(row) for k in range(length)] for row in rows])
    return Batch(tokens, torch.full((len(rows), 1), -100), mask, segments_BT=segments)


def encode(
    table: np.ndarray, words: list[int], encoding: str, length: int | None = None
) -> np.ndarray:
    """sum_j l_j * E x_j with the weights of section 4.1."""
    total = np.zeros(WIDTH)
    for j, word in enumerate(words, start=1):
        for k in range(1, WIDTH + 1):
            share = j / (length or len(words))
            weight = (
                2 * ((1 - share) - k / WIDTH * (1 - 2 * share)) if encoding == "position" else 1
            )
            total[k - 1] += weight * table[word, k - 1]
    return total


def by_hand(
    model: MemoryNetwork, statements: list[list[int]], question: list[int], *, softmax: bool = True
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits and the attention of each hop, for one story."""
    options = model.options
    named = {name: p.detach().numpy() for name, p in model.named_parameters()}
    words = named["words_VED"].transpose(1, 0, 2)
    times = named.get("times_SED", np.zeros((MEMORIES, 9, WIDTH))).transpose(1, 0, 2)
    adjacent = options.tying == "adjacent"
    how = options.encoding, options.sentence_length
    u = encode(words[0 if adjacent else 2], question, *how)
    seen = []
    for hop in range(options.hops):
        a, c = (hop, hop + 1) if adjacent else (0, 1)
        ages = range(len(statements) - 1, -1, -1)
        pairs = list(zip(statements, ages))
        m = np.array([encode(words[a], s, *how) + times[a][age] for s, age in pairs])
        c_ = np.array([encode(words[c], s, *how) + times[c][age] for s, age in pairs])
        score = m @ u
        null = MEMORIES - len(statements)  # memories without a sentence score 0
        p = np.exp(score) / (np.exp(score).sum() + null) if softmax else score
        o = p @ c_
        u = o + (u if adjacent else named["between_hops.weight"] @ u)
        seen.append(p)
    head = named.get("head.weight", words[-1])
    return head @ u, seen


@pytest.mark.parametrize("temporal", [True, False])
@pytest.mark.parametrize("encoding", ["position", "bow"])
@pytest.mark.parametrize("tying", ["adjacent", "layerwise"])
@pytest.mark.parametrize("hops", [1, 3])
def test_the_equations(hops: int, tying: str, encoding: str, temporal: bool) -> None:
    model = made(hops=hops, tying=tying, encoding=encoding, temporal=temporal)
    batch = batch_of(STORIES)
    found = model.answer(batch)[:, 0].detach().numpy()
    attention = model.attention(batch).detach().numpy()
    for row, (statements, question) in enumerate(STORIES):
        logits, seen = by_hand(model, statements, question)
        np.testing.assert_allclose(found[row], logits, rtol=1e-10, atol=1e-12)
        start = MEMORIES - len(statements)
        np.testing.assert_allclose(attention[row, :, start:], seen, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(attention[row].sum(-1), 1)


def test_one_length_for_all_sentences() -> None:
    model = made(sentence_length=5)
    found = model.answer(batch_of(STORIES))[:, 0].detach().numpy()
    for row, story in enumerate(STORIES):
        logits, _ = by_hand(model, *story)
        np.testing.assert_allclose(found[row], logits, rtol=1e-10, atol=1e-12)
    assert abs(found - made().answer(batch_of(STORIES))[:, 0].detach().numpy()).max() > 1e-3


def test_answers_that_are_no_words_have_a_matrix_of_their_own() -> None:
    model = made(num_outputs=3)
    logits, _ = by_hand(model, *STORIES[0])
    found = model.answer(batch_of(STORIES))[0, 0].detach().numpy()
    assert found.shape == (3,)
    np.testing.assert_allclose(found, logits, rtol=1e-10)


def test_tying_counts_each_matrix_once() -> None:
    rows = VOCABULARY + MEMORIES
    assert made(hops=3).num_parameters == 4 * rows * WIDTH
    layerwise = 3 * VOCABULARY * WIDTH + 2 * MEMORIES * WIDTH + WIDTH**2 + VOCABULARY * WIDTH
    assert made(hops=3, tying="layerwise").num_parameters == layerwise


@pytest.mark.parametrize("tying", ["adjacent", "layerwise"])
def test_padding_and_empty_memories_change_nothing(tying: str) -> None:
    """Alone, an example has neither padding nor memories that only others fill."""
    model = made(tying=tying)
    together = model.answer(batch_of(STORIES, more=4))
    for row, story in enumerate(STORIES):
        alone = batch_of([story])._replace(mask_BT=None)
        torch.testing.assert_close(together[row], model.answer(alone)[0], rtol=1e-12, atol=1e-12)


def test_the_null_word_is_nothing() -> None:
    model = made()
    batch = batch_of(STORIES[:1])
    with_null = batch_of([([[4, 5, 6], [7, 8, 0], [9, 4, 4, 10]], [5, 6])])
    torch.testing.assert_close(model.answer(with_null), model.answer(batch))


def test_the_order_of_statements_matters_through_time_alone() -> None:
    statements, question = STORIES[0]
    batches = [batch_of([(order, question)]) for order in (statements, statements[::-1])]
    timeless, timed = made(temporal=False), made()
    one, two = (timeless.answer(batch) for batch in batches)
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    one, two = (timed.answer(batch) for batch in batches)
    assert (one - two).abs().max() > 1e-3


def test_the_order_of_words_matters_through_their_position_alone() -> None:
    (first, *rest), question = STORIES[0]
    batches = [batch_of([([words, *rest], question)]) for words in (first, first[::-1])]
    for encoding, same in (("bow", True), ("position", False)):
        model = made(encoding=encoding)
        one, two = (model.answer(batch) for batch in batches)
        assert (float((one - two).detach().abs().max()) < 1e-12) is same


def test_linear_start_leaves_the_softmax_out_until_its_share_is_spent() -> None:
    model = made(linear_start=0.2)
    batch = batch_of(STORIES)
    fresh = model.answer(batch)
    model.at_progress(0.19)
    linear = model.answer(batch)[:, 0].detach().numpy()
    for row, story in enumerate(STORIES):
        expected, _ = by_hand(model, *story, softmax=False)
        np.testing.assert_allclose(linear[row], expected, rtol=1e-10)
    again = made(seed=1)
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again.answer(batch)[:, 0].detach().numpy(), linear)
    model.at_progress(0.2)
    torch.testing.assert_close(model.answer(batch), fresh, rtol=0, atol=0)


def test_gaps_in_training_keep_the_order_and_stay_below_their_share() -> None:
    model = made(empty_memories=0.4)
    filled = torch.ones(2000, MEMORIES, dtype=torch.bool)
    filled[:1000, : MEMORIES - 2] = False  # two statements: at most ceil(.4 * 2) = 1 gap
    torch.manual_seed(0)
    times = model._with_gaps(filled)
    assert (times[1000:, 1:] >= times[1000:, :-1]).all()
    assert (times[:1000, 1] > times[:1000, 0]).all()
    assert times.max() == MEMORIES - 1
    pairs = {tuple(pair) for pair in times[:1000, :2].tolist()}
    assert pairs == {(0, 1), (0, 2), (1, 2)}
    plain = (times[:1000, :2] == torch.tensor([0, 1])).all(1).double().mean()
    assert float(plain) == pytest.approx(0.5 + 0.5 / 3, abs=0.06)


def test_gaps_are_for_training_alone() -> None:
    model = made(empty_memories=1.0)
    batch = batch_of(STORIES)
    torch.testing.assert_close(model.answer(batch), model.answer(batch), rtol=0, atol=0)
    model.train()
    torch.manual_seed(0)
    draws = torch.stack([model.answer(batch) for _ in range(4)])
    assert (draws - draws[0]).abs().max() > 1e-3


def test_every_weight_learns() -> None:
    for num_outputs, tying in (
        (VOCABULARY, "adjacent"),
        (VOCABULARY, "layerwise"),
        (3, "adjacent"),
    ):
        model = made(num_outputs, tying=tying).train()
        model.answer(batch_of(STORIES)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_question_without_a_story_is_answered_from_itself() -> None:
    model = made()
    logits = model.answer(batch_of([([], [5, 6])]))[0, 0].detach().numpy()
    words = model.words_VED.detach().numpy()
    np.testing.assert_allclose(logits, words[:, -1] @ encode(words[:, 0], [5, 6], "position"))
