"""Recurrent decoders that look back: the papers' equations in NumPy, alignments, learning."""

import numpy as np
import pytest
import torch
from pair_checks import PROBLEM, left_padded, ragged, share_learned, small

from seqarena.core.shapes import measured_state_bytes
from seqarena.models.build import build
from seqarena.models.encoder_decoders.bridges import Memory

ALL = ["rnnsearch", "luong_dot", "luong_general", "luong_concat"]


def numbers(model):
    """Weights by name, moved off zero so that biases show."""
    draw = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=draw, dtype=p.dtype))
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def gru(w, where, vectors):
    """Cho et al. 2014: the reset gate before the product. All outputs."""
    u_r, u_z, u_n = np.split(w[f"{where}.recurrent_FE"], 3)
    h, out = np.zeros(u_r.shape[1]), []
    for x in vectors:
        x_r, x_z, x_n = np.split(w[f"{where}.input_FD"] @ x + w[f"{where}.bias_F"], 3)
        r, z = sigmoid(x_r + u_r @ h), sigmoid(x_z + u_z @ h)
        h = z * h + (1 - z) * np.tanh(x_n + u_n @ (r * h))
        out.append(h)
    return np.stack(out)


def lstm_step(x, h, c, w, where):
    gates = w[f"{where}.input_FD"] @ x + w[f"{where}.recurrent_FE"] @ h + w[f"{where}.bias_F"]
    i, f, g, o = np.split(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def bahdanau(w, source, inputs):
    """(logits, weights) of one example by appendix A, z being one minus the paper's."""
    x = w["source_tokens.weight"][source]
    back = gru(w, "back", x[::-1])[::-1]
    a = np.concatenate((gru(w, "ahead", x), back), 1)
    s = np.tanh(w["first.weight"] @ back[0] + w["first.bias"])
    u_r, u_z, u_n = np.split(w["recurrent_FE"], 3)
    logits, weights = [], []
    for token in inputs:
        e = w["target_tokens.weight"][token]
        query = w["query.weight"] @ s
        scores = [w["score"] @ np.tanh(query + w["key.weight"] @ a_j + w["key.bias"]) for a_j in a]
        weights.append(softmax(np.array(scores)))
        c = weights[-1] @ a
        t = w["readout.weight"] @ np.concatenate((s, e, c)) + w["readout.bias"]
        t = np.array([max(t[2 * k], t[2 * k + 1]) for k in range(len(t) // 2)])
        logits.append(w["output.weight"] @ t + w["output.bias"])
        given = w["input.weight"] @ e + w["input.bias"] + w["context.weight"] @ c
        x_r, x_z, x_n = np.split(given, 3)
        r, z = sigmoid(x_r + u_r @ s), sigmoid(x_z + u_z @ s)
        s = z * s + (1 - z) * np.tanh(x_n + u_n @ (r * s))
    return np.stack(logits), np.stack(weights)


def luong(w, source, inputs, *, score, feeding, layers=2):
    """(logits, weights) of one example; the source in the order in which it is read."""
    width = w["join.weight"].shape[0]
    state = [(np.zeros(width), np.zeros(width))] * layers

    def run(which, x):
        for layer in range(layers):
            state[layer] = lstm_step(x, *state[layer], w, f"{which}.{layer}")
            x = state[layer][0]
        return x

    def scored(h, a_j):
        if score == "dot":
            return h @ a_j
        if score == "general":
            return h @ w["key.weight"] @ a_j
        both = np.concatenate((w["query.weight"], w["key.weight"]), 1)
        return w["score"] @ np.tanh(both @ np.concatenate((h, a_j)))

    a = np.stack([run("encoder", w["source_tokens.weight"][token]) for token in source])
    g, logits, weights = np.zeros(width), [], []
    for token in inputs:
        e = w["target_tokens.weight"][token]
        h = run("decoder", np.concatenate((e, g)) if feeding else e)
        weights.append(softmax(np.array([scored(h, a_j) for a_j in a])))
        g = np.tanh(w["join.weight"] @ np.concatenate((weights[-1] @ a, h)))
        logits.append(w["output.weight"] @ g + w["output.bias"])
    return np.stack(logits), np.stack(weights)


def agree(model, batch, reference, backwards):
    """Logits and weights of each example of a ragged batch equal the reference's."""
    logits = model.answer(batch).detach().numpy()
    weights = model.attention(batch).detach().numpy()
    for b in range(len(logits)):
        source = batch.source_BS[b][batch.source_mask_BS[b]].numpy()
        inputs = batch.inputs_BT[b][batch.mask_BT[b]].numpy()
        order = slice(None, None, -1 if backwards else 1)
        expected, expected_weights = reference(source[order], inputs)
        T, S = len(inputs), len(source)
        np.testing.assert_allclose(logits[b, :T], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            weights[b, :T, :S], expected_weights[:, order], rtol=1e-10, atol=1e-12
        )
        assert not weights[b, :T, S:].any()
        assert not weights[b, T:].any()


def test_rnnsearch_is_the_equations():
    model = small("rnnsearch", embedding_width=4)
    w = numbers(model)
    agree(model, ragged(), lambda source, inputs: bahdanau(w, source, inputs), backwards=False)


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("feeding", [True, False])
@pytest.mark.parametrize("score", ["dot", "general", "concat"])
def test_luong_is_the_equations(score, feeding, reverse):
    model = small(
        f"luong_{score}", input_feeding=feeding, reverse_source=reverse, embedding_width=4
    )
    w = numbers(model)

    def reference(source, inputs):
        return luong(w, source, inputs, score=score, feeding=feeding)

    agree(model, ragged(), reference, backwards=reverse)


@pytest.mark.parametrize("name", ALL)
def test_padding_on_the_left_is_the_same(name):
    model, batch = small(name), ragged()
    numbers(model)
    moved = left_padded(batch)
    torch.testing.assert_close(
        model.answer(moved)[moved.mask_BT], model.answer(batch)[batch.mask_BT]
    )
    right, left = model.attention(batch), model.attention(moved)
    for b, (T, S) in enumerate(((5, 4), (2, 6), (4, 3))):
        torch.testing.assert_close(left[b, -T:, -S:], right[b, :T, :S])


def test_without_feeding_one_step_at_a_time_is_the_same():
    model, batch = small("luong_concat", input_feeding=False), ragged()
    numbers(model)
    with torch.no_grad():
        whole = model.answer(batch)
        state = model.begin(batch, 5)
        for t in range(5):
            logits, state = model.step(batch.inputs_BT[:, t], state)
            real = batch.mask_BT[:, t]
            torch.testing.assert_close(logits[real], whole[real, t])


@pytest.mark.parametrize("name", [*ALL, "transformer", "transformer_modern"])
def test_gradients_are_finite_even_where_a_source_is_nothing_but_padding(name):
    model, batch = small(name), ragged()
    batch.source_mask_BS[2] = False
    model.answer(batch)[batch.mask_BT].square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def test_the_mean_leaves_padding_out():
    values = torch.tensor([[[1.0], [3.0], [100.0]]])
    memory = Memory(values, values, torch.tensor([[False, False, True]]))
    weights, mean = memory.average(torch.tensor([[0.0, 0.0, 9.0]]))
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0]]))
    torch.testing.assert_close(mean, torch.tensor([[2.0]]))


@pytest.mark.parametrize("name", ALL)
def test_the_state_is_as_large_as_stated(name):
    model, batch = small(name), ragged()
    state = model.begin(batch, 5)
    assert measured_state_bytes(state) == 3 * model.state_bytes(6)


def test_rnnsearch_first_looks_everywhere_alike():
    model, batch = small("rnnsearch"), ragged()
    weights = model.attention(batch)
    torch.testing.assert_close(weights[1, 0], torch.full((6,), 1 / 6).double())
    published = build("luong_dot", problem=PROBLEM, width=64, seed=0)
    assert 0.09 < max(p.detach().abs().max() for p in published.parameters()) <= 0.1


def test_feeding_makes_the_chain_longer():
    fed, alone = (small("luong_general", input_feeding=yes) for yes in (True, False))
    assert fed.serial_steps(50) > alone.serial_steps(50)
    assert fed.num_parameters == alone.num_parameters + 4 * 6 * 6


@pytest.mark.parametrize(("name", "steps"), [("rnnsearch", 60), ("luong_general", 100)])
def test_it_learns_to_write_words_backwards(name, steps):
    options = {} if name == "rnnsearch" else {"layers": 1}
    assert share_learned(name, steps=steps, rate=1e-2, **options) == 1.0
