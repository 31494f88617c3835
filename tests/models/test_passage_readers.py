"""The attentive reader and BiDAF against their equations, word by word in NumPy; BiDAF's attention
of both directions against loops; their LSTMs against torch.nn."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.models.build import build
from seqarena.models.model import Model
from seqarena.models.readers.attention_flow import AttentionFlow, Flow
from seqarena.models.readers.attentive_reader import AttentiveReader
from seqarena.models.taggers.tagger import BiLSTM
from seqarena.tasks.base import mean_loss

PROBLEM = Problem(form="span", num_outputs=2, vocab_size=13, num_segments=2, max_length=20)
WIDTH = 4
LENGTHS = ((3, 5), (1, 8), (4, 1))  # words of the question, of the passage


def made(name: str, **options: object) -> Model:
    return build(name, problem=PROBLEM, width=WIDTH, options=options, seed=3).double().eval()


def ragged() -> Batch:
    draw = torch.Generator().manual_seed(1)
    longest = max(sum(lengths) for lengths in LENGTHS)
    tokens_BT = torch.randint(13, (len(LENGTHS), longest), generator=draw)
    asked_B1, told_B1 = torch.tensor(LENGTHS).split(1, 1)
    place_T = torch.arange(longest)
    return Batch(
        tokens_BT,
        torch.zeros(len(LENGTHS), 2, dtype=torch.int64),
        place_T < asked_B1 + told_B1,
        segments_BT=(place_T >= asked_B1).long(),
    )


def array(x: Tensor) -> np.ndarray:
    return x.detach().numpy()


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(ours: BiLSTM, x_TD: np.ndarray) -> np.ndarray:
    """Both directions side by side [T, 2 E], by torch's own LSTM with our weights."""
    other = nn.LSTM(ours.inputs, ours.hidden, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for weights, suffix in ((ours.ahead, ""), (ours.back, "_reverse")):
            getattr(other, f"weight_ih_l0{suffix}").copy_(weights[0])
            getattr(other, f"weight_hh_l0{suffix}").copy_(weights[1])
            getattr(other, f"bias_ih_l0{suffix}").copy_(weights[2])
            getattr(other, f"bias_hh_l0{suffix}").zero_()
        return array(other(torch.from_numpy(x_TD)[None])[0][0])


def texts(model: Model, batch: Batch, row: int) -> tuple[np.ndarray, np.ndarray]:
    asked, told = LENGTHS[row]
    x_TD = array(model.tokens(batch.inputs_BT[row, : asked + told]))
    return x_TD[:asked], x_TD[asked:]


def check_spans(model: Model, batch: Batch, equations) -> None:
    """Logits at the passage are those of the equations, and the lowest number elsewhere."""
    with torch.no_grad():
        logits_B2T = model.answer(batch)
    lowest = torch.finfo(logits_B2T.dtype).min
    for row, (asked, told) in enumerate(LENGTHS):
        expected_2P = equations(model, *texts(model, batch, row))
        found_2T = array(logits_B2T[row])
        np.testing.assert_allclose(found_2T[:, asked : asked + told], expected_2P, rtol=1e-9)
        assert (found_2T[:, :asked] == lowest).all()
        assert (found_2T[:, asked + told :] == lowest).all()


def hermann(model: AttentiveReader, asked_QD: np.ndarray, told_PD: np.ndarray) -> np.ndarray:
    y_PE, read_QE = lstm(model.tell, told_PD), lstm(model.ask, asked_QD)
    u_E = np.concatenate((read_QE[-1, :WIDTH], read_QE[0, WIDTH:]))  # where each direction ends

    def pointer(part: nn.Module, u_E: np.ndarray) -> np.ndarray:
        told, asked, score = (array(getattr(part, n).weight) for n in ("told", "asked", "score"))
        return np.array([float(score[0] @ np.tanh(told @ y_E + asked @ u_E)) for y_E in y_PE])

    first_P = pointer(model.first, u_E)
    r_E = sum(share * y_E for share, y_E in zip(softmax(first_P), y_PE))
    g_E = np.tanh(array(model.found.weight) @ r_E + array(model.wanted.weight) @ u_E)
    return np.stack((first_P, pointer(model.last, g_E)))


def test_the_equations_of_the_attentive_reader() -> None:
    model = made("attentive_reader", attention_width=6)
    assert isinstance(model, AttentiveReader)
    check_spans(model, ragged(), hermann)


def flow(part: Flow, h_PE: np.ndarray, u_QE: np.ndarray) -> np.ndarray:
    """G, one similarity at a time."""
    w_3E = np.concatenate([array(part.told.weight[0]), array(part.asked.weight[0]),
                           array(part.both_E)])  # fmt: skip
    s_PQ = np.zeros((len(h_PE), len(u_QE)))
    for t, h_E in enumerate(h_PE):
        for j, u_E in enumerate(u_QE):
            s_PQ[t, j] = w_3E @ np.concatenate((h_E, u_E, h_E * u_E))
    b_P = softmax(s_PQ.max(1))
    asked_E = sum(b * h_E for b, h_E in zip(b_P, h_PE))
    rows = []
    for t, h_E in enumerate(h_PE):
        read_E = sum(a * u_E for a, u_E in zip(softmax(s_PQ[t]), u_QE))
        rows.append(np.concatenate((h_E, read_E, h_E * read_E, h_E * asked_E)))
    return np.array(rows)


def seo(model: AttentionFlow, asked_QD: np.ndarray, told_PD: np.ndarray) -> np.ndarray:
    def highway(x_TD: np.ndarray) -> np.ndarray:
        for layer in model.highway:
            change, gate = layer.change, layer.gate
            new_TD = np.maximum(x_TD @ array(change.weight).T + array(change.bias), 0)
            open_TD = sigmoid(x_TD @ array(gate.weight).T + array(gate.bias))
            x_TD = open_TD * new_TD + (1 - open_TD) * x_TD
        return x_TD

    h_PE, u_QE = (lstm(model.context, highway(x_TD)) for x_TD in (told_PD, asked_QD))
    g_PG = flow(model.flow, h_PE, u_QE)
    m_PE = lstm(model.modeling[1], lstm(model.modeling[0], g_PG))
    last_PL = lstm(model.to_last, m_PE)
    first_P = np.hstack((g_PG, m_PE)) @ array(model.first.weight[0])
    return np.stack((first_P, np.hstack((g_PG, last_PL)) @ array(model.last.weight[0])))


@pytest.mark.parametrize("layers", [0, 2])
def test_the_equations_of_bidaf(layers: int) -> None:
    model = made("attention_flow", highway_layers=layers, last_width=3)
    assert isinstance(model, AttentionFlow)
    check_spans(model, ragged(), seo)


def test_what_bidaf_looks_at() -> None:
    """Every word of the passage at the question alone; then three shares over the passage."""
    model, batch = made("attention_flow"), ragged()
    with torch.no_grad():
        asked, rows = (look.weights_BHTC[:, 0] for look in model.looks(batch))
    for row, (question, passage) in enumerate(LENGTHS):
        words = slice(question, question + passage)
        torch.testing.assert_close(
            asked[row, words, :question].sum(1), torch.ones(passage).double()
        )
        torch.testing.assert_close(asked[row, :question], torch.eye(8 + 1).double()[:question])
        torch.testing.assert_close(rows[row, :, words].sum(1), torch.ones(3).double())
    shares = rows[:, 1:]
    torch.testing.assert_close(shares, model.answer(batch).softmax(-1))


@pytest.mark.parametrize("name", ["attention_flow", "attentive_reader"])
def test_a_reader_needs_a_question_and_a_passage(name: str) -> None:
    from seqarena.models.catalog import architecture, why_not

    row = architecture(name)
    assert why_not(row, PROBLEM) is None
    label = Problem(form="label", num_outputs=3, vocab_size=9, num_segments=2)
    assert why_not(row, label) == (
        "it is made for a part of what it reads, and this task asks for one label for a whole "
        "sequence"
    )


@pytest.mark.parametrize("name", ["attention_flow", "attentive_reader", "bert", "bi_lstm", "lstm"])
def test_bfloat16_points_at_places_of_the_passage_alone(name: str) -> None:
    model, batch = made(name).float(), ragged()
    firsts_B2 = torch.tensor([[asked, asked] for asked, _ in LENGTHS])
    with torch.autocast("cpu", torch.bfloat16):
        logits_B2T = model.answer(batch)
        loss = mean_loss(logits_B2T.float(), batch._replace(targets_BT=firsts_B2))
    loss.backward()
    assert torch.isfinite(loss)
    shares_B2T = logits_B2T.float().softmax(-1)
    for row, (asked, told) in enumerate(LENGTHS):
        outside = shares_B2T[row].detach().clone()
        outside[:, asked : asked + told] = 0
        assert not outside.any()


@pytest.mark.parametrize("name", ["attention_flow", "attentive_reader"])
@pytest.mark.parametrize("params", [30_000, 100_000, 300_000])
def test_sizes_within_a_percent(name: str, params: int) -> None:
    problem = PROBLEM.model_copy(update={"vocab_size": 500})
    found = build(name, problem=problem, params=params).num_parameters
    assert abs(found - params) <= params / 100
