"""Questions in tables: the same stories as from files in the form of bAbI, and SQuAD."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.text.passages.squad import SpanAnswer, read_squad
from seqarena.data.text.stories import Story
from seqarena.data.text.story_tables import read_story_rows
from seqarena.tasks.configs import QuestionAnsweringConfig
from seqarena.tasks.text.question_answering import QuestionAnsweringTask

ROOMS = ("garden", "hall", "attic", "cellar")
ROWS = [
    {
        "story": f"Mary went to the {ROOMS[k % 4]}. John went to the {ROOMS[(k + k // 4) % 4]}!",
        "question": "Where is Mary?",
        "answer": ROOMS[k % 4],
    }
    for k in range(40)
]


def stories(file: Path, **fields: str) -> list[Story]:
    return read_story_rows(file, QuestionAnsweringConfig(**fields), Reading())  # pyright: ignore


def as_babi(rows: list[dict[str, str]]) -> str:
    return "".join(
        "".join(f"{k} {part.strip(' .!')}.\n" for k, part in enumerate(row["story"].split(". "), 1))
        + f"3 {row['question']}\t{row['answer']}\t1\n"
        for row in rows
    )


def as_lists(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """As `babi_qa` has them."""
    return [
        {
            "story": {
                "text": [*row["story"].split(". "), row["question"]],
                "type": [0, 0, 1],
                "answer": ["", "", row["answer"]],
                "supporting_ids": [[], [], ["1"]],
            }
        }
        for row in rows
    ]


def write_all(folder: Path) -> dict[str, Path]:
    """The rows in every format, each in a folder of its own under one name."""
    frame = pd.DataFrame(ROWS)
    split = pd.DataFrame([{**row, "story": row["story"].split(". ")} for row in ROWS])
    renamed = frame.rename(columns={"story": "context", "answer": "label"})
    for name in ("csv", "tsv", "jsonl", "list.jsonl", "parquet", "txt", "babi.jsonl", "hf.csv"):
        (folder / name).mkdir()
    frame.to_csv(folder / "csv" / "a.csv", index=False)
    frame.to_csv(folder / "tsv" / "a.tsv.gz", index=False, sep="\t")
    frame.to_json(folder / "jsonl" / "a.jsonl", orient="records", lines=True)
    split.to_json(folder / "list.jsonl" / "a.jsonl", orient="records", lines=True)
    frame.to_parquet(folder / "parquet" / "a.parquet")
    (folder / "txt" / "a.txt").write_text(as_babi(ROWS))
    (folder / "babi.jsonl" / "a.json").write_text(json.dumps(as_lists(ROWS)))
    renamed.to_csv(folder / "hf.csv" / "a.csv", index=False)
    return {place.name: place for place in folder.iterdir()}


def test_every_form_gives_the_same_task(tmp_path: Path) -> None:
    digests = {}
    for name, place in write_all(tmp_path).items():
        task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(place)))
        assert task.reading is not None
        assert [each.num_examples for each in task.reading.files] == [40]
        assert "validation and test cut off" in task.reading.how
        digests[name] = task.digest()
    assert len(set(digests.values())) == 1, digests


def test_rows_of_one_story_stay_together(tmp_path: Path) -> None:
    file = tmp_path / "qa5_train.csv"
    file.write_text(
        "story,question,answer\nA b. C d.,Who b?,A\nA b. C d.,Who d?,C\nE f.,Who f?,E\n"
    )
    first, second = stories(file)
    assert [(q.words, q.answer, q.task) for q in first] == [
        (("who", "b"), "a", "qa5"), (("who", "d"), "c", "qa5"),
    ]  # fmt: skip
    assert first[1].statements == (("a", "b"), ("c", "d"))
    assert first[1].place == f"{file}, line 3"
    assert len(second) == 1


def test_answers_of_other_kinds(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [True, 3, ["apple", "Milk"], "New York"]
    file.write_text(
        "".join(
            json.dumps({"passage": f"It is {k}.", "question": "is it?", "answer": answer}) + "\n"
            for k, answer in enumerate(rows)
        )
    )
    assert [story[0].answer for story in stories(file)] == ["true", "3", "apple,milk", "new york"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"story": "", "question": "Who?", "answer": "a"}, "line 1: the story is empty"),
        ({"story": "A b.", "question": "?", "answer": "a"}, "line 1: no words in the question"),
        ({"story": "A b.", "question": "Who?", "answer": None}, "line 1: the answer is empty"),
        ({"story": "A b.", "question": "Who?", "answer": []}, "line 1: the answer is empty"),
        ({"story": ["A b.", "."], "question": "Who?", "answer": "x"}, "no words in the story"),
        ({"story": "A b.", "question": "Who?", "reply": "x"}, "no field 'answer'"),
        ({"story": {"text": ["A."]}, "question": "Who?"}, "needs the lists text, type"),
        ({"context": "A", "question": "Who?", "answers": {"text": ["A"], "answer_start": [0]}},
         "answers are places in a text"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_row(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(fields) + "\n")
    with pytest.raises(
        UserError, match=rf"a\.jsonl, line 1: .*{message.split(': ')[-1]}"
    ) as caught:
        stories(file)
    assert "\n" not in str(caught.value)


def test_files_of_no_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(UserError, match="no question in the training data"):
        QuestionAnsweringTask(QuestionAnsweringConfig(data=str(tmp_path)))
    with pytest.raises(UserError, match="name different fields"):
        QuestionAnsweringConfig(story="question")


def test_split_folders_and_names_of_tasks(tmp_path: Path) -> None:
    for split, rows in (("train", ROWS[:24]), ("validation", ROWS[24:30]), ("test", ROWS[30:])):
        pd.DataFrame(rows).to_parquet(tmp_path / f"{split}-00000-of-00001.parquet")
    task = QuestionAnsweringTask(QuestionAnsweringConfig(data=str(tmp_path)))
    assert task.sizes == {"train": 24, "validation": 6, "test": 10}
    assert task.describe()["tasks"] == ["train"]
    (batch,) = task.evaluation_batches("test", 10)
    assert task.ratios(batch.targets_BT[..., None].expand(-1, -1, 9).float(), batch).slices == {}


SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "Anna is at home.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "Where?",
                            "answers": [{"text": "home", "answer_start": 11}],
                        },
                        {"id": "2", "question": "Who?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
    ],
}


def test_squad_as_published_and_in_rows(tmp_path: Path) -> None:
    file = tmp_path / "train-v1.1.json"
    file.write_text(json.dumps(SQUAD))
    first, second = read_squad(file)
    assert (first.context, first.question) == ("Anna is at home.", "Where?")
    assert first.answers == (SpanAnswer("home", 11),)
    assert second.answers == ()
    rows = [
        {"context": "Anna is at home.", "question": "Where?",
         "answers": {"text": ["home"], "answer_start": [11]}},
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    assert [q._replace(place="") for q in read_squad(tmp_path / "rows.parquet")] == [
        first._replace(place="", key="")
    ]
    with pytest.raises(UserError, match=r"answers are places in a text \(SQuAD\)"):
        QuestionAnsweringTask(QuestionAnsweringConfig(data=str(file)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"paragraphs": 3}, "'paragraphs' is no list of objects"),
        ({"paragraphs": [{"qas": []}]}, "'context' holds no text"),
        ({"paragraphs": [{"context": "a", "qas": [3]}]}, "'qas' is no list of objects"),
        ({"context": "a", "question": "b", "answers": [{"text": "a"}]}, "'answer_start' is None"),
        (
            {"context": "a", "question": "b", "answers": {"text": ["a"], "answer_start": [7]}},
            "'answer_start' is 7",
        ),
        (
            {"context": "a", "question": "b", "answers": {"text": ["a"], "answer_start": []}},
            "as many of 'text' as",
        ),
    ],
)
def test_broken_squad_is_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match=message):
        list(read_squad(file))
