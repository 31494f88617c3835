"""The step in a loop over time, as one program of torch.export: any number of rows and positions.

    logits_BTV, *state = program(inputs_BT, *state)

Caches that grow come in as long as what was read, and leave longer by T positions. The loop is
torch's `scan`, which torch.onnx turns into a `Scan`.
"""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.export import Dim, ExportedProgram

from seqarena.core.errors import UserError, one_line
from seqarena.models.export.graph import StepGraph

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class Loop(nn.Module):
    """Reads T positions by one step after the other."""

    def __init__(self, step: StepGraph) -> None:
        super().__init__()
        self.step = copy.deepcopy(step.module)
        for name, buffer in self.step.named_buffers():  # of a loop's, no two may share memory
            setattr(self.step, name, buffer.contiguous().clone())
        self.grows = tuple(state.grows for state in step.states)

    def forward(self, inputs_BT: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        length = inputs_BT.shape[1]
        given = [_with_room(x, axis, length) for x, axis in zip(state, self.grows)]

        def one(carried: list[Tensor], input_B: Tensor) -> tuple[list[Tensor], Tensor]:
            logits_BV, *after = self.step(input_B, *carried)
            return [x.clone() for x in after], logits_BV.clone()

        after, logits_TBV = cast("Any", scan(one, given, inputs_BT.transpose(0, 1), dim=0))
        return logits_TBV.transpose(0, 1), *after


def _with_room(state: Tensor, axis: int | None, length: int) -> Tensor:
    if axis is None:
        return state
    shape = [length if i == axis else n for i, n in enumerate(state.shape)]
    return torch.cat((state, state.new_zeros(shape)), axis)


def loop_inputs(step: StepGraph) -> tuple[Tensor, ...]:
    """Inputs and states of the sizes that are traced."""
    inputs = step.example[:, None].expand(2, 5, *step.example.shape[1:]).clone()
    return inputs, *(state.initial(2, 3) for state in step.states)


def loop_program(step: StepGraph) -> ExportedProgram:
    """The loop with rows, positions and caches of any size. Raises UserError where torch cannot."""
    rows, length, past = Dim("rows"), Dim("length"), Dim("past")
    sizes = tuple(
        {0: rows} | ({} if state.grows is None else {state.grows: past}) for state in step.states
    )
    try:
        return torch.export.export(
            Loop(step),
            loop_inputs(step),
            dynamic_shapes=({0: rows, 1: length}, sizes),
            strict=True,
        )
    except Exception as error:
        raise UserError(f"torch.export cannot trace its loop: {one_line(error)[:200]}") from error
