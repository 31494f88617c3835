"""The next event and its time: a proper score, no leakage, and answers from a checkpoint alone."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqarena.core.batch import asked
from seqarena.core.errors import UserError
from seqarena.data.files.reading import Reading
from seqarena.data.series.events.history import History
from seqarena.tasks.events.codec import EventsCodec
from seqarena.tasks.events.encoder import NEW, EventEncoder
from seqarena.tasks.events.gaps import gap_log_probability
from seqarena.tasks.events.pieces import next_event_pieces
from seqarena.tasks.events.task import EventsTask
from seqarena.tasks.registry import parse_task


def history(count: int, seed: int = 0, entity: str = "ada", start: float = 0.0) -> History:
    draw = np.random.default_rng(seed)
    return History(
        entity,
        tuple(f"log.csv, line {number + 2}" for number in range(count)),
        start + np.cumsum(draw.integers(1, 9, count)).astype(float),
        {
            "event": tuple(draw.choice(["a", "b", "c"], count)),
            "amount": tuple(f"{x:.2f}" for x in draw.normal(5, 2, count)),
            "shop": tuple(draw.choice(["x", "y"], count)),
        },
    )


def write(path: Path, histories: list[History], **more: list[str]) -> Path:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["entity", "time", *histories[0].fields, *more])
        for number, one in enumerate(histories):
            for k in range(len(one)):
                fields = [values[k] for values in one.fields.values()]
                own = [values[number] for values in more.values()]
                out.writerow([one.entity, one.times_T[k], *fields, *own])
    return path


def people(count: int = 12, size: int = 9) -> list[History]:
    return [history(size + k % 3, seed=k, entity=f"e{k}") for k in range(count)]


def task_of(path: Path | None = None, **settings: Any) -> EventsTask:
    data = {} if path is None else {"data": str(path)}
    return EventsTask(parse_task({"kind": "events", **data, **settings}))


@pytest.fixture(name="log")
def log_fixture(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", people())


def test_kinds_of_fields_are_guessed_said_and_overridden(log: Path) -> None:
    task = task_of(log)
    assert [field.name for field in task.encoder.fields] == ["event", "shop"]
    assert task.encoder.numbers is not None
    assert task.encoder.numbers.names == ("amount",)
    assert task.reading is not None
    assert "categories: event (3), shop (2); asked for: event" in task.reading.notes
    assert "numbers: amount" in task.reading.notes
    other = task_of(log, categories=["amount"], leave_out=["shop"], min_count=1)
    assert [field.name for field in other.encoder.fields] == ["event", "amount"]
    assert other.encoder.numbers is None
    assert task.problem.categories == (4, 3)
    assert task.problem.num_outputs == 4 + 3 * 4


def test_text_in_a_column_of_numbers_has_its_line(tmp_path: Path) -> None:
    some = people()
    values = list(some[0].fields["amount"])
    values[2] = "much"
    some[0].fields["amount"] = tuple(values)
    with pytest.raises(UserError, match="line 4: 'amount' holds 'much', which is no number"):
        task_of(write(tmp_path / "log.csv", some))


def test_every_gap_and_event_is_asked_for_once() -> None:
    config = parse_task({"kind": "events", "max_length": 4, "min_count": 1})
    one = history(11)
    encoder = EventEncoder.of([one], "event", config, False, Reading())
    encoded = encoder.encode(one)
    pieces = next_event_pieces(encoded, np.ones(11, dtype=bool), 4)
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    targets = np.concatenate([piece.targets for piece in pieces])
    names = ["new", *encoder.event.values]
    assert [names[int(k)] for k in targets[:, 0]] == list(one.fields["event"][1:])
    assert (targets[:, 1] * encoder.gaps.resolution).tolist() == np.diff(one.times_T).tolist()
    first = [piece.features_TF[0, 0] for piece in pieces]
    assert first == [1.0, 0.0, 0.0]  # a later piece knows the gap before it


def test_the_score_is_the_nats_of_what_came(log: Path) -> None:
    task = task_of(log)
    batch = task.batch("test", np.arange(task.sizes["test"]))
    outputs = torch.randn(*batch.inputs_BT.shape[:2], task.problem.num_outputs)
    ratios = task.ratios(outputs, batch)
    expected, count = 0.0, 0
    for row in range(len(outputs)):
        for place in range(outputs.shape[1]):
            kind, steps = batch.targets_BT[row, place]
            if not kind.isnan():
                law = outputs[row, place]
                expected -= float(law[:4].log_softmax(0)[int(kind)])
                expected -= float(gap_log_probability(law[4:], steps, task.encoder.gaps))
                count += 1
    assert ratios.denominators_B.sum() == count
    assert ratios.numerators_B.sum() == pytest.approx(expected, rel=1e-5)
    assert float(task.loss(outputs, batch)) == pytest.approx(expected / count, rel=1e-5)
    assert sum(part for part, _ in ratios.slices.values()) == pytest.approx(expected, rel=1e-5)


def test_a_batch_in_pieces_has_the_loss_of_the_whole(log: Path) -> None:
    """Training weighs a piece by what it asks (train/loop.py)."""
    task = task_of(log)
    batch = task.batch("train", np.arange(6))
    outputs = torch.randn(*batch.inputs_BT.shape[:2], task.problem.num_outputs)
    whole = float(task.loss(outputs, batch))
    total = 0.0
    for rows in (slice(0, 2), slice(2, 6)):
        part = batch._replace(targets_BT=batch.targets_BT[rows])
        share = asked(part.targets_BT).sum() / asked(batch.targets_BT).sum()
        total += float(task.loss(outputs[rows], part) * share)
    assert total == pytest.approx(whole, rel=1e-6)


def test_by_time_training_knows_nothing_of_what_is_later(tmp_path: Path) -> None:
    """Events from the first cut on are changed: training stays as it is, bit for bit."""
    some = people(20, 30)
    before = task_of(write(tmp_path / "log.csv", some), split="time")
    times = np.sort(np.concatenate([one.times_T for one in some]))
    cut = times[int(0.8 * len(times))]
    changed = []
    for one in some:
        fields = {
            name: tuple(
                ("other" if name != "amount" else "900") if time >= cut else value
                for value, time in zip(values, one.times_T)
            )
            for name, values in one.fields.items()
        }
        changed.append(History(one.entity, one.places, one.times_T, fields))
    after = task_of(write(tmp_path / "log2.csv", changed), split="time")
    assert before.encoder.to_json() == after.encoder.to_json()
    assert before.sizes["train"] == after.sizes["train"]
    for index in range(3):
        one, two = (task.training_batch(index, 4, seed=0) for task in (before, after))
        for x, y in zip(one, two):
            assert (x is None and y is None) or torch.equal(x.nan_to_num(-1), y.nan_to_num(-1))
    test = after.batch("test", np.arange(after.sizes["test"]))
    kinds = test.targets_BT[..., 0][asked(test.targets_BT)[..., 0]]
    assert (kinds == NEW).all()  # and only later events are asked for


def test_by_entity_nobody_is_in_two_splits(log: Path) -> None:
    survey = task_of(log).survey()
    assert [survey.parts[name].in_training for name in ("validation", "test")] == [0, 0]


def test_a_label_of_each_entity(tmp_path: Path) -> None:
    some = people()
    path = write(tmp_path / "log.csv", some, label=[["bad", "good"][k % 2] for k in range(12)])
    task = task_of(path, label="label")
    assert task.problem.form == "label"
    assert task.classes == ("bad", "good")
    assert task.metric == "accuracy"
    assert all(field.name != "label" for field in task.encoder.fields)
    assert [row.name for row in task.baselines()] == ["majority"]
    assert task.baselines()[0].result(task).test.value <= 1
    text = path.read_text().replace("good\n", "bad\n", 1)
    path.write_text(text)
    with pytest.raises(UserError, match=r"line \d+: entity 'e1' has the label 'good' and 'bad'"):
        task_of(path, label="label")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"event": "what"}, "no field 'what'"),
        ({"leave_out": ["nothing"]}, "--set leave_out: no column 'nothing'"),
        ({"label": "shop", "split": "time"}, "a label belongs to an entity"),
        ({"min_count": 1000}, "comes 1000 times in training"),
        ({"event": "time"}, "name different columns"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    log: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        task_of(log, **settings)


def test_baselines_are_ordered_as_they_must_be_and_above_the_best_possible() -> None:
    task = task_of()
    values = {row.name: row.result(task).test.value for row in task.baselines()}
    assert set(values) == {"most frequent", "last event"}
    best = task.describe()["best_possible"]
    assert best < values["last event"] < values["most frequent"]


def test_other_data_are_scored_as_the_own_test_split(tmp_path: Path) -> None:
    for name, part in (("train", people()), ("test", people(7)[4:])):
        write(tmp_path / f"{name}.csv", part)
    task = task_of(tmp_path)
    again = EventsTask.evaluation_of(task.config, task.artifacts(), str(tmp_path / "test.csv"))

    def predict(batch: Any) -> torch.Tensor:
        sums = batch.inputs_BT.sum(-1, keepdim=True) + batch.categories_BTC.sum(-1, keepdim=True)
        return torch.sin(sums * torch.arange(1, task.problem.num_outputs + 1))

    assert task.evaluate(predict, "test", 2) == again.evaluate(predict, "test", 2)


def test_a_checkpoint_alone_answers_for_each_entity(log: Path) -> None:
    task = task_of(log)
    codec = EventsCodec.from_artifacts(task.config, task.artifacts())
    items = list(codec.inputs(task.config, log))
    assert items[:2] == [f"{log}:e0", f"{log}:e1"]
    batch = codec.encode(items[:3])
    outputs = torch.zeros(*batch.inputs_BT.shape[:2], task.problem.num_outputs)
    last = batch.mask_BT.sum(1) - 1
    outputs[torch.arange(3), last, 2] = 9.0
    answers = codec.decode(outputs, batch)
    assert all(one.text.startswith(f"{task.encoder.event.values[1]} after ") for one in answers)
    assert answers[0].confidence == pytest.approx(0.9996, abs=1e-3)
    with pytest.raises(UserError, match="12 entities: name one of them"):
        codec.encode([str(log)])
    with pytest.raises(UserError, match="no entity 'zoe'"):
        codec.encode([f"{log}:zoe"])


def test_dates_bring_the_clock(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", people())
    lines = path.read_text().splitlines()
    dated = [lines[0]]
    for line in lines[1:]:
        entity, time, *rest = line.split(",")
        hours = int(float(time))
        stamp = f"2024-01-{1 + hours // 24:02d}T{hours % 24:02d}:00:00"
        dated.append(",".join([entity, stamp, *rest]))
    path.write_text("\n".join(dated))
    task = task_of(path)
    assert task.encoder.dates
    assert task.encoder.gaps.resolution == 3600
    assert task.problem.features == 2 + 1 + 4
    assert json.loads(task.artifacts()["fields"])["dates"] is True
