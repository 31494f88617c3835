"""The memory network as a language model: its equations word by word, the authors' program, its
rolling memory."""

from typing import Any

import numpy as np
import pytest
import torch
from causal_checks import (
    VOCAB,
    build,
    check_everything_is_trained,
    check_padding,
    check_reach,
    check_split_anywhere,
    tokens,
)
from torch.nn import functional as F

from seqarena.core.batch import Batch, own_inputs
from seqarena.models.memory.memory_language_model import MemoryLanguageModel

PLACE = "memory.memory_language_model:MemoryLanguageModel"


def made(width: int = 6, **options: Any) -> MemoryLanguageModel:
    model = build(PLACE, own_inputs(VOCAB), width=width, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10)  # far from uniform attention
    return model


def by_hand(model: MemoryLanguageModel, words: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The logits after the last of the words, and what each hop reads, the oldest word first."""
    named = {name: p.detach().numpy() for name, p in model.named_parameters()}
    width, memory = model.width, words[-model.options.memory :]
    times = named["times"][len(named["times"]) - len(memory) :]
    a, t_a = named["words.weight"][:, :width], times[:, :width]
    c, t_c = named["words.weight"][:, width:], times[:, width:]
    u, seen = np.full(width, 0.1), []
    for _ in range(model.options.hops):
        score = np.array([u @ (a[word] + t_a[i]) for i, word in enumerate(memory)])
        p = np.exp(score - score.max())
        p /= p.sum()
        o = sum(p[i] * (c[word] + t_c[i]) for i, word in enumerate(memory))
        u = named["between_hops.weight"] @ u + o
        first = round(model.options.linear_share * width)
        u[first:] = np.maximum(u[first:], 0)
        seen.append(p)
    return named["output.weight"] @ u, seen


@pytest.mark.parametrize("linear_share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("hops", "memory"), [(1, 1), (2, 5), (3, 20)])
def test_the_equations(hops: int, memory: int, linear_share: float) -> None:
    model = made(hops=hops, memory=memory, linear_share=linear_share)
    tokens_BT = tokens(2, 9)
    batch = Batch(tokens_BT, tokens_BT)
    found = model.answer(batch).detach().numpy()
    (looks, *_), weights_BTKN = zip(*model.looks(batch)), model.attention(batch).detach().numpy()
    assert len(looks) == hops
    for b in range(2):
        for t in range(9):
            logits, seen = by_hand(model, tokens_BT[b, : t + 1].tolist())
            np.testing.assert_allclose(found[b, t], logits, rtol=1e-10, atol=1e-12)
            for k in range(hops):
                there = min(t + 1, memory)
                p_N = weights_BTKN[b, t, k]
                np.testing.assert_allclose(p_N[len(p_N) - there :], seen[k])
                assert (p_N[: len(p_N) - there] == 0).all()
                weights_BHTC = model.looks(batch)[k].weights_BHTC.detach().numpy()
                np.testing.assert_allclose(weights_BHTC[b, 0, t, t + 1 - there : t + 1], seen[k])
                assert weights_BHTC[b, 0, t].sum() == pytest.approx(1)


def authors_program(model: MemoryLanguageModel, context_BN: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the next word, operation by operation as `MemN2N-lang-model/model.lua`
    of the authors' program builds its graph (facebookarchive/MemNN): look-up tables of words and
    times, MM, SoftMax, MM, LinearNB, CAddTable, Narrow, ReLU, JoinTable, LinearNB, LogSoftMax."""
    D, N = model.width, context_BN.shape[1]
    table, lindim = model.words.weight, model.num_linear
    time_BN = torch.arange(N).expand_as(context_BN)
    Ain = F.embedding(context_BN, table[:, :D]) + F.embedding(time_BN, model.times[:, :D])
    Bin = F.embedding(context_BN, table[:, D:]) + F.embedding(time_BN, model.times[:, D:])
    hid = torch.full((len(context_BN), D), 0.1, dtype=table.dtype)
    for _ in range(model.options.hops):
        hid3dim = hid.view(-1, 1, D)
        P = torch.bmm(hid3dim, Ain.transpose(1, 2)).view(-1, N).softmax(-1)
        Bout = torch.bmm(P.view(-1, 1, N), Bin).view(-1, D)
        Dout = hid @ model.between_hops.weight.T + Bout
        if lindim == D:
            hid = Dout
        elif lindim == 0:
            hid = Dout.relu()
        else:
            rest = Dout.narrow(1, lindim, D - lindim).relu()
            hid = torch.cat((Dout.narrow(1, 0, lindim), rest), 1)
    return (hid @ model.output.weight.T).log_softmax(-1)


@pytest.mark.parametrize("linear_share", [0.0, 0.5, 1.0])
def test_equals_the_authors_program(linear_share: float) -> None:
    """In outputs and gradients, wherever the memory is full."""
    model = made(width=8, hops=6, memory=12, linear_share=linear_share)
    tokens_BT = tokens(2, 30)
    ours = model.answer(Batch(tokens_BT, tokens_BT))[:, 11:].log_softmax(-1)
    theirs = authors_program(model, tokens_BT.unfold(1, 12, 1).flatten(0, 1)).view_as(ours)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    weights = list(model.parameters())
    draw = torch.randn(ours.shape, generator=torch.Generator().manual_seed(3), dtype=ours.dtype)
    for one, other in zip(
        torch.autograd.grad((ours * draw).sum(), weights),
        torch.autograd.grad((theirs * draw).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("memory", [1, 4, 30])
def test_contract(memory: int) -> None:
    model = made(hops=2, memory=memory)
    assert model.receptive_field == memory
    check_reach(model)
    check_split_anywhere(model)
    check_padding(model)
    check_everything_is_trained(model, Batch(tokens(2, 40), tokens(2, 40)))


def test_pieces_of_a_long_text_are_the_whole() -> None:
    """150 positions are three pieces, which meet at words that both read."""
    model = made(hops=2, memory=7)
    tokens_BT = tokens(1, 150)
    found = model.answer(Batch(tokens_BT, tokens_BT))[0].detach().numpy()
    for t in (63, 64, 70, 127, 128, 149):
        logits, _ = by_hand(model, tokens_BT[0, : t + 1].tolist())
        np.testing.assert_allclose(found[t], logits, rtol=1e-10, atol=1e-12)


def test_padding_beyond_the_memory_has_no_gradient() -> None:
    model = made(hops=2, memory=3)
    mask_BT = torch.arange(20)[None] < torch.tensor([[20], [4]])
    model(tokens(2, 20), mask_BT=mask_BT)[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_sizes_and_costs() -> None:
    model = made(width=8, hops=3, memory=5)
    assert model.num_parameters == VOCAB * 16 + 5 * 16 + 64 + VOCAB * 8
    assert model.state_bytes(1) == model.state_bytes(1000) == 4 * (2 * 8 + 1) * 8
    assert model.carries
    seen = 1 + 2 + 3 + 4 + 5 * 6
    assert model.flops(10) == 3 * (8 * 8 * seen + 2 * 64 * 10) + 2 * 10 * 8 * VOCAB


def test_dropout_acts_in_training_alone() -> None:
    model = made(dropout=0.5)
    tokens_BT = tokens(1, 5)
    assert torch.equal(model(tokens_BT)[0], model(tokens_BT)[0])
    model.train()
    assert not torch.equal(model(tokens_BT)[0], model(tokens_BT)[0])
