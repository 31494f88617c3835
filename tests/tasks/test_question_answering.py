"""Question answering: examples, splits by story, slices by task, the codec, bAbI itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.batch import IGNORE, PAD, UNKNOWN, Batch
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.tasks.base import Task
from seqarena.tasks.registry import build_task, load_codec, parse_task
from seqarena.tasks.text.question_answering import QuestionAnsweringTask
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

ROOMS = ("bathroom", "hallway", "garden", "kitchen")
PEOPLE = ("Mary", "John", "Sandra")


def story(number: int) -> str:
    """Three statements, a question about the first person, a statement, another question."""
    who = [PEOPLE[(number + k) % 3] for k in range(3)]
    where = [ROOMS[(number * k + k) % 4] for k in range(4)]
    return (
        f"1 {who[0]} went to the {where[0]}.\n2 {who[1]} went to the {where[1]}.\n"
        f"3 {who[2]} went to the {where[2]}.\n4 Where is {who[0]}?\t{where[0]}\t1\n"
        f"5 {who[0]} went to the {where[3]}.\n6 Where is {who[0]}?\t{where[3]}\t5\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, count in (("train", 20), ("test", 5)):
        text = "".join(story(k) for k in range(count))
        (tmp_path / f"qa1_where_{split}.txt").write_text(text)
        text = "".join(
            f"1 {PEOPLE[k % 3]} is here.\n2 Is {PEOPLE[k % 2]} here?\t{('yes', 'no')[k % 2]}\t1\n"
            for k in range(count)
        )
        (tmp_path / f"qa2_whether_{split}.txt").write_text(text)
    return tmp_path


def made(data: Path | str | None, **settings: object) -> QuestionAnsweringTask:
    fields = {"kind": "question_answering", "data": None if data is None else str(data)}
    task = build_task(parse_task({**fields, **settings}))
    assert isinstance(task, QuestionAnsweringTask)
    return task


def right_logits(task: Task, batch: Batch) -> torch.Tensor:
    return torch.nn.functional.one_hot(batch.targets_BT, task.vocab_size).float()


def test_an_example_is_the_newest_statements_and_the_question(folder: Path) -> None:
    task = made(folder / "qa1_*", memory_size=2)
    batch = next(task.evaluation_batches("test", 2))
    assert batch.mask_BT is not None
    assert batch.segments_BT is not None
    words = [
        [" ".join(task.vocabulary.decode(row[numbers == k].tolist())) for k in range(3)]
        for row, numbers in zip(batch.inputs_BT, batch.segments_BT.where(batch.mask_BT, -1))
    ]
    assert words == [
        ["john went to the hallway", "sandra went to the garden", "where is mary"],
        ["sandra went to the garden", "mary went to the kitchen", "where is mary"],
    ]
    assert task.vocabulary.decode(batch.targets_BT[:, 0].tolist()) == ["bathroom", "kitchen"]
    assert task.problem.form == "label"
    assert task.problem.num_segments == 3
    assert task.problem.num_outputs == task.problem.vocab_size == len(task.vocabulary)
    assert task.describe()["stories_cut"] == 50  # every question of 25 stories


def test_a_short_story_ends_at_the_same_numbers(folder: Path) -> None:
    task = made(folder / "qa2_*", memory_size=7)
    batch = next(task.evaluation_batches("test", 3))
    assert batch.segments_BT is not None
    assert batch.segments_BT.tolist() == [[6] * 3 + [7] * 3] * 3


def test_validation_is_cut_off_by_whole_stories(folder: Path) -> None:
    task = made(folder / "qa1_*")
    sizes = {name: len(part) for name, part in task._questions.items()}
    assert sizes == {"train": 36, "validation": 4, "test": 10}
    places = {name: {q.place for q in part} for name, part in task._questions.items()}
    assert not places["train"] & places["validation"]
    lines = sorted(int(place.rsplit(" ", 1)[1]) for place in places["validation"])
    assert lines[1] == lines[0] + 2  # both questions of one story
    assert lines[3] == lines[2] + 2


def test_batches_are_functions_of_seed_and_index(folder: Path) -> None:
    one, two = made(folder), made(folder)
    for index in (0, 3, 50):
        a, b = one.training_batch(index, 4, seed=1), two.training_batch(index, 4, seed=1)
        assert [x is None or x.tolist() for x in a] == [x is None or x.tolist() for x in b]
    per_epoch = one.steps_per_epoch(4)
    assert per_epoch is not None
    rows = [
        (*row[row != PAD].tolist(), int(target))
        for index in range(per_epoch)
        for row, target in zip(*one.training_batch(index, 4, seed=1)[:2])
    ]
    expected = [(*e.tokens_T.tolist(), e.answer) for e in one._examples["train"]]
    assert sorted(rows) == sorted(expected)


def test_slices_are_by_task(folder: Path) -> None:
    task = made(folder)
    wrong_at = task.vocabulary.encode(["yes"])[0]

    def predict(batch: Batch) -> torch.Tensor:
        logits = right_logits(task, batch)
        logits[batch.targets_BT[:, 0] == wrong_at] = 0
        return logits

    scores = task.evaluate(predict, "test", 4)
    assert scores.slices == {"qa1_where": 1.0, "qa2_whether": 0.4}
    assert scores.value == pytest.approx(12 / 15)
    assert scores.num_scored == 15
    alone = made(folder / "qa1_*")
    assert alone.evaluate(lambda batch: right_logits(alone, batch), "test", 4).slices == {}


def test_what_is_not_a_number_is_wrong(folder: Path) -> None:
    task = made(folder / "qa1_*")
    batch = next(task.evaluation_batches("test", 4))
    logits = right_logits(task, batch)
    logits[0, 0, -1] = torch.nan
    assert task.ratios(logits, batch).numerators_B.tolist() == [0, 1, 1, 1]


def test_an_answer_that_training_never_had_is_wrong_and_counted(folder: Path) -> None:
    test = folder / "qa1_where_test.txt"
    test.write_text(test.read_text().replace("\tgarden\t", "\tlibrary\t"))
    task = made(folder / "qa1_*")
    new = task.describe()["answers_not_in_training"]["test"]
    assert new > 0
    scores = task.evaluate(lambda batch: right_logits(task, batch), "test", 4)
    assert scores.value == pytest.approx(1 - new / 10)
    batch = next(task.evaluation_batches("test", 10))
    assert int((batch.targets_BT == UNKNOWN).sum()) == new


def test_mistakes_in_the_data(folder: Path, tmp_path: Path) -> None:
    test = folder / "qa1_where_test.txt"
    test.write_text("1 Mary is here.\n2 Where is Mary?\tpalace\t1\n")
    with pytest.raises(
        UserError, match=r"qa1_where_test.txt, line 2: no answer of the test.*palace"
    ):
        made(folder / "qa1_*")
    (tmp_path / "none_train.txt").write_text("1 Mary is here.\n")
    with pytest.raises(UserError, match="no question in the training data"):
        made(tmp_path / "none_*")
    with pytest.raises(UserError, match="memory_size = 0"):
        made(None, memory_size=0)


def test_facts_and_digest(folder: Path) -> None:
    task = made(folder)
    facts = task.describe()
    assert facts["tasks"] == ["qa1_where", "qa2_whether"]
    assert facts["questions"] == {"train": 55, "validation": 5, "test": 15}  # of 60 in 40
    json.dumps(facts, allow_nan=False)
    assert task.digest() == made(folder).digest()
    assert task.digest() != made(folder, memory_size=2).digest()
    train = folder / "qa2_whether_train.txt"
    train.write_text(train.read_text().replace("yes", "no", 1))
    assert task.digest() != made(folder).digest()


def test_the_codec_reads_a_story_as_typed_and_names_the_answer(folder: Path) -> None:
    task = made(folder)
    codec = load_codec(task.config, task.artifacts())
    typed = "Mary went to the garden. John went to the hallway. Where is Mary?"
    batch = codec.encode([typed, "john is here | is john here"])
    assert batch.targets_BT.tolist() == [[IGNORE], [IGNORE]]
    assert batch.segments_BT is not None
    assert batch.segments_BT[0, -1] == 50
    logits = torch.zeros(2, 1, task.vocab_size)
    logits[0, 0, task.vocabulary.encode(["garden"])] = 10
    logits[1, 0, task.vocabulary.encode(["yes"])] = 20
    first, second = codec.decode(logits, batch)
    assert (first.text, second.text) == ("garden", "yes")
    others = (task.vocab_size - 1) * np.exp(-10)
    assert first.confidence == pytest.approx(1 / (1 + others), rel=1e-5)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("Where is Mary?", "no story before the question"),
        ("", "no story before the question"),
        ("Mary went to the palace. Where is Mary?", "'palace' did not occur in training"),
    ],
)
def test_what_the_codec_cannot_read(folder: Path, typed: str, message: str) -> None:
    task = made(folder)
    with pytest.raises(UserError, match=message):
        load_codec(task.config, task.artifacts()).encode([typed])


def trained(task: Task, name: str, steps: int, rate: float) -> tuple[float, Trainer]:
    """The mean loss of the last ten steps, in nats."""
    model = build(name, problem=task.problem, width=16, depth=1, seed=0)
    optimizer = OptimizerConfig(learning_rate=rate, weight_decay=0.0)
    settings = TrainConfig(budget=Budget(steps=steps), batch_size=32, optimizer=optimizer)
    trainer = Trainer(model, task, settings)
    return float(np.mean([record.loss_nats for record in trainer.steps()][-10:])), trainer


def test_a_memory_network_learns_generated_stories() -> None:
    task = made(None)
    loss, trainer = trained(task, "memory_network", 150, 2e-2)
    assert loss < 1.6  # the places alone have ln 6 = 1.79
    scores = task.evaluate(trainer.predict, "validation", 200)
    assert scores.value > task.describe()["baseline"]["accuracy"] + 0.1
    assert set(scores.slices) == {"who", "what"}


def test_a_stack_reads_the_same_batches() -> None:
    task = made(None)
    loss, _ = trained(task, "gru", 30, 1e-2)
    assert loss < 2.2  # from ln 33 = 3.5: which words are answers


@pytest.mark.parametrize(("number", "vocabulary", "cut"), [(1, 19 + 4, 0), (3, None, 1)])
def test_babi(real_data: Path, number: int, vocabulary: int | None, cut: int) -> None:
    task = made(real_data / "babi" / "en" / f"qa{number}_*")
    facts = task.describe()
    assert sum(facts["questions"][name] for name in ("train", "validation")) == 1000
    assert facts["questions"]["test"] == 1000
    assert facts["answers_not_in_training"] == {"validation": 0, "test": 0}
    assert (facts["stories_cut"] > 0) is bool(cut)
    assert vocabulary is None or facts["vocab_size"] == vocabulary
