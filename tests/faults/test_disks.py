"""A save that is killed, and disks that are full or refuse: what was there stays whole, nothing is
left of what could not be written, and one line says so."""

import errno
import os
import resource
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from fault_runs import COMPARE, NEEDS_FORK, TRAIN, call, forked, numbers, temporary

from seqarena.arena.folder import RunFolder
from seqarena.arena.run import RunState, check_space, required_bytes
from seqarena.core.errors import UserError, naming
from seqarena.jobs.files import write_atomically
from seqarena.models.build import build
from seqarena.tasks import LanguageConfig, build_task
from seqarena.train import checkpoint
from seqarena.train.budget import Budget
from seqarena.train.config import TrainConfig
from seqarena.train.loop import Trainer

pytestmark = NEEDS_FORK
OFFSETS = 20


def trainer(text: Path) -> Trainer:
    torch.manual_seed(0)
    task = build_task(LanguageConfig(data=str(text), sequence_length=16))
    model = build("gru", vocab_size=task.vocab_size, width=8)
    return Trainer(model, task, TrainConfig(budget=Budget(steps=8), batch_size=2))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("Some foxes jump over some lazy dogs. " * 100)
    return path


def save_and_die(text: Path, place: Path, last: int) -> None:
    """Saves step 2 over step 1 and dies before call number `last` of the system that opens, makes,
    renames, syncs or removes; with 0 it tells how many there are, by the exit code."""
    training = trainer(text)
    steps = training.steps()
    next(steps)
    checkpoint.save(place, training, {})
    next(steps)
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            seen += 1
            if seen == last:
                os._exit(99)

    sys.addaudithook(watch)
    checkpoint.save(place, training, {})
    os._exit(seen if last == 0 else 98)


def cut_and_die(text: Path, place: Path, share: float) -> None:
    """Saves step 2 over step 1 and dies when a share of the weights has been written."""
    training = trainer(text)
    steps = training.steps()
    next(steps)
    checkpoint.save(place, training, {})
    next(steps)
    whole = checkpoint.save_file

    def half(tensors: Any, path: Path) -> None:
        whole(tensors, path)
        os.truncate(path, int(share * path.stat().st_size))
        os._exit(99)

    checkpoint.save_file = half
    checkpoint.save(place, training, {})


def exit_code(function: Callable[..., None], *arguments: Any) -> int:
    process = forked(function, *arguments)
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.slow
def test_a_save_that_is_killed_leaves_a_whole_checkpoint(text: Path, tmp_path: Path) -> None:
    calls = exit_code(save_and_die, text, tmp_path / "count" / "checkpoint", 0)
    assert OFFSETS - 4 <= calls < 98
    at_calls = [1 + k * (calls - 1) // (OFFSETS - 5) for k in range(OFFSETS - 4)]
    deaths: list[tuple[Callable[..., None], float]] = [(save_and_die, at) for at in at_calls]
    deaths += [(cut_and_die, share) for share in (0.0, 0.3, 0.6, 1.0)]
    steps = set()
    for function, at in deaths:
        place = tmp_path / f"{function.__name__} {at}" / "checkpoint"
        assert exit_code(function, text, place, at) == 99
        again = trainer(text)
        assert checkpoint.resume(again, place)
        steps.add(again.progress.step)
        checkpoint.save(place, again, {})
        assert [path.name for path in place.parent.iterdir()] == ["checkpoint"]
    assert steps == {1, 2}


class SmallDisk(NamedTuple):
    """Files of at most so many bytes: the system refuses more, as a full disk does."""

    limit: int

    def __call__(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """Eight places: plan, facts, data, records, weights, the optimizer, the page."""
    whole = call((*TRAIN, "--steps", "60"), tmp_path / "whole")
    assert whole.ended() == 0, whole.output
    named = set()
    for limit in (300, 1_900, 2_500, 9_000, 20_000, 40_000, 80_000, 1_000_000):
        steps = 60 if limit != 80_000 else 420  # whose records are longer than the checkpoint
        words = (*TRAIN, "--steps", str(steps))
        folder = tmp_path / str(limit)
        full = call(words, folder, SmallDisk(limit))
        assert full.ended() == 2, (limit, full.output)
        (line,) = full.errors.strip().splitlines()
        assert "File too large" in line
        named.add(line.removeprefix("seqarena: ").partition(":")[0].rpartition("/")[2])
        assert temporary(folder) == []
        again = call(words, folder)
        assert again.ended() == 0, again.output
        assert numbers(folder) == numbers(tmp_path / "whole") or steps > 60
        shutil.rmtree(folder)
    assert {"plan.json", "records.jsonl", "checkpoint", "report.html"} <= named


@pytest.mark.slow
def test_a_full_disk_ends_a_comparison_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = (*COMPARE, "--steps", "40")
    full = call(words, tmp_path, SmallDisk(40_000))
    assert full.ended() == 2, full.output
    (line,) = full.errors.strip().splitlines()
    assert "checkpoint: File too large" in line
    assert temporary(tmp_path) == []
    again = call(words, tmp_path)
    assert again.ended() == 0, again.output
    assert len(numbers(tmp_path)) == 6


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENAMETOOLONG, errno.EIO]
)
def test_what_the_disk_refuses_is_named_and_leaves_the_old(
    number: int, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place = tmp_path / "plan.json", tmp_path / "trial" / "checkpoint"
    write_atomically(path, "old")
    training = trainer(text)
    checkpoint.save(place, training, {})
    list(islice(training.steps(), 1))

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as found:
        write_atomically(path, "new")
    assert (found.value.errno, found.value.filename) == (number, str(path))
    assert path.read_text() == "old"
    with pytest.raises(OSError, match=os.strerror(number)) as found:
        checkpoint.save(place, training, {})
    assert (found.value.errno, found.value.filename) == (number, str(place))
    assert checkpoint.load(place).about["progress"]["step"] == 0
    assert temporary(tmp_path) == []


def test_an_error_that_names_another_file_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found, naming(tmp_path / "a"):
        (tmp_path / "b").read_text()
    assert found.value.filename == str(tmp_path / "b")
    full = Path("/dev/full")
    if full.exists():
        with pytest.raises(OSError, match="No space left") as no_space, naming(full):
            full.write_text("a")
        assert no_space.value.filename == "/dev/full"


def test_space_is_looked_at_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = call((*TRAIN, "--steps", "2"), tmp_path)
    assert made.ended() == 0, made.output
    folder = RunFolder(tmp_path / "runs" / "r")
    state = RunState(folder.load_plan(), folder, lower_is_better=True)
    needed = required_bytes(state, 1)
    assert 10_000_000 < needed < 30_000_000
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=needed))
    check_space(state, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=needed - 1))
    with pytest.raises(UserError, match=r"r needs about .* MB more in .*: free some"):
        check_space(state, 1)


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path: Path) -> None:
    words = (*TRAIN, "--steps", "2")
    assert call(words, tmp_path).ended() == 0
    trials = tmp_path / "runs" / "r" / "trials"
    shutil.rmtree(trials)
    trials.write_text("")
    refused = call(words, tmp_path)
    assert refused.ended() == 2, refused.output
    assert "trials is a file: move it away" in refused.errors
    elsewhere = call((*words, "--runs", "text.txt"), tmp_path)
    assert elsewhere.ended() == 2, elsewhere.output
    (line,) = elsewhere.errors.strip().splitlines()
    assert "text.txt" in line
