"""Which recordings train, validate and test.

By whose voice they are where a setting says so (test_speakers), by the data's own splits, or by
speakers: where training has three or more of them, what is missing is cut off by whole speakers, so
that nobody is heard in two splits; else by single recordings, a tenth each. Of recordings that are
joined (data/signals/spoken/strings.py) the single ones are split, and the strings of validation and
test are none of training's.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.files.examples import complete, without_overlap
from seqarena.data.files.reading import Reading
from seqarena.data.signals.audio import Recording, load_recordings
from seqarena.data.signals.spoken.dialling import dialled_numbers
from seqarena.data.signals.spoken.strings import joined
from seqarena.data.signals.spoken.utterances import Utterance, Utterances, load_utterances
from seqarena.data.splits import parse_range
from seqarena.data.streams import Stream, philox
from seqarena.data.text.vocabulary import normalised
from seqarena.tasks.signals.configs import TranscriptionConfig

_FRACTION = 0.1
_FEWEST_SPEAKERS = 3
Item = TypeVar("Item", Utterance, Recording)


class Spoken(NamedTuple):
    """One example."""

    name: str
    text: str
    samples_N: np.ndarray
    sample_rate: int
    speaker: str | None = None


def split_utterances(config: TranscriptionConfig, reading: Reading) -> dict[str, list[Spoken]]:
    """The examples of train, validation and test. Raises UserError for data that cannot be read or
    parted so."""
    if config.join is not None:
        return _joined_splits(config, reading)
    if config.data is None:
        found = dialled_numbers()
    else:
        found = _read(config, config.data, config.sample_rate, reading)
    parts = _parted(found.items, config, reading, by_index=())
    if config.data is not None:
        for split, part in parts.items():
            reading.read(Path(config.data), split, found.format, len(part))
    if config.drop_overlap:
        kept = without_overlap(list(parts.values()), lambda item: item.text, reading, "recording")
        parts = kept._asdict()
    return {split: _spoken(part, found.sample_rate, config) for split, part in parts.items()}


def to_score(
    config: TranscriptionConfig, data: str, sample_rate: int, reading: Reading
) -> list[Spoken]:
    """The examples of other data that are scored: their test split, or all of them; of single
    words, strings of them."""
    if config.join is not None:
        found = load_recordings(
            data, sample_rate=sample_rate, max_seconds=config.max_seconds, reading=reading
        )
        strings = joined(
            found.items, sample_rate, _lengths(config)[1], max(1, config.strings // 10), Stream.TEST
        )
        return _spoken(strings, sample_rate, config)
    read = _read(config, data, sample_rate, reading)
    chosen = [item for item in read.items if item.split == "test"] or list(read.items)
    if len(chosen) < len(read.items):
        reading.note(f"{data}: its test split is scored, {len(chosen):,} recordings")
    return _spoken(chosen, read.sample_rate, config)


def _read(
    config: TranscriptionConfig, data: str, sample_rate: int | None, reading: Reading
) -> Utterances:
    return load_utterances(
        data, reading, text=config.text, encoding=config.encoding, sample_rate=sample_rate,
        resample=config.resample,
    )  # fmt: skip


def _joined_splits(config: TranscriptionConfig, reading: Reading) -> dict[str, list[Spoken]]:
    if config.data is None:
        raise UserError("transcription: join is of recordings of one word each: give --data")
    found = load_recordings(
        config.data, sample_rate=config.sample_rate, max_seconds=config.max_seconds, reading=reading
    )
    by_index = [
        (split, parse_range(str(text)))
        for split, text in (("test", config.test_index), ("validation", config.validation_index))
        if text is not None
    ]
    parts = _parted(found.items, config, reading, by_index=by_index)
    for split, part in parts.items():
        reading.read(Path(config.data), split, found.format, len(part))
    trained, scored = _lengths(config)
    fewer = max(1, config.strings // 10)
    rate = found.sample_rate
    strings = {
        "validation": joined(parts["validation"], rate, scored, fewer, Stream.VALIDATION),
        "test": joined(parts["test"], rate, scored, fewer, Stream.TEST),
    }
    without = {item.text for part in strings.values() for item in part}
    train = joined(parts["train"], rate, trained, config.strings, Stream.TRAIN, without)
    if not train:
        raise UserError(
            "validation and test hold every string that training could: make --join longer"
        )
    reading.how += "; each joined into strings, and training has none of the others' strings"
    return {
        split: _spoken(part, rate, config) for split, part in {"train": train, **strings}.items()
    }


def _lengths(config: TranscriptionConfig) -> tuple[range, range]:
    """Words of a string in training, and where it is scored."""
    trained = parse_range(str(config.join))
    return trained, trained if config.test_join is None else parse_range(str(config.test_join))


def _parted(
    items: Sequence[Item],
    config: TranscriptionConfig,
    reading: Reading,
    *,
    by_index: Sequence[tuple[str, range]],
) -> dict[str, list[Item]]:
    chosen = {
        name.strip(): split
        for split, names in (
            ("validation", config.validation_speakers), ("test", config.test_speakers),
        )
        for name in (names or "").split(",") if name.strip()
    }  # fmt: skip
    _check_speakers(chosen, items)
    found: dict[str, list[Item]] = {"train": [], "validation": [], "test": []}
    for item in items:
        number = getattr(item, "index", None)
        split = next((split for split, numbers in by_index if number in numbers), None)
        found[chosen.get(str(item.speaker)) or split or item.split or "train"].append(item)
    for split, numbers in by_index:
        if not found[split]:
            raise UserError(f"{split}_index {numbers[0]}-{numbers[-1]}: no name ends in it")
    if not found["train"]:
        raise UserError("no recording is left for training: name fewer for validation and test")
    how = ["by speakers as set"] if chosen else []
    how += ["by the numbers that names end in"] if by_index else []
    if not how and found["test"]:
        how = [reading.how or "by the folders' names"]
    reading.how = " and ".join(how)
    _cut_speakers(found, reading)
    if not (found["validation"] and found["test"]):
        class_of = None if not isinstance(items[0], Recording) else lambda item: item.label
        return complete(*found.values(), class_of=class_of, reading=reading)._asdict()
    return found


def _check_speakers(chosen: dict[str, str], items: Sequence[Item]) -> None:
    known = sorted({item.speaker for item in items if item.speaker is not None})
    for name, split in chosen.items():
        if name not in known:
            heard = f"speakers are {', '.join(known[:10])}" if known else "no speaker is known"
            raise UserError(f"{split}_speakers: no recording is by {name!r}: {heard}")


def _cut_speakers(found: dict[str, list[Item]], reading: Reading) -> None:
    """Moves whole speakers from training to what is missing, a tenth of the recordings or more."""
    missing = [split for split in ("validation", "test") if not found[split]]
    cut = []
    for split in missing:
        counts = Counter(item.speaker for item in found["train"] if item.speaker is not None)
        if len(counts) < _FEWEST_SPEAKERS or sum(counts.values()) < len(found["train"]):
            continue
        wanted, names = _FRACTION * len(found["train"]), sorted(counts)
        moved: set[str] = set()
        for k in philox(0, Stream.TRAIN, 0).permutation(len(names)):
            if sum(counts[name] for name in moved) < wanted:
                moved.add(names[k])
        found[split] = [item for item in found["train"] if item.speaker in moved]
        found["train"] = [item for item in found["train"] if item.speaker not in moved]
        cut.append(f"{split} {', '.join(sorted(moved)[:3])}{', ...' if len(moved) > 3 else ''}")
    if cut:
        how = f"whole speakers cut off the training data: {'; '.join(cut)}"
        reading.how = f"{reading.how}; {how}" if reading.how else how


def _spoken(
    items: Sequence[Utterance], sample_rate: int, config: TranscriptionConfig
) -> list[Spoken]:
    return [
        Spoken(
            item.name, normalised(item.text, lowercase=config.lowercase), item.samples_N,
            sample_rate, item.speaker,
        )
        for item in items
    ]  # fmt: skip
