"""A network of characters whose loss and gradient do not belong together.

The longest text, "Basic RNN Implementation from Scratch". It prints the cross-entropy of
softmax(y), and back-propagates

    dy = self.outputs[t] - target

which is the gradient of half the squared error of y, without a softmax. Its back-propagation
through time is right. Finite differences show both; two trainings show what it costs.

    python examples/texts/char_rnn.py
"""

from typing import NamedTuple

import numpy as np

TEXT = "hello world this is a simple example for rnn training"  # the program's own line
WINDOW, HIDDEN, EPOCHS, RATE = 10, 50, 100, 0.1  # and its settings
LOWER_RATE = 0.02


class Weights(NamedTuple):
    """V symbols, H hidden units."""

    input_HV: np.ndarray
    recurrent_HH: np.ndarray
    output_VH: np.ndarray
    bias_H: np.ndarray
    output_bias_V: np.ndarray


class Finding(NamedTuple):
    """Errors are relative; losses are cross-entropies in nats a character."""

    error_of_printed_loss: float  # of the program's gradient against the loss that it prints
    error_of_squared_loss: float  # and against the loss that it follows
    guessing: float
    floor: float  # what is printed where the squared error is zero
    program: float  # after training with the program's gradient, at its rate
    softmax: float  # after the same training with the gradient of the printed loss
    program_lower: float  # the same two at the lower rate
    softmax_lower: float
    prints: bool  # whether the program's own line of progress can be printed


