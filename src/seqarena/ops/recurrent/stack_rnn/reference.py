"""The published step, once for each position, under autograd."""

import torch
from torch import Tensor
from torch.nn import functional

from seqarena.ops.recurrent.stack_rnn import (
    Nonlinearity,
    StackRNNState,
    StackRNNWeights,
    Value,
    stack_rnn,
)


@stack_rnn.truth("loop", serial_steps=lambda length: length)
def loop(
    x_BTD: Tensor,
    start: StackRNNState,
    weights: StackRNNWeights,
    lengths_B: Tensor | None,
    nonlinearity: Nonlinearity,
    value: Value,
) -> tuple[Tensor, StackRNNState]:
    """The outputs and the final state."""
    state, outputs = start, []
    for t, x_BD in enumerate(x_BTD.unbind(1)):
        after = _step(x_BD, state, weights, nonlinearity, value)
        outputs.append(after.h_BE)
        if lengths_B is not None:
            real_B = t < lengths_B
            after = StackRNNState(
                torch.where(real_B[:, None], after.h_BE, state.h_BE),
                torch.where(real_B[:, None, None, None], after.stack_BGCK, state.stack_BGCK),
            )
        state = after
    return torch.stack(outputs, dim=1), state


def _step(
    x_BD: Tensor,
    state: StackRNNState,
    weights: StackRNNWeights,
    nonlinearity: Nonlinearity,
    value: Value,
) -> StackRNNState:
    dtype, kept = weights.input_ED.dtype, state.h_BE.dtype
    stack_BGCK = state.stack_BGCK
    sum_BE = functional.linear(x_BD.to(dtype), weights.input_ED, weights.bias_E)
    sum_BE = sum_BE + functional.linear(state.h_BE.to(dtype), weights.recurrent_EE)
    top_BK = stack_BGCK[:, :, 0].flatten(1)
    sum_BE = sum_BE + functional.linear(top_BK.to(dtype), weights.top_EK)
    h_BE = getattr(torch, nonlinearity)(sum_BE.to(kept))
    acts_BF = functional.linear(h_BE.to(dtype), weights.action_FE, weights.action_bias_F).to(kept)
    actions_BG3, value_BGK = split_actions(acts_BF, stack_BGCK.shape[1])
    push, pop, keep = actions_BG3.softmax(-1)[..., None, None].unbind(2)
    value_BGK = value_BGK.sigmoid() if value == "sigmoid" else value_BGK
    pushed_BGCK = torch.cat((value_BGK[:, :, None], stack_BGCK[:, :, :-1]), dim=2)
    popped_BGCK = functional.pad(stack_BGCK[:, :, 1:], (0, 0, 0, 1))
    return StackRNNState(h_BE, push * pushed_BGCK + pop * popped_BGCK + keep * stack_BGCK)


def split_actions(acts_BF: Tensor, stacks: int) -> tuple[Tensor, Tensor]:
    """What the softmax takes, [B, G, 3], and the value to push, [B, G, K]."""
    actions_BF, values_BF = acts_BF.split((3 * stacks, acts_BF.shape[1] - 3 * stacks), dim=1)
    return actions_BF.unflatten(1, (stacks, 3)), values_BF.unflatten(1, (stacks, -1))
