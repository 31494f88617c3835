"""ONNX: one file, rows and positions free, the state as inputs and outputs.

    input [rows, length], STATE ...  ->  logits [rows, length, V], next_STATE ...

Layers read all positions at once, and what walks along time is a `Scan` (whole/continued.py). A
stream continues when each next_STATE goes in as STATE. Needs the extra `export`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqarena.core.errors import UserError, missing_extra, one_line
from seqarena.models.export import compared
from seqarena.models.model import Model
from seqarena.ops.registry import installed

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
METADATA = "seqarena"  # the key of what the file says about itself, a JSON object
_PACKAGES = ("onnx", "onnxruntime")


class Written(NamedTuple):
    """A file that was written and held against the model."""

    path: Path
    difference: float  # the largest, relative to the model's largest logit
    states: tuple[str, ...]


def write_onnx(model: Model, path: Path, about: dict[str, Any]) -> Written:
    """Exports `model` to `path` and runs the file by onnxruntime beside it. `about` goes into the
    metadata, as JSON.

    Raises UserError for a missing package, a model that has no such form, and a file whose
    numbers differ (it is not kept).
    """
    check_packages()
    import onnx

    from seqarena.models.export.onnx_graph import OPSET
    from seqarena.models.export.whole.continued import continued_graph
    from seqarena.models.export.whole.onnx import onnx_whole

    graph, step = continued_graph(model)
    names = [state.name for state in step.states]
    content = {METADATA: json.dumps({**about, "state": names, "opset": OPSET}, sort_keys=True)}
    difference = compared.keep_if_equal(
        path,
        ".onnx",
        lambda fresh: onnx.save(onnx_whole(graph, content), str(fresh)),
        lambda fresh: compared.largest_difference(model, step, onnx_runner(fresh)),
    )
    return Written(path, difference, tuple(names))


def check_packages() -> None:
    """Raises UserError, with the command that installs it, for a package that is missing."""
    for package in _PACKAGES:
        if not installed(package):
            raise missing_extra(package, "export", "ONNX")


def runtime_version() -> str:
    """Of onnxruntime."""
    import onnxruntime

    return str(onnxruntime.__version__)


def onnx_session(source: Path | bytes, threads: int = 1) -> Any:
    """A file, or what would be in one, in onnxruntime on the CPU. Raises UserError where it cannot
    be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    given = source if isinstance(source, bytes) else str(source)
    try:
        return onnxruntime.InferenceSession(given, options, ["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"onnxruntime cannot load it: {one_line(error)[:200]}") from error


def outputs_of(session: Any, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors in, under these names of inputs, and tensors out."""
    given = {name: x.contiguous().numpy() for name, x in zip(names, tensors, strict=True)}
    return [torch.from_numpy(array) for array in session.run(None, given)]


def onnx_runner(path: Path) -> compared.Runner:
    """Tensors in, in the order of the file's inputs, and tensors out, by onnxruntime."""
    session = onnx_session(path)
    names = [one.name for one in session.get_inputs()]

    def run(*tensors: Tensor) -> Sequence[Tensor]:
        try:
            return outputs_of(session, names, tensors)
        except Exception as error:
            raise UserError(f"onnxruntime cannot run it: {one_line(error)[:200]}") from error

    return run
