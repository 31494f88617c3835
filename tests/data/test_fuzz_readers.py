"""Small valid files of every format, altered at random: read or refused in one line, nothing else.

Every mutation follows from its number. To see one that failed again:

    python tests/data/test_fuzz_readers.py NUMBER
"""

import faulthandler
import gzip
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_files import FORMATS, READING_TASKS, SETTINGS, write

from seqarena.core.errors import UserError
from seqarena.tasks.guess import build_guessed
from seqarena.tasks.registry import parse_task

SECONDS = 10  # that one input may take
MOST_BYTES = 1_000_000_000  # that reading one input may add
SHORT, WHOLE = 150, 2_000  # mutations of the short suite, and of `make check`
LOUD = (
    b"\0", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b"\t", b'"', b'""',
    b",", b"|", b"\\", b"\\ud800", "\u2028".encode(), "\u202e".encode(), "\U0001f600".encode(),
    "e\u0301".encode(), "größe".encode("iso-8859-1"), b"-1", b"1e999", b"NaN", b"null", b"{}",
    b"9" * 5_000, b"4294967295", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"[" * 20_000,
    b'{"a":' * 5_000, b"<!DOCTYPE html>", b"PK\3\4", b"\x1f\x8b\x08", b"# ", b" " * 70_000,
)  # fmt: skip


class Case(NamedTuple):
    """One format for one task, as it was written."""

    form: str
    task: str
    place: Path
    files: tuple[Path, ...]


def flip(draw: random.Random, content: bytearray) -> bytearray:
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return content


def cut(draw: random.Random, content: bytearray) -> bytearray:
    return content[: draw.randrange(len(content))]


def repeat(draw: random.Random, content: bytearray) -> bytearray:
    first, last = span(draw, content)
    return content[:last] + content[first:last] * draw.choice((1, 2, 50)) + content[last:]


def leave_out(draw: random.Random, content: bytearray) -> bytearray:
    first, last = span(draw, content)
    return content[:first] + content[last:]


def insert(draw: random.Random, content: bytearray) -> bytearray:
    place = draw.randrange(len(content) + 1)
    return content[:place] + draw.choice(LOUD) + content[place:]


def swap(draw: random.Random, content: bytearray) -> bytearray:
    first, last = span(draw, content)
    return content[last:] + content[first:last] + content[:first]


def lines(draw: random.Random, content: bytearray) -> bytearray:
    parts = content.split(b"\n")
    parts[draw.randrange(len(parts))] = parts[draw.randrange(len(parts))] * draw.choice((0, 1, 2))
    return bytearray(b"\n".join(parts))


def span(draw: random.Random, content: bytearray) -> tuple[int, int]:
    ends = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return ends[0], ends[1]


MUTATIONS: tuple[Callable[[random.Random, bytearray], bytearray], ...] = (
    flip, cut, repeat, leave_out, insert, insert, swap, lines,
)  # fmt: skip


def mutated(draw: random.Random, content: bytes, name: str) -> bytes:
    """The content after one to three mutations; of packed files also what is packed."""
    if name.endswith(".gz") and draw.random() < 0.5:
        return gzip.compress(mutated(draw, gzip.decompress(content), ""), mtime=0)
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        if changed:
            changed = draw.choice(MUTATIONS)(draw, changed)
    return bytes(changed)


class Cases:
    """Every format for every task; those that the task reads come up four times as often."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known: dict[tuple[str, str], Case] = {}
        self.chosen: list[tuple[str, str]] = []
        for form in FORMATS:
            for task in READING_TASKS:
                reads = run(self.case(form, task)) is None
                self.chosen += [(form, task)] * (4 if reads else 1)

    def case(self, form: str, task: str) -> Case:
        key = form, task
        if key not in self.known:
            place = write(form, self.folder / str(len(self.known)), task)
            root = self.folder / str(len(self.known))
            files = tuple(sorted(file for file in root.rglob("*") if file.is_file()))
            self.known[key] = Case(form, task, place, files)
        return self.known[key]

    def mutation(self, number: int) -> tuple[Case, Path, bytes]:
        """The case, the file that is changed, and its new content."""
        draw = random.Random(number)
        case = self.case(*draw.choice(self.chosen))
        file = draw.choice(case.files)
        return case, file, mutated(draw, file.read_bytes(), file.name)


def run(case: Case) -> str | None:
    """None where the data are read, else what was said. Any error but UserError is raised."""
    config = parse_task({"kind": case.task, "data": str(case.place), **SETTINGS.get(case.task, {})})
    try:
        task = build_guessed(config, named=True)
        task.training_batch(0, 4, seed=0)
        next(task.evaluation_batches("test", 4), None)
        task.describe()
        task.survey()
    except UserError as error:
        said = str(error)
        assert len(said.strip().splitlines()) == 1, f"not one line: {said!r}"
        return said
    return None


@contextmanager
def limited_time() -> Iterator[None]:
    """Raises TimeoutError after SECONDS; ends the process where that is not heard."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@contextmanager
def limited_memory() -> Iterator[None]:
    """An input that asks for far more than it may gets MemoryError, and the machine lives on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(cases: Cases, count: int, first: int = 0) -> tuple[list[str], str]:
    """What went wrong, and a line that says the largest memory and the slowest input."""
    wrong: list[str] = []
    read = 0
    slowest = largest = (0.0, "")
    for number in range(first, first + count):
        case, file, content = cases.mutation(number)
        before, held, start = file.read_bytes(), peak_bytes(), time.monotonic()
        name = f"{number} ({case.form}, {case.task}, {file.name})"
        try:
            file.write_bytes(content)
            with limited_time():
                read += run(case) is None
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(f"{name}: {error!r:.200} at {Path(where.filename).name}:{where.lineno}")
            if isinstance(error, KeyboardInterrupt):
                raise
        finally:
            file.write_bytes(before)
        slowest = max(slowest, (time.monotonic() - start, name))
        largest = max(largest, (float(peak_bytes() - held), name))
        if peak_bytes() - held > MOST_BYTES:
            wrong.append(f"{name}: it took {peak_bytes() - held:,} bytes")
    told = (
        f"{count} mutations: {read} read, {count - read - len(wrong)} refused; largest memory "
        f"{largest[0] / 1e6:.0f} MB by {largest[1]}; slowest {slowest[0]:.2f} s by {slowest[1]}"
    )
    return wrong, told


@pytest.mark.parametrize("count", [SHORT, pytest.param(WHOLE, marks=pytest.mark.slow)])
def test_altered_files_are_read_or_refused(
    count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with limited_memory():
        wrong, told = fuzz(Cases(tmp_path), count)
    with capsys.disabled():
        print(f"\n{told}")
    assert wrong == []


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        case, file, content = Cases(Path(scratch)).mutation(int(sys.argv[1]))
        file.write_bytes(content)
        print(case, file.name, content[:2_000], sep="\n")
        print(run(case))
