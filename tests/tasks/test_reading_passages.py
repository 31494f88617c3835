"""Reading: exact match and F1 as published, examples and windows, answers, the codec, baselines."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.core.batch import END, UNKNOWN, Batch
from seqarena.core.errors import UserError
from seqarena.data.text.passages.squad import SpanAnswer, SpanQuestion
from seqarena.tasks.passages.codec import NO_ANSWER, ReadingCodec, split_item
from seqarena.tasks.passages.scores import exact, f1, plain_answer
from seqarena.tasks.passages.task import ReadingTask
from seqarena.tasks.registry import build_task, load_codec, parse_task

PEOPLE = ("Mary", "John", "Sandra", "Daniel")
ROOMS = ("old garden", "kitchen", "big dark hall", "attic")


def entry(k: int, *, answered: bool = True) -> dict[str, Any]:
    """A passage of two sentences, and where its first person is."""
    who, room = PEOPLE[k % 4], ROOMS[k // 4 % 4]
    context = f"{who} went to the {room}. {PEOPLE[(k + 1) % 4]} stayed, number {k}."
    found = {"text": room, "answer_start": context.index(room)}
    return {
        "context": context,
        "question": f"Where is {who}?",
        "answers": {name: [value] if answered else [] for name, value in found.items()},
    }


def write(folder: Path, entries: dict[str, list[dict[str, Any]]]) -> Path:
    for split, rows in entries.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(
        tmp_path,
        {
            "train": [entry(k) for k in range(24)],
            "dev": [entry(k) for k in range(24, 30)],
            "test": [entry(k) for k in range(30, 41)],
        },
    )


@pytest.fixture
def with_none(tmp_path: Path) -> Path:
    """Every fourth question has no answer."""
    return write(
        tmp_path,
        {
            split: [entry(k, answered=k % 4 > 0) for k in range(first, last)]
            for split, first, last in (("train", 0, 24), ("dev", 24, 30), ("test", 30, 41))
        },
    )


def made(data: Path | None, **settings: Any) -> ReadingTask:
    fields = {"kind": "reading", "min_count": 1, "data": None if data is None else str(data)}
    task = build_task(parse_task({**fields, **settings}))
    assert isinstance(task, ReadingTask)
    return task


def right_logits(batch: Batch) -> Tensor:
    """As sure of every window's target as can be."""
    size, length = batch.inputs_BT.shape
    logits = torch.full((size, 2, length), -9.0)
    return logits.scatter(2, batch.targets_BT[..., None], 9.0)


# ------------------------------------------------------------------------------ the metric


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The  Lamp", "lamp"),
        ("an\ta\nThe", ""),
        ("theatre and an ant", "theatre and ant"),
        ("U.S.A.", "usa"),
        ("the-lamp", "thelamp"),  # punctuation goes before the articles do
        ("a.b", "ab"),
        ("“the lamp”", "“ lamp”"),  # only ASCII is punctuation
        ("Éa", "éa"),
        ("!?", ""),
        ("1,000", "1000"),
    ],
)
def test_what_is_compared(text: str, plain: str) -> None:
    assert plain_answer(text) == plain


@pytest.mark.parametrize(
    ("answer", "references", "em", "share"),
    [
        ("the red lamp", ["red lamp"], 1, 1),
        ("Red Lamp.", ["a red  lamp!"], 1, 1),
        ("lamp", ["red lamp"], 0, 2 / 3),
        ("red red lamp", ["red lamp"], 0, 4 / 5),  # a word counts as often as both have it
        ("red red lamp", ["red red map"], 0, 2 / 3),
        ("lamp red", ["red lamp"], 0, 1),
        ("map", ["red lamp"], 0, 0),
        ("lamp", ["map", "red lamp", "lamp post"], 0, 2 / 3),  # the best of the references
        ("lamp", ["map", "the lamp"], 1, 1),
        ("", ["lamp"], 0, 0),
        ("", [], 1, 1),
        ("lamp", [], 0, 0),
        ("the", [], 1, 1),  # nothing is left of it
        ("the", ["a"], 1, 1),  # nor of its reference, which counts as none
        ("lamp", ["the", "lamp"], 1, 1),
        ("the", ["the", "lamp"], 0, 0),
    ],
)
def test_the_edge_cases_of_the_published_script(
    answer: str, references: list[str], em: float, share: float
) -> None:
    assert exact(answer, references) == em
    assert f1(answer, references) == pytest.approx(share, rel=1e-12)


