"""The taggers against torch.nn's LSTM and another CRF, and the promise that padding is nothing."""

from typing import Any

import pytest
import torch
import torchcrf
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import IGNORE, Batch, Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.taggers.tagger import BiLSTM, BiLSTMCRF, LetterLSTM, Tagger

PROBLEM = Problem(num_outputs=5, vocab_size=11, num_characters=7, max_length=9)
WORDS = [6, 1, 4]


def made(name: str = "bi_lstm_crf", **options: Any) -> Tagger:
    model = build(name, problem=PROBLEM, width=8, options=options, seed=3).double().eval()
    assert isinstance(model, Tagger)
    if isinstance(model, BiLSTMCRF):
        with torch.no_grad():
            for parameter in (model.start_K, model.end_K, model.transitions_JK):
                parameter.normal_(generator=torch.Generator().manual_seed(5))
    return model


def sentences() -> Batch:
    """Three sentences of unequal length, and words of unequal length."""
    draw = torch.Generator().manual_seed(0)
    longest = max(WORDS) + 2
    mask = torch.arange(longest) < torch.tensor(WORDS)[:, None]
    letters = torch.randint(1, 7, (3, longest, 5), generator=draw)
    counts = torch.randint(1, 6, (3, longest, 1), generator=draw)
    letters[(torch.arange(5) >= counts) | ~mask[..., None]] = 0
    return Batch(
        torch.randint(11, (3, longest), generator=draw).masked_fill(~mask, 0),
        torch.randint(5, (3, longest), generator=draw).masked_fill(~mask, IGNORE),
        mask,
        characters_BTC=letters,
    )


def alone(batch: Batch, row: int) -> Batch:
    assert batch.characters_BTC is not None
    here = slice(row, row + 1), slice(0, WORDS[row])
    return Batch(
        batch.inputs_BT[here],
        batch.targets_BT[here],
        characters_BTC=batch.characters_BTC[here],
    )


def never(logits: Tensor, batch: Batch) -> Tensor:
    raise AssertionError("the chain has its own loss")


def cross_entropy(logits_BTK: Tensor, batch: Batch) -> Tensor:
    return F.cross_entropy(logits_BTK.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=-100)


