"""Every architecture in every form, held against the model: the table of docs/export.md.

    python -m benchmarks.exports                    all rows: about 20 seconds each on one core
    python -m benchmarks.exports gru mamba          these rows
    python -m benchmarks.exports --forms onnx,c     these forms

Each result goes into benchmarks/exports.json as it comes, and the table is written from all that
are there. Stacks have about 20,000 parameters, systems a width of 16; every weight gets some noise,
so that those which begin at zero count too.
"""

import argparse
import json
import re
import tempfile
from pathlib import Path

import torch

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.export.forms import SUFFIXES, export_model
from seqarena.models.model import Model

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "benchmarks" / "exports.json"
PAGE = ROOT / "docs" / "export.md"
BEGIN, END = "<!-- table: python -m benchmarks.exports -->", "<!-- end of the table -->"
FORMS = ("onnx", "torch", "c", "hf")
NOISE = 0.03

_TEXT = Problem(num_outputs=40, vocab_size=40, max_length=64)
_PROBLEMS = (
    _TEXT,
    Problem(form="label", num_outputs=5, vocab_size=40, max_length=32),
    Problem(form="label", num_outputs=5, features=1, image=(28, 28), max_length=784),
    Problem(form="label", num_outputs=40, vocab_size=40, num_segments=4, max_length=32),
    Problem(form="span", num_outputs=2, vocab_size=40, num_segments=2, max_length=32),
    Problem(
        form="pairs", num_outputs=40, vocab_size=40, source_vocab_size=40, max_length=32,
        max_source_length=32,
    ),
)  # fmt: skip


def model_of(name: str) -> Model:
    """A small model of the first kind of task that the architecture can do."""
    problem = next(p for p in _PROBLEMS if why_not(CATALOG[name], p) is None)
    # some systems have no size that is near
    size = {"params": 20_000} if CATALOG[name].system is None else {"width": 16}
    model = build(name, problem=problem, seed=0, **size).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(NOISE * torch.randn(parameter.shape, generator=draw))
        for buffer in model.buffers():  # what competition learns, which begins at nearly zero
            if buffer.is_floating_point() and buffer.dim() == 4:
                buffer.add_(torch.rand(buffer.shape, generator=draw))
    return model


def measured(name: str, to: str) -> dict[str, object]:
    """The largest difference, or the reason why there is no such file."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = model_of(name)
            done = export_model(model, to, Path(folder) / f"{name}{SUFFIXES[to]}", max_length=32)
        except UserError as error:
            return {"reason": str(error)}
        return {"difference": done.difference, "notes": list(done.notes)}


def table(records: dict[str, dict[str, dict[str, object]]]) -> str:
    """Rows of markdown, in the catalog's order, with what was refused and why below."""
    lines = [f"| architecture | {' | '.join(FORMS)} |", f"|---|{'---|' * len(FORMS)}"]
    reasons: list[str] = []
    for name in CATALOG:
        cells = []
        for to in FORMS:
            found = records.get(name, {}).get(to)
            if found is None:
                cells.append("not run")
            elif "reason" in found:
                reason = re.sub(r"^[A-Z]\w+ (?=has no )", "", str(found["reason"]))
                reason = reason.removeprefix("has no step: ")
                if reason not in reasons:
                    reasons.append(reason)
                cells.append(f"no [{reasons.index(reason) + 1}]")
            else:
                value = found["difference"]
                cells.append("yes" if value is None else f"{value:.1e}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    counts = ", ".join(f"{to} {_count(records, to)}" for to in FORMS)
    lines += ["", f"Exported and checked: {counts}, of {len(CATALOG)} rows.", ""]
    for number, reason in enumerate(reasons, 1):
        lines.append(f"{number}. {reason}")
    return "\n".join(lines)


def _count(records: dict[str, dict[str, dict[str, object]]], to: str) -> int:
    return sum("difference" in forms.get(to, {}) for forms in records.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(CATALOG))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--records", type=Path, default=RECORDS)
    chosen = parser.parse_args()
    records = json.loads(chosen.records.read_text()) if chosen.records.exists() else {}
    for name in chosen.names or list(CATALOG):
        for to in chosen.forms.split(","):
            found = measured(name, to)
            records.setdefault(name, {})[to] = found
            chosen.records.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")
            print(name, to, found.get("difference", found.get("reason")), flush=True)
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(records)}\n\n{END}{after}")


if __name__ == "__main__":
    main()
