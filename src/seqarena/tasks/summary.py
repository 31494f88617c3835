"""What a task read of its data, as one record: said before training, stored with the run."""

from pathlib import Path

import numpy as np

from seqarena.core.results.data_summary import (
    DataFile,
    DataSummary,
    Lengths,
    SplitSummary,
    UnusedFile,
)
from seqarena.data.files.reading import Reading
from seqarena.tasks.base import Task
from seqarena.tasks.survey import SplitSurvey

NUMBERS_DEPEND_ON_THIS = False  # it says what was read (jobs/sources.py)
_MOST = 20  # files and classes that a record lists; the numbers beside them count all


def summarise(task: Task) -> DataSummary:
    """What was read and what became of it; of a task without files, its sizes."""
    survey = task.survey()
    reading = task.reading or Reading()
    data = getattr(getattr(task, "config", None), "data", None)
    if survey is None:
        return DataSummary(origin=str(data) if data else f"{task.name}: no file is read")
    origin = str(data) if data else f"embedded: {task.describe().get('origin') or task.name}"
    root = Path(str(data)).expanduser() if data else Path()
    classes = sorted(survey.classes.items(), key=lambda pair: (-pair[1], pair[0]))
    return DataSummary(
        origin=origin,
        noun=survey.noun,
        in_files=survey.in_files or survey.noun,
        compared=survey.compared or survey.noun,
        files=tuple(
            DataFile(
                file=_below(each.file, root),
                split=each.split,
                format=each.format,
                examples=each.num_examples,
            )
            for each in reading.files[:_MOST]
        ),
        num_files=len(reading.files),
        passed_over=tuple(
            UnusedFile(file=_below(each.file, root), why=each.why)
            for each in reading.passed_over[:_MOST]
        ),
        num_passed_over=len(reading.passed_over),
        how=survey.how or reading.how,
        splits=tuple(_split(name, part) for name, part in survey.parts.items()),
        classes=tuple(classes[:_MOST]),
        num_classes=len(classes),
        num_classified=sum(survey.classes.values()),
        vocab_size=None if task.problem.features else task.vocab_size,
        notes=(*reading.notes, *survey.notes),
    )


def _split(name: str, part: SplitSurvey) -> SplitSummary:
    return SplitSummary(
        split=name,
        examples=part.examples,
        lengths=tuple(
            Lengths(unit=unit, median=float(np.median(lengths_N)), longest=int(lengths_N.max()))
            for unit, lengths_N in part.lengths_N.items()
            if len(lengths_N)
        ),
        cut=part.cut,
        left_out=part.left_out,
        unknown_share=None if part.unknown is None else part.unknown / max(1, part.tokens),
        in_training=part.in_training,
        compared=part.compared,
    )


def _below(file: str, root: Path) -> str:
    """A file's name as seen from the folder of the data."""
    path = Path(file)
    return (
        path.relative_to(root).as_posix()
        if path.is_relative_to(root) and path != root
        else path.name
    )
