"""A disk or a memory that refuses: one line, exit code 2, and no traceback, whatever the verb."""

import builtins
import errno
import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors import SafetensorError
from typer.testing import CliRunner
from walk import call, calls, commands, faults

from seqarena.cli.output import as_verb

KINDS = (errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG, errno.EISDIR, errno.EROFS, errno.EIO)
# of no torch job: they read no file and write none
WITHOUT_FILES = {"models", "tasks", "claims", "check", "forecast"}  # its call is a dry run
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def said(error: BaseException, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a verb that fails so."""

    def fails() -> None:
        raise error

    planted = typer.Typer(pretty_exceptions_enable=False)
    planted.command()(as_verb(fails))
    result = CliRunner().invoke(planted, list(words))
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.exit_code, result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_disk_refuses_is_named(kind: int) -> None:
    reason = os.strerror(kind)
    assert said(OSError(kind, reason, "place/file")) == (2, f"seqarena: place/file: {reason}\n")
    assert said(OSError(kind, reason)) == (2, f"seqarena: cannot read or write: {reason}\n")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to\nallocate"), "(CUDA out of memory."),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you\ntried"),
            "not enough memory",
        ),
        (SafetensorError("I/O error: File too large (os error 27)"), "the disk refused: I/O error"),
        (sqlite3.OperationalError("database or disk is full"), "the disk refused: database or"),
    ],
)
def test_memory_and_libraries_that_give_up_are_one_line(error: Exception, words: str) -> None:
    code, text = said(error)
    assert (code, text.count("\n")) == (2, 1)
    assert words in text
    assert "Traceback" in said(error, "--verbose")[1]


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        said(RuntimeError("shapes do not fit"))
    with pytest.raises(KeyError):
        said(KeyError("name"))


@contextmanager
def broken(folder: Path, kind: int, after: int, *, writes: bool) -> Iterator[list[str]]:
    """From the call number `after` on, every opening for writing (or for reading) below `folder`
    fails; what fails is listed."""
    count, refused = 0, list[str]()

    def check(path: Any, writing: bool) -> None:
        nonlocal count
        if writing is not writes or not isinstance(path, str | os.PathLike):
            return
        if not Path(path).is_relative_to(folder):
            return
        count += 1
        if count >= after:
            refused.append(str(path))
            raise OSError(kind, os.strerror(kind), str(path))

    def opening(real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *more: Any, **given: Any) -> Any:
            check(file, bool(set(mode) & set("wax+")))
            return real(file, mode, *more, **given)

        return opened

    def low_level(file: Any, flags: int, *more: Any, **given: Any) -> int:
        check(file, bool(flags & _WRITES))
        return real_os_open(file, flags, *more, **given)

    def changing(real: Callable[..., Any]) -> Callable[..., Any]:
        def changed(path: Any, *more: Any, **given: Any) -> Any:
            check(path, True)
            return real(path, *more, **given)

        return changed

    real_os_open = os.open
    with pytest.MonkeyPatch.context() as patch:
        for module in (builtins, io):
            patch.setattr(module, "open", opening(io.open))
        patch.setattr(os, "open", low_level)
        for name in ("mkdir", "replace", "rename"):
            patch.setattr(os, name, changing(getattr(os, name)))
        yield refused


def test_every_verb_has_a_call(tmp_path: Path) -> None:
    assert set(calls(tmp_path, tmp_path, tmp_path, tmp_path)) == {name for name, _ in commands()}


@pytest.mark.slow
@pytest.mark.parametrize("verb", sorted({name for name, _ in commands()} - WITHOUT_FILES))
def test_a_disk_that_refuses_is_no_traceback(
    verb: str, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """From its first, second, third ... write or read on: a clean error, or it did not matter."""
    place = trained[1 if verb == "predict" else 0]
    reads = verb in ("evaluate", "predict", "generate", "report", "embed", "export", "serve")
    wrong, mattered = [], 0
    for number, kind in enumerate(KINDS):
        runs = tmp_path / str(number)
        words = calls(tmp_path, runs, *trained)[verb]
        after = 1 + number * (1 if reads else 2)
        with broken(place if reads else runs, kind, after, writes=not reads) as refused:
            result = call(words)
        mattered += bool(refused) and result.exit_code != 0
        if fault := faults(result):
            wrong.append(f"{errno.errorcode[kind]} from {after} on ({refused[:1]}): {fault}")
    assert not wrong
    assert mattered
