"""torch.export: a `.pt2` with rows and positions free, which `torch.export.load` reads without this
package.

    logits_BTV, *state = torch.export.load("model.pt2").module()(inputs_BT, *state)
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from seqarena.core.errors import UserError, one_line
from seqarena.models.export import compared
from seqarena.models.export.graph import step_graph
from seqarena.models.export.loop import loop_program
from seqarena.models.export.onnx_file import METADATA, Written
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


def write_torch(model: Model, path: Path, about: dict[str, Any]) -> Written:
    """Exports `model` to `path` and runs what was read back beside it. `about` is the extra file
    `seqarena` in it, as JSON.

    Raises UserError for a model that has no such form, and for a file whose numbers differ (it is
    not kept).
    """
    step = step_graph(model)
    names = tuple(state.name for state in step.states)
    difference = compared.keep_if_equal(
        path,
        ".pt2",
        lambda fresh: save_program(loop_program(step), fresh, {**about, "state": names}),
        lambda fresh: compared.largest_difference(model, step, torch_runner(fresh)),
    )
    return Written(path, difference, names)


def save_program(program: ExportedProgram, path: Path, about: dict[str, Any]) -> None:
    """`about` is the extra file `seqarena` in it, as JSON."""
    content = json.dumps(about, sort_keys=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path, extra_files={METADATA: content})


def torch_runner(path: Path) -> compared.Runner:
    """Tensors in and tensors out, by the program that the file holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.export.load(path).module()

    def run(*tensors: Tensor) -> Sequence[Tensor]:
        try:
            with torch.no_grad():
                return module(*tensors)
        except Exception as error:  # a guard of the program, say
            raise UserError(
                f"torch.export's program does not run: {one_line(error)[:200]}"
            ) from error

    return run
