"""Which column of a table holds what a task asks for.

A column is found by its configured name. Where the configuration has the task's default and no
column is called so, exactly one column by a name that is usual elsewhere is taken, and the reading
says which. Nothing else is guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import Row, listed, read_rows, table_format

_SAMPLE = 1000  # rows in which a header is looked for
_LONGEST_NAME = 6  # words: what is longer is an example
_TEXTS = (
    "text", "texts", "sentence", "content", "contents", "review", "question", "query", "document",
    "body", "article", "tweet", "comment", "message", "utterance", "paragraph", "passage",
    "abstract", "description", "headline", "sms", "story",
)  # fmt: skip
_LABELS = (
    "label", "labels", "class", "classes", "category", "target", "sentiment", "intent", "emotion",
    "topic", "polarity", "rating", "stars", "gold_label",
)  # fmt: skip
TRANSCRIPTS = ("transcript", "transcription", "sentence", "normalized_text", "raw_text")
_SENTENCE_PAIRS = (
    ("sentence1", "sentence2"), ("sentence_a", "sentence_b"), ("premise", "hypothesis"),
    ("question1", "question2"), ("question", "sentence"), ("text1", "text2"),
)  # fmt: skip
USUAL = {  # setting -> names of columns that may stand for it, in small letters
    "path": ("path", "file_name", "file", "filename", "filepath"),
    "text": _TEXTS, "text_field": _TEXTS, "text_pair": (), "label": _LABELS,
    "story": ("story", "context", "passage", "facts", "paragraph", "document"),
    "context": ("context", "passage", "paragraph", "story", "document"),
    "answers": ("answers", "answer", "answer_text"),
    "window": ("window", "window_id", "series", "series_id", "case", "case_id", "segment", "id"),
    "entity": ("entity", "entity_id", "user", "user_id", "customer", "customer_id", "case_id",
               "account", "session_id", "patient_id", "id"),
    "time": ("time", "timestamp", "t", "date", "datetime", "step"),
    "event": ("event", "event_type", "activity", "action", "type", "kind", "category"),
    "question": ("question", "query"), "answer": ("answer", "answers", "label", "target"),
    "source": ("source", "src", "input", "document", "article", "dialogue", "text", "body"),
    "target": ("target", "tgt", "trg", "output", "summary", "highlights", "headline", "abstract"),
}  # fmt: skip


class Wanted(NamedTuple):
    """A column that a task asks for: the task's setting, and the name that it is configured to."""

    setting: str
    name: str
    is_default: bool  # so that a usual name may stand for it

    @classmethod
    def of(cls, config: Any, setting: str) -> Self:
        """The column that a task's configuration (tasks/configs.py) names in a setting."""
        name = getattr(config, setting)
        return cls(setting, name, name == type(config).model_fields[setting].default)


def rows_with_columns(
    file: Path,
    wanted: Sequence[Wanted],
    *,
    format: str | None = None,
    encoding: str = "utf-8",
    reading: Reading | None = None,
    nested: str = "",
) -> Iterator[tuple[str, list[Any]]]:
    """(place for errors, the values that are wanted) of every row of a table. The fields of the
    object that the field `nested` holds count as the row's own.

    Raises UserError as `read_rows`, for a column that is not there, and for a header that is an
    example.
    """
    format = format or table_format(file)

    def choose(names: list[str]) -> list[str]:
        if nested and nested in names:
            return [name for name in names if name in (nested, *(each.name for each in wanted))]
        return find_columns(wanted, names, f"{file}, row 1", reading)

    rows = read_rows(file, format, encoding=encoding, reading=reading, choose=choose)
    rows = (_flat(row, nested) for row in rows)
    sample = list(islice(rows, _SAMPLE))
    if not sample:
        return
    try:
        columns = find_columns(wanted, list(sample[0].fields), sample[0].place, reading)
    except UserError as error:
        if format not in ("csv", "tsv"):
            raise
        _check_header(file, sample, wanted)
        raise UserError(f"{error}; the first line of the file names its columns") from error
    for row in chain(sample, rows):
        for column, each in zip(columns, wanted):
            if column not in row.fields:
                raise _absent(each._replace(name=column), wanted, list(row.fields), row.place)
        yield row.place, [row.fields[column] for column in columns]


def find_columns(
    wanted: Sequence[Wanted], columns: Sequence[str], place: str, reading: Reading | None = None
) -> list[str]:
    """The column of each. Raises UserError, with what there is, for one that is not there."""
    found: list[str] = []
    taken = {each.name for each in wanted}
    for each in wanted:
        if each.name in columns:
            found.append(each.name)
            continue
        fitting = [column for column in columns if _may_be(each, column) and column not in taken]
        if len(fitting) != 1:
            raise _absent(each, wanted, columns, place, fitting)
        if reading is not None:
            reading.note(f"{each.setting}: column {fitting[0]!r}")
        found.append(fitting[0])
        taken.add(fitting[0])
    return found


def _may_be(wanted: Wanted, column: str) -> bool:
    usual = (wanted.name.lower(), *USUAL.get(wanted.setting, ()))
    return wanted.is_default and column.lower() in usual


def _flat(row: Row, nested: str) -> Row:
    inner = row.fields.get(nested)
    return Row(row.place, {**inner, **row.fields}) if isinstance(inner, Mapping) else row


def _check_header(file: Path, rows: Sequence[Row], wanted: Sequence[Wanted]) -> None:
    """Raises UserError where the first line of a table is an example: it holds a value that comes
    again in its column, or more words than a name has."""
    names = [name for name in rows[0].fields if name]
    again = any(row.fields[name] == name for row in rows for name in names)
    if again or any(len(name.split()) > _LONGEST_NAME for name in names):
        shown = ", ".join(name if len(name) <= 30 else f"{name[:30]}..." for name in names)
        needed = " and ".join(each.name for each in wanted)
        raise UserError(
            f"{file}, line 1: an example ({shown}) where the names of the columns are needed: put "
            f"a line above it that names them, {needed} among them"
        )


def _absent(
    absent: Wanted,
    wanted: Sequence[Wanted],
    columns: Sequence[str],
    place: str,
    fitting: Sequence[str] = (),
) -> UserError:
    settings = " ".join(f"--set {each.setting}=NAME" for each in wanted)
    advice = f"name it with {settings}"
    if fitting:
        advice = f"{' and '.join(map(repr, fitting))} could be the {absent.setting}: {advice}"
    elif two := _two_sentences(columns, wanted):
        advice = f"of two sentences: {two}"
    return UserError(f"{place}: no field {absent.name!r}: it has {listed(columns)} ({advice})")


def _two_sentences(columns: Sequence[str], wanted: Sequence[Wanted]) -> str:
    """The settings for a table of two sentences where one is asked for, or nothing."""
    settings = {each.setting for each in wanted}
    by_name = {column.lower(): column for column in columns}
    for pair in _SENTENCE_PAIRS if "text" in settings and "text_pair" not in settings else ():
        if pair[0] in by_name and pair[1] in by_name:
            return f"--set text={by_name[pair[0]]} --set text_pair={by_name[pair[1]]}"
    return ""