def test_random_answers_score_as_the_published_script_scores_them() -> None:
    """Releases of transformers before 5 have it."""
    script = pytest.importorskip("transformers.data.metrics.squad_metrics")
    draw = random.Random(0)
    words = ["a", "the", "lamp", "Lamp", "red.", "an", "", "!", "U.S.", "“red”", "thé", "ß"]
    for _ in range(2000):
        answer, *given = (
            " ".join(draw.choices(words, k=draw.randrange(4))) for _ in range(draw.randrange(1, 4))
        )
        kept = [text for text in given if script.normalize_answer(text)] or [""]
        assert exact(answer, given) == max(script.compute_exact(a, answer) for a in kept)
        assert f1(answer, given) == max(script.compute_f1(a, answer) for a in kept)


# ------------------------------------------------------------------------ examples and windows


def test_an_example_is_the_question_and_the_passage(folder: Path) -> None:
    task = made(folder)
    batch = task.batch("test", np.array([0, 1]))
    words = task.encoder.vocabulary.words
    assert " ".join(words[k] for k in batch.inputs_BT[0] if k != 0) == (
        "where is sandra ? <end> "
        "sandra went to the attic . daniel stayed , number <unknown> . <end>"
    )
    assert batch.segments_BT is not None
    assert batch.segments_BT[0].tolist()[:7] == [0] * 5 + [1] * 2
    first, last = batch.targets_BT[0].tolist()
    assert words[int(batch.inputs_BT[0, first])] == "attic"
    assert first == last
    first, last = task.batch("validation", np.array([0])).targets_BT[0].tolist()
    read = task.batch("validation", np.array([0])).inputs_BT[0, first : last + 1]
    assert [words[k] for k in read] == ["big", "dark", "hall"]
    assert task.problem.form == "span"
    assert task.problem.num_segments == 2
    assert int(batch.inputs_BT.max()) < task.problem.vocab_size


@pytest.mark.parametrize("step", [0.1, 0.3, 1])
def test_windows_read_the_whole_passage_and_each_the_question(folder: Path, step: float) -> None:
    whole, task = made(folder), made(folder, max_length=16, max_question=4, window_step=step)
    assert task.sequence_length == 16
    for one, many in zip(whole.encoded("train"), task.encoded("train")):
        (all_T,), before = [w.tokens_T for w in one.windows], one.windows[0].question_length
        assert len(many.windows) > 1
        read: dict[int, int] = {}
        for window in many.windows:
            assert len(window.tokens_T) <= 16
            assert window.tokens_T[: window.question_length].tolist() == all_T[:before].tolist()
            assert window.tokens_T[-1] == END
            part = window.tokens_T[window.question_length : -1]
            read |= {window.start + k: int(token) for k, token in enumerate(part)}
            first, last = window.target
            shown = all_T[one.windows[0].target[0] : one.windows[0].target[1] + 1].tolist()
            none = first == last == len(window.tokens_T) - 1
            assert none or last < len(window.tokens_T) - 1
            assert none or window.tokens_T[first : last + 1].tolist() == shown
        assert [read[k] for k in sorted(read)] == all_T[before:-1].tolist()
    rows = [len(window.tokens_T) for q in task.encoded("train") for window in q.windows]
    assert len(task.sampler.lengths_N) == len(rows)
    assert task.reading is not None
    assert "24 training questions read in windows" in task.reading.notes


@pytest.mark.parametrize("step", [0.1, 0.5, 1])
def test_a_window_has_the_answer_where_it_holds_all_of_it(folder: Path, step: float) -> None:
    task = made(folder, max_length=16, max_question=4, window_step=step)
    words = [f"w{k}" for k in range(20)]
    context = " ".join(words)
    for first in range(20):
        for last in range(first, min(20, first + 4)):
            text = " ".join(words[first : last + 1])
            start = len(" ".join(words[:first])) + (first > 0)
            answer = SpanAnswer(text, start)
            asked = task.encoder.encode(SpanQuestion(context, "What?", (answer,), ""))
            for window in asked.windows:
                end = len(window.tokens_T) - 1
                here = range(window.start, window.start + end - window.question_length)
                shift = window.question_length - window.start
                whole = first in here and last in here
                expected = (first + shift, last + shift) if whole else (end, end)
                assert window.target == expected


