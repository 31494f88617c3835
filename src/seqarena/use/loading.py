"""A checkpoint and its model, fit for use, and what a user gives to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.core.options import typed
from seqarena.models.model import Model
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.registry import parse_task, task_class
from seqarena.train.checkpoint import Checkpoint, load


def load_model(directory: Path) -> tuple[Checkpoint, Model]:
    """The checkpoint and its model, in evaluation mode.

    Raises UserError for a damaged checkpoint, and for weights that are no numbers.
    """
    checkpoint = load(directory)
    model = checkpoint.model()
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise UserError(
                f"{directory}: the weights in {name!r} are no numbers, since the training "
                "diverged: train again with a lower --rate"
            )
    return checkpoint, model


def read_as(config: TaskConfig, settings: Mapping[str, Any]) -> TaskConfig:
    """The task's configuration with other settings of how files are read.

    Raises UserError for a setting that says something else: the model was trained with it.
    """
    known = task_class(config.kind).reading_settings
    for name in settings:
        if name not in known:
            allowed = f"only {', '.join(known)} can change" if known else "none can change"
            raise UserError(
                f"setting {name!r}: of task {config.kind} {allowed} once a model is trained"
            )
    return parse_task({**config.model_dump(), **typed(type(config), settings)})


def check_text(text: str, what: str = "the input") -> None:
    """Raises UserError for a text that is not UTF-8: bytes of another encoding in a command line
    or on standard input come as half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{what} is not UTF-8 text: a stray byte at character {error.start + 1}: convert it"
        ) from error
