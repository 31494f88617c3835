"""`python -m benchmarks.published_ladder CHECKOUT`: forecasts of the published xLSTM scaling runs.

Beck et al. 2025, "xLSTM Scaling Laws" (arXiv 2510.02228), trained xLSTM (mLSTM) and Llama wirings
of 160M to 7B parameters on 22 to 2,200 tokens for each parameter. CHECKOUT is a clone of
github.com/NX-AI/xlstm_scaling_laws. Its repository states no licence, so that nothing of it is kept
here: the tables that two of its notebooks print are read from the clone.

A ladder is one number of tokens for each parameter; its rungs are the three smallest sizes, 160M,
400M and 830M. Every larger cell that has both architectures is predicted. One seed each: the noise
of a run is not known and counts as the methods' error. The numbers are losses on DCLM, in nats.
"""

import argparse
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqarena.core.results.forecasts import Ladder, LadderCell, LadderRung
from seqarena.forecast.evidence import evidence_of
from seqarena.forecast.methods import METHODS
from seqarena.forecast.predict import forecast
from seqarena.forecast.scales import scale_of
from seqarena.forecast.targets import target_of

NOTEBOOKS = {
    "mlstm": ("notebooks/paper_plots/token_param_ratio_plots--slopes.ipynb", "mlstm_scl_df_tfla"),
    "llama": ("notebooks/run_dataset_tables.ipynb", 'df["model_type"] == "llama"'),
}
RATIOS = (22, 44, 110, 220, 550)
SIZES = (160e6, 400e6, 830e6, 1.4e9, 2.7e9, 6.9e9)
BELOW = 3  # rungs
COLUMNS = ("num_params", "num_tokens_training", "num_flops_training", "val/.dclm_loss")


class Published(NamedTuple):
    """One published run."""

    params: float
    tokens: float
    flops: float
    loss: float


def read(checkout: Path, architecture: str) -> list[Published]:
    """The runs of one architecture, of the table that its notebook prints."""
    name, source = NOTEBOOKS[architecture]
    for cell in json.loads(_text(checkout, name))["cells"]:
        if source in "".join(cell["source"]):
            for output in cell.get("outputs", []):
                text = "".join(output.get("data", {}).get("text/plain", []))
                rows = list(_rows(text))
                if rows:
                    return rows
    raise SystemExit(f"{name} of {checkout} prints no table of {architecture} runs")


def _text(checkout: Path, name: str) -> str:
    path = checkout / name
    if path.exists():
        return path.read_text(encoding="utf-8")
    return subprocess.run(
        ["git", "-C", str(checkout), "show", f"HEAD:{name}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def _rows(text: str) -> Iterator[Published]:
    """pandas breaks a wide table into blocks; every block repeats the index. Values end where their
    headings end."""
    found: dict[str, dict[str, float]] = {}
    ends: dict[str, int] = {}
    for line in text.splitlines():
        if re.match(r"\d+ ", line):
            for column, end in ends.items():
                value = line[:end].split()[-1]
                found.setdefault(line.split()[0], {})[column] = float(value)
        elif line.strip():
            ends = {
                column: line.index(column) + len(column) for column in COLUMNS if column in line
            }
    for fields in found.values():
        if set(fields) == set(COLUMNS):
            yield Published(*(fields[column] for column in COLUMNS))


def cells_at(ratio: float, runs: dict[str, list[Published]]) -> list[dict[str, Published]]:
    """Of every size that both architectures have at this number of tokens for each parameter."""
    found = []
    for size in SIZES:
        cell = {}
        for name, own in runs.items():
            near = [
                one
                for one in own
                if abs(math.log(one.params / size)) < 0.1
                and abs(math.log(one.tokens / one.params / ratio)) < 0.16
            ]
            if near:
                cell[name] = min(near, key=lambda one: abs(one.tokens / one.params - ratio))
        if len(cell) == len(runs):
            found.append(cell)
    return found


def ladder_of(cells: list[dict[str, Published]]) -> Ladder:
    rungs = []
    for cell in cells:
        params = round(sum(one.params for one in cell.values()) / len(cell))
        tokens = round(sum(one.tokens for one in cell.values()) / len(cell))
        rungs.append(
            LadderRung(
                name=f"{params / 1e6:.0f}M", params=params, tokens=tokens,
                cells=tuple(
                    LadderCell(
                        architecture=name, parameters=round(one.params), tokens=round(one.tokens),
                        flops=one.flops, learning_rate=1e-3, learning_rate_at_edge=False,
                        seeds=(0,), values=(one.loss,),
                    )
                    for name, one in cell.items()
                ),
            )
        )  # fmt: skip
    return Ladder(
        task="language", data="DCLM", metric="nats", lower_is_better=True,
        architectures=tuple(cells[0]), rungs=tuple(rungs),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published_ladder")
    parser.add_argument("checkout", type=Path)
    checkout = parser.parse_args().checkout
    runs = {name: read(checkout, name) for name in NOTEBOOKS}
    print(", ".join(f"{len(own)} runs of {name}" for name, own in runs.items()))
    right: dict[str, list[bool]] = {}
    inside: list[bool] = []
    told: list[bool] = []
    for ratio in RATIOS:
        cells = cells_at(ratio, runs)
        if len(cells) <= BELOW:
            continue
        ladder = ladder_of(cells[:BELOW])
        evidence = evidence_of(ladder, scale_of(ladder))
        for cell in cells[BELOW:]:
            truth = cell["llama"].loss - cell["mlstm"].loss
            target = target_of(f"{cell['mlstm'].tokens * cell['mlstm'].params:.0f}x", ladder)
            target = target.model_copy(
                update={"factor": ladder_of([cell]).top.scale / ladder.top.scale}
            )
            found = forecast(ladder, target)
            (pair,) = found.pairs
            sign = 1 if pair.better == "mlstm" else -1
            low, high = sorted(sign * end for end in pair.gap_80)
            inside.append(low <= truth <= high)
            if pair.told:
                told.append((sign * pair.gap > 0) == (truth > 0))
            guesses = {}
            for name, method in METHODS.items():
                z_K = method.predict(evidence, math.log(target.factor)).z_K
                gap = float(z_K[1] - z_K[0]) if evidence.names[0] == "mlstm" else 0.0
                guesses[name] = gap * cell["mlstm"].loss
                right.setdefault(name, []).append((gap > 0) == (truth > 0))
            right.setdefault("chosen", []).append((sign * pair.gap > 0) == (truth > 0))
            shown = "  ".join(f"{name} {guess:+.3f}" for name, guess in guesses.items())
            print(
                f"{ratio:>4} tokens a parameter, {cell['mlstm'].flops:.1e} operations: llama "
                f"behind by {truth:+.4f}; {found.method}: {sign * pair.gap:+.4f} ({low:+.4f} to "
                f"{high:+.4f}), probability {pair.probability:.2f} of {pair.better}\n     {shown}"
            )
    for name, signs in right.items():
        print(f"{name}: the sign is right in {sum(signs)} of {len(signs)} cells")
    print(f"80 % intervals hold {sum(inside)} of {len(inside)}")
    print(f"told: {sum(told)} of {len(told)} right")


if __name__ == "__main__":
    main()
