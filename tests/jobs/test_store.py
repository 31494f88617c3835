"""Results and files: whole or not there, whatever kills the writer."""

import multiprocessing
from pathlib import Path

import pytest
from job_functions import job

from seqarena.core.errors import UserError
from seqarena.jobs.files import locked, write_atomically
from seqarena.jobs.store import Store


def test_a_result_is_kept_and_an_error_replaces_it(tmp_path: Path) -> None:
    store, done = Store(tmp_path), job("double", "k", value=1)
    assert not store.has("k")
    store.keep(done, 1.5, ["[1]", "[2]"])
    assert store.has("k")
    assert store.lines_path("k").read_text() == "[1]\n[2]\n"
    record = store.record("k")
    assert record is not None
    assert (record.function, record.arguments, record.seconds) == (
        "job_functions:double", {"value": 1}, 1.5,
    )  # fmt: skip
    store.keep(done, 2.0, [], "no such file")
    assert not store.has("k")
    assert not store.lines_path("k").exists()
    failed = {"seconds": 2.0, "error": "no such file", "sha256": None}
    assert store.record("k") == record.model_copy(update=failed)


def test_lines_without_their_record_are_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(job("double", "k", value=1), 1.0, ["[1]"])
    (tmp_path / "k.json").unlink()  # as when the writer was killed before
    assert not store.has("k")
    store.keep(job("double", "k", value=1), 1.0, ["[1]"])
    store.lines_path("k").unlink()
    assert store.record("k") is None


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text("{}")
    with pytest.raises(UserError, match="is not the record of a job: delete it"):
        Store(tmp_path).record("k")
    (tmp_path / "k.json").write_text('{"seconds": 1.0')
    with pytest.raises(UserError, match=r"k.json is damaged, it is not JSON: delete it"):
        Store(tmp_path).record("k")


def test_a_changed_result_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(job("double", "k", value=1), 1.0, ["[1]"])
    store.lines_path("k").write_text("[2]\n")
    with pytest.raises(UserError, match=r"k.jsonl is damaged, its SHA-256 has changed"):
        store.record("k")


def test_a_text_is_replaced_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", "old")
    write_atomically(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


def hold(path: Path, held: "multiprocessing.synchronize.Event") -> None:  # pyright: ignore
    with locked(path):
        held.set()
        multiprocessing.Event().wait(60)


def test_a_lock_is_one_processs_until_it_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, path = context.Event(), tmp_path / "run" / ".lock"
    other = context.Process(target=hold, args=(path, held))
    other.start()
    assert held.wait(30)
    with pytest.raises(UserError, match="is in use by another seqarena"), locked(path):
        pass
    other.kill()
    other.join()
    with locked(path), locked(tmp_path / "another"):
        pass
