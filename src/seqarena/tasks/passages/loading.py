"""The passages of each split: of files, or generated."""

from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.data.files.columns import Wanted
from seqarena.data.files.examples import Splits, complete, read_splits
from seqarena.data.files.find import find_files
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import TABLE_FORMATS, table_format
from seqarena.data.streams import Stream, philox
from seqarena.data.text.passages.squad import SpanQuestion, read_squad
from seqarena.data.text.passages.stories import generate_passages
from seqarena.tasks.passages.configs import ReadingConfig

_EMBEDDED = {"train": 6000, "validation": 150, "test": 300}  # passages of three questions each
COLUMNS = ("context", "question", "answers")  # settings that name the columns of tables

Passage = list[SpanQuestion]  # the questions about it


def load_passages(config: ReadingConfig) -> tuple[Splits, Reading | None]:
    """Passages by split and what was read, of files or generated."""
    if config.data is None:
        streams = {"train": Stream.TRAIN, "validation": Stream.VALIDATION, "test": Stream.TEST}
        drawn = (generate_passages(philox(0, streams[k], 0), n) for k, n in _EMBEDDED.items())
        return Splits(*drawn), None
    reading = Reading()
    return complete(*passage_parts(config.data, config, reading), reading=reading), reading


def passage_parts(data: str, config: ReadingConfig, reading: Reading) -> list[list[Passage]]:
    """The passages of each split that the data have. Raises UserError, with file and line or id,
    for what is in no form that is read."""
    wanted = [Wanted.of(config, setting) for setting in COLUMNS]

    def read(file: Path) -> list[Passage]:
        if not table_format(file):
            raise UserError(
                f"{file}: passages come as a file of SQuAD (.json) or as a table of context, "
                f"question and answers ({', '.join(TABLE_FORMATS)})"
            )
        passages: list[Passage] = []
        for question in read_squad(file, wanted, encoding=config.encoding, reading=reading):
            if not passages or passages[-1][0].context != question.context:
                passages.append([])
            passages[-1].append(question)
        if not passages:
            raise UserError(f"{file}: no question in it: context, question and answers are needed")
        return passages

    return read_splits(
        find_files(data, reading=reading),
        read,
        reading,
        format_of=lambda file: table_format(file) or "",
        key=lambda passage: tuple(question[:3] for question in passage),
    )
