"""The files of what reads its whole input, ONNX or `.pt2`: one graph, or the encoder and the step
of what writes from a source.

    NAME.onnx            (input, lengths, ...) -> logits
    NAME/encoder.onnx    (source, lengths) -> STATE ...
    NAME/step.onnx       (input, STATE ...) -> logits, next_STATE ...
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.models.export import compared
from seqarena.models.export.onnx_file import METADATA, Written, check_packages, onnx_runner
from seqarena.models.export.torch_file import save_program, torch_runner
from seqarena.models.export.whole.compared import Run, difference_of_pairs, difference_of_whole
from seqarena.models.export.whole.graph import WholeGraph, pair_graphs, whole_graph
from seqarena.models.export.whole.torch_program import whole_program
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py


class _Form(NamedTuple):
    """How a graph is written with what it says about itself, and how the file is run."""

    suffix: str
    write: Callable[[WholeGraph, Path, dict[str, Any]], None]
    run: Callable[[Path], Run]


def write_whole(model: Model, to: str, path: Path, about: dict[str, Any]) -> Written:
    """Writes one file and runs it beside the model. `about` goes into its metadata.

    Raises UserError for a missing package, a model that has no such form, and a file whose numbers
    differ (it is not kept).
    """
    form, graph = _form(to), whole_graph(model)
    difference = compared.keep_if_equal(
        path,
        form.suffix,
        lambda fresh: form.write(graph, fresh, about),
        lambda fresh: difference_of_whole(model, form.run(fresh)),
    )
    return Written(path, difference, ())


def write_pairs(model: Model, to: str, path: Path, about: dict[str, Any]) -> Written:
    """Writes both files into the folder `path`, and runs them beside the model. Raises as
    `write_whole` does; what was made by then is not kept."""
    form, graphs = _form(to), pair_graphs(model)
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    places = [path / f"{part}{form.suffix}" for part in ("encoder", "step")]
    fresh = [place.with_name(f"{place.stem}.new{form.suffix}") for place in places]
    states = graphs.encoder.outputs
    try:
        for graph, place in zip((graphs.encoder, graphs.step), fresh):
            form.write(graph, place, {**about, "state": states})
        encoder, step = (form.run(place) for place in fresh)
        difference = difference_of_pairs(model, encoder, step, graphs)
        compared.check(str(path), difference)
        for old, new in zip(fresh, places):
            old.replace(new)
    finally:
        for place in fresh:
            place.unlink(missing_ok=True)
        if made and not any(path.iterdir()):
            path.rmdir()
    return Written(path, difference, states)


def _form(to: str) -> _Form:
    if to == "torch":
        return _Form(".pt2", _write_torch, torch_runner)
    check_packages()
    return _Form(".onnx", _write_onnx, onnx_runner)


def _facts(graph: WholeGraph, about: dict[str, Any]) -> dict[str, Any]:
    return {**about, "inputs": [port.name for port in graph.inputs], "outputs": graph.outputs}


def _write_onnx(graph: WholeGraph, path: Path, about: dict[str, Any]) -> None:
    import onnx

    from seqarena.models.export.onnx_graph import OPSET
    from seqarena.models.export.whole.onnx import onnx_whole

    facts = {**_facts(graph, about), "opset": OPSET}
    onnx.save(onnx_whole(graph, {METADATA: json.dumps(facts, sort_keys=True)}), str(path))


def _write_torch(graph: WholeGraph, path: Path, about: dict[str, Any]) -> None:
    save_program(whole_program(graph), path, _facts(graph, about))
