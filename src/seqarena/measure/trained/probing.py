"""What the probes of memory and of length share: who is asked, and the curves of the answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Point, Series, this_machine
from seqarena.measure.subject import Subject, subject
from seqarena.measure.trained.best_fit import Kept, Recipe, best_fit
from seqarena.models.model import Model
from seqarena.tasks.base import Task
from seqarena.train.checkpoint import load

GUESSER = "memoryless guesser"  # the baseline of every probe


class Study(NamedTuple):
    """Who is asked: an architecture that is trained for it, or a checkpoint as it stands."""

    of: Subject
    recipe: Recipe
    seeds: tuple[int, ...]
    stored: tuple[Kept, ...] = ()  # the checkpoint's model
    task_settings: dict[str, Any] = {}  # that it was trained with

    def models(self, task: Task) -> list[Kept]:
        """One a seed, trained on the task; the checkpoint's model where there is one."""
        return list(self.stored) or [
            best_fit(self.of, task, self.recipe, seed=seed) for seed in self.seeds
        ]

    def settings(self) -> dict[str, Any]:
        """What the record says of it."""
        if self.stored:
            return {"weights": str(self.of.checkpoint)}
        return {"seeds": list(self.seeds), "depth": self.of.depth, **self.recipe.settings()}


def study(
    architecture: str,
    task: str,
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    checkpoint: str | None = None,
    variant: str = "",
    options: dict[str, Any] | None = None,
    **size: Any,
) -> Study:
    """Raises UserError for an unknown name, no seed, and a checkpoint of another task."""
    if checkpoint is None and not seeds:
        raise UserError("a probe needs at least one seed")
    of = subject(architecture, variant=variant, checkpoint=checkpoint, options=options, **size)
    if checkpoint is None:
        return Study(of, recipe, tuple(seeds))
    found = load(Path(checkpoint))
    settings = dict(found.about["task"])
    if settings.pop("kind") != task:
        raise UserError(
            f"{checkpoint} was trained on {found.about['task']['kind']}: it cannot be asked {task}"
        )
    model = Kept(found.model().to(recipe.device), device=recipe.device)
    return Study(of, recipe, (), (model,), settings)


class Place(NamedTuple):
    """One x of a curve: the task that asks there and the models that are asked, one a seed."""

    x: float
    task: Task
    models: Sequence[Kept]
    baseline: dict[str, float]  # by quantity


class Curves:
    """Scores of models at places, gathered into one Series a quantity."""

    def __init__(self, quantities: Sequence[str], max_tokens: int | None = None) -> None:
        self.quantities = tuple(quantities)
        self.max_tokens = max_tokens  # read at each place
        self.places: list[Place] = []
        self.values: list[dict[str, tuple[float, ...]]] = []  # by quantity, one a place
        self.left_out: dict[str, str] = {}  # x -> reason

    def add(self, place: Place) -> float:
        """Scores the place: the mean of its last quantity. Where a model refuses (a table of
        learned positions ends before it) the place is left out and has 0."""
        try:
            found = [kept.scores(place.task, "test", self.max_tokens) for kept in place.models]
        except UserError as error:
            self.leave_out(place.x, str(error))
            return 0.0
        values = {
            quantity: tuple(
                scores.value if quantity == place.task.metric else scores.slices[quantity]
                for scores in found
            )
            for quantity in self.quantities
        }
        self.places.append(place)
        self.values.append(values)
        return sum(values[self.quantities[-1]]) / len(found)

    def leave_out(self, x: float, reason: str) -> None:
        """Nothing is measured there, and the record says why."""
        self.left_out[f"{x:g}"] = reason

    def series(
        self,
        settings: dict[str, Any],
        *,
        of: Subject,
        measurement: str,
        axis: str,
        device: str,
    ) -> list[Series]:
        """The records. `settings` are joined by sizes and by what each training was."""
        models = [place.models for place in self.places]
        once = {id(kept.model): kept for of_place in models for kept in of_place}
        settings = {
            **settings,
            **(_sizes(models[0][0].model) if models else {}),
            "steps_taken": [[kept.steps for kept in of_place] for of_place in models],
            "loss_tails": [[list(kept.loss_tail) for kept in of_place] for of_place in models],
            "chosen_rates": [[kept.learning_rate for kept in of_place] for of_place in models],
            "training_seconds": round(sum(kept.seconds for kept in once.values()), 1),
            "left_out": self.left_out,
        }
        return [
            Series(
                measurement=measurement,
                quantity=quantity,
                axis=axis,
                architecture=of.row.name,
                variant=of.variant,
                points=tuple(
                    Point(x=place.x, repeats=values[quantity])
                    for place, values in zip(self.places, self.values)
                ),
                baselines={GUESSER: tuple(place.baseline[quantity] for place in self.places)},
                settings=settings,
                machine=this_machine(device),
            )
            for quantity in self.quantities
        ]


def _sizes(model: Model) -> dict[str, Any]:
    return {
        "width": model.config.width,
        "parameters": model.num_parameters,
        "algorithms": list(dict.fromkeys(model.algorithms)),
    }
