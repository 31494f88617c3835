"""Planted faults: each must be caught by the short suite, the tests that `make test` runs.

    python -m benchmarks.mutants [NAME ...]     all of them, or those named; fails when one survives

Each mutant changes one line in a copy of the sources, and runs the test files that mention its
subject, thinned as `make test` thins them (tests/thinning.py). The line and the test files are
found by their content, so both may move. A mutant changes numbers in silence: none of them makes
the program stop. Tests that fail without any mutant catch nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

ROOT = Path(__file__).parent.parent
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "runs", "docs")


class Mutant(NamedTuple):
    """A fault. `line` is a piece of the sources that occurs once; `becomes` takes its place."""

    name: str
    line: str
    becomes: str
    subject: str  # the test files that contain this text are run

    def place(self, root: Path = ROOT) -> Path:
        """The source file with the line. Raises ValueError unless there is exactly one."""
        paths = sorted((root / "src").rglob("*.py"))
        counts = {path: path.read_text(encoding="utf-8").count(self.line) for path in paths}
        found = [path for path, count in counts.items() for _ in range(count)]
        if len(found) != 1:
            places = ", ".join(path.name for path in found) or "no file"
            raise ValueError(f"{self.name}: {self.line!r} must occur once, and occurs in {places}")
        return found[0]

    def tests(self, root: Path = ROOT) -> list[str]:
        """The test files, relative to the root. Raises ValueError where there is none."""
        paths = sorted((root / "tests").rglob("test_*.py"))
        found = [path for path in paths if self.subject in path.read_text(encoding="utf-8")]
        if not found:
            raise ValueError(f"{self.name}: no test file mentions {self.subject!r}")
        return [path.relative_to(root).as_posix() for path in found]


MUTANTS = (
    Mutant(
        "wrong sign in a gate of the GRU",
        "n[t].addcmul_(r[t], inner[t]).tanh_()",
        "n[t].addcmul_(r[t], inner[t], value=-1).tanh_()",
        "GRUConfig(",
    ),
    Mutant(
        "attention sees one position of the future",
        "seen = distance >= 0 if causal else",
        "seen = distance >= -1 if causal else",
        "AttentionConfig(",
    ),
    Mutant(
        "heads and features swapped on the way out of attention",
        "self.outward(y_BTHE.flatten(2))",
        "self.outward(y_BTHE.transpose(2, 3).flatten(2))",
        "AttentionConfig(",
    ),
    Mutant(
        "a decoder attends to padding of the source",
        "score_BTS = score_BTS.masked_fill(self.padding_BS[:, None], -torch.inf)",
        "score_BTS = score_BTS + 0",
        "luong_is_the_equations",
    ),
    Mutant(
        "the state is dropped between chunks of a scan",
        "ends[index].addcmul_(decay_BCLD[:, index, -1], ends[index - 1])",
        "ends[index].add_(0 * ends[index - 1])",
        "linear_recurrence",
    ),
    Mutant(
        "every seed draws the same training windows",
        "generator = philox(seed, Stream.TRAIN, epoch)\n        used",
        "generator = philox(0, Stream.TRAIN, epoch)\n        used",
        "WindowSampler",
    ),
    Mutant(
        "the loss counts targets that are not asked",
        "targets_BT.flatten(),\n        ignore_index=IGNORE,",
        "targets_BT.flatten().clamp(min=0),\n        ignore_index=IGNORE,",
        "mean_loss",
    ),
    Mutant(
        "weight decay on biases and norms",
        '{"params": kept, "weight_decay": 0.0}',
        '{"params": kept, "weight_decay": config.weight_decay}',
        "build_optimizer",
    ),
    Mutant(
        "a resumed training skips a batch",
        'trainer.progress = TrainingProgress(**checkpoint.about["progress"])',
        'trainer.progress = TrainingProgress(**checkpoint.about["progress"])\n'
        "    trainer.progress.step += 1",
        "resume(",
    ),
    Mutant(
        "the gap to the leader is not paired by chunk",
        "    profile_C = sample.chunks_SC.mean(axis=0) - leader.chunks_SC.mean(axis=0)",
        "    profile_C = sample.chunks_SC.mean(axis=0) + leader.chunks_SC.mean(axis=0)",
        "gap_estimate",
    ),
    Mutant(
        "neighbouring test chunks count as independent",
        "    correlation = min(max(correlation, 0.0), _HIGHEST_CORRELATION)",
        "    correlation = min(max(correlation, 0.0), 0.0)",
        "gap_estimate",
    ),
    Mutant(
        "every look at a comparison spends the whole error",
        "    return left if look == len(counts) - 1 and not endless else left / 2",
        "    return 1.0",
        "seed_counts(",
    ),
    Mutant(
        "a rare tail has the degrees of freedom of an interval",
        "    if among >= LEAST_GROUPS:\n        return min(",
        "    if among >= LEAST_GROUPS:\n        return max(",
        "gap_estimate",
    ),
    Mutant(
        "a p value counts one pair only",
        "    if among == 2:",
        "    if among >= 2:",
        "gap_estimate",
    ),
    Mutant(
        "the learning rate is chosen on test",
        "        trial.validation_value\n        for trial in trials",
        "        trial.test_value\n        for trial in trials",
        "choose_learning_rate",
    ),
    Mutant(
        "a cache is counted in numbers and not in bytes",
        "self.features * self.inward.weight.element_size()",
        "self.features",
        "AttentionConfig(",
    ),
    Mutant(
        "seconds of a group of calls are taken for those of one",
        "found.append(watch.seconds / calls)",
        "found.append(watch.seconds)",
        "speed.repeat(",
    ),
)


def run_tests(root: Path, tests: list[str], *options: str) -> list[str]:
    """Runs the test files of a copy, thinned; the tests that failed."""
    data = Path(os.environ.get("SEQARENA_DATA", ROOT.parent / "shared" / "data"))
    environment = os.environ | {
        "PYTHONPATH": str(root / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",  # a file that changes twice in a second is read anew
        "SEQARENA_DATA": str(data if data.is_absolute() else ROOT / data),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--tb=no", "-rfE", *options, *tests],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1, 5):  # all passed, some failed, no test was left
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)


def catchers(root: Path, mutant: Mutant, known: list[str]) -> list[str]:
    """The first test that fails with the mutant, or nothing; `known` fail without it."""
    path = mutant.place(root)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(mutant.line, mutant.becomes), encoding="utf-8")
    spared = [f"--deselect={test}" for test in known]
    try:
        return run_tests(root, mutant.tests(root), "--maxfail=1", *spared)
    finally:
        path.write_text(whole, encoding="utf-8")


def main(names: list[str]) -> int:
    """Prints which test caught which mutant -> how many survived."""
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        listed = "\n  ".join(mutant.name for mutant in MUTANTS)
        sys.exit(f"no mutant is called {', '.join(sorted(unknown))}; there are\n  {listed}")
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    table = Table("mutant", Column("caught by", overflow="fold"), "seconds", show_lines=True)
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "copy"
        shutil.copytree(ROOT, root, ignore=NOT_COPIED)
        tests = sorted({test for mutant in chosen for test in mutant.tests(root)})
        known = run_tests(root, tests, "-n", "auto")
        for mutant in chosen:
            start = time.monotonic()
            caught = catchers(root, mutant, known)
            survived += not caught
            verdict = caught[0] if caught else "nothing: it survived"
            seconds = f"{time.monotonic() - start:.0f}"
            table.add_row(f"{mutant.name} ({mutant.place(root).name})", escape(verdict), seconds)
            print(f"{mutant.name}: {verdict}", file=sys.stderr, flush=True)
    Console().print(table)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants were caught by the short suite")
    if known:
        print("failed without any mutant, so they caught nothing:", *known, sep="\n  ")
    return survived


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
