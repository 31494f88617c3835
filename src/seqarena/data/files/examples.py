"""Examples by split: read from the files of each, and cut off the training data where one is
missing.

What is missing is cut off the training examples, a tenth for each, by a fixed permutation that
leaves every class an example to train on. A file that holds the same examples as one before it is
not read twice.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from seqarena.core.errors import UserError
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
) -> list[list[Example]]:
    """The examples of each split. `key` is what makes two examples the same.

    Raises UserError for a file without an example.
    """
    seen: dict[bytes, Path] = {}
    found: list[list[Example]] = []
    for split, paths in files._asdict().items():
        found.append([])
        for path in paths:
            examples = list(read(path))
            if not examples:
                raise UserError(f"{path}: no example in it")
            digest = _digest(map(key, examples))
            if digest in seen:
                reading.pass_over(path, f"the same examples as {seen[digest].name}")
                continue
            seen[digest] = path
            reading.read(path, split, format_of(path), len(examples))
            found[-1].extend(examples)
    return found


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
        raise UserError(f"{len(train)} training example(s) are too few to hold some out")
    return chosen


def _digest(keys: Iterable[Hashable]) -> bytes:
    """Of the examples, whatever their order."""
    digests = sorted(hashlib.sha256(repr(key).encode()).digest() for key in keys)
    return hashlib.sha256(b"".join(digests)).digest()