def theirs(ours: BiLSTM) -> nn.LSTM:
    """torch.nn's bidirectional LSTM with the same numbers."""
    lstm = nn.LSTM(ours.inputs, ours.hidden, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for suffix, (w, u, b) in (("", ours.ahead), ("_reverse", ours.back)):
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(w)
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(u)
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(b)
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
    return lstm


def reference_emissions(model: Tagger, batch: Batch) -> Tensor:
    """The head of models/taggers/tagger.py, for a batch of one without padding, from torch.nn."""
    assert isinstance(model.letters, LetterLSTM)
    assert batch.characters_BTC is not None
    letter_lstm, spelled = theirs(model.letters.lstm), []
    for word in batch.characters_BTC[0]:
        _, (ends, _) = letter_lstm(model.letters.table(word[word != 0])[None])
        spelled.append(ends[:, 0].flatten())
    x = torch.cat((model.words(batch.inputs_BT[0]), torch.stack(spelled)), -1)
    context, _ = theirs(model.context)(x[None])
    return model.project(torch.tanh(model.hidden(context)))


@pytest.mark.parametrize("row", range(3))
def test_softmax_tagger_equals_torch_nn(row: int) -> None:
    model, batch = made("bi_lstm_tagger"), alone(sentences(), row)
    with torch.no_grad():
        torch.testing.assert_close(model.answer(batch), reference_emissions(model, batch))


def test_chain_equals_torch_nn_and_another_crf_in_loss_gradients_and_best_tags() -> None:
    model, batch = made(), sentences()
    assert isinstance(model, BiLSTMCRF)
    chain = torchcrf.CRF(5, batch_first=True).double()
    with torch.no_grad():
        chain.start_transitions.copy_(model.start_K)
        chain.end_transitions.copy_(model.end_K)
        chain.transitions.copy_(model.transitions_JK)

    emissions = [reference_emissions(model, alone(batch, row)) for row in range(3)]
    tags = [alone(batch, row).targets_BT for row in range(3)]
    masks = [torch.ones_like(t, dtype=torch.bool) for t in tags]
    expected = -sum(chain(e, t, m) for e, t, m in zip(emissions, tags, masks)) / sum(WORDS)
    found = model.loss(batch, never)
    torch.testing.assert_close(found, expected)

    (gradient,) = torch.autograd.grad(found, model.transitions_JK, retain_graph=True)
    (other,) = torch.autograd.grad(expected, chain.transitions, retain_graph=True)
    torch.testing.assert_close(gradient, other)
    (gradient,) = torch.autograd.grad(found, model.words.weight)
    (other,) = torch.autograd.grad(expected, model.words.weight)
    torch.testing.assert_close(gradient, other)

    with torch.no_grad():
        best = model.answer(batch).argmax(-1)
        for row, (emission, mask) in enumerate(zip(emissions, masks)):
            assert best[row, : WORDS[row]].tolist() == chain.decode(emission, mask)[0]


def test_the_chain_changes_what_single_words_would_have_said() -> None:
    """Else the test above would not tell a chain from a softmax."""
    model, batch = made(), sentences()
    with torch.no_grad():
        together = model.answer(batch).argmax(-1)[batch.mask_BT]
        apart = model.train().answer(batch).argmax(-1)[batch.mask_BT]
    assert (together != apart).any()


@pytest.mark.parametrize("name", ["bi_lstm_tagger", "bi_lstm_crf"])
@pytest.mark.parametrize("letters", ["lstm", "convolution"])
def test_padding_changes_nothing(name: str, letters: str) -> None:
    model, batch = made(name, letters=letters), sentences()
    moved = Batch(*(None if x is None else x.roll(2, 1) for x in batch))  # padding in front too
    with torch.no_grad():
        together, elsewhere = model.answer(batch), model.answer(moved).roll(-2, 1)
        torch.testing.assert_close(
            model.loss(moved, cross_entropy), model.loss(batch, cross_entropy)
        )
        for row, length in enumerate(WORDS):
            single = model.answer(alone(batch, row))[0]
            torch.testing.assert_close(together[row, :length], single)
            torch.testing.assert_close(elsewhere[row, :length], single)


def test_a_word_that_is_not_asked_may_have_any_tag() -> None:
    model, batch = made(), alone(sentences(), 0)
    batch.targets_BT[0, 2] = IGNORE
    likelihood = torch.zeros((), dtype=torch.float64)
    for tag in range(5):
        filled = batch.targets_BT.clone()
        filled[0, 2] = tag
        nats = WORDS[0] * model.loss(batch._replace(targets_BT=filled), never)
        likelihood += (-nats).exp()
    found = model.loss(batch, never) * (WORDS[0] - 1)
    torch.testing.assert_close(found, -likelihood.log())


def test_sizes_are_those_of_lample() -> None:
    """100 for words and LSTM, 25 for letters and theirs: 150 inputs, 200 outputs, 100 hidden."""
    tags, words, letters = 17, 500, 60
    problem = Problem(num_outputs=tags, vocab_size=words, num_characters=letters, max_length=50)
    model = build("bi_lstm_crf", problem=problem, width=100)
    letter_lstm = 2 * 4 * 25 * (25 + 25 + 1)
    word_lstm = 2 * 4 * 100 * (150 + 100 + 1)
    head = (200 + 1) * 100 + (100 + 1) * tags
    chain = tags * tags + 2 * tags
    tables = 100 * words + 25 * letters
    assert model.num_parameters == tables + letter_lstm + word_lstm + head + chain


def test_a_wanted_size_is_met() -> None:
    problem = Problem(num_outputs=17, vocab_size=9000, num_characters=90, max_length=50)
    for name in ("bi_lstm_tagger", "bi_lstm_crf"):
        assert build(name, problem=problem, params=1_000_000).num_parameters == pytest.approx(
            1_000_000, rel=0.01
        )


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match="hidden_width = 0 must be at least 1"):
        made(hidden_width=0)
    with pytest.raises(UserError, match="'letters'"):
        made(letters="runes")


def test_words_without_letters() -> None:
    problem = PROBLEM.model_copy(update={"num_characters": 0})
    model = build("bi_lstm_crf", problem=problem, width=8).double().eval()
    batch = sentences()._replace(characters_BTC=None)
    assert model.answer(batch).shape == (3, max(WORDS) + 2, 5)
    assert model.flops(10) < made().flops(10)
