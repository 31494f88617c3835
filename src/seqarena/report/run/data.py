"""The data as the task read them: files, splits, classes, lengths, and what is odd about them."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.data_summary import DataSummary, SplitSummary
from seqarena.core.results.records import RunView
from seqarena.report.page.parts import Cell, Heading, Section, Table, headings, number_cell


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    """`warnings` tell of splits that overlap. `facts` are names and values."""

    template = "run/data.html"
    lead: str
    warnings: Sequence[str]
    facts: Sequence[tuple[str, str]]
    splits: Table
    files: Table | None


def data_section(view: RunView) -> DataSection | None:
    """None where no examples were read, and for runs of versions that did not record it."""
    summary = view.summary
    if summary is None or not summary.splits:
        return None
    return DataSection(
        name="data",
        link="Data",
        heading="The data",
        lead=summary.origin,
        warnings=[
            summary.overlap_in_words(split)
            for split in summary.splits
            if summary.is_loud(summary.overlap_in_words(split))
        ],
        facts=_facts(summary),
        splits=_splits(summary),
        files=_files(summary) if summary.files else None,
    )


def _facts(summary: DataSummary) -> list[tuple[str, str]]:
    found = [("splits", summary.how)] if summary.how else []
    if summary.num_classes:
        found.append((f"{summary.num_classes:,} classes, in training", summary.classes_in_words()))
    if summary.vocab_size is not None:
        found.append(("vocabulary", f"{summary.vocab_size:,}"))
    if summary.num_passed_over:
        found.append(("passed over", summary.unused_in_words(most=20)))
    return [*found, *(("note", note) for note in summary.notes)]


def _splits(summary: DataSummary) -> Table:
    units = [lengths.unit for lengths in summary.splits[0].lengths]
    heads = headings(
        "split",
        words.several(summary.noun),
        *(Heading(text, unit) for unit in units for text in ("median length", "longest")),
        "cut",
        "left out, too long",
        "unknown tokens",
        "in the training data too",
    )
    rows = [_row(part, units) for part in summary.splits]
    used = [
        k for k in range(len(heads)) if k < 2 or any(row[k].text != words.ABSENT for row in rows)
    ]
    return Table(
        "Each split as it was read",
        [heads[k] for k in used],
        [[row[k] for k in used] for row in rows],
        name="splits",
    )


def _row(part: SplitSummary, units: Sequence[str]) -> list[Cell]:
    by_unit = {one.unit: one for one in part.lengths}
    lengths: list[Cell] = []
    for unit in units:
        one = by_unit.get(unit)
        median, longest = (None, None) if one is None else (one.median, one.longest)
        lengths.append(number_cell(words.ABSENT if median is None else f"{median:g}", median))
        lengths.append(number_cell(words.ABSENT if longest is None else f"{longest:,}", longest))
    share = part.unknown_share
    both = part.in_training
    return [
        Cell(part.split),
        number_cell(f"{part.examples:,}", part.examples),
        *lengths,
        _count(part.cut),
        _count(part.left_out),
        number_cell(words.ABSENT if share is None else words.share(share), share),
        number_cell(
            words.ABSENT if both is None else f"{both:,}",
            both,
            under="" if not both else words.share(part.overlap),
        ),
    ]


def _count(number: int) -> Cell:
    return number_cell(f"{number:,}" if number else words.ABSENT, number)


def _files(summary: DataSummary) -> Table:
    rows = [
        [
            Cell(file.file),
            Cell(file.split),
            Cell(file.format),
            number_cell(f"{file.examples:,}", file.examples),
        ]
        for file in summary.files
    ]
    more = summary.num_files - len(rows)
    if more:
        rows.append([Cell(f"and {more:,} more"), *[Cell("")] * 2, number_cell("", None)])
    heads = headings("file", "split", "format", words.several(summary.in_files))
    return Table("The files that were read", heads, rows, name="files")
