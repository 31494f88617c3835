"""Rows that a model treats together: a lane of batches, which rows join and leave.

A lane holds one batch for each kind of state (models/states/rows.py). The states of most
architectures are of one kind whatever was read, so that the lane is one batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seqarena.models.states.rows import chosen, joined, kind
from seqarena.serve.model.generation import Generation


@dataclass
class RowBatch:
    """Rows and their joined state."""

    state: Any
    rows: list[Generation]

    def split(self, leaves: Sequence[bool]) -> "RowBatch | None":
        """Lets the rows go for which `leaves` says so, and returns them; None: there are none."""
        away = [place for place, goes in enumerate(leaves) if goes]
        if not away:
            return None
        if len(away) == len(self.rows):
            gone = RowBatch(self.state, self.rows)
            self.state, self.rows = None, []
            return gone
        stay = [place for place, goes in enumerate(leaves) if not goes]
        gone = RowBatch(chosen(self.state, away), [self.rows[place] for place in away])
        self.state = chosen(self.state, stay)
        self.rows = [self.rows[place] for place in stay]
        return gone


class Lane:
    """The batches of rows that all do the same: read, or write."""

    def __init__(self) -> None:
        self.batches: list[RowBatch] = []

    def __iter__(self) -> Iterator[RowBatch]:
        return iter(list(self.batches))

    @property
    def size(self) -> int:
        return sum(len(batch.rows) for batch in self.batches)

    def put(self, arrivals: Sequence[RowBatch]) -> None:
        """Joins those whose states fit, each batch once."""
        if not arrivals:
            return
        groups: dict[Any, list[RowBatch]] = {}
        for batch in (*self.batches, *arrivals):
            groups.setdefault(kind(batch.state), []).append(batch)
        self.batches = [
            RowBatch(joined([b.state for b in group]), [row for b in group for row in b.rows])
            for group in groups.values()
        ]

    def remove(self, leaves: Callable[[Generation], bool]) -> list[RowBatch]:
        """Those rows, with their states."""
        found = [batch.split([leaves(row) for row in batch.rows]) for batch in self.batches]
        self.batches = [batch for batch in self.batches if batch.rows]
        return [batch for batch in found if batch is not None]
