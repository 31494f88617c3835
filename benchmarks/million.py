"""A million tokens through every causal stack whose state keeps its size, in constant memory.

    nice -n 15 python -m benchmarks.million [NAME ...] [--tokens 1000000] [--width 128] [--depth 2]

Tokens a second of a forward pass by `Session.stream`, 1,024 positions at a time, each architecture
in a process of its own. Resident memory is read after every piece: its median over the last tenth
of the stream is held against that over the second tenth (the first warms up). Exit code 1 where
one of them grows by more than 5 %.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from seqarena.core.malloc import keep_freed_memory
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.model import StatefulModel
from seqarena.models.states.session import Session

FLAT = 1.05
VOCABULARY = 256


def endless(name: str) -> bool:
    """Whether it is a causal stack whose state keeps its size and whose positions have no end."""
    row = CATALOG[name]
    if row.system is not None or not row.causal:
        return False
    with torch.device("meta"):
        model = build(name, vocab_size=VOCABULARY, width=64)
    return model.carries and model.most_positions is None


def measure(name: str, tokens: int, width: int, depth: int | None) -> dict[str, float]:
    """Streams random tokens through one architecture."""
    keep_freed_memory()
    torch.set_num_threads(1)
    model = build(name, vocab_size=VOCABULARY, width=width, depth=depth, seed=0)
    assert isinstance(model, StatefulModel)
    random = torch.Generator().manual_seed(0)
    pieces = (
        torch.randint(VOCABULARY, (1024,), generator=random) for _ in range(-(-tokens // 1024))
    )
    session, resident = Session(model), []
    start = time.perf_counter()
    for piece in pieces:
        for _ in session.stream(piece):
            resident.append(resident_bytes())
    seconds = time.perf_counter() - start
    tenth = max(1, len(resident) // 10)
    early, late = resident[tenth : 2 * tenth], resident[-tenth:]
    return {
        "tokens": session.position,
        "tokens_per_second": session.position / seconds,
        "early_megabytes": statistics.median(early) / 2**20,
        "late_megabytes": statistics.median(late) / 2**20,
        "growth": statistics.median(late) / statistics.median(early),
        "state_bytes": model.state_bytes(1),
    }


def resident_bytes() -> int:
    """Memory of this process that lies in the machine's own."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    """Prints a line for each architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of the catalog; by default all that can")
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        (name,) = given.names
        print(json.dumps(measure(name, given.tokens, given.width, given.depth)))
        return 0
    flat = True
    for name in given.names or filter(endless, CATALOG):
        sizes = [f"--tokens={given.tokens}", f"--width={given.width}"]
        sizes += [] if given.depth is None else [f"--depth={given.depth}"]
        command = [sys.executable, "-m", "benchmarks.million", name, *sizes, "--here"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        flat &= found["growth"] <= FLAT
        print(
            f"{name:<22} {found['tokens_per_second']:>10,.0f} tokens/s   state "
            f"{found['state_bytes']:>9,} bytes   resident {found['early_megabytes']:6.1f} -> "
            f"{found['late_megabytes']:6.1f} MB ({found['growth'] - 1:+.1%})",
            flush=True,
        )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