@pytest.mark.parametrize("settings", [{}, {"max_length": 16, "max_question": 4}])
def test_right_logits_are_right_in_any_batches(folder: Path, settings: dict[str, int]) -> None:
    task = made(folder, **settings)
    scores = [task.evaluate(right_logits, "test", size) for size in (1, 4, 50)]
    assert [one.value for one in scores] == [1.0] * 3
    assert scores[0] == scores[1] == scores[2]
    assert scores[0].num_scored == 11
    assert scores[0].slices["f1"] == scores[0].slices["exact, several words"] == 1.0
    wrong = task.evaluate(lambda batch: -right_logits(batch), "test", 4)
    assert wrong.value == 0.0
    unknown = task.evaluate(lambda batch: right_logits(batch) * torch.nan, "test", 4)
    assert unknown.value == 0.0


def test_part_of_an_answer_counts_in_f1_alone(folder: Path) -> None:
    def shortened(batch: Batch) -> Tensor:
        """The last word alone."""
        last_B1 = batch.targets_BT[:, 1:]
        return right_logits(batch._replace(targets_BT=last_B1.expand(-1, 2)))

    found = made(folder).evaluate(shortened, "test", 4)
    again = made(folder, metric="f1").evaluate(shortened, "test", 4)
    rooms = [ROOMS[k // 4 % 4] for k in range(30, 41)]
    words = [len(room.split()) for room in rooms]
    assert found.value == pytest.approx(sum(n == 1 for n in words) / 11)
    assert again.value == pytest.approx(sum(2 / (1 + n) for n in words) / 11)
    assert found.slices["f1"] == again.value
    assert again.slices["exact"] == found.value


def test_of_several_references_the_best_counts(tmp_path: Path) -> None:
    rows = [entry(k) for k in range(12)]
    for row in rows:
        start = row["context"].index("went")
        row["answers"] = {"text": ["went", *row["answers"]["text"]],
                          "answer_start": [start, *row["answers"]["answer_start"]]}  # fmt: skip
    task = made(write(tmp_path, {"train": rows, "dev": rows[:3], "test": rows[3:6]}))
    words = task.encoder.vocabulary.words
    batch = task.batch("train", np.arange(12))
    firsts = batch.inputs_BT[torch.arange(12), batch.targets_BT[:, 0]]
    assert {words[k] for k in firsts.tolist()} == {"went"}  # the first is learnt
    scored = next(task.evaluation_batches("test", 3))
    rooms = [row["answers"]["text"][1] for row in rows[3:6]]
    assert task.ratios_of_texts(rooms, scored).numerators_B.tolist() == [1, 1, 1]


def test_no_answer_is_learnt_and_answered_where_training_has_it(with_none: Path) -> None:
    task = made(with_none)
    scores = task.evaluate(right_logits, "test", 4)
    assert scores.value == 1.0
    assert scores.slices["exact, no answer"] == 1.0
    batch = task.batch("train", np.array([0, 1]))
    lengths = [len(task.encoded("train")[k].windows[0].tokens_T) for k in (0, 1)]
    assert batch.targets_BT[0].tolist() == [lengths[0] - 1] * 2
    assert batch.targets_BT[1, 1] < lengths[1] - 1
    always = made(with_none)
    always.may_be_none = False
    missed = always.evaluate(right_logits, "test", 4)
    assert missed.slices["exact, no answer"] == 0.0
    assert missed.slices["exact, an answer"] == 1.0


def test_a_window_without_the_answer_does_not_outvote_one_with_it(with_none: Path) -> None:
    task = made(with_none, max_length=16, max_question=4)
    scores = task.evaluate(right_logits, "test", 4)
    assert (scores.value, scores.slices["exact, no answer"]) == (1.0, 1.0)


def test_several_questions_of_a_passage_stay_together(tmp_path: Path) -> None:
    rows = [{**entry(k // 3), "question": f"Where is it, {k}?"} for k in range(60)]
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = made(tmp_path)
    parts = [{q.context for q in task.questions(split)} for split in task.sizes]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    assert task.sizes == {"train": 48, "validation": 6, "test": 6}


def test_answers_within_words_are_said(tmp_path: Path) -> None:
    rows = [entry(k) for k in range(12)]
    for row in rows[:2]:
        row["answers"]["answer_start"][0] += 1
        row["answers"]["text"][0] = row["answers"]["text"][0][1:]
    task = made(write(tmp_path, {"train": rows, "dev": rows[2:5], "test": rows[5:8]}))
    assert task.reading is not None
    assert any(note.startswith("2 training answers begin or end") for note in task.reading.notes)


def test_settings_that_cannot_be(folder: Path) -> None:
    with pytest.raises(UserError, match="max_length 64 leaves no room for a passage"):
        made(folder, max_length=64)
    with pytest.raises(UserError, match="context, question and answers name different fields"):
        made(folder, context="question")
    task = made(folder)
    batch = task.batch("test", np.array([0]))
    with pytest.raises(UserError, match="leave label smoothing at 0"):
        task.loss(right_logits(batch), batch, 0.1)


def test_the_digest_is_of_the_questions_and_of_what_is_made_of_them(folder: Path) -> None:
    one = made(folder).digest()
    assert made(folder).digest() == one
    assert made(folder, max_length=100).digest() != one
    file = folder / "test.jsonl"
    file.write_text(file.read_text().replace("attic", "cabin"))
    assert made(folder).digest() != one


# ------------------------------------------------------------------------------- one question


@pytest.mark.parametrize(
    "item",
    [
        "Mary went home. Where is Mary?",
        "Mary went home.\tWhere is Mary?",
        "Mary went home. | Where is Mary?",
        "Mary went home.\nWhere is Mary?\n",
    ],
)
def test_passage_and_question_of_one_text(item: str) -> None:
    assert split_item(item)[:2] == ("Mary went home.", "Where is Mary?")


def test_the_last_sentence_is_the_question() -> None:
    assert split_item("It is 3.5 km. It rains! How far?")[:2] == (
        "It is 3.5 km. It rains!",
        "How far?",
    )
    assert split_item("東京は首都です。首都は何ですか")[:2] == (
        "東京は首都です。",
        "首都は何ですか",
    )
    for item in ("Where is Mary?", "\tWhere?", "Mary went home.\t "):
        with pytest.raises(UserError, match="no passage before the question"):
            split_item(item)


def test_an_answer_is_spelled_as_in_the_passage(with_none: Path) -> None:
    task = made(with_none, max_length=16, max_question=4)
    codec = load_codec(task.config, task.artifacts())
    assert isinstance(codec, ReadingCodec)
    row = entry(9)
    item = f"{row['context'].replace('kitchen', 'KITCHEN')}\t{row['question']}"
    batch = codec.encode([item, "Nobody went anywhere at all.\tWho?"])
    assert UNKNOWN in batch.inputs_BT
    (asked, _), (other, _) = [(q, len(q.windows)) for q in codec._questions]
    logits = torch.full((len(batch.inputs_BT), 2, batch.inputs_BT.shape[1]), -9.0)
    for k, window in enumerate((*asked.windows, *other.windows)):  # none, but where it stands
        first = asked.words.words.index("hall") if k < len(asked.windows) else -1
        place = first - window.start + window.question_length
        ends = len(window.tokens_T) - 1
        here = place if window.question_length <= place < ends and first >= 0 else ends
        logits[k, :, here] = 9.0
    found, none = codec.decode(logits, batch)
    assert found.text == "hall"
    assert found.confidence == pytest.approx(1.0, abs=1e-5)
    assert none.text == NO_ANSWER


def test_inputs_of_files(folder: Path) -> None:
    task = made(folder)
    codec = load_codec(task.config, task.artifacts())
    items = list(codec.inputs(task.config, folder / "test.jsonl"))
    assert items == [f"{entry(k)['context']}\t{entry(k)['question']}" for k in range(30, 41)]
    (folder / "asked.txt").write_text("Mary went home. Where is Mary?\n")
    assert list(codec.inputs(task.config, folder / "asked.txt")) == [
        "Mary went home. Where is Mary?"
    ]


# --------------------------------------------------------------------------------- baselines


def test_baselines_by_hand(folder: Path) -> None:
    found = {one.name: one.result(made(folder)) for one in made(folder).baselines()}
    rooms = [ROOMS[k // 4 % 4] for k in range(30, 41)]
    train = [ROOMS[k // 4 % 4] for k in range(24)]
    usual = max(dict.fromkeys(train), key=train.count)
    assert found["majority"].test.value == pytest.approx(rooms.count(usual) / 11)
    assert found["majority"].detail == usual
    places = [len(room.split()) for room in train]  # every answer begins at word 5
    size = max(sorted(set(places)), key=places.count)
    assert found["position"].detail == f"words 5 to {4 + size}"
    share = sum(len(room.split()) == size for room in rooms) / 11
    assert found["position"].test.value == pytest.approx(share)
    for name in ("first entity", "last entity", "sliding window"):  # rooms are all there is
        assert found[name].test.value == 1.0


def test_the_embedded_passages_need_reading() -> None:
    """No baseline finds a quarter of the answers."""
    task = made(None)
    results = [one.result(task).test.value for one in task.baselines()]
    assert len(results) == 5
    assert max(results) < 0.25
    assert task.sizes["test"] == 900
