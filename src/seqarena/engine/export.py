"""`export`: a trained model as a file that runs without seqarena."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seqarena.core.errors import UserError
from seqarena.core.version import __version__
from seqarena.models.export.forms import SUFFIXES, Exported, export_model, form_of
from seqarena.models.export.step import reads
from seqarena.models.model import Model
from seqarena.train.checkpoint import Checkpoint
from seqarena.use.evaluate import evaluate_model
from seqarena.use.loading import load_model

if TYPE_CHECKING:
    from seqarena.engine.trained import TrainedModel


def export(
    trained: "TrainedModel",
    out: str | Path | None,
    *,
    to: str | None,
    precision: str,
    max_length: int,
) -> Exported:
    """See `TrainedModel.export`."""
    if to is not None and to not in SUFFIXES:
        raise UserError(f"form {to!r}: use {', '.join(SUFFIXES)}")
    to = to or ("onnx" if out is None else form_of(Path(out)))
    name = trained.architecture
    path = Path(out or (f"{name}{SUFFIXES[to]}" if SUFFIXES[to] else f"{name}-hf"))
    checkpoint, model = load_model(trained.path)
    try:
        done = export_model(
            model, to, path, about=facts(checkpoint, model), precision=precision,
            max_length=max_length,
        )  # fmt: skip
    except UserError as error:
        raise UserError(f"{name} to {to}: {error}") from error
    if done.rounded is None:
        return done
    return done._replace(notes=(*done.notes, _loss_of_rounding(checkpoint, model, done.rounded)))


def facts(checkpoint: Checkpoint, model: Model) -> dict[str, Any]:
    """What a file says about itself: architecture, task, sizes, and what turns text into numbers
    and answers into words (tokenizer, classes, normalisation)."""
    about = checkpoint.about
    return {
        "seqarena": __version__,
        "architecture": about["architecture"],
        "task": about["task"],
        "artifacts": about["artifacts"],
        "problem": model.problem.model_dump(mode="json"),
        "parameters": model.num_parameters,
        "reads": reads(model),
        "weights_sha256": checkpoint.weights_sha256,
    }


def _loss_of_rounding(checkpoint: Checkpoint, model: Model, rounded: Model) -> str:
    """The test metric with the weights of the model and with those of the file."""
    other = checkpoint.model()
    own = dict(other.named_parameters())
    with torch.no_grad():
        for name, parameter in rounded.named_parameters():
            own[name].copy_(parameter)
    try:
        before, after = (evaluate_model(checkpoint, one) for one in (model, other))
    except UserError as error:
        return f"what int8 costs was not measured: {error}"
    return (
        f"test {before.metric}: {before.value:.4f} in float32, {after.value:.4f} in int8 "
        f"({after.value - before.value:+.4f})"
    )
