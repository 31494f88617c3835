"""The twenty bAbI tasks, each learnt by itself from its 1,000 questions, several runs of each.

    python -m benchmarks.babi --tasks 1,2,4 --models memory_network,gru --seeds 10 --out FILE

`memory_network` is trained as everything here is, by AdamW; `memory_network_sgd` is the same model
trained as its authors' program does it (`train_as_published`). Every run prints a line and is added
to FILE (JSON lines); the table of all runs in FILE comes last. As in Sukhbaatar et al. 2015 the
reported run of a task is the one of least training loss; the spread over the runs stands beside it.
Data are found through SEQARENA_DATA.
"""

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from seqarena.models.build import build
from seqarena.models.memory.memory_network import MemoryNetwork
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Split, Task
from seqarena.tasks.text.question_answering import QuestionAnsweringTask
from seqarena.train.budget import Budget
from seqarena.train.config import OptimizerConfig, TrainConfig
from seqarena.train.loop import Trainer

# Error rates in percent: 3 hops, position encoding, linear start, random noise, adjacent tying, one
# task at a time (the authors' program, as run in vinhkhuc/MemN2N-babi-python, bechmarks).
PUBLISHED = (
    0.1, 8.2, 41.8, 4.4, 13.7, 7.9, 20.3, 11.7, 13.6, 9.7,
    0.7, 0.0, 0.3, 0.9, 0.0, 0.4, 51.0, 10.5, 81.4, 0.0,
)  # fmt: skip


class Recipe(NamedTuple):
    """How one architecture is trained."""

    width: int
    depth: int
    epochs: float
    learning_rate: float
    weight_decay: float
    dropout: float = 0.0


RECIPES = {
    "memory_network": Recipe(20, 1, 100, 1e-2, 0.0),
    "gru": Recipe(64, 1, 40, 5e-3, 0.01),
    "lstm": Recipe(64, 1, 40, 5e-3, 0.01),
}


def run(task: Task, name: str, recipe: Recipe, seed: int, **options: Any) -> dict[str, float]:
    """One training; accuracies at its end and the mean training loss of its last epoch."""
    torch.manual_seed(seed)
    model = build(
        name, problem=task.problem, width=recipe.width, depth=recipe.depth, options=options
    )
    settings = TrainConfig(
        budget=Budget(epochs=recipe.epochs),
        optimizer=OptimizerConfig(
            learning_rate=recipe.learning_rate,
            warmup_fraction=0.05,
            weight_decay=recipe.weight_decay,
        ),
        batch_size=32,
        seed=seed,
    )
    trainer = Trainer(model, task, settings)
    start = time.perf_counter()
    losses = [record.loss_nats for record in trainer.steps()]
    seconds = time.perf_counter() - start
    last_epoch = losses[-(task.steps_per_epoch(32) or 1) :]
    scores = {
        split: task.evaluate(trainer.predict, split, 256).value for split in ("validation", "test")
    }
    return {
        "parameters": model.num_parameters,
        "training_loss": statistics.fmean(last_epoch),
        **scores,
        "seconds": seconds,
    }


BATCH, LINEAR_EPOCHS, EPOCHS, HALF_LIFE = 32, 20, 100, 25
PUBLISHED_RATE, LARGEST_NORM = 0.005, 40.0  # of a loss that is summed over a batch


