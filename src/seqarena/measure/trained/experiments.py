"""Short trainings and countings that claims rest on, each a function of JSON values.

language     bits per byte of the embedded text, by size or by depth
translation  exact matches of dates that were written, after some steps
questions    answers about stories, by hops of a memory network
chain        the longest chain of dependent operations that autograd recorded, by length
layers       parameters, operations and seconds of one sequence mixer alone

A training tries each of its learning rates on the first seed, chooses on validation, and scores
every seed on test; seeds are the repeats of a point. `loss_tails` of the settings say how each
training ended, one list a point, one pair a seed (Fitted.loss_tail).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from seqarena.core.batch import random_batch
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.costs.speed import repeat
from seqarena.measure.subject import Subject, subject
from seqarena.measure.trained.fit import Fitted, fit
from seqarena.tasks.base import Task
from seqarena.tasks.registry import build_task, parse_task

_TEST_BATCHES = 40


def language(
    architecture: str,
    *,
    sizes: Sequence[dict[str, Any]],
    steps: int | Sequence[int],
    sequence_length: int = 64,
    batch_size: int = 16,
    learning_rates: Sequence[float] = (3e-3,),
    seeds: Sequence[int] = (0, 1),
    options: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    variant: str = "",
) -> list[Series]:
    """Bits per byte on the embedded text: one point a size, after the same `steps` or its own.

    `sizes` are {"params": ..} or {"width": .., "depth": ..}; x is the depth where the sizes differ
    in depth alone, else the parameters. `model` sets fields of the stack, such as norm_position.
    """
    task = build_task(parse_task({"kind": "language", "sequence_length": sequence_length}))
    deeper = len({size.get("width") for size in sizes}) == 1 and "depth" in sizes[0]
    taken = [steps] * len(sizes) if isinstance(steps, int) else list(steps)
    if len(taken) != len(sizes):
        raise UserError(f"{len(sizes)} sizes need as many steps, or one number: here {len(taken)}")
    found = [
        _train(
            _subject(architecture, options, model, variant, size),
            task, learning_rates, seeds, steps=number, batch_size=batch_size,
        )
        for size, number in zip(sizes, taken, strict=True)
    ]  # fmt: skip
    parameters = [each.fitted.settings["parameters"] for each in found]
    places = [size["depth"] for size in sizes] if deeper else parameters
    return [
        Series(
            measurement="language",
            quantity="bits_per_byte",
            axis="depth" if deeper else "parameters",
            architecture=architecture,
            variant=variant,
            points=tuple(
                Point(x=x, repeats=each.scores) for x, each in zip(places, found, strict=True)
            ),
            settings={
                "sizes": list(sizes),
                "parameters": parameters,
                "steps": steps if isinstance(steps, int) else taken,
                "tokens": [number * batch_size * sequence_length for number in taken],
                "batch_size": batch_size,
                "sequence_length": sequence_length,
                "learning_rates": list(learning_rates),
                "chosen_rates": [each.rate for each in found],
                "loss_tails": [each.loss_tails for each in found],
                "seeds": list(seeds),
                "options": options or {},
                "model": model or {},
            },
            machine=this_machine(),
        )
    ]


def translation(
    architecture: str,
    *,
    width: int = 64,
    steps: int = 300,
    batch_size: int = 32,
    learning_rates: Sequence[float] = (3e-3,),
    seeds: Sequence[int] = (0, 1),
    variant: str = "",
) -> list[Series]:
    """Share of the embedded dates written exactly: one point, at `steps`."""
    task = build_task(parse_task({"kind": "translation"}))
    found = _train(
        subject(architecture, width=width, variant=variant),
        task, learning_rates, seeds, steps=steps, batch_size=batch_size, test_batches=4,
    )  # fmt: skip
    return [
        Series(
            measurement="translation",
            quantity="exact_match",
            axis="steps",
            architecture=architecture,
            variant=variant,
            points=(Point(x=steps, repeats=found.scores),),
            settings={**found.fitted.settings, "learning_rates": list(learning_rates),
                      "chosen_rate": found.rate, "loss_tails": [found.loss_tails],
                      "seeds": list(seeds)},
            machine=this_machine(),
        )
    ]  # fmt: skip


def questions(
    architecture: str = "memory_network",
    *,
    hops: Sequence[int] = (1, 2, 3),
    width: int = 20,
    steps: int = 400,
    batch_size: int = 32,
    learning_rates: Sequence[float] = (1e-2,),
    seeds: Sequence[int] = (0, 1),
    variant: str = "",
) -> list[Series]:
    """Share of the embedded questions answered rightly: one point a number of hops, and the
    baseline of always giving the most usual answer."""
    task = build_task(parse_task({"kind": "question_answering"}))
    usual = float(task.describe()["baseline"]["accuracy"])
    found = [
        _train(
            subject(architecture, width=width, options={"hops": number}),
            task, learning_rates, seeds, steps=steps, batch_size=batch_size,
        )
        for number in hops
    ]  # fmt: skip
    return [
        Series(
            measurement="questions",
            quantity="accuracy",
            axis="hops",
            architecture=architecture,
            variant=variant,
            points=tuple(
                Point(x=number, repeats=each.scores)
                for number, each in zip(hops, found, strict=True)
            ),
            baselines={"most usual answer": (usual,) * len(found)},
            settings={"width": width, "steps": steps, "batch_size": batch_size,
                      "loss_tails": [each.loss_tails for each in found],
                      "learning_rates": list(learning_rates), "seeds": list(seeds)},
            machine=this_machine(),
        )
    ]  # fmt: skip


def chain(
    architecture: str,
    *,
    lengths: Sequence[int] = (16, 32, 64, 128),
    width: int = 16,
    depth: int = 1,
    options: dict[str, Any] | None = None,
    variant: str = "",
) -> list[Series]:
    """Dependent operations one after the other in the forward pass, counted in the graph that
    autograd recorded. What a kernel does inside counts once: ask for the algorithm that is written
    out. The baseline is the class's own formula of serial steps."""
    chosen = subject(architecture, width=width, depth=depth, options=options, variant=variant)
    points, formula, algorithms = [], [], ()
    for length in lengths:
        model = chosen.build(length)
        batch = random_batch(chosen.problem(length), 1, length=length, seed=0)
        points.append(Point(x=length, repeats=(float(_longest_chain(model.answer(batch))),)))
        if "serial_steps" not in model.unknown_costs:
            formula.append(float(model.serial_steps(length)))
        algorithms = model.algorithms
    return [
        Series(
            measurement="chain",
            quantity="dependent_operations",
            axis="length",
            architecture=architecture,
            variant=variant,
            points=tuple(points),
            baselines={"serial steps by formula": tuple(formula)} if formula else {},
            settings={"width": width, "depth": depth, "algorithms": list(algorithms),
                      "options": options or {}},
            machine=this_machine(),
        )
    ]  # fmt: skip


