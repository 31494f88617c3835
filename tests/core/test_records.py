"""Records come back as they were written; torn and foreign lines are told apart."""

import json
import math
from pathlib import Path

import pytest

from seqarena.core.errors import UserError
from seqarena.core.results.lines import append_lines, read_lines, read_signed, signed, verified
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
    with pytest.raises(UserError, match=r"records.jsonl, line 1 is no record of this version"):
        list(read_records(path))


@pytest.mark.parametrize("cut", ["\u2028", "\u2029", "\u0085", "\x0b", "\x1c"])
def test_a_label_may_hold_what_python_takes_for_the_end_of_a_line(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "records.jsonl"
    record = EvaluationRecord(
        step=1, tokens=2, split="test", metric="accuracy", value=0.5, slices={f"good{cut}one": 1.0}
    )
    path.write_text(record.model_dump_json() + "\n" + record.model_dump_json() + "\n", "utf-8")
    assert list(read_records(path)) == [record, record]


def test_a_line_is_json_and_comes_back() -> None:
    for text in ("{}", '{"a":1}', '{\n "a": " ",\n "b": {}\n}'):
        assert json.loads(signed(text)).keys() - json.loads(text).keys() == {"crc32"}
        assert json.loads(verified(signed(text))) == json.loads(text)


def test_every_changed_byte_of_a_line_is_found(tmp_path: Path) -> None:
    """Flipped in each of its bits, or left out: never another value, and never one record less."""
    path = tmp_path / "records.jsonl"
    lines = [step(1.25), step(2.5)]
    append_lines(path, (line.model_dump_json() for line in lines))
    whole = path.read_bytes()
    for place in range(len(whole)):
        for other in (*(bytes([whole[place] ^ 1 << bit]) for bit in range(8)), b""):
            path.write_bytes(whole[:place] + other + whole[place + 1 :])
            try:
                assert list(read_records(path)) == lines
            except UserError as error:
                found = str(error)
                assert found.startswith(f"{path}, line ")


def test_a_whole_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "records.jsonl"
    append_lines(path, ['{"a":1}', '{"a":2}'])
    path.write_bytes(path.read_bytes()[:-1])
    append_lines(path, ['{"a":3}'])
    path.write_bytes(path.read_bytes()[:-4])
    append_lines(path, ['{"a":4}'])
    assert list(read_lines(path, json.loads)) == [{"a": 1}, {"a": 2}, {"a": 4}]


def test_every_changed_byte_of_a_file_is_found(tmp_path: Path) -> None:
    path, value = tmp_path / "plan.json", {"name": "r", "rates": [0.001, 0.01]}
    whole = signed(json.dumps(value, indent=1)).encode()
    for place in range(len(whole)):
        for other in (*(bytes([whole[place] ^ 1 << bit]) for bit in range(8)), b""):
            path.write_bytes(whole[:place] + other + whole[place + 1 :])
            try:
                found = json.loads(read_signed(path, "delete it"))
                assert {key: found[key] for key in value} == value
            except UserError as error:
                assert str(error).startswith(f"{path} is damaged")  # noqa: PT017
    path.unlink()
    with pytest.raises(UserError, match=r"plan.json is missing: delete it"):
        read_signed(path, "delete it")
