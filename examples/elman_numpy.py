"""An Elman network from scratch: NumPy alone, forward and back-propagation through time by hand.

    a_t = W_xh x_t + W_hh h_{t-1} + b_h
    h_t = tanh(a_t)                                          Elman 1990
    y_t = W_hy h_t + b_y
    L   = - sum_t log softmax(y_t)[target_t]

Backwards in time (Rumelhart, Hinton and Williams 1986; Werbos 1990), with g_t = dL / dh_t:

    dL/dy_t = softmax(y_t) - onehot(target_t)
    g_t     = W_hy^T dL/dy_t + W_hh^T ((1 - h_{t+1}^2) * g_{t+1})     the second term: the future
    dL/da_t = (1 - h_t^2) * g_t

and every weight's gradient is a sum over time of an outer product. That second term is the chain of
factors in which gradients vanish or explode: one W_hh^T and one (1 - h^2) a step.

Run it: it learns the text below, letter by letter, and writes it out again.

    python examples/elman_numpy.py

`tests/test_examples.py` holds every gradient against automatic differentiation in float64.
"""

from typing import NamedTuple

import numpy as np

TEXT = "the past is what the state remembers; "


class Weights(NamedTuple):
    """V symbols, H hidden units."""

    input_HV: np.ndarray
    recurrent_HH: np.ndarray
    bias_H: np.ndarray
    output_VH: np.ndarray
    output_bias_V: np.ndarray


def initial_weights(symbols: int, hidden: int, seed: int) -> Weights:
    """Small for the inputs; orthogonal for the recurrence, so that its products keep their size."""
    draw = np.random.default_rng(seed)
    orthogonal_HH, _ = np.linalg.qr(draw.normal(size=(hidden, hidden)))
    return Weights(
        draw.normal(size=(hidden, symbols)) / np.sqrt(symbols),
        orthogonal_HH,
        np.zeros(hidden),
        draw.normal(size=(symbols, hidden)) / np.sqrt(hidden),
        np.zeros(symbols),
    )


def forward(weights: Weights, inputs: np.ndarray, h_H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symbols [T] -> (states [T + 1, H], the first of them the start; logits [T, V])."""
    states = [h_H]
    for symbol in inputs:
        # W_xh times a one-hot vector is a column of W_xh
        a_H = weights.input_HV[:, symbol] + weights.recurrent_HH @ states[-1] + weights.bias_H
        states.append(np.tanh(a_H))
    states_TH = np.stack(states)
    return states_TH, states_TH[1:] @ weights.output_VH.T + weights.output_bias_V


def loss_and_gradients(
    weights: Weights, inputs: np.ndarray, targets: np.ndarray, h_H: np.ndarray
) -> tuple[float, Weights]:
    """The loss in nats, summed over time, and its gradient for every weight."""
    states_TH, logits_TV = forward(weights, inputs, h_H)
    shifted_TV = logits_TV - logits_TV.max(1, keepdims=True)
    log_probability_TV = shifted_TV - np.log(np.exp(shifted_TV).sum(1, keepdims=True))
    steps = np.arange(len(inputs))
    loss = -log_probability_TV[steps, targets].sum()

    gradient = Weights(*[np.zeros_like(weight) for weight in weights])
    dy_TV = np.exp(log_probability_TV)
    dy_TV[steps, targets] -= 1.0
    from_the_future_H = np.zeros_like(h_H)
    for t in reversed(steps):
        h_before_H, h_after_H = states_TH[t], states_TH[t + 1]
        gradient.output_VH[:] += np.outer(dy_TV[t], h_after_H)
        gradient.output_bias_V[:] += dy_TV[t]
        dh_H = weights.output_VH.T @ dy_TV[t] + from_the_future_H
        da_H = (1.0 - h_after_H**2) * dh_H
        gradient.recurrent_HH[:] += np.outer(da_H, h_before_H)
        gradient.input_HV[:, inputs[t]] += da_H
        gradient.bias_H[:] += da_H
        from_the_future_H = weights.recurrent_HH.T @ da_H
    return float(loss), gradient


def train(text: str, *, hidden: int = 32, steps: int = 400, rate: float = 0.1) -> str:
    """Learns a text by heart with Adagrad; returns what it then writes from its first letter."""
    alphabet = sorted(set(text))
    tokens = np.array([alphabet.index(letter) for letter in text])
    inputs, targets = tokens, np.roll(tokens, -1)  # after the last letter, the first again
    weights = initial_weights(len(alphabet), hidden, seed=0)
    squares = [np.zeros_like(weight) for weight in weights]
    for step in range(steps):
        loss, gradient = loss_and_gradients(weights, inputs, targets, np.zeros(hidden))
        for weight, slope, square in zip(weights, gradient, squares):
            square += slope**2
            weight -= rate * slope / np.sqrt(square + 1e-8)
        if step % 50 == 0:
            print(f"step {step:3d}  {loss / len(text):.3f} nats a letter")
    return write(weights, tokens[0], len(text), alphabet)


def write(weights: Weights, first: int, count: int, alphabet: list[str]) -> str:
    """The likeliest letter, again and again, each fed back as the next input."""
    h_H, symbol, written = np.zeros(len(weights.bias_H)), int(first), [alphabet[first]]
    for _ in range(count - 1):
        states_TH, logits_TV = forward(weights, np.array([symbol]), h_H)
        h_H, symbol = states_TH[-1], int(logits_TV[-1].argmax())
        written.append(alphabet[symbol])
    return "".join(written)


if __name__ == "__main__":
    print(train(TEXT))
