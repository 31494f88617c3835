"""What users type, as values: `200k`, `lstm,gru`, `alphabet=8`."""

import json
import shlex
import sys
from typing import TYPE_CHECKING, Any, cast

from seqarena.core.errors import UserError, unknown_name

if TYPE_CHECKING:
    from seqarena.models.catalog import Architecture
    from seqarena.train.optimizer import OptimizerConfig

_SUFFIXES = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


def number(text: str, what: str) -> float:
    """`200k`, `1.5M`, `2e6`, `1_000`. Raises UserError for anything else."""
    digits, factor = text.strip().lower().replace("_", "").replace(",", ""), 1.0
    if digits and digits[-1] in _SUFFIXES:
        digits, factor = digits[:-1], _SUFFIXES[digits[-1]]
    try:
        value = float(digits) * factor
    except ValueError:
        raise UserError(f"{what} {text!r} is not a number: write it as 200k, 1M or 2e6") from None
    if not 0 < value < float("inf"):
        raise UserError(f"{what} {text!r} must be positive")
    return value


def whole(text: str | None, what: str) -> int | None:
    """A positive whole number, or None."""
    return None if text is None else max(1, round(number(text, what)))


def rates(text: str) -> tuple[float, ...]:
    """`1e-3,3e-3` as numbers."""
    return tuple(number(part, "learning rate") for part in names(text))


def names(text: str) -> list[str]:
    """`lstm, gru` as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def settings(pairs: list[str]) -> dict[str, Any]:
    """`key=value` pairs; values are JSON where they can be, else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"setting {pair!r}: write it as key=value")
        try:
            found[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[key.strip()] = value
    return found


def architectures(models: str | None, mixers: list[str]) -> "list[Architecture]":
    """The rows that `--models` and `--mixer` name; the default line-up when neither is given."""
    from seqarena.models.catalog import CATALOG, LINEUP, architecture, yours

    wanted = names(models) if models else [] if mixers else list(LINEUP)
    if wanted == ["all"]:
        wanted = list(CATALOG)
    rows = [architecture(name) for name in wanted]
    for mixer in mixers:
        label, equals, place = mixer.rpartition("=")
        rows.append(yours(label if equals else place.rpartition(":")[2].lower(), place))
    return rows


def task_fields(
    task: str, data: str | None, tokenizer: str | None, length: int | None, pairs: list[str]
) -> dict[str, Any]:
    """The fields of a task's configuration."""
    from seqarena.tasks.registry import takes

    fields: dict[str, Any] = {"kind": task, **settings(pairs)}
    given = {"data": data, "tokenizer": tokenizer, "sequence_length": length}
    for field, value in given.items():
        if value is None:
            continue
        if not takes(task, field):
            raise UserError(f"task {task} has no {field.replace('_', ' ')}: set it with --set")
        fields[field] = value
    return fields


def optimizer(schedule: str, name: str = "adamw", **fields: float) -> "OptimizerConfig":
    """The optimizer that was asked for."""
    from seqarena.train.optimizer import OptimizerConfig

    known = ("cosine", "constant", "inverse_sqrt")
    if schedule not in known:
        raise unknown_name("schedule", schedule, known)
    if name not in ("adamw", "adamax"):
        raise unknown_name("optimizer", name, ("adamw", "adamax"))
    return OptimizerConfig(name=cast("Any", name), schedule=cast("Any", schedule), **fields)


def command_line() -> str:
    """This call as a person would type it again."""
    return shlex.join(["seqarena", *sys.argv[1:]])
