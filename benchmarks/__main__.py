"""`python -m benchmarks`: runs the rows, prints a table, writes benchmarks/latest.json.

A ratio is the speed of ours over theirs, the median of the turns' pairs and their range. Freed
memory is kept in the process unless `--malloc default` is given, for every contender alike: all of
them run in this one process. `--clock process` counts processor seconds, for a machine that others
use as well.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
import transformers
from rich.console import Console
from rich.table import Table

from benchmarks.rows import ROWS
from benchmarks.side_by_side import Outcome, compare
from seqarena.core import runtime
from seqarena.core.malloc import keep_freed_memory

LATEST = Path(__file__).with_name("latest.json")


def main() -> None:
    arguments = _arguments()
    runtime.flush_denormals()
    torch.set_num_threads(arguments.threads)
    memory = keep_freed_memory().name if arguments.malloc == "keep" else "returned"
    dtype = runtime.resolve_dtype(arguments.dtype, "cpu").name
    facts = {**_facts(arguments, dtype), "freed memory": memory}
    console = Console()
    console.print(", ".join(f"{key} {value}" for key, value in facts.items()))
    outcomes = []
    for name in arguments.rows:
        outcome = compare(ROWS[name](dtype), repeats=arguments.repeats, clock=arguments.clock)
        outcomes.append(outcome)
        console.print(_table(outcome))
    content = {"facts": facts, "rows": [_as_json(outcome) for outcome in outcomes]}
    LATEST.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=runtime.available_cores())
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--clock", choices=["wall", "process"], default="wall")
    parser.add_argument("--malloc", choices=["keep", "default"], default="keep")
    return parser.parse_args()


def _facts(arguments: argparse.Namespace, dtype: str) -> dict[str, Any]:
    return {
        "processor": runtime.processor_name(),
        "threads": torch.get_num_threads(),
        "dtype": dtype,
        "denormals": runtime.denormals(),
        "clock": arguments.clock,
        "repeats": arguments.repeats,
        "load at start": round(os.getloadavg()[0], 2),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "code": runtime.code_digest(),
    }


def _table(outcome: Outcome) -> Table:
    row = outcome.row
    settings = ", ".join(f"{key} {value}" for key, value in row.settings.items())
    caption = "\n".join([settings, *row.checks])
    table = Table(title=row.title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("implementation")
    for heading in ("size", "tokens/s", "ratio", "low..high", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for contender in row.contenders:
        size = "" if contender.parameters is None else f"{contender.parameters / 1e6:.2f}M"
        speed = f"{outcome.tokens_per_second(contender.name):,.0f}"
        against = [ratio for ratio in outcome.ratios if ratio.theirs == contender.name]
        medians = "\n".join(f"{_against(outcome, r.ours)}{r.median:.2f}" for r in against)
        spreads = "\n".join(f"{r.low:.2f}..{r.high:.2f}" for r in against)
        verdicts = "\n".join(r.verdict for r in against)
        table.add_row(contender.name, size, speed, medians, spreads, verdicts)
    return table


def _against(outcome: Outcome, ours: str) -> str:
    """Which of ours is meant, where a row has several."""
    several = sum(contender.ours for contender in outcome.row.contenders) > 1
    return f"{ours.removeprefix('seqarena ')} " if several else ""


def _as_json(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    return {
        "title": row.title,
        "settings": row.settings,
        "checks": row.checks,
        "parameters": {c.name: c.parameters for c in row.contenders},
        "tokens_per_second": {c.name: outcome.tokens_per_second(c.name) for c in row.contenders},
        "seconds": outcome.seconds,
        "speed_ratios_ours_over_theirs": [ratio._asdict() for ratio in outcome.ratios],
    }


if __name__ == "__main__":
    main()
