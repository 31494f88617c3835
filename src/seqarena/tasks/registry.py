"""The tasks by name. Torch is loaded when a task is built, not before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from seqarena.core.config import load_object
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.user_code import is_own, load_class
from seqarena.tasks import configs
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.events.configs import EventsConfig
from seqarena.tasks.passages import configs as configs_passages
from seqarena.tasks.probes import configs as configs_probes
from seqarena.tasks.series import configs as configs_series
from seqarena.tasks.signals import configs as configs_signals
from seqarena.tasks.windows.configs import WindowsConfig

if TYPE_CHECKING:
    from seqarena.tasks.base import Codec, Task

NUMBERS_DEPEND_ON_THIS = False  # a job takes its own task's module (jobs/sources.py)


class TaskRow(NamedTuple):
    """One kind of task: what it asks, its configuration, its class and its codec's class."""

    idea: str
    config: type[TaskConfig]
    task: str  # package.module:Class
    codec: str | None = None  # of tasks whose answers a user can ask for


_ROWS = {
    "language": TaskRow(
        "predict the next token of your text; bits per byte, lower is better",
        configs.LanguageConfig, "seqarena.tasks.text.language:LanguageTask",
    ),
    "masked_language": TaskRow(
        "guess the hidden tokens of your text; bits a hidden byte, lower is better",
        configs.MaskedLanguageConfig, "seqarena.tasks.text.masked_language:MaskedLanguageTask",
        "seqarena.tasks.text.masked_language:MaskedLanguageCodec",
    ),
    "copying": TaskRow(
        "repeat symbols after a blank stretch; accuracy, higher is better",
        configs.CopyingConfig, "seqarena.tasks.probes.copying:CopyingTask",
    ),
    "mqar": TaskRow(
        "look up keys seen before (multi-query associative recall); accuracy",
        configs.MQARConfig, "seqarena.tasks.probes.mqar:MQARTask",
    ),
    "selective_copying": TaskRow(
        "repeat symbols that lie scattered among blanks; accuracy",
        configs_probes.SelectiveCopyingConfig,
        "seqarena.tasks.probes.selective_copying:SelectiveCopyingTask",
    ),
    "adding": TaskRow(
        "the sum of the two marked numbers of a sequence; mean squared error, lower is better",
        configs_probes.AddingConfig, "seqarena.tasks.probes.adding:AddingTask",
    ),
    "parity": TaskRow(
        "whether the ones of a bit string are odd, on strings longer than trained on; accuracy",
        configs_probes.ParityConfig, "seqarena.tasks.probes.state_tracking:ParityTask",
    ),
    "modular_arithmetic": TaskRow(
        "the value modulo 5 of an expression, on expressions longer than trained on; accuracy",
        configs_probes.ModularArithmeticConfig,
        "seqarena.tasks.probes.state_tracking:ModularArithmeticTask",
    ),
    "induction": TaskRow(
        "what followed a special symbol, in sequences longer than trained on; accuracy",
        configs_probes.InductionConfig, "seqarena.tasks.probes.induction:InductionTask",
    ),
    "word_problem": TaskRow(
        "the product so far of permutations, in sequences longer than trained on; accuracy",
        configs_probes.WordProblemConfig, "seqarena.tasks.probes.word_problem:WordProblemTask",
    ),
    "string_copying": TaskRow(
        "repeat a string, longer than any trained on; accuracy",
        configs_probes.StringCopyingConfig,
        "seqarena.tasks.probes.string_copying:StringCopyingTask",
    ),
    "reverse_string": TaskRow(
        "write a string backwards, longer than any trained on; accuracy",
        configs_probes.ReverseStringConfig, "seqarena.tasks.probes.strings:ReverseStringTask",
    ),
    "stack_manipulation": TaskRow(
        "what a stack holds after pushes and pops, more than ever trained on; accuracy",
        configs_probes.StackManipulationConfig,
        "seqarena.tasks.probes.strings:StackManipulationTask",
    ),
    "bucket_sort": TaskRow(
        "sort a string over a small alphabet, longer than any trained on; accuracy",
        configs_probes.BucketSortConfig, "seqarena.tasks.probes.strings:BucketSortTask",
    ),
    "mad": TaskRow(
        "one of six small skills: recall, copying, compression, memory (MAD); accuracy",
        configs_probes.MADConfig, "seqarena.tasks.probes.mad.task:MADTask",
    ),
    "text_copy": TaskRow(
        "repeat the first symbols after noise of the same alphabet; accuracy",
        configs_probes.TextCopyConfig, "seqarena.tasks.probes.text_copy:TextCopyTask",
    ),
    "algorithms": TaskRow(
        "add, multiply, sort, reverse or copy binary numbers longer than any trained on; accuracy",
        configs.AlgorithmsConfig, "seqarena.tasks.probes.algorithms:AlgorithmsTask",
        "seqarena.tasks.probes.algorithms:AlgorithmsCodec",
    ),
    "running_addition": TaskRow(
        "the sum so far of digits, 4 of them or 1,000; accuracy",
        configs.RunningAdditionConfig, "seqarena.tasks.probes.running_addition:RunningAdditionTask",
    ),
    "classification": TaskRow(
        "name the class of a sentence or of two; accuracy, higher is better",
        configs.ClassificationConfig, "seqarena.tasks.text.classification:ClassificationTask",
        "seqarena.tasks.text.classification:ClassificationCodec",
    ),
    "question_answering": TaskRow(
        "answer a question about a story; accuracy, higher is better",
        configs.QuestionAnsweringConfig,
        "seqarena.tasks.text.question_answering:QuestionAnsweringTask",
        "seqarena.tasks.text.question_answering:QuestionAnsweringCodec",
    ),
    "reading": TaskRow(
        "find the part of a passage that answers a question; exact matches or F1",
        configs_passages.ReadingConfig, "seqarena.tasks.passages.task:ReadingTask",
        "seqarena.tasks.passages.codec:ReadingCodec",
    ),
    "speech": TaskRow(
        "which word or command a recording is; accuracy, higher is better",
        configs.SpeechConfig, "seqarena.tasks.signals.speech:SpeechTask",
        "seqarena.tasks.signals.speech:SpeechCodec",
    ),
    "transcription": TaskRow(
        "write what is said in a recording; word error rate, lower is better",
        configs_signals.TranscriptionConfig,
        "seqarena.tasks.signals.transcription:TranscriptionTask",
        "seqarena.tasks.signals.transcription_codec:TranscriptionCodec",
    ),
    "pixels": TaskRow(
        "what a picture shows, read pixel by pixel; accuracy, higher is better",
        configs.PixelsConfig, "seqarena.tasks.signals.pixels:PixelsTask",
        "seqarena.tasks.signals.pixels:PixelsCodec",
    ),
    "events": TaskRow(
        "what comes next and when, or a label, of histories of events; nats an event or accuracy",
        EventsConfig, "seqarena.tasks.events.task:EventsTask",
        "seqarena.tasks.events.codec:EventsCodec",
    ),
    "windows": TaskRow(
        "a label or a number for a window of sensor readings; accuracy or mean squared error",
        WindowsConfig, "seqarena.tasks.windows.task:WindowsTask",
        "seqarena.tasks.windows.codec:WindowsCodec",
    ),
    "forecasting": TaskRow(
        "the next values of series, with quantiles; MASE, lower is better",
        configs_series.ForecastingConfig, "seqarena.tasks.series.forecasting:ForecastingTask",
        "seqarena.tasks.series.codec:ForecastingCodec",
    ),
    "translation": TaskRow(
        "write a sentence in another language; BLEU or exact matches, higher is better",
        configs.TranslationConfig, "seqarena.tasks.text.pairs:TranslationTask",
        "seqarena.tasks.text.pairs_codec:PairsCodec",
    ),
    "summarising": TaskRow(
        "write the line that sums a text up; ROUGE-L, higher is better",
        configs.SummarisingConfig, "seqarena.tasks.text.pairs:SummarisingTask",
        "seqarena.tasks.text.pairs_codec:PairsCodec",
    ),
    "tagging": TaskRow(
        "tag every word of a sentence; accuracy, or F1 of spans, higher is better",
        configs.TaggingConfig, "seqarena.tasks.text.tagging:TaggingTask",
        "seqarena.tasks.text.tagging_codec:TaggingCodec",
    ),
}  # fmt: skip
TASKS: dict[str, str] = {kind: row.idea for kind, row in _ROWS.items()}


