"""HTML from nested calls. Text is escaped unless it is Markup, so nothing from a run can act."""

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

_VOID = {"br", "hr", "img", "input", "meta"}


class Markup(str):
    """Text that is HTML already."""


class Cell(NamedTuple):
    """A table cell: what is shown, what it sorts by, and whether it is the best of its column."""

    shown: str
    sort: float | str | None = None
    best: bool = False


def element(name: str, /, *children: str | None, **attributes: Any) -> Markup:
    """One element. `class_` gives class, `aria_label` aria-label; None and False are left out.

    >>> element("a", "x < y", href="#top", class_="link")
    '<a href="#top" class="link">x &lt; y</a>'
    """
    written = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def join(children: Iterable[str | None]) -> Markup:
    """The children in a row, each escaped unless it is Markup."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )


def table(
    caption: str,
    headings: Sequence[str | Markup],
    rows: Sequence[Sequence[Cell | Markup | str]],
    *,
    sortable: bool = False,
    row_classes: Sequence[str] = (),
    class_: str = "",
) -> Markup:
    """A captioned table in a scrolling region; the cell in the first column heads its row.

    A column is set in numerals, right-aligned, when each of its cells is a Cell with a number.
    """
    numeric = [
        bool(rows) and all(_is_number(row[column]) for row in rows)
        for column in range(len(headings))
    ]
    heads = [
        element(
            "th",
            element("button", heading, type="button") if sortable else heading,
            scope="col",
            class_="number" if number else None,
        )
        for heading, number in zip(headings, numeric, strict=True)
    ]
    body = [
        element(
            "tr",
            *(_cell(cell, i == 0, numeric[i]) for i, cell in enumerate(row)),
            class_=(row_classes[number] or None) if row_classes else None,
        )
        for number, row in enumerate(rows)
    ]
    whole = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        class_=f"{class_} sortable".strip() if sortable else class_ or None,
    )
    return element("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _is_number(cell: Cell | Markup | str) -> bool:
    return isinstance(cell, Cell) and not isinstance(cell.sort, str)


def _cell(cell: Cell | Markup | str, heads_row: bool, number: bool) -> Markup:
    cell = cell if isinstance(cell, Cell) else Cell(cell)
    classes = " ".join(name for name, on in (("number", number), ("best", cell.best)) if on)
    attributes = {"class_": classes or None, "data_sort": cell.sort}
    if heads_row:
        return element("th", cell.shown, scope="row", **attributes)
    return element("td", cell.shown, **attributes)


def definitions(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and values as a definition list."""
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in pairs),
    )


def script_json(value: str | Any, **attributes: Any) -> Markup:
    """JSON (text that is JSON already, or a value) that no HTML parser can mistake for a tag."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Markup(text), type="application/json", **attributes)
