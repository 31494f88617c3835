"""What becomes of a model at lengths that it was not trained on: score against length.

    parity, modular_arithmetic, induction,  symbols ahead of the question; trained on all lengths up
    reverse_string, stack_manipulation,     to `train_length`
    bucket_sort
    copying                                 blanks to remember across; trained on all up to it
    language                                bytes of context in a window; trained on windows of it

One model a seed is trained once and asked at `factors` times its length, everything else alike.
Beside the curve stands the best guesser that remembers nothing, at each length: by the tasks' own
formulas, of language the frequencies of the training text. How far above guessing an accuracy is,
(accuracy - guesser) / (1 - guesser), follows from the record.

A table of learned positions has untrained rows where a task declares its longest test beforehand
(the first lines above), and none beyond its training otherwise: such points are left out with the
reason in the settings.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.results.measurement import Series
from seqarena.measure.trained.best_fit import Recipe
from seqarena.measure.trained.probing import Curves, Place, study
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.base import Task
from seqarena.tasks.probes.probe import ProbeTask

_COUNTED_BATCHES = 64  # of 64 windows: what the guesser of language counts its frequencies in


class LengthProbe(NamedTuple):
    """How a task is trained up to a length and asked at others: (settings, trained, asked)."""

    training: Callable[[dict[str, Any], int, tuple[int, ...]], dict[str, Any]]
    asking: Callable[[dict[str, Any], int, int], dict[str, Any]]
    defaults: dict[str, Any] = {}
    quantity: str = "accuracy"


_OWN = LengthProbe(  # tasks that are made for this
    lambda settings, length, asked: {
        **settings, "train_length": length, "test_lengths": asked
    },
    lambda settings, length, asked: {
        **settings, "train_length": length, "test_lengths": (asked,)
    },
)  # fmt: skip

PROBES = {
    "parity": _OWN,
    "modular_arithmetic": _OWN,
    "induction": _OWN,
    "reverse_string": _OWN,
    "stack_manipulation": _OWN,
    "bucket_sort": _OWN,
    "copying": LengthProbe(
        lambda settings, length, _: {**settings, "min_distance": 1, "max_distance": length},
        lambda settings, _, asked: {**settings, "min_distance": asked, "max_distance": asked},
        {"num_symbols": 3, "alphabet": 8},
    ),
    "language": LengthProbe(
        lambda settings, length, _: {**settings, "sequence_length": length},
        lambda settings, _, asked: {**settings, "sequence_length": asked},
        quantity="bits_per_byte",
    ),
}

# Arguments of `length_generalisation` for a first look
QUICK: dict[str, dict[str, Any]] = {
    "parity": {
        "train_length": 40,  # as Deletang et al. 2022
        "factors": (1, 2, 6.4),
        "width": 64,
        "depth": 1,
        "steps": 2000,  # a bare LSTM is at chance for 500 to 1,500, then has it in 200 more
        "batch_size": 64,
        "learning_rates": (1e-2,),  # of recurrent networks
    },
    "induction": {
        "train_length": 16,
        "factors": (1, 2, 4, 16),
        "width": 64,
        "depth": 2,  # attention needs two layers for it (Olsson et al. 2022)
        "steps": 300,  # an LSTM layer needed 60 at 1e-2, attention 110
        "batch_size": 32,
    },
}
# For a result to rest on; no run stands behind these sizes.
FULL: dict[str, dict[str, Any]] = {
    "parity": {
        **QUICK["parity"],
        "factors": (0.5, 1, 2, 4, 6.4),
        "steps": 10_000,  # several times what the slowest seed of the LSTM needed
        "learning_rates": (1e-3, 3e-3, 1e-2),
        "seeds": (0, 1, 2),
    },
    "induction": {
        **QUICK["induction"],
        "train_length": 64,
        "steps": 3000,
        "learning_rates": (1e-3, 3e-3, 1e-2),
        "seeds": (0, 1, 2),
    },
}


def length_generalisation(
    architecture: str,
    *,
    task: str = "parity",
    train_length: int = 40,
    factors: Sequence[float] = (1, 2, 4, 16),
    steps: int = 2000,
    width: int | None = None,
    params: int | None = None,
    depth: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    learning_rates: Sequence[float] = (3e-3,),
    seeds: Sequence[int] = (0,),
    batch_size: int = 64,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    evaluation_examples: int = 512,
    evaluation_tokens: int = 1 << 15,
    task_settings: dict[str, Any] | None = None,
    checkpoint: str | None = None,
    device: str = "cpu",
) -> list[Series]:
    """One curve against length: accuracy, or bits per byte of language.

    The width is 64 unless it or `params` is given; a user's own mixer is named `file.py:Class`. A
    `checkpoint` is asked as it stands, with the task's settings that it was trained with, at
    factors of `train_length`. Each length is asked `evaluation_examples`, or of language as many
    windows as hold `evaluation_tokens`. Raises UserError for an unknown task and for what the task
    or the architecture refuses.
    """
    if task not in PROBES:
        raise unknown_name("task of length", task, PROBES)
    lengths = tuple(sorted({round(factor * train_length) for factor in factors}))
    if not lengths or lengths[0] < 1:
        raise UserError("give factors that make lengths of at least 1")
    probe = PROBES[task]
    recipe = Recipe(steps, batch_size, tuple(learning_rates), weight_decay, clip_norm, device)
    asked = study(
        architecture, task, recipe, seeds, checkpoint=checkpoint, variant=variant,
        options=options, width=width, params=params, depth=depth,
    )  # fmt: skip
    settings = {**(asked.task_settings or probe.defaults), **(task_settings or {})}
    if task != "language":
        settings.setdefault("evaluation_examples", evaluation_examples)

    def built(fields: dict[str, Any]) -> Task:
        return build_task(parse_task({"kind": task, **fields}))

    learnt = built(probe.training(settings, train_length, lengths))
    models = asked.models(learnt)
    curves = Curves([probe.quantity], evaluation_tokens if task == "language" else None)
    for length in lengths:
        here = built(probe.asking(settings, train_length, length))
        curves.add(Place(length, here, models, guesser(here, learnt, evaluation_tokens)))
    return curves.series(
        {
            **asked.settings(),
            "task": task,
            "task_settings": settings,
            "options": options,
            "train_length": train_length,
            "evaluation_tokens": curves.max_tokens,
        },
        of=asked.of,
        measurement=f"length_{task}",
        axis="length",
        device=device,
    )


def guesser(task: Task, learnt: Task, max_tokens: int) -> dict[str, float]:
    """What the best guesser without memory gets on `task`, by quantity.

    It knows how often each answer is right: by the formula of a probe; of a text, as often as the
    token stands in the training of `learnt`.
    """
    if isinstance(task, ProbeTask):
        return task.baseline()
    counts_V = torch.ones(learnt.vocab_size)  # one more than found: none is impossible
    for index in range(_COUNTED_BATCHES):
        targets_BT = learnt.training_batch(index, 64, seed=0).targets_BT
        counts_V += torch.bincount(targets_BT.flatten(), minlength=learnt.vocab_size)
    logits_V = torch.log(counts_V)

    def always(batch: Batch) -> torch.Tensor:
        return logits_V.expand(*batch.targets_BT.shape, -1)

    batches = max(1, max_tokens // task.sequence_length)
    return {task.metric: task.evaluate(always, "test", 1, batches).value}
