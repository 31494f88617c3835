"""What each architecture costs in theory, its year, its idea and its paper."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seqarena.core import words
from seqarena.core.results.records import RunView
from seqarena.report.page.parts import Cell, Section, Table, headings, number_cell
from seqarena.report.run.labels import ARCHITECTURE, architecture_cell
from seqarena.report.run.reading import architectures

_FORMULA = 20  # characters of a formula that a cell holds on one line
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_ORDERS = ("work", "serial_steps", "path_length", "state")


@dataclass(frozen=True, kw_only=True)
class ComplexitySection(Section):
    """One row an architecture, from the catalog."""

    template = "run/complexity.html"
    table: Table


def complexity_section(view: RunView) -> ComplexitySection | None:
    """The catalog's facts. None where the catalog knows no architecture of the run."""
    names = [name for name in architectures(view) if name in view.catalog]
    if not names:
        return None
    heads = headings(
        ARCHITECTURE,
        "work per layer",
        "serial steps",
        "longest path",
        "state",
        "year",
        "idea and paper",
    )
    rows = [_row(view, name, view.catalog[name]) for name in names]
    return ComplexitySection(
        name="complexity",
        link="Complexity",
        heading="Complexity in theory",
        table=Table("Complexity and origin of each architecture", heads, rows, name="complexity"),
    )


def _row(view: RunView, name: str, facts: Mapping[str, Any]) -> list[Cell]:
    return [
        architecture_cell(view, name, sortable=True),
        *(Cell(_formula(_fact(facts, key)), _fact(facts, key)) for key in _ORDERS),
        number_cell(_fact(facts, "year") if facts.get("year") else words.ABSENT, facts.get("year")),
        Cell(_fact(facts, "idea"), under=_fact(facts, "paper"), wraps=True, prose=True),
    ]


def _fact(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    return words.ABSENT if value is None else str(value)


def _formula(order: str) -> str:
    """The formula with raised powers. A short one does not break at its spaces."""
    raised = re.sub(r"\^(\d)", lambda power: power[1].translate(_RAISED), order)
    return raised.replace(" ", "\u00a0") if len(raised) <= _FORMULA else raised
