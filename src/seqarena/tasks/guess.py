"""Which task some data are for, by their files and first rows: for advice, never in silence.

A guess is made where no task was named, and where a task cannot read its data. It says what the
data look like and with which options they are read.
"""

import json
import re
import tarfile
import zipfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.find import find_files, kind_of, split_of
from seqarena.data.files.folders import classes_of
from seqarena.data.files.opening import open_bytes, plain_name, plain_suffix, read_lines
from seqarena.data.files.tables import read_rows, table_format
from seqarena.data.series.numbers import is_number
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.guess_table import LANGUAGES, Columns, language_sides, of_columns
from seqarena.tasks.registry import build_task, takes

if TYPE_CHECKING:
    from seqarena.tasks.base import Task

NUMBERS_DEPEND_ON_THIS = False  # advice (jobs/sources.py)
_KINDS = ("table", "text", "file of sequences", "picture", "sound", "document", "archive",
          "file of tagged words", "store of objects", None)  # fmt: skip
_TEXT = ("language", "masked_language")  # any text is right for these
_ALSO_FOR = {  # guess -> tasks that may mean what they ask for
    "windows": ("windows", *_TEXT),
    "tagging": ("tagging", *_TEXT),
    "question_answering": ("question_answering", *_TEXT),
    "translation": ("translation", "summarising", *_TEXT),
    "classification": ("classification", *_TEXT),
}
_LINES = 300  # that are looked at
_TAGGED = (".conll", ".conllu", ".bio", ".iob", ".iob2", ".conll2003")
_TRANSCRIBED = ("transcription", "recordings with their texts")
_PICTURES = re.compile(r"idx[13]-ubyte|\.npz$")
_TAG = re.compile(r"O|[BIESLU]-\S+")
_SHOWN_CLASS = re.compile(r"__label__\S+|\d{1,2}|[A-Z][A-Z_]+(:\S+)?")


class Guess(NamedTuple):
    """The task, what the data look like, and the settings with which the task reads them."""

    task: str
    looks_like: str
    settings: dict[str, Any] = {}
    certain: bool = False  # by the form of every line: another task would read nonsense

    def advice(self) -> str:
        """One sentence for a person."""
        options = [f"--set {name}={_text(value)}" for name, value in self.settings.items()]
        return f"this looks like {self.looks_like}: " + " ".join([f"--task {self.task}", *options])


def guess_task(data: str | Path) -> Guess | None:
    """What the data at a path look like; None where nothing says it, or they cannot be read."""
    path = Path(data).expanduser()
    try:
        files = find_files(path, _KINDS).train
        return _of_files(path, files)
    except (UserError, OSError):
        return None


def build_guessed(config: TaskConfig, *, named: bool) -> "Task":
    """The task of a configuration, with advice where its data look like another's. `named` says
    whether a person chose the task.

    Raises UserError as `build_task` does, where data that no task was named for look like another
    task's than language, and where they are certainly another's than the one that was named.
    """
    data = getattr(config, "data", None)
    if data is None:
        return build_task(config)
    if not named:
        _check_default(data)
    elif getattr(config, "format", "auto") == "auto":
        _check_named(config, data)
    try:
        task = build_task(config)
        if not named:
            _note_columns(task, config)
        return task
    except UserError as error:
        guess = guess_task(data)
        if guess is None or _is_as_guessed(config, guess):
            raise
        raise UserError(f"{error}; {guess.advice()}") from error


def _note_columns(task: "Task", config: TaskConfig) -> None:
    """Says that of tables one column alone is trained on."""
    files = task.reading.files if task.reading else ()
    if task.reading and any(table_format(Path(each.file)) for each in files):
        field = getattr(config, "text_field", "text")
        task.reading.note(f"trained on the column {field!r} as text; --task names another task")


def _check_named(config: TaskConfig, data: str) -> None:
    guess = guess_task(data)
    if guess is None or not guess.certain or config.kind in _ALSO_FOR.get(guess.task, ()):
        return
    raise UserError(f"{data}: no data of task {config.kind}; {guess.advice()}")


def _is_as_guessed(config: TaskConfig, guess: Guess) -> bool:
    same = all(getattr(config, name, None) == value for name, value in guess.settings.items())
    return config.kind == guess.task and same


def _check_default(data: str) -> None:
    guess = guess_task(data)
    if guess is None or (guess.task == "language" and not guess.settings):
        return
    instead = "" if guess.task in ("language", "speech", "pixels") else "--task language"
    if guess.looks_like.startswith("a table"):
        defaults = {"classification": "text", "translation": "de", "summarising": "text"}
        named = guess.settings.get("text") or guess.settings.get("source")
        field = named or defaults.get(guess.task)
        instead = f"{instead} --set text_field={_text(field)}" if instead and field else ""
    others = f" (or {instead} to train on the text)" if instead else ""
    raise UserError(f"{data}: {guess.advice()}{others}")


def _of_files(path: Path, files: Sequence[Path]) -> Guess | None:
    names = _members(files[0]) if len(files) == 1 else [str(file) for file in files]
    kinds = {kind_of(Path(name)) for name in names}
    if "sound" in kinds:
        transcribed = path.is_dir() and _are_transcribed(files)
        return Guess(*_TRANSCRIBED) if transcribed else Guess("speech", "recordings")
    if "picture" in kinds or any(_PICTURES.search(PurePath(name).name) for name in names):
        return Guess("pixels", "pictures")
    if "store of objects" in kinds:
        return None
    if found := _parallel(files) or _class_folders(path, files) or _table_folders(path, files):
        return found
    if kind_of(files[0]) == "file of sequences":
        return Guess("language", "sequences (FASTA)")
    if table_format(files[0]):
        return _of_table(files[0])
    return _of_text(files[0])


