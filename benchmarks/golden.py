"""Golden numbers: what every catalog row computes, so that a refactor can be held against them.

    python -m benchmarks.golden record FILE [ROW ...]   20 steps, the test score, a greedy output
    python -m benchmarks.golden compare FILE FILE       bit for bit; names every row that differs

Processors round differently: record both sides on one machine, the old one from a worktree of its
commit. Each row runs on the first task that it can enter, one thread, float32, seed 0.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.models.any import build_model
from seqarena.models.build import model_config
from seqarena.models.catalog import CATALOG, why_not
from seqarena.models.search import greedy
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Task
from seqarena.train.budget import Budget
from seqarena.train.config import TrainConfig
from seqarena.train.loop import Trainer
from seqarena.use.generate import generate_tokens
from seqarena.use.sample import Sampling

TASKS = (
    *("language", "translation", "classification", "question_answering", "tagging"),
    *("pixels", "algorithms"),
)
STEPS = 20
BATCH_SIZE = 4
EVALUATION_BATCHES = 2
GREEDY = Sampling(temperature=0.0)


def golden(name: str, tasks: dict[str, Task]) -> dict[str, Any]:
    """The row's numbers; floats are kept exactly, as hexadecimal digits."""
    row = CATALOG[name]
    kind, task = next((k, t) for k, t in tasks.items() if why_not(row, t.problem) is None)
    try:
        config = model_config(row, task.problem, params=30_000, width=None, depth=None)
    except UserError:  # a vocabulary larger than that
        config = model_config(row, task.problem, params=None, width=16, depth=None)
    torch.manual_seed(0)
    training = TrainConfig(budget=Budget(steps=STEPS), batch_size=BATCH_SIZE, seed=0)
    trainer = Trainer(build_model(config), task, training)
    records = list(trainer.steps())
    scores = task.evaluate(trainer.predict, "test", 8, EVALUATION_BATCHES)
    return {
        "task": kind,
        "parameters": trainer.model.num_parameters,
        "losses": [record.loss_nats.hex() for record in records],
        "norms": [record.gradient_norm.hex() for record in records],
        "test": scores.value.hex(),
        "chunks": digest(json.dumps([value.hex() for value in scores.chunk_values])),
        "greedy": greedy_output(trainer, task, is_stack=row.system is None),
    }


def greedy_output(trainer: Trainer, task: Task, *, is_stack: bool) -> list[int] | str:
    """What the trained model writes. Of a system of tokens or of a label: its likeliest answers."""
    model = trainer.model.eval()
    batch: Batch = next(iter(task.evaluation_batches("test", 2, 1)))
    with torch.inference_mode():
        if is_stack and model.writes and task.problem.form == "tokens":
            return list(generate_tokens(model, batch.inputs_BT[0, :16].tolist(), 32, GREEDY))
        if task.problem.form == "pairs" and task.generates:
            return greedy(model, batch, min(16, task.sequence_length)).flatten().tolist()
        return digest(model.answer(batch).argmax(-1).flatten().tolist())


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def record(path: Path, names: list[str]) -> None:
    """Writes the numbers of these rows, or of all, to the file."""
    torch.set_num_threads(1)
    tasks = {kind: build_task(parse_task({"kind": kind})) for kind in TASKS}
    found = {}
    for name in names or sorted(CATALOG):
        found[name] = golden(name, tasks)
        print(f"{name}: {found[name]['task']}", file=sys.stderr, flush=True)
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def compare(one: Path, other: Path) -> int:
    """How many rows differ, each named with the first number that does."""
    left, right = (json.loads(path.read_text(encoding="utf-8")) for path in (one, other))
    common = [name for name in left if name in right]
    different = 0
    for name in common:
        keys = [key for key in left[name] if left[name][key] != right[name].get(key)]
        if keys:
            different += 1
            print(f"{name}: {', '.join(keys)} differ")
    print(f"{len(common) - different} of {len(common)} rows agree bit for bit")
    return different


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    if verb == "record":
        record(Path(rest[0]), rest[1:])
    else:
        sys.exit(1 if compare(Path(rest[0]), Path(rest[1])) else 0)
