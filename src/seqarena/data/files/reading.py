"""What was read: the files, what was passed over and why, and what a reader noticed or chose.

A loader makes one `Reading`, its readers fill it, and the task shows it before anything is trained.
"""

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple


class FileRead(NamedTuple):
    """One file that was read."""

    file: str
    split: str  # train, validation, test
    format: str  # csv, parquet, CoNLL-U, wav ...
    num_examples: int


class PassedOver(NamedTuple):
    """One file or folder that was not read."""

    file: str
    why: str


@dataclass
class Reading:
    """What one loader read. `how` says how the splits came about."""

    files: list[FileRead] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    how: str = ""
    to_score: bool = False  # what is read is scored, so that no training data are needed

    def note(self, text: str) -> None:
        """Adds a choice that a reader made, once."""
        if text not in self.notes:
            self.notes.append(text)

    def read(self, file: Path, split: str, format: str, num_examples: int) -> None:
        """Adds a file that was read."""
        self.files.append(FileRead(shown(file), split, format, num_examples))

    def pass_over(self, file: Path, why: str) -> None:
        """Adds a file that is not read."""
        self.passed_over.append(PassedOver(shown(file), why))


def shown(file: PurePath | str) -> str:
    """A path as text that can be written: bytes that are not UTF-8 become question marks."""
    return str(file).encode("utf-8", "replace").decode()
