"""What every reader of events gives: the history of one entity.

T  events
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class History:
    """The events of one entity in the order of their times. Where equal times leave the order open
    it is that of the rows."""

    entity: str
    places: tuple[str, ...]  # file and line of each event
    times_T: np.ndarray  # float64: seconds since 1970 of dates, else as they are
    fields: dict[str, tuple[str | None, ...]]  # name -> value of each event; None: missing

    def __len__(self) -> int:
        return len(self.times_T)

    def before(self, time: float) -> "History":
        """The events that are earlier than `time`."""
        count = int(np.searchsorted(self.times_T, time, side="left"))
        fields = {name: values[:count] for name, values in self.fields.items()}
        return History(self.entity, self.places[:count], self.times_T[:count], fields)

    def without(self, field: str) -> "History":
        """The same without one of its fields."""
        return replace(self, fields={k: v for k, v in self.fields.items() if k != field})
