"""What a task read of its data: one record for the terminal, the run folder and the page."""

from seqarena.core import words
from seqarena.core.config import Config

NUMBERS_DEPEND_ON_THIS = False  # it says what was read (jobs/sources.py)
LARGE_OVERLAP = (
    0.1  # of which a person is asked, and with which a verdict begins (docs/measuring.md)
)
LOUD_OVERLAP = 0.01  # share of a split's examples that are in the training data too
_MOST_CLASSES = 6  # that a sentence names


class DataFile(Config):
    """One file that was read."""

    file: str
    split: str
    format: str
    examples: int


class UnusedFile(Config):
    """One file that was passed over."""

    file: str
    why: str


class Lengths(Config):
    """How long the examples of a split are, before anything is cut."""

    unit: str  # words, frames ...
    median: float
    longest: int


class SplitSummary(Config):
    """One split. None: not counted."""

    split: str
    examples: int
    lengths: tuple[Lengths, ...] = ()
    cut: int = 0  # examples whose end does not fit
    left_out: int = 0  # training examples that do not fit
    unknown_share: float | None = None  # of the tokens
    in_training: int | None = None  # examples that the training data hold too
    compared: int | None = None  # how many were compared, where that is not the examples

    @property
    def overlap(self) -> float:
        """The share of what was compared that the training data hold too."""
        return (self.in_training or 0) / max(1, self.compared or self.examples)


class DataSummary(Config):
    """Everything that a person checks before a training: files, splits, classes, lengths.

    `files`, `passed_over` and `classes` are the first or most frequent ones; the numbers beside
    them count all.
    """

    origin: str
    noun: str = "example"
    in_files: str = "example"  # what a file holds
    compared: str = "example"  # what is looked for in the training data
    files: tuple[DataFile, ...] = ()
    num_files: int = 0
    passed_over: tuple[UnusedFile, ...] = ()
    num_passed_over: int = 0
    how: str = ""  # the splits came about
    splits: tuple[SplitSummary, ...] = ()
    classes: tuple[tuple[str, int], ...] = ()  # name, training examples
    num_classes: int = 0
    num_classified: int = 0  # training examples of all classes
    vocab_size: int | None = None
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The summary for a terminal, a line each; of data without files one line."""
        lines = [f"data: {self.origin}{self._files_in_words()}"]
        if not self.num_files:
            return [f"{lines[0]}: {self.sizes_in_words()}" if self.splits else lines[0]]
        if self.num_passed_over:
            lines.append(f"passed over: {self.unused_in_words()}")
        lines.append(f"splits: {self.sizes_in_words()}{f' ({self.how})' if self.how else ''}")
        if self.num_classes:
            lines.append(f"{self.num_classes:,} classes: {self.classes_in_words()}")
        lines += [text for text in (self._lengths_in_words(), self._unknown_in_words()) if text]
        lines += [self.overlap_in_words(split) for split in self.splits if split.in_training]
        return [*lines, *(f"note: {note}" for note in self.notes)]

    def is_loud(self, sentence: str) -> bool:
        """Whether a sentence tells of a fault in the data: splits that overlap."""
        return any(
            sentence == self.overlap_in_words(split)
            for split in self.splits
            if split.overlap > LOUD_OVERLAP
        )

    @property
    def large_overlap(self) -> str | None:
        """What a verdict begins with where much of the test, else of validation, is in the training
        data too: a headline, a colon and the figures."""
        by_name = {split.split: split for split in self.splits}
        for name in ("test", "validation"):
            split = by_name.get(name)
            if split is not None and split.overlap > LARGE_OVERLAP:
                found, compared = split.in_training or 0, split.compared or split.examples
                several = words.several(self.compared)
                return (
                    f"{words.share(split.overlap)} of the {name}'s {several} are in training too: "
                    f"{found:,} of {compared:,}, so that memory scores as well"
                )
        return None

    def sizes_in_words(self) -> str:
        """ "800 train, 100 validation, 100 test examples"."""
        sizes = ", ".join(f"{part.examples:,} {part.split}" for part in self.splits)
        return f"{sizes} {words.several(self.noun)}"

    def unused_in_words(self, most: int = 4) -> str:
        """The files that were passed over, each with its reason."""
        shown = [f"{file.file} ({file.why})" for file in self.passed_over[:most]]
        more = self.num_passed_over - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")

    def classes_in_words(self) -> str:
        """The share of each in the training data, the most frequent first."""
        shown = [
            f"{name} ({words.share(count / max(1, self.num_classified))})"
            for name, count in self.classes[:_MOST_CLASSES]
        ]
        more = self.num_classes - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")

    def overlap_in_words(self, split: SplitSummary) -> str:
        """How many examples of a split the training data hold too."""
        count = words.plural(split.in_training or 0, f"{split.split} {self.compared}")
        verb = "is" if split.in_training == 1 else "are"
        head = "warning" if split.overlap > LOUD_OVERLAP else "overlap"
        return f"{head}: {count} ({words.share(split.overlap)}) {verb} in the training data too"

    def _files_in_words(self, most: int = 4) -> str:
        if not self.num_files:
            return ""
        if self.num_files == 1:
            (only,) = self.files
            return f" ({only.format}, {words.plural(only.examples, self.in_files)})"
        shown = [
            f"{file.file} ({file.split}, {file.format}, {file.examples:,})"
            for file in self.files[:most]
        ]
        more = self.num_files - len(shown)
        return f": {self.num_files:,} files: {', '.join(shown)}" + (
            f" and {more:,} more" if more else ""
        )

    def _lengths_in_words(self) -> str:
        parts = [] if self.vocab_size is None else [f"vocabulary {self.vocab_size:,}"]
        train = self.splits[0]
        parts += [
            f"{one.unit} of a training {self.noun}: median {one.median:g}, longest {one.longest:,}"
            for one in train.lengths
        ]
        for text, counts in (
            ("are cut", {part.split: part.cut for part in self.splits}),
            ("are left out, too long", {part.split: part.left_out for part in self.splits}),
        ):
            found = [f"{count:,} of {split}" for split, count in counts.items() if count]
            if found:
                parts.append(f"{words.listed(found)} {text}")
        return "; ".join(parts)

    def _unknown_in_words(self) -> str:
        found = [
            f"{words.share(share)} of {part.split}"
            for part in self.splits[1:]
            if (share := part.unknown_share) is not None
        ]
        return f"unknown tokens: {words.listed(found)}" if found else ""
