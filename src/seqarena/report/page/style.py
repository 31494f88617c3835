"""Every colour: a light and a dark value for each role, one hue for each family.

The hues follow the colour-blind-safe palette of Okabe and Ito (2008), darkened or lightened until
each keeps a contrast of 3:1 with its background (WCAG 2.2, 1.4.11). Colour is never the only mark:
lines of one family differ in their dashes, and points carry their names.
"""

from typing import NamedTuple

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"


class Colour(NamedTuple):
    """One role in both themes."""

    light: str
    dark: str


ROLES: dict[str, Colour] = {
    "paper": Colour("#fcfcfb", "#101418"),
    "panel": Colour("#f3f4f2", "#191f25"),
    "ink": Colour("#1a1f24", "#e8ebee"),
    "muted": Colour("#59626c", "#a0abb6"),
    "line": Colour("#dcdfdc", "#2d353d"),
    "floor": Colour("#8a939c", "#7d8894"),
    "accent": Colour("#0a5c99", "#7cc0f2"),
}
FAMILY_COLOURS: tuple[Colour, ...] = (
    Colour("#0072b2", "#4fa3dd"),  # blue
    Colour("#d55e00", "#f2833b"),  # vermillion
    Colour("#00875f", "#2fc296"),  # bluish green
    Colour("#b3548b", "#e093bd"),  # reddish purple
    Colour("#4b5561", "#b4bec9"),  # grey, for black
    Colour("#7d7600", "#eee24a"),  # yellow
    Colour("#a87400", "#e9a91c"),  # orange
    Colour("#1c96b8", "#8fd3f7"),  # sky blue
    # beyond the eight of the palette, so that every family of the catalog has its own
    Colour("#7a4a2b", "#c8946c"),  # brown
    Colour("#5b46b0", "#b3a4f7"),  # violet
    Colour("#9b1c31", "#f28a97"),  # dark red
    Colour("#4c7a1a", "#a3d55f"),  # leaf green
    Colour("#c01f78", "#ff8cc4"),  # magenta
)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SVG_DASHES: dict[str, str | None] = {
    "solid": None,
    "dash": "6 4",
    "dot": "2 3",
    "dashdot": "6 3 2 3",
    "longdash": "10 4",
    "longdashdot": "10 3 2 3",
}
# shade of a heatmap from the best (0) to the worst (1) of a column
HEAT: tuple[tuple[float, Colour], ...] = (
    (0.0, Colour("#eef4f8", "#1b2730")),
    (0.5, Colour("#8dbbd9", "#2f6488")),
    (1.0, Colour("#1f6699", "#85c6f5")),
)


class LineStyle(NamedTuple):
    """How one architecture is drawn wherever it appears."""

    colour: Colour
    dash: str


def dark_of_light() -> dict[str, str]:
    """The dark value of every light one, with which the page changes a figure's theme."""
    heat = [colour for _, colour in HEAT]
    return {colour.light: colour.dark for colour in [*ROLES.values(), *FAMILY_COLOURS, *heat]}


def css(colour: Colour) -> str:
    """The colour as CSS that follows the page's theme."""
    return f"light-dark({colour.light}, {colour.dark})"
