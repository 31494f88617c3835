"""What was read, in sentences and on the page."""

from report_views import NASTY, whole_view

from seqarena.core.results.data_summary import (
    DataFile,
    DataSummary,
    Lengths,
    SplitSummary,
    UnusedFile,
)
from seqarena.report.run.data import data_section
from seqarena.report.run.page import render_html

SUMMARY = DataSummary(
    origin="reviews",
    files=(
        DataFile(file="train.csv", split="train", format="csv", examples=900),
        DataFile(file=NASTY, split="test", format="csv", examples=100),
    ),
    num_files=2,
    passed_over=(UnusedFile(file="README.md", why="it describes the data"),),
    num_passed_over=3,
    how="by the files' names; validation cut off the training data, a tenth each",
    splits=(
        SplitSummary(
            split="train",
            examples=810,
            lengths=(Lengths(unit="words", median=12.5, longest=1_300),),
            cut=4,
            unknown_share=0.02,
        ),
        SplitSummary(split="validation", examples=90, in_training=0, unknown_share=0.03125),
        SplitSummary(split="test", examples=100, in_training=2, unknown_share=0.04),
    ),
    classes=(("good", 600), ("bad", 210)),
    num_classes=2,
    num_classified=810,
    vocab_size=1_234,
    notes=("text: column 'review'",),
)


def test_the_sentences_say_all_of_it() -> None:
    assert SUMMARY.sentences() == [
        f"data: reviews: 2 files: train.csv (train, csv, 900), {NASTY} (test, csv, 100)",
        "passed over: README.md (it describes the data) and 2 more",
        "splits: 810 train, 90 validation, 100 test examples (by the files' names; validation cut "
        "off the training data, a tenth each)",
        "classes: 2: good (74.1 %), bad (25.9 %)",
        "vocabulary 1,234; words of a training example: median 12.5, longest 1,300; 4 of train are "
        "cut",
        "unknown tokens: 3.1 % of validation and 4 % of test",
        "overlap: 2 test examples (2 %) are in the training data too",
        "note: text: column 'review'",
    ]


def test_an_overlap_is_loud_above_one_percent() -> None:
    loud = [sentence for sentence in SUMMARY.sentences() if SUMMARY.is_loud(sentence)]
    assert loud == ["overlap: 2 test examples (2 %) are in the training data too"]
    few = SUMMARY.splits[2].model_copy(update={"in_training": 1})
    quiet = SUMMARY.model_copy(update={"splits": (*SUMMARY.splits[:2], few)})
    assert "overlap: 1 test example (1 %) is in the training data too" in quiet.sentences()
    assert not any(map(quiet.is_loud, quiet.sentences()))


def test_data_without_files_take_one_line() -> None:
    embedded = DataSummary(origin="embedded: dates", noun="pair", splits=SUMMARY.splits)
    drawn = DataSummary(origin="copying: no file is read")
    assert embedded.sentences() == [
        "data: embedded: dates: 810 train, 90 validation, 100 test pairs"
    ]
    assert drawn.sentences() == ["data: copying: no file is read"]


def test_the_page_shows_it_and_escapes_it() -> None:
    page = render_html(whole_view().model_copy(update={"summary": SUMMARY}))
    assert 'id="data"' in page
    assert "good (74.1 %)" in page
    assert "2 test examples (2 %) are in the training data too" in page
    assert NASTY not in page


def test_a_column_without_a_value_is_left_out() -> None:
    section = data_section(whole_view().model_copy(update={"summary": SUMMARY}))
    assert section is not None
    heads = [heading.text for heading in section.splits.headings]
    assert heads == [
        "split", "examples", "median length", "longest", "cut", "unknown tokens",
        "in the training data too",
    ]  # fmt: skip


def test_runs_without_a_summary_have_no_section() -> None:
    assert data_section(whole_view()) is None
