"""Where Newton's method over time pays: a recurrent layer by every algorithm, from 64 positions on.

    python -m benchmarks.newton [--lengths 64 4096 ...] [--width 16] [--cells elman gru lstm]

A training step (forward and backward) of one layer and one sequence: `loop`, `stepwise`, the
library's kernel `fused`, `newton` and `quasi_newton` with their rounds, and beside them a
recurrence that is linear in its state, minGRU by a `scan` and by its `fused` loop. All in one
process, in turn, so that a change of the machine's load meets all of them; the shortest of the
repeats counts, in processor seconds (one thread: what others use of the machine is not counted).
Printed: the seconds of `fused`, and every algorithm's speed as a multiple of it. What would take
longer than `--limit` seconds is left out, and so is what does not converge.
"""

import argparse
import math
import time

import torch
from torch import Tensor

from benchmarks.training import assert_same
from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.stack import layer_operation, load_mixer
from seqarena.ops.recurrent.newton import recorded_solves

LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
AGAINST = "fused"
BESIDE = (("mingru", "scan"), ("mingru", "fused"))


def main() -> None:
    """Prints a line for each cell and length."""
    arguments = _arguments()
    torch.set_num_threads(1)
    print(f"width {arguments.width}, batch 1, float32, {arguments.repeats} repeats")
    for cell in arguments.cells:
        contenders = {f"mingru {form}": _mixer(row, form, arguments.width) for row, form in BESIDE}
        for form in layer_operation(*CATALOG[cell].cycle[0]).available("cpu", torch.float32):
            contenders[form] = _mixer(cell, form, arguments.width)
        last: dict[str, float] = {}
        for length in arguments.lengths:
            x_BTD = torch.randn(1, length, arguments.width)
            fits = {
                name: mixer
                for name, mixer in contenders.items()
                if last.get(name, 0.0) * 4 < arguments.limit
            }
            rounds = _checked_rounds(fits, x_BTD)
            last = measure(fits, x_BTD, arguments.repeats)
            print(_line(cell, length, last, rounds), flush=True)


def measure(mixers: dict[str, Mixer], x_BTD: Tensor, repeats: int) -> dict[str, float]:
    """The shortest processor seconds of a training step, by contender."""
    best = dict.fromkeys(mixers, math.inf)
    for _ in range(repeats):
        for name, mixer in mixers.items():
            start = time.process_time()
            mixer(x_BTD)[0].sum().backward()
            best[name] = min(best[name], time.process_time() - start)
    return best


def _checked_rounds(mixers: dict[str, Mixer], x_BTD: Tensor) -> dict[str, str]:
    """Rounds forwards + backwards of what solves, after a call of each that shows that the
    algorithms of the cell agree. What does not converge is taken out of `mixers`."""
    found, expected = {}, None
    for name, mixer in list(mixers.items()):
        try:
            with recorded_solves() as solves:
                y_BTD = mixer(x_BTD)[0]
                y_BTD.sum().backward()
        except UserError:
            del mixers[name]
            continue
        if solves:
            found[name] = " + ".join(str(solve.rounds) for solve in solves)
        if not name.startswith("mingru"):
            expected = y_BTD.detach() if expected is None else expected
            assert_same(name, y_BTD.detach(), expected)
    return found


def _line(cell: str, length: int, seconds: dict[str, float], rounds: dict[str, str]) -> str:
    unit = seconds.get(AGAINST, math.nan)
    speeds = (
        f"{name} {unit / taken:.2f}" + (f" ({rounds[name]} rounds)" if name in rounds else "")
        for name, taken in seconds.items()
        if name != AGAINST
    )
    return f"{cell:<6} T {length:<6} {AGAINST} {unit * 1e3:9.2f} ms   {', '.join(speeds)}"


def _mixer(row: str, algorithm: str, width: int) -> Mixer:
    place, options = CATALOG[row].cycle[0]
    mixer_class = load_mixer(place)
    torch.manual_seed(0)
    return mixer_class(width, mixer_class.Config(**options, algorithm=algorithm))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.newton")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--cells", nargs="+", default=["elman", "gru", "lstm"])
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=30.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
