"""What architectures cost by their own formulas, against length: counted, so that it is exact.

The tests of every mixer hold its formulas against what a run executes and keeps
(mixers/contract.py).
"""

from collections.abc import Sequence

from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.complexity import numeric_row
from seqarena.measure.subject import subject

QUANTITIES = {
    "flops": "forward_flops",
    "serial_steps": "serial_steps",
    "state_bytes": "state_bytes",
}


def counted(
    architectures: Sequence[str],
    *,
    lengths: Sequence[int],
    width: int = 64,
    depth: int = 1,
    algorithm: str = "auto",
) -> list[Series]:
    """`forward_flops` of one sequence, `serial_steps` of its training and the `state_bytes` that
    decoding keeps after it, of whole models, a curve an architecture. The steps, and what an
    algorithm spends, are those of `algorithm` (auto: the fastest here).

    A hybrid has its whole pattern of layers; a user's plain module has the curves that it knows.
    Raises UserError for an unknown name.
    """
    found: list[Series] = []
    options = None if algorithm == "auto" else {"algorithm": algorithm}
    for name in architectures:
        chosen = subject(name, width=width, depth=depth, options=options)
        rows = {length: numeric_row(chosen.config(length), length) for length in sorted(lengths)}
        found += [
            Series(
                measurement="counted",
                quantity=quantity,
                axis="length",
                architecture=name,
                variant="" if algorithm == "auto" else algorithm,
                points=tuple(Point(x=x, repeats=(float(row[key]),)) for x, row in rows.items()),
                settings={
                    "width": width,
                    "depth": chosen.depth,
                    "parameters": [row["parameters"] for row in rows.values()],
                },
                machine=this_machine(),
            )
            for key, quantity in QUANTITIES.items()
            if all(key in row for row in rows.values())
        ]
    return found
