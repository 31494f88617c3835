"""The configuration of `events`. No torch in here: a plan is read and checked without it."""

from typing import Literal

from pydantic import model_validator

from seqarena.core.errors import UserError
from seqarena.core.options import knob
from seqarena.tasks.configs import SplitConfig, check_encoding


class EventsConfig(SplitConfig):
    """The next event of an entity and its time, or a label of the entity. `data`: tables of a row
    an event (data/series/events/reading.py); None: customers of a generated shop."""

    kind: Literal["events"] = "events"
    data: str | None = knob(None, "A table of a row an event; none: a generated shop's customers.")
    entity: str = knob("entity", "Column that says whose event it is.")
    time: str = knob("time", "Column of times: numbers or dates.")
    event: str = knob("event", "Column of categories whose next value is asked for.")
    label: str | None = knob(None, "Column that holds a label of each entity, asked for instead.")
    categories: tuple[str, ...] = knob((), "Columns that are categories, whatever they hold.")
    numbers: tuple[str, ...] = knob((), "Columns that are numbers.")
    leave_out: tuple[str, ...] = knob((), "Columns that are not read.")
    min_count: int = knob(2, "Rarer values of the training events share one category.", ge=1)
    resolution: float | None = knob(
        None, "Smallest difference of times (of dates in seconds); none: the finest in training.",
        gt=0,
    )  # fmt: skip
    components: int = knob(4, "Log-normal laws that a forecast of the time mixes.", ge=1, le=64)
    split: Literal["entity", "time"] = knob(
        "entity", "What tests: other entities, or what comes later of all."
    )
    max_length: int = knob(128, "Events that are read at once.", ge=2)
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")

    @model_validator(mode="after")
    def _check(self) -> "EventsConfig":
        check_encoding(self.kind, self.encoding)
        named = [self.entity, self.time, *([] if self.label is None else [self.label])]
        fields = [*named, *self.categories, *self.numbers, *self.leave_out]
        if len(set(fields)) < len(fields) or self.event in (*named, *self.numbers):
            raise UserError(
                "events: entity, time, label, categories, numbers and leave_out name different "
                "columns"
            )
        if self.label is not None and self.split == "time":
            raise UserError("events: a label belongs to an entity: leave split at entity")
        return self