def train_as_published(task: QuestionAnsweringTask, seed: int) -> dict[str, float]:
    """`run` by the authors' program (MemN2N-babi-matlab): stochastic gradient descent on batches
    drawn with replacement, 20 epochs without the softmax, then 100 with it, whose rate halves every
    25; each table's gradient, words and times together, has a norm of at most 40."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    options = {
        "linear_start": LINEAR_EPOCHS / (LINEAR_EPOCHS + EPOCHS),
        "sentence_length": longest_sentence(task) + 1,  # the program ends each with its time
    }
    model = build("memory_network", problem=task.problem, width=20, options=options)
    assert isinstance(model, MemoryNetwork)
    assert model.times_SED is not None
    steps = task.sizes["train"] // BATCH
    start = time.perf_counter()
    losses: list[float] = []
    for epoch in range(1 - LINEAR_EPOCHS, EPOCHS + 1):
        rate = PUBLISHED_RATE * 0.5 ** (max(epoch, 0) // HALF_LIFE)
        model.train()
        model.at_progress(0.0 if epoch <= 0 else 1.0)
        losses = []
        for _ in range(steps):
            batch = task.batch("train", draw.integers(task.sizes["train"], size=BATCH))
            loss = BATCH * task.loss(model.answer(batch), batch)
            model.zero_grad()
            loss.backward()
            descend(model.words_VED, model.times_SED, rate)
            losses.append(float(loss.detach()) / BATCH)
    model.eval()
    return {
        "parameters": model.num_parameters,
        "training_loss": statistics.fmean(losses),
        **{split: accuracy(model, task, split) for split in ("validation", "test")},
        "seconds": time.perf_counter() - start,
    }


def longest_sentence(task: QuestionAnsweringTask) -> int:
    """Its words, in statements and questions of the training data."""
    questions = task.questions("train")
    return max(len(words) for q in questions for words in (*q.statements, q.words))


@torch.no_grad()
def descend(words_VED: nn.Parameter, times_SED: nn.Parameter, rate: float) -> None:
    """One step, table by table."""
    assert words_VED.grad is not None
    assert times_SED.grad is not None
    norm_E = torch.cat((words_VED.grad, times_SED.grad)).norm(dim=(0, 2))
    step_E1 = rate * (LARGEST_NORM / norm_E.clamp(min=1e-30)).clamp(max=1.0)[:, None]
    words_VED.sub_(step_E1 * words_VED.grad)
    times_SED.sub_(step_E1 * times_SED.grad)


@torch.no_grad()
def accuracy(model: MemoryNetwork, task: QuestionAnsweringTask, split: Split) -> float:
    return task.evaluate(model.answer, split, 256).value


def load(number: int) -> QuestionAnsweringTask:
    data = os.environ.get("SEQARENA_DATA", "../shared/data")
    task = build_task(
        parse_task({"kind": "question_answering", "data": f"{data}/babi/en/qa{number}_*"})
    )
    assert isinstance(task, QuestionAnsweringTask)
    return task


def table(rows: list[dict[str, Any]]) -> str:
    """Test accuracy by task and model: of the run with the least training loss; mean and range."""
    runs: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        runs[row["task"], row["model"]].append(row)
    models = list(dict.fromkeys(row["model"] for row in rows))
    lines = ["| task | published | " + " | ".join(models) + " |"]
    lines.append("|" + "---|" * (2 + len(models)))
    for number in sorted({row["task"] for row in rows}):
        cells = [_cell(runs.get((number, model), [])) for model in models]
        published = 1 - PUBLISHED[number - 1] / 100
        lines.append(f"| {number} | {published:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    chosen = min(found, key=lambda row: row["training_loss"])["test"]
    tests = sorted(row["test"] for row in found)
    mean = statistics.fmean(tests)
    return f"{chosen:.3f} ({mean:.3f}, {tests[0]:.3f} to {tests[-1]:.3f}, n = {len(tests)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", default=",".join(map(str, range(1, 21))))
    parser.add_argument("--models", default="memory_network,gru,lstm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    known = chosen.out.read_text(encoding="utf-8").splitlines() if chosen.out.exists() else []
    rows = [json.loads(line) for line in known]
    done = {(row["task"], row["model"], row["seed"]) for row in rows}
    for seed in range(chosen.seeds):
        for number in map(int, chosen.tasks.split(",")):
            task = load(number)
            for name in chosen.models.split(","):
                if (number, name, seed) in done:
                    continue
                if name == "memory_network_sgd":
                    found = train_as_published(task, seed)
                else:
                    found = run(task, name, RECIPES[name], seed)
                row = {"task": number, "model": name, "seed": seed, **found}
                rows.append(row)
                with chosen.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
