"""A simple recurrent network beside stacks of fixed depth, in two forms (`ops.recurrent`).

    h_t     = f(W x_t + U h_{t-1} + P top_{t-1} + b)       top: slot 0 of every stack
    a, v    = O h_t + b_o;  push, pop, no-op = softmax(a);  value = g(v)          for each stack
    s_t[0]  = push value + pop s_{t-1}[1] + no-op s_{t-1}[0]
    s_t[i]  = push s_{t-1}[i-1] + pop s_{t-1}[i+1] + no-op s_{t-1}[i]

What is below the last slot is lost, and zeros come up from there. Letters: `ops.recurrent`, and
G stacks, C slots of a stack, K numbers of a slot. Source: Joulin and Mikolov 2015, equations 2-6.
"""

from typing import Literal, NamedTuple

from torch import Tensor

from seqarena.ops.registry import operation, register_files

Nonlinearity = Literal["sigmoid", "tanh", "relu"]
Value = Literal["sigmoid", "linear"]


class StackRNNWeights(NamedTuple):
    """Of the hidden state, and of what acts on the stacks: a row of `action_FE` for each of push,
    pop and no-op, then one for each number of a slot, stack after stack (F = G (3 + K))."""

    input_ED: Tensor
    recurrent_EE: Tensor
    top_EK: Tensor  # the slots 0 of all stacks side by side
    bias_E: Tensor
    action_FE: Tensor
    action_bias_F: Tensor


class StackRNNState(NamedTuple):
    """The hidden state, and the stacks with their tops first."""

    h_BE: Tensor
    stack_BGCK: Tensor


@operation("stack_rnn")
def stack_rnn(
    x_BTD: Tensor,
    start: StackRNNState,
    weights: StackRNNWeights,
    lengths_B: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity,
    value: Value,
    algorithm: str = "auto",
) -> tuple[Tensor, StackRNNState]:
    """x_BTD [B, T, D], right-padded where `lengths_B` says so -> (h_BTE, final state).

    The start's dtype is the one that the recurrence is kept in. Outputs beyond a row's length are
    free; its final state is that after its last real position. Raises UserError for an unknown
    algorithm.
    """
    form = stack_rnn.form(algorithm, x_BTD)
    return form(x_BTD, start, weights, lengths_B, nonlinearity, value)


register_files(__name__, __path__)
