"""The forms that a trained model leaves in, by name: what `seqarena export --to` knows."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.words import plural
from seqarena.models.export import compared
from seqarena.models.export.c.check import compiler, run_test_vector
from seqarena.models.export.c.check import largest_difference as c_difference
from seqarena.models.export.c.source import CSource, c_source, identifier
from seqarena.models.export.onnx_file import write_onnx
from seqarena.models.export.step import why_no_step
from seqarena.models.export.torch_file import write_torch
from seqarena.models.export.whole.files import write_pairs, write_whole
from seqarena.models.model import Model

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "c": ".c", "hf": ""}  # form -> of its file


class Exported(NamedTuple):
    """A file or folder that was written. `difference` is the largest from the model's logits,
    relative to their largest; None where nothing here could run it (`notes` say so)."""

    path: Path
    to: str
    difference: float | None
    notes: tuple[str, ...]
    rounded: Model | None = None  # of int8: the model with the numbers of the file


def export_model(
    model: Model,
    to: str,
    path: Path,
    *,
    about: dict[str, Any] | None = None,
    precision: str = "float32",
    max_length: int = 1024,
) -> Exported:
    """Writes `model` to `path` as onnx, torch, c or hf, and holds the file against the model.

    `about` goes into the file's metadata. Of C alone: `precision` is float32 or int8, `max_length`
    the positions that a growing cache has room for. Raises UserError for a form that the model
    cannot have, with the reason, and for a file whose numbers differ (it is not kept).
    """
    if to not in SUFFIXES:
        raise unknown_name("form", to, SUFFIXES)
    if to != "c" and precision != "float32":
        raise UserError(f"precision {precision!r} is for --to c; {to} keeps float32")
    path.parent.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    if to == "hf":
        return _hf(model, path)
    if to == "c":
        return _c(model, path, about or {}, precision, max_length)
    return _graph(model, to, path, about or {})


def _graph(model: Model, to: str, path: Path, about: dict[str, Any]) -> Exported:
    """By its step where it has one; else its whole input, or encoder and step in a folder."""
    if why_no_step(model) is None:
        written = (write_onnx if to == "onnx" else write_torch)(model, path, about)
        notes = (f"state: {', '.join(written.states) or 'none'}",)
    elif model.problem.form == "pairs":
        written = write_pairs(model, to, path.with_suffix(""), about)
        notes = (f"encoder and step, one position each; state: {', '.join(written.states)}",)
    else:
        written = write_whole(model, to, path, about)
        notes = ("reads its whole input: there is no state to carry on",)
    return Exported(written.path, to, written.difference, notes)


def _hf(model: Model, path: Path) -> Exported:
    """The folder, read back and run beside the model."""
    from seqarena.models.exchange import huggingface

    huggingface.save(cast("Any", model), path)
    again: Any = huggingface.load(path, say=lambda note: None)
    tokens = torch.arange(14).view(2, 7) % model.problem.vocab_size
    batch = Batch(tokens, torch.zeros_like(tokens))
    with torch.no_grad():
        expected, found = model.answer(batch), again.eval().answer(batch)
    scale = expected.abs().max().clamp(min=1.0)
    difference = float((found - expected).abs().max() / scale)
    compared.check(str(path), difference)
    return Exported(path, "hf", difference, ("transformers reads the folder: from_pretrained",))


def _c(
    model: Model, path: Path, about: dict[str, Any], precision: str, max_length: int
) -> Exported:
    name = identifier(path.stem)
    title = f"{about.get('architecture', name)}, {precision}, {model.num_parameters:,} parameters"
    source = c_source(model, name, precision=precision, max_length=max_length, about=title)
    notes = [
        f"flash {source.flash_bytes:,} bytes of weights; RAM {source.state_bytes:,} bytes of state "
        f"and {source.scratch_bytes:,} of stack"
    ]
    difference = None
    if compiler() is None:
        notes.append("there is no C compiler here: the test vector in the file was not run")
    else:
        difference = _compared(source, name, max_length)
        compared.check(str(path), difference)
    path.write_text(source.text, encoding="utf-8")
    rounded = cast("Model", source.step.model) if precision == "int8" else None
    return Exported(path, "c", difference, tuple(notes), rounded)


def _compared(source: CSource, name: str, max_length: int) -> float:
    """The file against torch with the same weights, over a text; and by its own test vector."""
    length = min(max(compared.LENGTHS), max_length)
    inputs = compared.random_inputs(source.step, 1, length)
    expected = compared.by_steps(source.step, inputs)[0]
    return max(run_test_vector(source, name), c_difference(source, name, inputs[0], expected))


def form_of(path: Path) -> str:
    """The form that a file's name asks for. Raises UserError for one that asks for none."""
    for to, suffix in SUFFIXES.items():
        if suffix and path.suffix == suffix:
            return to
    known = ", ".join(f"{suffix} ({to})" for to, suffix in SUFFIXES.items() if suffix)
    raise UserError(
        f"{path} does not say in which form: name one of {known}, or give --to "
        f"({plural(len(SUFFIXES), 'form')}: {', '.join(SUFFIXES)})"
    )
