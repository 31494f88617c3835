"""Our own: stacks in one buffer, moved in place, and a hand-written backward (`ops.recurrent`).

The buffer has two slots more than a stack: the value to push stands above the top, and zeros below
the bottom. A step is then one sum of three views of the step before.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.ops import recurrent
from seqarena.ops.recurrent.stack_rnn import (
    Nonlinearity,
    StackRNNState,
    StackRNNWeights,
    Value,
    stack_rnn,
)
from seqarena.ops.recurrent.stack_rnn.reference import loop, split_actions


@stack_rnn.algorithm("stepwise", serial_steps=lambda length: length)
def stepwise(
    x_BTD: Tensor,
    start: StackRNNState,
    weights: StackRNNWeights,
    lengths_B: Tensor | None,
    nonlinearity: Nonlinearity,
    value: Value,
) -> tuple[Tensor, StackRNNState]:
    """The outputs and the final state."""
    if recurrent.is_decoding(x_BTD):
        return loop(x_BTD, start, weights, lengths_B, nonlinearity, value)
    h_TBE, stack_BGCK = recurrent.apply_stepwise(
        _StepwiseStackRNN, weights.input_ED, x_BTD, *start, *weights, lengths_B, nonlinearity, value
    )
    h_BTE = h_TBE.transpose(0, 1)
    return h_BTE, StackRNNState(recurrent.pick_last(h_BTE, start.h_BE, lengths_B), stack_BGCK)


class _Walk(NamedTuple):
    """What the forward leaves for the backward; L = C + 2 slots, S = T + 1 states."""

    h_SBE: Tensor
    actions_TBG3: Tensor
    stack_SBGLK: Tensor


class _StepwiseStackRNN(torch.autograd.Function):
    """(x_TBD, h_BE, stack_BGCK, weights, lengths_B, nonlinearity, value, product dtype) ->
    (h_TBE, last stacks)."""

    @staticmethod
    def forward(
        ctx: Any,
        x_TBD: Tensor,
        h_BE: Tensor,
        stack_BGCK: Tensor,
        *arguments: Any,
    ) -> tuple[Tensor, Tensor]:
        *weights, lengths_B, nonlinearity, value, dtype = arguments
        w = StackRNNWeights(*(weight.to(dtype) for weight in weights))
        walk = _walk(x_TBD, StackRNNState(h_BE, stack_BGCK), w, nonlinearity, value)
        ctx.settings = nonlinearity, value, dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x_TBD, *walk, *weights, lengths_B)
        stacks_SBGCK = walk.stack_SBGLK[:, :, :, 1:-1]
        if lengths_B is None:
            return walk.h_SBE[1:], stacks_SBGCK[-1].clone()
        rows_B = torch.arange(len(lengths_B), device=lengths_B.device)
        return walk.h_SBE[1:], stacks_SBGCK[lengths_B, rows_B]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x_TBD, *saved, lengths_B = ctx.saved_tensors
        walk, weights = _Walk(*saved[:3]), StackRNNWeights(*saved[3:])
        nonlinearity, value, dtype = ctx.settings
        dh_TBE, dstack_BGCK = gradients
        if dh_TBE is None:
            dh_TBE = torch.zeros_like(walk.h_SBE[1:])
        with recurrent.without_autocast(x_TBD):
            w = StackRNNWeights(*(weight.to(dtype) for weight in weights))
            late = _late_gradient(dstack_BGCK, lengths_B, len(dh_TBE))
            back = _walk_back(walk, dh_TBE, late, w, nonlinearity, value)
            before_TBE, tops_TBK = walk.h_SBE[:-1], walk.stack_SBGLK[:-1, :, :, 1].flatten(2)
            pairs = (
                (back.sum_TBE, x_TBD), (back.sum_TBE, before_TBE), (back.sum_TBE, tops_TBK), None,
                (back.act_TBF, walk.h_SBE[1:]), None,
            )  # fmt: skip
            biases = {3: back.sum_TBE, 5: back.act_TBF}
            found = [
                biases[i].sum((0, 1)) if pair is None else recurrent.weight_gradient(*pair, dtype)
                for i, pair in enumerate(pairs)
            ]
            dx_TBD = (back.sum_TBE.to(dtype) @ w.input_ED).to(x_TBD.dtype)
        kinds = (weight.dtype for weight in weights)
        return (
            dx_TBD,
            back.h_BE,
            back.stack_BGCK,
            *(gradient.to(kind) for gradient, kind in zip(found, kinds)),
            *(None,) * 4,
        )


def _walk(
    x_TBD: Tensor,
    start: StackRNNState,
    w: StackRNNWeights,
    nonlinearity: Nonlinearity,
    value: Value,
) -> _Walk:
    """Every state."""
    length, batch, _ = x_TBD.shape
    _, stacks, slots, cell = start.stack_BGCK.shape
    h_SBE = start.h_BE.new_empty(length + 1, *start.h_BE.shape)
    recurrent.project_inputs(x_TBD, w.input_ED, w.bias_E, h_SBE[1:])
    h_SBE[0] = start.h_BE
    stack_SBGLK = start.stack_BGCK.new_zeros(length + 1, batch, stacks, slots + 2, cell)
    stack_SBGLK[0, :, :, 1:-1] = start.stack_BGCK
    actions_TBG3 = start.h_BE.new_empty(length, batch, stacks, 3)
    activate_ = getattr(torch, f"{nonlinearity}_")
    recurrent_EE, top_KE, action_EF = (
        recurrent.laid_out(weight, length) for weight in (w.recurrent_EE, w.top_EK, w.action_FE)
    )
    h, stack = h_SBE.unbind(0), stack_SBGLK.unbind(0)
    for t, actions_BG3 in enumerate(actions_TBG3.unbind(0)):
        recurrent.add_product(h[t + 1], h[t], recurrent_EE)
        recurrent.add_product(h[t + 1], stack[t][:, :, 1].flatten(1), top_KE)
        activate_(h[t + 1])
        acts_BF = (h[t + 1].to(action_EF.dtype) @ action_EF).to(h_SBE.dtype) + w.action_bias_F
        chosen_BG3, value_BGK = split_actions(acts_BF, stacks)
        torch.softmax(chosen_BG3, -1, out=actions_BG3)
        stack[t][:, :, 0] = value_BGK.sigmoid() if value == "sigmoid" else value_BGK
        push, pop, keep = actions_BG3[..., None, None].unbind(2)
        moved_BGCK = torch.mul(push, stack[t][:, :, :-2], out=stack[t + 1][:, :, 1:-1])
        moved_BGCK.addcmul_(pop, stack[t][:, :, 2:]).addcmul_(keep, stack[t][:, :, 1:-1])
    return _Walk(h_SBE, actions_TBG3, stack_SBGLK)


class _Gradients(NamedTuple):
    """Of the sums before f, of the actions and values before softmax and g, and of the start."""

    sum_TBE: Tensor
    act_TBF: Tensor
    h_BE: Tensor
    stack_BGCK: Tensor


def _walk_back(
    walk: _Walk,
    dh_TBE: Tensor,
    late: list[Tensor | None],
    w: StackRNNWeights,
    nonlinearity: Nonlinearity,
    value: Value,
) -> _Gradients:
    h_SBE, actions_TBG3, stack_SBGLK = walk
    slopes = _slopes(h_SBE[1:], nonlinearity).unbind(0)
    values_TBGK = stack_SBGLK[:-1, :, :, 0]
    value_slopes = values_TBGK - values_TBGK.square() if value == "sigmoid" else None
    length, batch, stacks, _ = actions_TBG3.shape
    # one buffer: first the gradients of the outputs, then those of the sums
    sum_TBE = dh_TBE.clone(memory_format=torch.contiguous_format)
    act_TBF = dh_TBE.new_empty(length, batch, len(w.action_bias_F))
    d_BGLK = torch.zeros_like(stack_SBGLK[0])  # of the stacks after the step, then before it
    for t in range(length - 1, -1, -1):
        if t + 1 < length:
            recurrent.add_product(sum_TBE[t], sum_TBE[t + 1], w.recurrent_EE)
            _add_to_top(d_BGLK, sum_TBE[t + 1], w.top_EK)
        dnew_BGCK = d_BGLK[:, :, 1:-1]
        if (more_BGCK := late[t + 1]) is not None:
            dnew_BGCK = dnew_BGCK + more_BGCK
        before_BGLK = stack_SBGLK[t]
        views = before_BGLK[:, :, :-2], before_BGLK[:, :, 2:], before_BGLK[:, :, 1:-1]
        dactions = torch.stack([(dnew_BGCK * view).sum((2, 3)) for view in views], dim=2)
        push, pop, keep = actions_TBG3[t][..., None, None].unbind(2)
        after_BGLK = torch.zeros_like(d_BGLK)
        torch.mul(push, dnew_BGCK, out=after_BGLK[:, :, :-2])
        after_BGLK[:, :, 2:].addcmul_(pop, dnew_BGCK)
        after_BGLK[:, :, 1:-1].addcmul_(keep, dnew_BGCK)
        d_BGLK = after_BGLK
        dvalue_BGK = d_BGLK[:, :, 0]
        if value_slopes is not None:
            dvalue_BGK = dvalue_BGK * value_slopes[t]
        centred = dactions - (dactions * actions_TBG3[t]).sum(2, keepdim=True)
        act_TBF[t, :, : 3 * stacks] = (centred * actions_TBG3[t]).flatten(1)
        act_TBF[t, :, 3 * stacks :] = dvalue_BGK.flatten(1)
        recurrent.add_product(sum_TBE[t], act_TBF[t], w.action_FE)
        sum_TBE[t].mul_(slopes[t])
    start_BE = torch.zeros_like(h_SBE[0])
    recurrent.add_product(start_BE, sum_TBE[0], w.recurrent_EE)
    _add_to_top(d_BGLK, sum_TBE[0], w.top_EK)
    start_BGCK = d_BGLK[:, :, 1:-1]
    return _Gradients(
        sum_TBE, act_TBF, start_BE, start_BGCK if late[0] is None else start_BGCK + late[0]
    )


def _add_to_top(d_BGLK: Tensor, sum_BE: Tensor, top_EK: Tensor) -> None:
    """What the next step read of the tops."""
    read_BK = (sum_BE.to(top_EK.dtype) @ top_EK).to(d_BGLK.dtype)
    d_BGLK[:, :, 1] += read_BK.unflatten(1, (d_BGLK.shape[1], -1))


def _slopes(h_TBE: Tensor, nonlinearity: Nonlinearity) -> Tensor:
    if nonlinearity == "relu":
        return (h_TBE > 0).to(h_TBE.dtype)
    if nonlinearity == "tanh":
        return 1 - h_TBE.square()
    return h_TBE - h_TBE.square()


def _late_gradient(
    dstack_BGCK: Tensor | None, lengths_B: Tensor | None, length: int
) -> list[Tensor | None]:
    """The gradient of each row's final stacks, at the state (of T + 1) that they are."""
    late: list[Tensor | None] = [None] * (length + 1)
    if dstack_BGCK is None:
        return late
    if lengths_B is None:
        late[length] = dstack_BGCK
        return late
    for end in lengths_B.unique().tolist():
        late[end] = dstack_BGCK * (lengths_B == end)[:, None, None, None]
    return late
