"""Shapes of a line drawing as plain data, and a drawing of them. A template draws them as SVG.

Coordinates are in units of the drawing, with y downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Node:
    """A circle with a letter and its index."""

    kind: ClassVar[str] = "node"
    x: float
    y: float
    letter: str
    index: str = ""
    radius: int = 23


@dataclass(frozen=True)
class Label:
    """A text centred at x; `style` is its CSS class."""

    kind: ClassVar[str] = "label"
    x: float
    y: float
    text: str
    style: str


@dataclass(frozen=True)
class Line:
    """A thin line."""

    kind: ClassVar[str] = "line"
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Arrow:
    """A line with a head at (x1, y1). Drawings cannot share SVG markers, so the head is a polygon.

    The line ends at the foot of the head.
    """

    kind: ClassVar[str] = "arrow"
    x0: float
    y0: float
    x1: float
    y1: float
    width: float = 1.6
    dashed: bool = False

    @property
    def foot(self) -> tuple[float, float]:
        along_x, along_y = self._direction
        return self.x1 - self._size * along_x, self.y1 - self._size * along_y

    @property
    def head(self) -> str:
        """The corners of the head as SVG writes them: the tip, then both ends of its base."""
        (x, y), (along_x, along_y) = self.foot, self._direction
        half = 0.6 * self._size
        corners = [
            (self.x1, self.y1),
            (x - half * along_y, y + half * along_x),
            (x + half * along_y, y - half * along_x),
        ]
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)

    @property
    def _size(self) -> float:
        return 5 + self.width / 2

    @property
    def _direction(self) -> tuple[float, float]:
        length = math.hypot(self.x1 - self.x0, self.y1 - self.y0)
        return (self.x1 - self.x0) / length, (self.y1 - self.y0) / length


Shape = Node | Label | Line | Arrow


@dataclass(frozen=True)
class Drawing:
    """Shapes on a canvas; `words` describes them for a reader who cannot see them."""

    title: str
    words: str
    width: int
    height: int
    shapes: Sequence[Shape]
