"""Encoder-decoders with one vector between: the papers' equations in NumPy, and what they learn."""

import numpy as np
import pytest
import torch
from pair_checks import PROBLEM, left_padded, ragged, share_learned, small

from seqarena.core.errors import UserError
from seqarena.core.shapes import measured_state_bytes
from seqarena.models.build import build


def numbers(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step(x, h, c, w, where):
    rows = w[f"{where}.input_FD"] @ x + w[f"{where}.recurrent_FE"] @ h + w[f"{where}.bias_F"]
    i, f, g, o = np.split(rows, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def sutskever(w, source, inputs, layers):
    """Logits of one example, a token at a time."""
    width = len(w["encoder.0.bias_F"]) // 4
    state = [(np.zeros(width), np.zeros(width))] * layers

    def run(which, x):
        for layer in range(layers):
            state[layer] = lstm_step(x, *state[layer], w, f"{which}.{layer}")
            x = state[layer][0]
        return x

    for token in source:
        run("encoder", w["source_tokens.weight"][token])
    tops = [run("decoder", w["target_tokens.weight"][token]) for token in inputs]
    return np.stack([w["output.weight"] @ h + w["output.bias"] for h in tops])


def cho(w, source, inputs):
    """Logits of one example by appendix A.1, biases added."""
    width = w["recurrent_FE"].shape[1]
    u_r, u_z, u_n = np.split(w["encoder.recurrent_FE"], 3)
    h = np.zeros(width)
    for token in source:
        x_r, x_z, x_n = np.split(
            w["encoder.input_FD"] @ w["source_tokens.weight"][token] + w["encoder.bias_F"], 3
        )
        r, z = sigmoid(x_r + u_r @ h), sigmoid(x_z + u_z @ h)
        h = z * h + (1 - z) * np.tanh(x_n + u_n @ (r * h))
    c = np.tanh(w["summary.weight"] @ h + w["summary.bias"])
    h = np.tanh(w["first.weight"] @ c + w["first.bias"])
    u_r, u_z, u_n = np.split(w["recurrent_FE"], 3)
    c_r, c_z, c_n = np.split(w["context.weight"] @ c + w["context.bias"], 3)
    logits = []
    for token in inputs:
        e = w["target_tokens.weight"][token]
        x_r, x_z, x_n = np.split(w["input.weight"] @ e + w["input.bias"], 3)
        r, z = sigmoid(x_r + u_r @ h + c_r), sigmoid(x_z + u_z @ h + c_z)
        h = z * h + (1 - z) * np.tanh(x_n + r * (u_n @ h + c_n))
        s = w["readout.weight"] @ np.concatenate((h, e, c)) + w["readout.bias"]
        s = np.array([max(s[2 * k], s[2 * k + 1]) for k in range(len(s) // 2)])
        logits.append(w["output.weight"] @ s + w["output.bias"])
    return np.stack(logits)


def rows(batch):
    """Each example alone: (its number, source tokens, input tokens)."""
    for b in range(len(batch.inputs_BT)):
        yield (
            b,
            batch.source_BS[b][batch.source_mask_BS[b]].numpy(),
            batch.inputs_BT[b][batch.mask_BT[b]].numpy(),
        )


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_seq2seq_lstm_is_the_equations(layers, reverse):
    model, batch = small("seq2seq_lstm", layers=layers, reverse_source=reverse), ragged()
    logits = model.answer(batch).detach().numpy()
    for b, source, inputs in rows(batch):
        expected = sutskever(numbers(model), source[:: -1 if reverse else 1], inputs, layers)
        np.testing.assert_allclose(logits[b, : len(inputs)], expected, rtol=1e-10, atol=1e-12)


def test_seq2seq_gru_is_the_equations():
    model, batch = small("seq2seq_gru", embedding_width=4), ragged()
    with torch.no_grad():
        for p in model.parameters():  # biases, which start at zero, must show as well
            p.add_(0.3 * torch.randn_like(p))
    logits = model.answer(batch).detach().numpy()
    for b, source, inputs in rows(batch):
        expected = cho(numbers(model), source, inputs)
        np.testing.assert_allclose(logits[b, : len(inputs)], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["seq2seq_lstm", "seq2seq_gru"])
def test_padding_on_the_left_is_the_same(name):
    model, batch = small(name), ragged()
    moved = left_padded(batch)
    torch.testing.assert_close(
        model.answer(moved)[moved.mask_BT], model.answer(batch)[batch.mask_BT]
    )


@pytest.mark.parametrize("name", ["seq2seq_lstm", "seq2seq_gru"])
def test_the_state_is_as_large_as_stated(name):
    model, batch = small(name), ragged()
    state = model.begin(batch, 5)
    assert measured_state_bytes(state) == 3 * model.state_bytes(6)


def test_weights_start_as_published():
    lstm = build("seq2seq_lstm", problem=PROBLEM, width=64, seed=0)
    for p in lstm.parameters():
        assert p.abs().max() <= 0.08
        assert p.numel() < 64 or p.abs().max() > 0.07
    gru = build("seq2seq_gru", problem=PROBLEM, width=16, seed=0)
    for block in (*gru.recurrent_FE.chunk(3), *gru.encoder.recurrent_FE.chunk(3)):
        torch.testing.assert_close(block @ block.T, torch.eye(16), atol=1e-5, rtol=0)


def test_options_that_do_not_exist_are_told():
    with pytest.raises(UserError, match="Seq2SeqLSTM option 'layers'"):
        build("seq2seq_lstm", problem=PROBLEM, width=8, options={"layers": 0})


def test_dropout_acts_in_training_alone():
    model, batch = small("seq2seq_lstm", dropout=0.5), ragged()
    torch.testing.assert_close(model.answer(batch), model.answer(batch), rtol=0, atol=0)
    model.train()
    assert not torch.allclose(model.answer(batch), model.answer(batch))


def test_flops_are_the_products_and_the_recurrence():
    model = build("seq2seq_lstm", problem=PROBLEM, width=8, options={"layers": 1})
    products = 2 * 2 * (4 * 8 * 8 + 4 * 8 * 8) + 2 * 8 * 13  # a position of each, and the logits
    assert model.flops(5) == 5 * (products + 2 * 4 * 8)


@pytest.mark.parametrize(
    ("name", "steps", "options"), [("seq2seq_lstm", 150, {"layers": 1}), ("seq2seq_gru", 80, {})]
)
def test_it_learns_to_write_words_backwards(name, steps, options):
    assert share_learned(name, steps=steps, rate=1e-2, **options) == 1.0
