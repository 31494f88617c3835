"""What is said of the data before training: counts of every task, by hand."""

import json
from pathlib import Path

import pytest
from small_files import READING_TASKS, ROWS, SETTINGS, WORDS, place, write

from seqarena.core.results.data_summary import DataSummary
from seqarena.tasks.registry import build_task, parse_task
from seqarena.tasks.summary import summarise

NOUNS = {
    "language": "sequence", "masked_language": "sequence", "classification": "example",
    "question_answering": "question", "reading": "question", "tagging": "sentence",
    "translation": "pair", "summarising": "pair", "speech": "recording",
    "transcription": "recording", "pixels": "picture",
    "windows": "window", "events": "entity",
}  # fmt: skip
ROWS_OF = {"windows": 2, "events": 4}  # of one example


def summary_of(task: str, data: Path | str | None, **more: object) -> DataSummary:
    fields = {"kind": task, "data": None if data is None else str(data)}
    return summarise(build_task(parse_task({**fields, **SETTINGS.get(task, {}), **more})))


@pytest.mark.parametrize("task", [task for task in READING_TASKS if task != "forecasting"])
def test_every_task_says_its_files_and_splits(task: str, tmp_path: Path) -> None:
    found = summary_of(task, write("folder of splits", tmp_path, task))
    form = {"speech": "wav", "transcription": "wav", "pixels": "jsonl"}.get(task, "jsonl")
    sizes = [count // ROWS_OF.get(task, 1) for count in (16, 4, 4)]
    assert [(file.split, file.format, file.examples) for file in found.files] == [
        (split, form, size) for split, size in zip(("train", "validation", "test"), sizes)
    ]
    assert [unused.file for unused in found.passed_over] == ["README.md"]
    assert found.how.startswith("by the files' names")
    assert found.noun == NOUNS[task]
    if "language" not in task:
        assert [part.examples for part in found.splits] == sizes
    assert found.splits[0].in_training is None
    assert all(part.in_training == 0 for part in found.splits[1:])
    sentences = found.sentences()
    assert sentences[1].startswith("passed over: README.md (it describes the data)")
    assert any(sentence.startswith("splits: ") for sentence in sentences)


def test_series_are_split_by_time_and_not_by_file(tmp_path: Path) -> None:
    found = summary_of("forecasting", write("folder of splits", tmp_path, "forecasting"))
    assert {(file.split, file.format) for file in found.files} == {("by time", "jsonl")}
    assert found.how.startswith("by time: the end of each series tests")
    assert [part.examples for part in found.splits][1:] == [1, 1]
    assert found.noun == "window"


@pytest.mark.parametrize("task", [*READING_TASKS, "mqar"])
def test_data_of_the_package_take_one_line(task: str) -> None:
    config = parse_task({"kind": task})
    (line,) = summarise(build_task(config)).sentences()
    assert line.startswith("data: ")


def test_classes_and_lengths(tmp_path: Path) -> None:
    found = summary_of("classification", write("folder of splits", tmp_path, "classification"))
    assert found.classes == tuple((word, 4) for word in sorted(WORDS))
    (lengths,) = found.splits[0].lengths
    assert (lengths.unit, lengths.median, lengths.longest) == ("words", 5.0, 5)
    # each text has a number that no other has: one word of five
    assert [part.unknown_share for part in found.splits[1:]] == [0.2, 0.2]


def test_what_is_cut_is_counted(tmp_path: Path) -> None:
    data = write("folder of splits", tmp_path, "classification")
    found = summary_of("classification", data, max_length=3)
    assert [part.cut for part in found.splits] == [16, 4, 4]
    assert found.splits[0].lengths[0].longest == 5  # before it is cut
    lines = [f"ein haus {k}\ta house {k}\n" for k in range(20)]
    (tmp_path / "train.tsv").write_text("".join(lines) + "ein sehr altes haus\tan old house\n" * 5)
    (tmp_path / "dev.tsv").write_text(lines[0])
    (tmp_path / "test.tsv").write_text("ein sehr altes haus\tan old house\n")
    pairs = summary_of("translation", tmp_path / "*.tsv", max_length=3)
    assert [(part.examples, part.left_out, part.cut) for part in pairs.splits] == [
        (20, 5, 0), (1, 0, 0), (1, 0, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("classification", {"text": "the same text", "label": "hall"}),
        ("translation", {"de": "das haus", "en": "the house"}),
        ("summarising", {"text": "a long text", "summary": "a text"}),
        ("tagging", {"tokens": ["a", "hall"], "ner_tags": ["O", "B-place"]}),
        (
            "question_answering",
            {"story": "Mary ran home.", "question": "Where is Mary?", "answer": "hall"},
        ),
        (
            "reading",
            {
                "context": "Mary ran home.",
                "question": "Where?",
                "answers": {"text": ["home"], "answer_start": [9]},
            },
        ),
    ],
)
def test_examples_that_training_holds_too_are_counted(task: str, row: dict, tmp_path: Path) -> None:
    data = write("folder of splits", tmp_path, task)
    for split, times in (("train", 1), ("test", 3)):
        with (data / f"{split}.jsonl").open("a") as file:
            file.write((json.dumps(row) + "\n") * times)
    found = summary_of(task, data)
    assert [part.in_training for part in found.splits] == [None, 0, 3]
    loud = [sentence for sentence in found.sentences() if found.is_loud(sentence)]
    assert loud == [
        f"warning: 3 test {NOUNS[task]}s ({300 / 7:.1f} %) are in the training data too"
    ]


def test_recordings_and_pictures_that_training_holds_too(tmp_path: Path) -> None:
    for task, suffix in (("speech", ".wav"), ("pixels", ".png")):
        data = write("folder of splits", tmp_path / task, task)
        copy = (tmp_path / task / f"file0{suffix}").read_bytes()
        (tmp_path / task / f"file{ROWS - 1}{suffix}").write_bytes(copy)
        assert [part.in_training for part in summary_of(task, data).splits] == [None, 0, 1]


def test_lines_of_a_text_that_training_holds_too(tmp_path: Path) -> None:
    lines = [
        f"{k}: Mary went to the {place(k)} and she stayed there for {k} days" for k in range(40)
    ]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (tmp_path / "test.txt").write_text("\n".join([*lines[:2], *(f"{a} more" for a in lines[:8])]))
    test = summary_of("language", tmp_path).splits[2]
    assert (test.in_training, test.compared) == (2, 10)
