"""How far back a model remembers: accuracy against distance.

    copying            distance  blanks between the symbols and the signal to repeat them
    selective_copying  distance  the stretch over which the symbols lie scattered
    text_copy          distance  noise of the same alphabet between the symbols and the delimiter
    adding             distance  numbers, two of which are marked
    mqar               pairs     of a key and a value, in sequences of eight times as many tokens
                                 or of one `sequence_length`, a setting that only this probe has

`train="each"` trains a fresh model at every distance, as the literature does; "mixed" trains one
over all distances and scores it at each. A seed is a repeat. Beside every curve stands what the
best guesser without memory gets, by the task's own formula. How far a model reaches is computed
from the records (core/results/estimates.py: reach).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from seqarena.core.errors import UserError, unknown_name
from seqarena.core.results.measurement import Series
from seqarena.measure.trained.best_fit import Recipe
from seqarena.measure.trained.probing import Curves, Place, study
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.probes.probe import ProbeTask

LEARNT = 0.9  # mean accuracy of a distance that counts as learnt


class Probe(NamedTuple):
    """How a task is asked at distances."""

    fields: Callable[[dict[str, Any], tuple[int, ...]], dict[str, Any]]  # settings at distances
    defaults: dict[str, Any] = {}  # where they differ from the task's own
    axis: str = "distance"
    quantities: tuple[str, ...] = ("accuracy",)


def _copying(settings: dict[str, Any], distances: tuple[int, ...]) -> dict[str, Any]:
    return {**settings, "min_distance": min(distances), "max_distance": max(distances)}


def _mqar(settings: dict[str, Any], pairs: tuple[int, ...]) -> dict[str, Any]:
    length = settings.pop("sequence_length", None)  # the same for all
    settings.pop("grid", None)
    return {**settings, "grid": tuple((length or 8 * number, number) for number in pairs)}


def _text_copy(settings: dict[str, Any], distances: tuple[int, ...]) -> dict[str, Any]:
    around = 2 * settings.get("copy_len", 5) + 1  # the symbols, the delimiter, the answers
    return {**settings, "seq_lens": tuple(distance + around for distance in distances)}


PROBES = {
    # published with 10 symbols out of 8. At distance 10 an LSTM layer of width 64 was right in 48 %
    # after 300 steps with 3 out of 8, and in all after 128 to 176 with 2 out of 4
    "copying": Probe(_copying, {"num_symbols": 2, "alphabet": 4}),
    "selective_copying": Probe(
        lambda settings, distances: {**settings, "distances": distances},
        {"num_symbols": 2, "alphabet": 4},
    ),
    "text_copy": Probe(_text_copy),
    "adding": Probe(
        lambda settings, distances: {**settings, "lengths": distances},
        quantities=("mean_squared_error", "solved"),
    ),
    # published with 8,192 tokens and noise where nothing is asked; with noise out of 64, where keys
    # and values recur by chance, attention had not begun to recall after 1,600 steps
    "mqar": Probe(_mqar, {"vocab_size": 256, "random_non_queries": False}, axis="pairs"),
}

# Arguments of `recall` for a first look: 10 to 60 seconds of one core each. Gated networks learn
# in three quarters of the steps with `RECURRENT_RATE`, minGRU with it alone; the rest with 3e-3.
RECURRENT_RATE = 1e-2
QUICK: dict[str, dict[str, Any]] = {
    "copying": {
        "distances": (5, 10, 20, 50, 100),
        "width": 64,
        "depth": 1,  # a second layer doubles the seconds, and attention does without
        "steps": 400,  # attention needed 26 to 52, S4D 39 to 117, GRU 78 to 91, LSTM 104 to 169
        "batch_size": 32,
        "give_up_after": 1,  # Elman reaches 2, LSTM, GRU and IRNN 10: failing farther costs more
    },
    "mqar": {
        # of these two attention begins to recall after 900 steps; of (2, 4, 8) after 3,000
        "distances": (4, 8),
        "width": 64,
        "depth": 2,  # one layer brings key and value together, the next looks them up
        "steps": 1200,
        "batch_size": 32,
        "train": "mixed",  # one training instead of one for each number of pairs
        "learning_rates": (5e-3,),
        "weight_decay": 0.1,  # with it attention had .92 and .85 in a minute, without it it guessed
    },
}
# For a result to rest on. The sizes grow by what the literature trains; no run stands behind them.
FULL: dict[str, dict[str, Any]] = {
    "copying": {
        **QUICK["copying"],
        "distances": (5, 10, 20, 50, 100, 200),
        "steps": 4000,  # ten times QUICK's, at whose end LSTMs still guessed at 20
        "learning_rates": (1e-3, 3e-3, 1e-2),  # Zoology tries four
        "seeds": (0, 1, 2, 3, 4),
        "give_up_after": 2,  # one distance may fail by chance
    },
    "mqar": {
        **QUICK["mqar"],
        "distances": (2, 4, 8),  # with (64, 16) in the mixture nothing began within 2,500 steps
        "steps": 6000,
        "learning_rates": (2e-3, 5e-3),
        "seeds": (0, 1, 2),
    },
}


def recall(
    architecture: str,
    *,
    task: str = "copying",
    distances: Sequence[int],
    steps: int = 600,
    width: int | None = None,
    params: int | None = None,
    depth: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    train: Literal["each", "mixed"] = "each",
    learning_rates: Sequence[float] = (3e-3,),
    seeds: Sequence[int] = (0,),
    batch_size: int = 32,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    evaluation_examples: int = 256,
    give_up_after: int | None = None,
    task_settings: dict[str, Any] | None = None,
    checkpoint: str | None = None,
    device: str = "cpu",
) -> list[Series]:
    """One curve; of adding two, the error and the share that is solved.

    `distances` are pairs, of mqar. The width is 64 unless it or `params` is given; a user's own
    mixer is named `file.py:Class`. With `give_up_after=n`, what lies beyond n distances in a row
    that were not learnt (mean below 0.9) is left out, and the settings say so. A `checkpoint` is
    asked as it stands, with the task's settings that it was trained with. Raises UserError for an
    unknown task and for what the task or the architecture refuses.
    """
    if task not in PROBES:
        raise unknown_name("task of recall", task, PROBES)
    if train not in ("each", "mixed"):
        raise unknown_name("way to train", train, ["each", "mixed"])
    distances = tuple(sorted(set(distances)))
    if not distances:
        raise UserError("recall needs at least one distance")
    probe = PROBES[task]
    recipe = Recipe(steps, batch_size, tuple(learning_rates), weight_decay, clip_norm, device)
    asked = study(
        architecture, task, recipe, seeds, checkpoint=checkpoint, variant=variant,
        options=options, width=width, params=params, depth=depth,
    )  # fmt: skip
    settings = {
        **(asked.task_settings or probe.defaults),
        "evaluation_examples": evaluation_examples,
        **(task_settings or {}),
    }

    def built(*at: int) -> ProbeTask[Any]:
        found = build_task(parse_task({"kind": task, **probe.fields(dict(settings), at)}))
        assert isinstance(found, ProbeTask)
        return found

    shared = asked.models(built(*distances)) if train == "mixed" else list(asked.stored)
    curves = Curves(probe.quantities)
    misses = 0
    for distance in distances:
        if give_up_after is not None and misses >= give_up_after:
            curves.leave_out(distance, f"{misses} nearer ones in a row were not learnt")
            continue
        here = built(distance)
        models = shared or asked.models(here)
        mean = curves.add(Place(distance, here, models, here.baseline()))
        misses = 0 if mean >= LEARNT else misses + 1
    return curves.series(
        {
            **asked.settings(),
            "train": "checkpoint" if asked.stored else train,
            "task": task,
            "task_settings": settings,
            "options": options,
        },
        of=asked.of,
        measurement=f"recall_{task}",
        axis=probe.axis,
        device=device,
    )
