"""Every architecture of the catalog in every form of task it can enter: padding changes nothing, no
answer sees the future, costs are stated."""

from typing import Any

import pytest
import torch
from torch import Tensor

from seqarena.core.batch import (
    START,
    Batch,
    Problem,
    check_tokens,
    nothing_asked,
    random_batch,
)
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.model import Model
from seqarena.models.stacks.embedding import Categories, FeatureEmbedding
from seqarena.tasks.transcript_loss import criterion_of

PROBLEMS = {
    "words to words": Problem(
        form="pairs", num_outputs=13, vocab_size=13, source_vocab_size=17, causal=True,
        max_length=12, max_source_length=9,
    ),
    "shared words": Problem(
        form="pairs", num_outputs=13, vocab_size=13, source_vocab_size=13, causal=True,
        shared_vocabulary=True, max_length=12, max_source_length=9,
    ),
    "a label for words": Problem(
        form="label", num_outputs=5, vocab_size=17, num_segments=2, max_length=12
    ),
    "a label for stories": Problem(
        form="label", num_outputs=5, vocab_size=17, num_segments=4, max_length=12
    ),
    "a span of words": Problem(
        form="span", num_outputs=2, vocab_size=17, num_segments=2, max_length=12
    ),
    "a label for numbers": Problem(form="label", num_outputs=5, features=3, max_length=12),
    "a number for numbers": Problem(
        form="label", targets="numbers", num_outputs=1, features=3, max_length=12
    ),
    "numbers for words": Problem(targets="numbers", num_outputs=17, vocab_size=17, max_length=12),
    "next numbers": Problem(
        targets="numbers", num_outputs=3, features=3, causal=True, max_length=12
    ),
    "a label for events": Problem(
        form="label", num_outputs=5, features=2, categories=(4, 7), max_length=12
    ),
    "next events": Problem(
        targets="numbers", num_outputs=9, features=2, categories=(4, 7, 3), causal=True,
        max_length=12,
    ),
    "tags": Problem(num_outputs=6, vocab_size=17, num_characters=9, max_length=12),
    "a transcript of numbers": Problem(
        form="transcript", num_outputs=5, features=3, max_length=12
    ),
    "next words": Problem(num_outputs=17, vocab_size=17, causal=True, max_length=12),
}  # fmt: skip
CASES = [
    (name, what)
    for name, row in CATALOG.items()
    for what, problem in PROBLEMS.items()
    if why_not(row, problem) is None
]


def made(name: str, what: str) -> tuple[Model, Batch]:
    problem = PROBLEMS[what]
    model = build(name, problem=problem, width=16, seed=1).double().eval()
    batch = random_batch(problem, 3, length=7, seed=2)
    if problem.form == "pairs":
        batch.inputs_BT[:, 0] = START
    if problem.features:
        batch = batch._replace(inputs_BT=batch.inputs_BT.double())
    return model, batch


def padded(batch: Batch, more: int) -> Batch:
    """The same examples with `more` padded positions on the right, of inputs and of the source."""

    def longer(x: Tensor | None, value: Any = 0) -> Tensor | None:
        if x is None:
            return None
        return torch.cat((x, x.new_full((len(x), more, *x.shape[2:]), value)), 1)

    def mask(x: Tensor | None) -> Tensor | None:
        return None if x is None else longer(torch.ones(x.shape[:2], dtype=torch.bool), False)

    fixed = batch.targets_BT.shape[1] in (1, 2)  # a label or a span
    unasked = nothing_asked(batch.targets_BT).flatten()[0]
    return Batch(
        longer(batch.inputs_BT),
        batch.targets_BT if fixed else longer(batch.targets_BT, unasked),
        mask(batch.inputs_BT),
        longer(batch.source_BS),
        mask(batch.source_BS),
        longer(batch.segments_BT),
        longer(batch.characters_BTC),
        longer(batch.categories_BTC),
    )


@pytest.mark.parametrize(("name", "what"), CASES)
def test_padding_changes_nothing(name: str, what: str) -> None:
    model, batch = made(name, what)
    with torch.no_grad():
        alone, together = model.answer(batch), model.answer(padded(batch, 3))
    assert torch.isfinite(alone).all()
    problem = PROBLEMS[what]
    answers = (batch.inputs_BT if problem.at_every_position else batch.targets_BT).shape[1]
    outputs = batch.inputs_BT.shape[1] if problem.form == "span" else problem.num_outputs
    assert alone.shape == (3, answers, outputs)
    torch.testing.assert_close(together[:, :answers, :outputs], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "what"), [c for c in CASES if PROBLEMS[c[1]].causal])
def test_the_future_changes_nothing(name: str, what: str) -> None:
    model, batch = made(name, what)
    changed_BT = batch.inputs_BT.clone()
    changed_BT[:, 4:] += 1
    if not PROBLEMS[what].features:
        changed_BT %= PROBLEMS[what].vocab_size
    changed = batch._replace(inputs_BT=changed_BT)
    if batch.categories_BTC is not None:
        categories_BTC = batch.categories_BTC.clone()
        categories_BTC[:, 4:] = 0
        changed = changed._replace(categories_BTC=categories_BTC)
    with torch.no_grad():
        before, after = model.answer(batch), model.answer(changed)
    torch.testing.assert_close(after[:, :4], before[:, :4], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(after[:, 4:], before[:, 4:])


@pytest.mark.parametrize(("name", "what"), CASES)
def test_costs_are_stated_and_gradients_reach_everything(name: str, what: str) -> None:
    model, batch = made(name, what)
    model.train()
    assert model.flops(8) < model.flops(16)
    assert model.serial_steps(8) >= 1
    assert model.state_bytes(8) >= 0
    assert model.algorithms
    model.loss(batch, criterion_of(PROBLEMS[what])).backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None and p.requires_grad]
    assert idle == []


