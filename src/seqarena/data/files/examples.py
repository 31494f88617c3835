"""Examples by split: read from the files of each, and cut off the training data where one is
missing.

What is missing is cut off the training examples, a tenth for each, by a fixed permutation that
leaves every class an example to train on. A file that holds the same examples as another of its
split is not read; of another split it is, and the reading says so.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from seqarena.core.errors import UserError
from seqarena.core.words import plural
from seqarena.data.files.find import SplitFiles
from seqarena.data.files.reading import Reading
from seqarena.data.streams import Stream, philox

Example = TypeVar("Example")
_FRACTION = 0.1


class Splits(NamedTuple):
    """Examples by split. Train and validation are never empty, test may be the user's own."""

    train: list
    validation: list
    test: list


def read_splits(
    files: SplitFiles,
    read: Callable[[Path], Iterable[Example]],
    reading: Reading,
    *,
    format_of: Callable[[Path], str],
    key: Callable[[Example], Hashable],
    skip_empty: bool = False,
) -> list[list[Example]]:
    """The examples of each split. `key` is what makes two examples the same.

    Raises UserError for a file without an example, unless it is to be passed over.
    """
    others: dict[bytes, Path] = {}
    only_one = sum(map(len, files)) == 1
    found: list[list[Example]] = []
    for split, paths in files._asdict().items():
        found.append([])
        seen: dict[bytes, Path] = {}
        for path in paths:
            examples = list(read(path))
            if not examples and skip_empty:
                reading.pass_over(path, "empty")
                continue
            if not examples:
                raise UserError(f"{path}: no example in it")
            digest = b"" if only_one else _digest(map(key, examples))
            if digest in seen:
                reading.pass_over(path, f"the same examples as {seen[digest].name}")
                continue
            if digest in others:
                names = (path.name, others[digest].name)
                here, there = names if len(set(names)) == 2 else (path, others[digest])
                reading.note(f"{here} holds the same examples as {there}")
            seen[digest] = path
            reading.read(path, split, format_of(path), len(examples))
            found[-1].extend(examples)
        others |= seen
    return found


def part_to_score(
    data: str | Path, parts: Sequence[list[Example]], reading: Reading
) -> list[Example]:
    """The test examples, or all of them where none is named so; the reading says which."""
    train, validation, test = parts
    if test and not (train or validation):
        return test
    if test:
        reading.note(f"{data}: its test split is scored")
        return test
    if len(reading.files) > 1:
        reading.note(f"{data}: all {len(reading.files):,} files are scored, none says test")
    return [*train, *validation]


def complete(
    train: list[Example],
    validation: list[Example],
    test: list[Example],
    *,
    class_of: Callable[[Example], Hashable] | None = None,
    reading: Reading | None = None,
) -> Splits:
    """Cuts validation and test off the training examples where the data bring none.

    With `class_of` every class keeps an example to train on. Raises UserError when there are too
    few to cut.
    """
    cut = []
    for name, given in (("validation", validation), ("test", test)):
        if not given:
            held_out = _held_out(train, class_of)
            given.extend(train[k] for k in sorted(held_out))
            train = [example for k, example in enumerate(train) if k not in held_out]
            cut.append(name)
    if cut and reading is not None:
        how = f"{' and '.join(cut)} cut off the training data, a tenth each"
        reading.how = f"{reading.how}; {how}" if reading.how else how
    return Splits(train, validation, test)


def count_overlap(
    splits: Sequence[Sequence[Example]], key: Callable[[Example], Hashable]
) -> dict[str, int]:
    """How many examples of validation and of test are in the training data too."""
    known = {key(example) for example in splits[0]}
    return {
        name: sum(key(example) in known for example in part)
        for name, part in zip(("validation", "test"), splits[1:])
    }


def without_overlap(
    splits: Sequence[Sequence[Example]],
    key: Callable[[Example], Hashable],
    reading: Reading | None = None,
    noun: str = "example",
) -> Splits:
    """The splits without the training examples that validation or test hold too; the reading says
    how many those are. Raises UserError where nothing is left to train on."""
    train, validation, test = (list(part) for part in splits)
    held_out = {key(example) for part in (validation, test) for example in part}
    kept = [example for example in train if key(example) not in held_out]
    if not kept:
        raise UserError(
            f"validation and test hold every training {noun}: nothing is left to train on without "
            "them; leave --drop-overlap out, or split the data again"
        )
    if reading is not None and len(kept) < len(train):
        left_out = plural(len(train) - len(kept), f"training {noun}")
        reading.note(f"{left_out} that validation or test hold too are left out")
    return Splits(kept, validation, test)


def _held_out(train: Sequence[Example], class_of: Callable[[Example], Hashable] | None) -> set[int]:
    wanted = max(1, round(_FRACTION * len(train)))
    left = Counter(map(class_of, train)) if class_of else Counter()
    chosen: set[int] = set()
    for index in philox(0, Stream.TRAIN, 0).permutation(len(train)):
        if len(chosen) == wanted:
            break
        if class_of:
            if left[class_of(train[index])] < 2:
                continue
            left[class_of(train[index])] -= 1
        chosen.add(int(index))
    if not chosen or len(train) <= wanted:
        raise UserError(
            f"{len(train)} training example(s) are too few to hold some out: give more, or files "
            "for validation and test"
        )
    return chosen


def _digest(keys: Iterable[Hashable]) -> bytes:
    """Of the examples, whatever their order."""
    digests = sorted(hashlib.sha256(_bytes_of(key)).digest() for key in keys)
    return hashlib.sha256(b"".join(digests)).digest()


def _bytes_of(key: Hashable) -> bytes:
    return key.encode() if isinstance(key, str) else repr(key).encode()