def forward(weights: Weights, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symbols [T] -> (states [T + 1, H], of which the first is zero; outputs [T, V])."""
    states = [np.zeros(len(weights.bias_H))]
    for symbol in inputs:
        a_H = weights.input_HV[:, symbol] + weights.recurrent_HH @ states[-1] + weights.bias_H
        states.append(np.tanh(a_H))
    states_TH = np.stack(states)
    return states_TH, states_TH[1:] @ weights.output_VH.T + weights.output_bias_V


def probabilities(outputs_TV: np.ndarray) -> np.ndarray:
    e_TV = np.exp(outputs_TV - outputs_TV.max(1, keepdims=True))
    return e_TV / e_TV.sum(1, keepdims=True)


def cross_entropy(outputs_TV: np.ndarray, onehot_TV: np.ndarray) -> float:
    """What the program prints: nats, summed over time."""
    return -float(np.log((probabilities(outputs_TV) * onehot_TV).sum(1)).sum())


def squared_error(outputs_TV: np.ndarray, onehot_TV: np.ndarray) -> float:
    return 0.5 * float(((outputs_TV - onehot_TV) ** 2).sum())


def through_time(
    weights: Weights, inputs: np.ndarray, states_TH: np.ndarray, dy_TV: np.ndarray
) -> Weights:
    """The gradient of every weight, from that of the outputs."""
    gradient = Weights(*map(np.zeros_like, weights))
    future_H = np.zeros(len(weights.bias_H))
    for t in reversed(range(len(inputs))):
        da_H = (1 - states_TH[t + 1] ** 2) * (weights.output_VH.T @ dy_TV[t] + future_H)
        gradient.output_VH[:] += np.outer(dy_TV[t], states_TH[t + 1])
        gradient.output_bias_V[:] += dy_TV[t]
        gradient.recurrent_HH[:] += np.outer(da_H, states_TH[t])
        gradient.input_HV[:, inputs[t]] += da_H
        gradient.bias_H[:] += da_H
        future_H = weights.recurrent_HH.T @ da_H
    return gradient


def draw_weights(symbols: int, hidden: int, scale: float) -> Weights:
    draw = np.random.default_rng(0)
    shapes = [(hidden, symbols), (hidden, hidden), (symbols, hidden)]
    matrices = [scale * draw.normal(size=shape) for shape in shapes]
    return Weights(*matrices, np.zeros(hidden), np.zeros(symbols))


def error_against(loss, weights: Weights, inputs: np.ndarray, onehot_TV: np.ndarray) -> float:
    """The program's gradient against central differences of a loss, over all weights."""
    states_TH, outputs_TV = forward(weights, inputs)
    found = through_time(weights, inputs, states_TH, outputs_TV - onehot_TV)
    expected, step = Weights(*map(np.zeros_like, weights)), 1e-5
    for weight, slope in zip(weights, expected):
        for place in np.ndindex(weight.shape):
            start, sides = weight[place], []
            for moved in (start + step, start - step):
                weight[place] = moved
                sides.append(loss(forward(weights, inputs)[1], onehot_TV))
            weight[place] = start
            slope[place] = (sides[0] - sides[1]) / (2 * step)
    found_all, expected_all = (np.concatenate([w.ravel() for w in g]) for g in (found, expected))
    return float(np.linalg.norm(found_all - expected_all) / np.linalg.norm(expected_all))


Windows = list[tuple[np.ndarray, np.ndarray]]


def trained(windows: Windows, symbols: int, rate: float, *, softmax: bool) -> float:
    """Nats a character of the last epoch, as the program sums them: before each step."""
    weights, loss = draw_weights(symbols, HIDDEN, 0.01), 0.0
    for _ in range(EPOCHS):
        loss = 0.0
        for inputs, targets in windows:
            onehot_TV = np.eye(symbols)[targets]
            states_TH, outputs_TV = forward(weights, inputs)
            loss += cross_entropy(outputs_TV, onehot_TV)
            answers_TV = probabilities(outputs_TV) if softmax else outputs_TV
            gradient = through_time(weights, inputs, states_TH, answers_TV - onehot_TV)
            for weight, slope in zip(weights, gradient):
                weight -= rate * np.clip(slope, -5, 5)
    return loss / (len(windows) * WINDOW)


def printable(loss: np.ndarray) -> bool:
    """Whether `f"{loss:.4f}"` works: the program's loss is an array of one number."""
    try:
        return bool(f"{loss:.4f}")
    except TypeError:
        return False


def show(found: Finding) -> None:
    exact = "none" if found.error_of_squared_loss < 1e-6 else "some"
    diverged = "worse than guessing" if found.softmax > found.guessing else f"{found.softmax:.2f}"
    print(f"error of its gradient for the printed loss: {found.error_of_printed_loss:.0%}")
    print(f"error of its gradient for the squared error: {exact}")
    print(f"nats a character, guessing: {found.guessing:.2f}")
    print(f"nats a character, where the squared error is zero: {found.floor:.2f}")
    print(f"trained at its rate {RATE}: its gradient {found.program:.2f}, softmax's {diverged}")
    print(
        f"trained at {LOWER_RATE}: its gradient {found.program_lower:.2f}, "
        f"softmax's {found.softmax_lower:.2f}"
    )
    print(f"its line of progress can be printed: {'yes' if found.prints else 'no'}")


def main() -> Finding:
    alphabet = sorted(set(TEXT))
    tokens = np.array([alphabet.index(letter) for letter in TEXT])
    symbols = len(alphabet)
    windows = [
        (tokens[i : i + WINDOW], tokens[i + 1 : i + WINDOW + 1])
        for i in range(len(tokens) - WINDOW)
    ]
    inputs, targets = windows[0]
    small, onehot_TV = draw_weights(symbols, 8, 0.5), np.eye(symbols)[targets]
    found = Finding(
        error_against(cross_entropy, small, inputs, onehot_TV),
        error_against(squared_error, small, inputs, onehot_TV),
        float(np.log(symbols)),
        cross_entropy(np.eye(symbols)[:1], np.eye(symbols)[:1]),
        *(
            trained(windows, symbols, rate, softmax=softmax)
            for rate in (RATE, LOWER_RATE)
            for softmax in (False, True)
        ),
        printable(np.array([1.0])),
    )
    show(found)
    return found


if __name__ == "__main__":
    main()
