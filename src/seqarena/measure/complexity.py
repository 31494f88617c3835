"""The complexity table of "Attention Is All You Need" (Vaswani et al. 2017, Table 1), extended.

Each mixer class states its own orders and its own exact formulas; nothing is derived here. A row
covers the sequence mixers of an architecture; embedding, channel mixers and head are the same for
all of them.
"""

from collections.abc import Iterable
from inspect import cleandoc
from typing import Any, NamedTuple

import torch

from seqarena.models.any import AnyConfig, build_model
from seqarena.models.catalog import CATALOG, Architecture, architecture
from seqarena.models.model import load_system
from seqarena.models.stacks.stack import layer_config


def complexity_row(name: str) -> dict[str, Any]:
    """Facts and orders of one architecture of the catalog, as strings (the year as a number).

    Keys: title, family, year, paper, idea, equations, work, serial_steps, path_length, state.
    Raises UserError for an unknown name.
    """
    return describe(architecture(name))


def catalog_rows() -> dict[str, dict[str, Any]]:
    """What is said of every architecture, by its name."""
    return {name: describe(row) for name, row in CATALOG.items()}


def describe(row: Architecture) -> dict[str, Any]:
    """The same for a row that may not be in the catalog, such as a user's own mixer."""
    facts = {field: getattr(row, field) for field in ("title", "family", "year", "paper", "idea")}
    if row.system is not None:
        system = load_system(row.system)
        return facts | {"equations": cleandoc(system.equation)} | system.complexity._asdict()
    layers = [layer_config(*layer) for layer in row.cycle]
    stated = dict.fromkeys(mixer.equation_of(config) for mixer, config in layers)
    facts["equations"] = "\n\n".join(filter(None, stated))
    orders = [mixer.complexity_of(config) for mixer, config in layers]
    return facts | {field: _joined(orders, field) for field in orders[0]._fields}


def numeric_row(config: AnyConfig, length: int) -> dict[str, int]:
    """The whole model's costs at `length` tokens, by the classes' own formulas; those that it does
    not know are left out.

    Keys: parameters; flops (one sequence forward); training_flops; serial_steps; state_bytes (one
    sequence). Nothing is allocated.
    """
    with torch.device("meta"):
        model = build_model(config)
    costs = {
        "flops": model.flops,
        "training_flops": model.training_flops,
        "serial_steps": model.serial_steps,
        "state_bytes": model.state_bytes,
    }
    unknown = {
        *model.unknown_costs,
        *(["training_flops"] if "flops" in model.unknown_costs else []),
    }
    known = {name: cost(length) for name, cost in costs.items() if name not in unknown}
    return {"parameters": model.num_parameters, **known}


def _joined(orders: Iterable[NamedTuple], field: str) -> str:
    """Each different order once, in the order of the layers."""
    return "; ".join(dict.fromkeys(getattr(order, field) for order in orders))
