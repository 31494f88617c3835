"""The tasks by name. Torch is loaded when a task is built, not before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from seqarena.core.errors import UserError, unknown_name
from seqarena.tasks.configs import CopyingConfig, LanguageConfig, MQARConfig, TaskConfig

if TYPE_CHECKING:
    from seqarena.tasks.base import Task

TASKS: dict[str, str] = {
    "language": "predict the next token of your text; bits per byte, lower is better",
    "copying": "repeat symbols after a blank stretch; accuracy, higher is better",
    "mqar": "look up keys seen before (multi-query associative recall); accuracy",
}
_CONFIG: TypeAdapter[Any] = TypeAdapter(TaskConfig)


def parse_task(fields: Mapping[str, Any]) -> TaskConfig:
    """The configuration that the fields describe; `kind` names the task.

    Raises UserError with one line for an unknown task, an unknown field or a bad value.
    """
    kind = fields.get("kind")
    if kind not in TASKS:
        raise unknown_name("task", str(kind), TASKS)
    try:
        return _CONFIG.validate_python(dict(fields))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][1])  # behind the tag of the union
        if first["type"] == "extra_forbidden":
            known = set(_CONFIG_CLASSES[kind].model_fields) - {"kind"}
            raise unknown_name(f"setting of task {kind}", field, known) from error
        raise UserError(
            f"task {kind}: {field} = {first['input']!r}: {first['msg'].lower()}"
        ) from error


def build_task(config: TaskConfig) -> "Task":
    """The task that a configuration describes. Raises UserError when its data do not fit it."""
    if isinstance(config, LanguageConfig):
        from seqarena.tasks.language import LanguageTask

        return LanguageTask(config)
    if isinstance(config, CopyingConfig):
        from seqarena.tasks.copying import CopyingTask

        return CopyingTask(config)
    if isinstance(config, MQARConfig):
        from seqarena.tasks.mqar import MQARTask

        return MQARTask(config)
    raise TypeError(f"not a task's configuration: {type(config).__name__}")


_CONFIG_CLASSES = {"language": LanguageConfig, "copying": CopyingConfig, "mqar": MQARConfig}
