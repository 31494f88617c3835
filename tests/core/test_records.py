"""Records come back as they were written; torn and foreign lines are told apart."""

import math
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.core.results.records import EvaluationRecord, StepRecord, parse_record, read_records


def step(loss_nats: float) -> StepRecord:
    return StepRecord(
        step=1, tokens=2, loss_nats=loss_nats, gradient_norm=float("inf"), learning_rate=0.1,
        training_seconds=0.5,
    )  # fmt: skip


def test_a_diverged_step_comes_back() -> None:
    found = parse_record(step(float("nan")).model_dump_json())
    assert math.isnan(found.loss_nats)
    assert found.gradient_norm == math.inf


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    line = step(1.0).model_dump_json()
    path.write_text(line + "\n" + line[:20])
    assert list(read_records(path)) == [step(1.0)]


def test_a_foreign_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"kind": "step"}\n' + step(1.0).model_dump_json() + "\n")
    with pytest.raises(UserError, match=r"records.jsonl, line 1: not a record of this version"):
        list(read_records(path))


@pytest.mark.parametrize("cut", ["\u2028", "\u2029", "\u0085", "\x0b", "\x1c"])
def test_a_label_may_hold_what_python_takes_for_the_end_of_a_line(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "records.jsonl"
    record = EvaluationRecord(
        step=1, tokens=2, split="test", metric="accuracy", value=0.5, slices={f"good{cut}one": 1.0}
    )
    path.write_text(record.model_dump_json() + "\n" + record.model_dump_json() + "\n", "utf-8")
    assert list(read_records(path)) == [record, record]
