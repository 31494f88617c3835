"""How claims name the measurements that they rest on."""

from typing import Any

from seqarena.claims.claim import Part


def part(function: str, about_seconds: float, /, *, alone: bool = False, **arguments: Any) -> Part:
    """A call of `seqarena.measure.MODULE:function`, which takes about so long on one core."""
    return Part(f"seqarena.measure.{function}", arguments, about_seconds, alone)
