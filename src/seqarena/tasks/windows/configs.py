"""The configuration of `windows`. No torch in here: a plan is read and checked without it."""

from typing import Literal

from pydantic import model_validator

from seqarena.core.errors import UserError
from seqarena.core.options import knob
from seqarena.tasks.configs import SplitConfig, check_encoding


class WindowsConfig(SplitConfig):
    """A label or a number for a window of numbers. `data`: see data/series/windows/reading.py;
    None: cylinders, bells and funnels in noise."""

    kind: Literal["windows"] = "windows"
    data: str | None = knob(
        None, "A table of a step a row, folders of tables by class, .ts files or an .npz; none: "
        "shapes in noise."
    )  # fmt: skip
    window: str = knob("window", "Column of tables that says which window a row belongs to.")
    time: str = knob("time", "Column of tables that orders the rows of a window, if there is one.")
    label: str = knob("label", "Column of tables that holds the label or the number asked for.")
    channels: tuple[str, ...] = knob((), "Columns that are read; none: every other one of numbers.")
    target: Literal["auto", "class", "number"] = knob(
        "auto", "What labels are; auto: numbers where one is no whole number, or many differ."
    )
    max_length: int = knob(1024, "Steps of a window; what is longer is cut.", ge=1)
    encoding: str = knob("utf-8", "Of tables: utf-8 or iso-8859-1, say.")

    @model_validator(mode="after")
    def _check(self) -> "WindowsConfig":
        check_encoding(self.kind, self.encoding)
        named = (self.window, self.time, self.label, *self.channels)
        if len(set(named)) < len(named):
            raise UserError("windows: window, time, label and channels name different fields")
        return self