def task_row(kind: str) -> TaskRow:
    """The row of a task: of this registry, or of a user's own `my_file.py:MyTask`.

    Raises UserError for an unknown task, and for a file without such a class.
    """
    if kind in _ROWS:
        return _ROWS[kind]
    if not is_own(kind):
        raise unknown_name("task", kind, TASKS)
    from seqarena.tasks.base import Task

    task = load_class(kind, Task, "task")
    idea = (task.__doc__ or kind).strip().splitlines()[0]
    return TaskRow(idea, task.Config, kind)


def parse_task(fields: Mapping[str, Any]) -> TaskConfig:
    """The configuration that the fields describe; `kind` names the task.

    Raises UserError with one line for an unknown task, an unknown field or a bad value.
    """
    kind = str(fields.get("kind"))
    config = task_row(kind).config
    try:
        return config(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            known = set(config.model_fields) - {"kind"}
            raise unknown_name(f"setting of task {kind}", field, known) from error
        raise UserError(
            f"task {kind}: {field} = {first['input']!r}: {first['msg'].lower()}"
        ) from error


def task_place(kind: str) -> str:
    """`package.module:Class` of a task. Raises UserError for an unknown task."""
    return task_row(kind).task


def task_class(kind: str) -> "type[Task]":
    """The class of a task. Raises UserError for an unknown task."""
    from seqarena.tasks.base import Task

    return load_class(task_place(kind), Task, "task")


def takes(kind: str, field: str) -> bool:
    """Whether the task has that setting. Raises UserError for an unknown task."""
    return field in task_row(kind).config.model_fields


def settings_of(kind: str) -> dict[str, tuple[Any, str]]:
    """The settings of a task: default and help."""
    return {
        name: (field.get_default(call_default_factory=True), field.description or "")
        for name, field in task_row(kind).config.model_fields.items()
        if name != "kind"
    }


def build_task(config: TaskConfig) -> "Task":
    """The task that a configuration describes. Raises UserError when its data do not fit it."""
    return task_class(config.kind)(config)


def load_codec(config: TaskConfig, artifacts: Mapping[str, str]) -> "Codec":
    """What reads a user's input and words a model's answers, from a checkpoint alone.

    Raises UserError for a task that has no single answers.
    """
    place = task_row(config.kind).codec
    if place is None:
        raise UserError(f"a model of task {config.kind} has nothing to predict for a user's input")
    return load_object(place).from_artifacts(config, artifacts)
