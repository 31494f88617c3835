"""docs/formats.md: which task reads which format. The page is what happened when each was tried.

python tests/data/test_formats.py        writes the page again
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_files import FORMATS, READING_TASKS, SETTINGS, TABLES, write

from seqarena.core.errors import UserError
from seqarena.tasks.base import Task
from seqarena.tasks.guess import build_guessed
from seqarena.tasks.registry import parse_task

PAGE = Path(__file__).parent.parent.parent / "docs" / "formats.md"
SAME_ROWS = [form for form in TABLES if form not in ("saved by datasets", "folder of splits")]
HELPS = re.compile(
    r"--task \w+|--set \w+=|\bsave (its|it)\b|\bgive\b|\bunpack\b|\bcome as\b|(is|are) needed|"
    r"needs a|name the|without one of"
)
LOOKS = {
    "CSV": "`rows.csv`: a header, commas, quotes as RFC 4180 has them",
    "CSV, semicolons": "the same with semicolons, as spreadsheets of many languages write it",
    "TSV": "`rows.tsv`: a header and tabs",
    "JSON lines": "`rows.jsonl`: an object a line",
    "JSON list": "`rows.json`: a list of objects",
    "Parquet": "`rows.parquet` (extra `parquet`)",
    "table, .gz": "`rows.jsonl.gz`; any other file may be packed so too, or as .bz2 or .xz",
    "table, .zst": "`rows.jsonl.zst` (extra `zstd`)",
    "UTF-16 table": "`rows.csv` with a byte order mark; other encodings by `--set encoding=NAME`",
    "saved by datasets": "a folder that `save_to_disk` wrote: `train/data-00000-of-00001.arrow`",
    "folder of splits": "`train.jsonl`, `dev.jsonl`, `test.jsonl`; a README is passed over",
    "text": "`prose.txt`",
    "text, .gz": "`prose.txt.gz`",
    "FASTA": "`genes.fasta`: lines that begin with > and sequences",
    "class folders": "`train/pos/1.txt`: the class of a text is its folder",
    "label first": "`LABEL text` a line; `__label__LABEL text` as fastText has it",
    "parallel files": "`train.de` and `train.en`, line by line",
    "IN: OUT:": "`IN: jump twice OUT: JUMP JUMP` a line, as SCAN has it",
    "CoNLL": "a word and its tags a line, between blanks or tabs, -DOCSTART- lines",
    "CoNLL-U": "ten columns between tabs, comments",
    "bAbI": "numbered lines, questions with tabs",
    "SQuAD": "`train.json` of paragraphs with questions and places of answers",
    "idx": "`train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, as MNIST is published",
    "NPZ": "`digits.npz` with `x_train`, `y_train`, `x_test`, `y_test`; the same as .npy files",
    "rows of pixels": "`digits.csv`: a label and a column for each pixel",
    "PNG .zip": "an archive of class folders of pictures",
    "PNG folders": "`left/1.png`: the class of a picture is its folder",
    "wav folders": "`left/1.wav`: the class of a recording is its folder",
    "wav beside .txt": "`1.wav` and `1.txt`, which holds what is said; .flac too (extra `audio`)",
    "LibriSpeech": "`84/121123/84-121123.trans.txt` beside its recordings, `ID TEXT` a line",
    "wav .tar.gz": "an archive of such a folder",
    "UCR .ts": "`X_TRAIN.ts` and `X_TEST.ts` as aeon and sktime write them",
    "tables by class": "`left/1.csv`: a step a row, the class of a window is its folder",
    "CSV .zip": "an archive of tables or texts",
    "PDF": "`paper.pdf`",
}


def attempt(form: str, task: str, folder: Path) -> Task | str:
    """The task that was built, or what was said instead; places are left out of it."""
    place = write(form, folder, task)
    config = parse_task({"kind": task, "data": str(place), **SETTINGS.get(task, {})})
    try:
        return build_guessed(config, named=True)
    except UserError as error:
        return str(error).replace(f"{folder}/", "")


def attempts(form: str, folder: Path) -> Iterator[tuple[str, Task | str]]:
    """Of every task that reads files."""
    for task in READING_TASKS:
        yield task, attempt(form, task, folder / task)


def row(form: str, found: dict[str, Task | str]) -> str:
    """One line of the table."""
    cells = ("yes" if isinstance(found[task], Task) else "no" for task in READING_TASKS)
    return f"| {form} | {' | '.join(cells)} |"


def refusals(form: str, found: dict[str, Task | str]) -> list[str]:
    """What is said where a format is refused: each sentence once, with the tasks that say it."""
    tasks: dict[str, list[str]] = {}
    for task, what in found.items():
        if isinstance(what, str):
            tasks.setdefault(what, []).append(task)
    return [f"- {form}; {', '.join(names)}: `{said}`" for said, names in tasks.items()]


def page() -> str:
    """The whole page, from trying everything."""
    with tempfile.TemporaryDirectory() as folder:
        found = {
            form: dict(attempts(form, Path(folder) / str(k))) for k, form in enumerate(FORMATS)
        }
    lines = [
        "# What is read",
        "",
        "Each cell was tried: `python tests/data/test_formats.py` writes this page, and a test",
        "compares it. Folders, patterns and packed files go with every format. The same rows give",
        "the same task in every format of a table, so that results may be compared.",
        "",
        f"| format | {' | '.join(task.replace('_', ' ') for task in READING_TASKS)} |",
        f"|---|{'---|' * len(READING_TASKS)}",
        *(row(form, found[form]) for form in FORMATS),
        "",
        "## What the formats look like",
        "",
        "| format | |",
        "|---|---|",
        *(f"| {form} | {LOOKS[form]} |" for form in FORMATS),
        "",
        "## What is said where a format is refused",
        "",
        *(line for form in FORMATS for line in refusals(form, found[form])),
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", FORMATS)
def test_each_cell_is_as_the_page_says(form: str, tmp_path: Path) -> None:
    found = dict(attempts(form, tmp_path))
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert row(form, found) in lines
    assert set(refusals(form, found)) == {line for line in lines if line.startswith(f"- {form}; ")}


def test_the_page_has_no_other_rows() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("|---") : text.index("## What the formats")]
    assert [line.split(" | ")[0] for line in table.splitlines()[1:] if line] == [
        f"| {form}" for form in FORMATS
    ]


def test_every_refusal_says_what_would_be_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = [line for line in text.splitlines() if re.match(r"- .+; .+: `", line)]
    assert len(said) > len(FORMATS)
    assert [line for line in said if not HELPS.search(line)] == []


@pytest.mark.parametrize("task", READING_TASKS)
def test_the_same_rows_are_the_same_task_in_every_table(task: str, tmp_path: Path) -> None:
    built = {form: attempt(form, task, tmp_path / form.replace(" ", "")) for form in SAME_ROWS}
    digests = {form: one.digest() for form, one in built.items() if isinstance(one, Task)}
    assert list(digests) == SAME_ROWS
    assert len(set(digests.values())) == 1


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