def layers(
    architecture: str,
    *,
    widths: Sequence[int] = (64,),
    length: int = 128,
    batch_size: int = 8,
    repeats: int = 7,
    seconds: float = 1.0,
    options: dict[str, Any] | None = None,
    variant: str = "",
) -> list[Series]:
    """Of one sequence mixer, without channel mixer, embedding or head, by width: parameters,
    forward operations by formula, and seconds forward and backward."""
    found: dict[str, list[Point]] = {
        "mixer_parameters": [], "mixer_flops": [], "mixer_seconds": []
    }  # fmt: skip
    for width in widths:
        chosen = subject(architecture, width=width, depth=1, options=options)
        model = chosen.build(length)
        if not model.mixers:
            raise UserError(f"{architecture} is a system of its own: it has no mixer to measure")
        mixer: Any = model.mixers[0]
        x_BTD = torch.randn(batch_size, length, width, requires_grad=True)

        def step(mixer: Any = mixer, x_BTD: torch.Tensor = x_BTD) -> None:
            mixer(x_BTD, None)[0].sum().backward()

        timing = repeat(step, repeats=repeats, seconds=seconds)
        number = sum(weights.numel() for weights in mixer.parameters())
        for name, values in (
            ("mixer_parameters", (float(number),)),
            ("mixer_flops", (float(mixer.flops(length)),)),
            ("mixer_seconds", timing.repeats),
        ):
            found[name].append(Point(x=width, repeats=values))
    return [
        Series(
            measurement="layers",
            quantity=quantity,
            axis="width",
            architecture=architecture,
            variant=variant,
            points=tuple(points),
            settings={"length": length, "batch_size": batch_size, "options": options or {}},
            machine=this_machine(),
        )
        for quantity, points in found.items()
    ]


def _subject(
    architecture: str,
    options: dict[str, Any] | None,
    model: dict[str, Any] | None,
    variant: str,
    size: dict[str, Any],
) -> Subject:
    chosen = subject(architecture, options=options, variant=variant, **size)
    return chosen._replace(row=chosen.row._replace(model={**chosen.row.model, **(model or {})}))


class Trained(NamedTuple):
    """One architecture after its trainings: what every seed scored on test."""

    rate: float  # chosen on validation with the first seed
    scores: tuple[float, ...]
    loss_tails: list[list[float]]
    fitted: Fitted  # the last training


def _train(
    chosen: Subject,
    task: Task,
    learning_rates: Sequence[float],
    seeds: Sequence[int],
    *,
    steps: int,
    batch_size: int,
    test_batches: int = _TEST_BATCHES,
) -> Trained:
    def train(rate: float, seed: int) -> Fitted:
        return fit(chosen, task, steps=steps, batch_size=batch_size, learning_rate=rate, seed=seed)

    first = {rate: train(rate, seeds[0]) for rate in learning_rates}
    rate = _best(first, lambda fitted: _score(fitted, "validation", test_batches), task)
    fits = [first[rate], *(train(rate, seed) for seed in seeds[1:])]
    scores = tuple(_score(fitted, "test", test_batches) for fitted in fits)
    return Trained(rate, scores, [list(fitted.loss_tail) for fitted in fits], fits[-1])


def _best(fits: dict[float, Fitted], score: Callable[[Fitted], float], task: Task) -> float:
    """The rate with the best score; the only one is not scored."""
    if len(fits) == 1:
        return next(iter(fits))
    scores = {rate: score(fitted) for rate, fitted in fits.items()}
    return (min if task.lower_is_better else max)(scores, key=lambda rate: scores[rate])


def _score(fitted: Fitted, split: Any, batches: int) -> float:
    trainer = fitted.trainer
    return trainer.task.evaluate(trainer.predict, split, 64, batches).value


def _longest_chain(output: torch.Tensor) -> int:
    """Nodes on the longest path of the graph below a tensor."""
    depths: dict[Any, int] = {}
    stack: list[tuple[Any, bool]] = [(output.grad_fn, False)]
    while stack:  # in the order of the graph, without recursion: chains are long
        node, seen = stack.pop()
        if node is None or node in depths:
            continue
        below = [inner for inner, _ in node.next_functions if inner is not None]
        if seen:
            depths[node] = 1 + max((depths[inner] for inner in below), default=0)
        else:
            stack.append((node, True))
            stack += [(inner, False) for inner in below if inner not in depths]
    return depths[output.grad_fn]