def test_a_label_is_read_from_the_end_of_a_causal_stack() -> None:
    model, batch = made("gru", "a label for words")
    with torch.no_grad():
        x_BTD, _ = model.features(batch.inputs_BT, segments_BT=batch.segments_BT)
        expected = model.head(x_BTD[:, -1:])
    torch.testing.assert_close(model.answer(batch), expected)


def test_who_cannot_enter_is_told_why() -> None:
    pairs, tags = PROBLEMS["words to words"], PROBLEMS["next words"]
    assert (
        why_not(CATALOG["bi_lstm"], pairs) == "it sees the future, so it cannot continue a target"
    )
    assert why_not(CATALOG["bi_lstm"], tags) == "it sees the future, which this task forbids"
    assert why_not(CATALOG["lstm"], pairs) is None


def test_who_reads_no_categories_is_told_why() -> None:
    events = PROBLEMS["a label for events"]
    words = "it reads no categories beside its numbers, and this task gives them"
    assert why_not(CATALOG["text_cnn"], events) == words
    assert why_not(CATALOG["text_cnn"], events.model_copy(update={"categories": ()})) is None
    assert all(why_not(row, events) is None for row in CATALOG.values() if row.system is None)


def test_categories_are_a_linear_map_of_one_hot_fields() -> None:
    """The slow truth: numbers and one-hot fields side by side, through one matrix."""
    model, batch = made("gru", "next events")
    sizes = PROBLEMS["next events"].categories
    table = model.embedding.categories.table.weight
    parts = [
        torch.nn.functional.one_hot(batch.categories_BTC[..., field], size)
        for field, size in enumerate(sizes)
    ]
    wide = torch.cat((batch.inputs_BT, *parts), -1)
    weight = torch.cat((model.embedding.project.weight, table.T), 1)
    expected = wide.double() @ weight.T + model.embedding.project.bias
    found, _ = model.embedding(batch.inputs_BT, 0, None, categories_BTC=batch.categories_BTC)
    torch.testing.assert_close(found, expected)


def test_categories_and_numbers_begin_equally_loud() -> None:
    categories = Categories((50, 1000, 7), 64)
    numbers = torch.randint(7, (4000, 1, 3), generator=torch.Generator().manual_seed(0))
    assert categories(numbers).var().item() == pytest.approx(1 / 3, rel=0.1)


def test_a_model_without_categories_is_the_one_that_it_was() -> None:
    """No parameter more, and no random number drawn for them."""
    problem = PROBLEMS["a label for numbers"]
    torch.manual_seed(1)
    embedding, then = FeatureEmbedding(3, 16, "none", 0, 0.0), torch.rand(1)
    torch.manual_seed(1)
    first = torch.nn.Linear(3, 16)
    assert torch.equal(torch.rand(1), then)
    assert torch.equal(embedding.project.weight, first.weight)
    assert set(embedding.state_dict()) == {"project.weight", "project.bias"}
    plain, mixed = (
        random_batch(problem.model_copy(update={"categories": sizes}), 3, length=7, seed=2)
        for sizes in ((), (4, 7))
    )
    assert plain.categories_BTC is None
    assert torch.equal(plain.inputs_BT, mixed.inputs_BT)
    assert torch.equal(plain.targets_BT, mixed.targets_BT)


def test_a_category_beyond_its_field_is_named() -> None:
    _, batch = made("gru", "next events")
    check_tokens(batch, PROBLEMS["next events"])
    batch.categories_BTC[0, 0, 1] = 7
    with pytest.raises(UserError, match="field 2: category 7 is beyond the 7 that the model knows"):
        check_tokens(batch, PROBLEMS["next events"])


def test_who_cannot_answer_with_numbers_is_told_why() -> None:
    pairs = PROBLEMS["words to words"].model_copy(update={"targets": "numbers"})
    spoken = PROBLEMS["numbers for words"]
    for name in ("lstm", "transformer", "bytenet"):
        assert why_not(CATALOG[name], pairs) == "it writes tokens, and this task asks for numbers"
    found = why_not(CATALOG["bi_lstm_crf"], spoken.model_copy(update={"num_characters": 9}))
    assert found == "it answers with classes, and this task asks for numbers"
    assert all(why_not(row, spoken) is None for row in CATALOG.values() if row.system is None)


@pytest.mark.parametrize("name", ["gru", "bert", "attention_sinusoidal"])
def test_as_many_numbers_as_words_get_a_head_of_their_own(name: str) -> None:
    """Else a model would answer with products of word vectors."""
    model, batch = made(name, "numbers for words")
    model.answer(batch).sum().backward()
    embedding = model.embedding.tokens if name != "bert" else model.tokens
    read = torch.zeros(17, dtype=torch.bool)
    read[batch.inputs_BT.unique()] = True
    assert torch.equal(embedding.weight.grad.abs().sum(1) > 0, read)
