"""What is asked of a model: tasks, their data as batches, their metric as scores."""

from seqarena.core.doors import make_callable
from seqarena.tasks.configs import CopyingConfig, LanguageConfig, MQARConfig, TaskConfig
from seqarena.tasks.registry import TASKS, build_task, parse_task

__all__ = [
    "TASKS",
    "CopyingConfig",
    "LanguageConfig",
    "MQARConfig",
    "TaskConfig",
    "build_task",
    "parse_task",
]

make_callable(__name__)