def _are_transcribed(files: Sequence[Path]) -> bool:
    """Whether a text stands beside a recording, or a list of texts as LibriSpeech has it."""
    texts = {file.with_suffix("") for file in files if file.suffix == ".txt"}
    sounds = {file.with_suffix("") for file in files if kind_of(file) == "sound"}
    return bool(texts & sounds) or any(file.name.endswith(".trans.txt") for file in files)


def _members(file: Path) -> list[str]:
    """What an archive holds; of another file, its own name."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                return packed.namelist()
        if kind_of(file) == "archive":
            with open_bytes(file) as stream, tarfile.open(fileobj=stream) as archive:
                return [member.name for member in islice(archive, _LINES)]
    except (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, OSError, EOFError):
        return []  # damaged, or of a kind that the library does not read
    return [str(file)]


def _parallel(files: Sequence[Path]) -> Guess | None:
    """Files of one name whose suffixes are two languages."""
    by_stem: dict[str, set[str]] = {}
    for file in files:
        name = PurePath(plain_name(file))
        by_stem.setdefault(name.stem, set()).add(name.suffix[1:].lower())
    for suffixes in by_stem.values():
        if {"src", "tgt"} <= suffixes:
            return Guess("translation", "parallel files", certain=True)
        known = sorted(suffixes & LANGUAGES)
        if len(known) == 2:
            return Guess("translation", "parallel files", language_sides(known), certain=True)
    return None


def _class_folders(path: Path, files: Sequence[Path]) -> Guess | None:
    """Folders of short texts whose names are classes: below folders of splits, or with many files
    each and nothing else."""
    if not path.is_dir() or any(kind_of(file) != "text" for file in files):
        return None
    folders = [file.relative_to(path).parent.parts for file in files]
    classes = [tuple(part for part in parts if not split_of(PurePath(part))) for parts in folders]
    names = {parts[0] for parts in classes if len(parts) == 1}
    if len(names) < 2 or any(len(parts) != 1 for parts in classes):
        return None
    under_splits = all(len(parts) == 2 for parts in folders)
    many = len(files) >= 5 * len(names) and all(file.suffix == ".txt" for file in files)
    if not (under_splits or many):
        return None
    shown = ", ".join(sorted(names)[:3])
    return Guess("classification", f"folders of texts by class ({shown})", certain=True)


def _table_folders(path: Path, files: Sequence[Path]) -> Guess | None:
    """Tables of numbers alone in folders whose names are classes: a window a file."""
    if not path.is_dir() or not all(table_format(file) for file in files):
        return None
    classes = classes_of(path, list(files))
    if len(set(classes.values())) < 2 or any(file.parent not in classes for file in files):
        return None
    rows = [row.fields for row in islice(read_rows(files[0]), _LINES)]
    numbers = all(is_number(value) for row in rows for value in row.values())
    return Guess("windows", "folders of tables of numbers by class") if numbers else None


def _of_table(file: Path, form: str | None = None) -> Guess | None:
    rows = [row.fields for row in islice(read_rows(file, form), _LINES)]
    found = of_columns(Columns(rows)) if rows else None
    return None if found is None else Guess(*found)


def _of_text(file: Path) -> Guess | None:
    """By its first lines, in UTF-8 or else in the encoding that any bytes are in."""
    try:
        return _of_lines(file, [line for _, line in islice(read_lines(file), _LINES)])
    except UserError:
        encoding = "iso-8859-1"
        lines = [line for _, line in islice(read_lines(file, encoding), _LINES)]
    found = _of_lines(file, lines)
    if found is None or not takes(found.task, "encoding"):
        return found
    return found._replace(settings={**found.settings, "encoding": encoding})


def _of_lines(file: Path, lines: Sequence[str]) -> Guess | None:
    filled = [line for line in lines if line.strip()]
    if not filled:
        return None
    if plain_suffix(file) == ".ts" and any(line.lower().startswith("@data") for line in filled):
        return Guess("windows", "windows as the UCR archive has them", certain=True)
    if filled[0].lstrip().startswith(("{", "[")) and _is_json(filled[0]):
        return _of_table(file, "json")
    if all(re.match(r"IN: .* OUT: ", line) for line in filled):
        return Guess("translation", "commands and actions", {"metric": "exact"}, certain=True)
    if all(re.match(r"\d+ \S", line) for line in filled) and any("\t" in line for line in filled):
        return Guess("question_answering", "stories with questions", certain=True)
    if plain_suffix(file) in _TAGGED or _is_tagged(lines, filled):
        return Guess("tagging", "a word and its tag a line", certain=True)
    first = [line.split(None, 1)[0] for line in filled]
    if all(_SHOWN_CLASS.fullmatch(word) for word in first) and len(set(first)) <= len(first) / 3:
        return Guess("classification", "a label and a text a line")
    widths = {line.count("\t") for line in filled}
    if len(widths) == 1 and widths != {0} and len(filled) > 1:
        if widths == {1} and " " in filled[0]:  # no header
            return Guess("translation", "a source and a target a line")
        return _of_table(file, "tsv")
    return None


def _is_tagged(lines: Sequence[str], filled: Sequence[str]) -> bool:
    """Words with tags: as many columns in every line, blank lines between sentences."""
    rows = [line.split() for line in filled if not line.startswith(("#", "-DOCSTART-"))]
    if not rows or len(rows[0]) < 2 or len({len(row) for row in rows}) > 1:
        return False
    blank = any(not line.strip() for line in lines[:-1])
    return blank and all(_TAG.fullmatch(row[-1]) for row in rows)


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return line.strip() in ("{", "[")


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}'" if re.search(r"\s", text) else text
