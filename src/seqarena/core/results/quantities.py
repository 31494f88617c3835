"""What is measured: one row a quantity, with its unit, its better direction and its words.

Everything that stores, ranks, draws or speaks of a quantity reads its row: a new cost is one row
here and the function that measures it.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal, Self

from pydantic import model_validator

from seqarena.core import words
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.results.measurement import Measurement, Point, Series, latest

NUMBERS_DEPEND_ON_THIS = False  # a new row makes no number stale (jobs/sources.py)
COSTS = "costs"  # the `measurement` of the series that hold costs


class CostPhrases(Config):
    """How the recommendation speaks of a cost."""

    goal: str  # "the fastest decoding"
    noun: str  # "decoding speed"
    gain: str  # with the ratio to the one compared with: "decodes {} times faster"
    loss: str  # "decodes {} times slower"


class Quantity(Config):
    """One quantity of the records."""

    key: str  # its name in the records, the unit in it
    title: str  # of a figure or a sentence: "Decode latency"
    heading: str = ""  # of a narrow column: "decode"
    unit: str = ""  # seconds, bytes and count get a prefix that fits; others stay as they are
    per: str = ""  # what follows the unit: "per token"
    meaning: str = ""  # one line for a reader who does not know it
    better: Literal["lower", "higher"] | None = None
    # the number that speaks for the repeats: a busy machine only ever adds to a timing, and
    # gradients span many powers of ten
    middle: Literal["mean", "median"] = "mean"
    share: bool = False  # lies between 0 and 1
    percent: bool = False  # a share that text shows in per cent
    of_one_sequence: bool = False  # measured at batch size 1, whatever the training's is
    cost: CostPhrases | None = None  # an axis of the Pareto front, and its words

    @model_validator(mode="after")
    def _a_cost_has_a_better_direction(self) -> Self:
        if self.cost is not None and self.better is None:
            raise ValueError(f"the cost {self.key} needs better='lower' or better='higher'")
        return self

    @property
    def lower_is_better(self) -> bool:
        return self.better == "lower"

    @property
    def name(self) -> str:
        """The title inside a sentence: "decode latency"."""
        acronym = self.title[1:2].isupper()
        return self.title if acronym else self.title[:1].lower() + self.title[1:]

    @property
    def phrases(self) -> CostPhrases:
        """The words of a cost."""
        assert self.cost is not None, f"{self.key} is no cost"
        return self.cost

    def value(self, point: Point) -> float:
        """The number that speaks for a point's finite repeats, nan where there are none."""
        finite = [value for value in point.repeats if math.isfinite(value)]
        if not finite:
            return math.nan
        return (statistics.median if self.middle == "median" else statistics.fmean)(finite)

    def scale(self, values: Iterable[float | None]) -> words.Scale:
        """The prefix that a column or an axis of these values shares."""
        return words.scale_for(self.unit, values)

    def unit_words(self, scale: words.Scale) -> str:
        """The unit on an axis: "µs per token", "MB"."""
        return f"{scale.unit} {self.per}".strip()

    def unit_symbol(self, scale: words.Scale) -> str:
        """The unit in a narrow heading: "µs/token", "MB"."""
        return self.unit_words(scale).replace(" per ", "/")


_ROWS = (
    Quantity(
        key="decode_seconds_per_token",
        title="Decode latency",
        heading="decode",
        unit="seconds",
        per="per token",
        better="lower",
        middle="median",
        of_one_sequence=True,
        meaning="The time for one token more while a model writes, one sequence at a time.",
        cost=CostPhrases(
            goal="the fastest decoding",
            noun="decoding speed",
            gain="decodes {} times faster",
            loss="decodes {} times slower",
        ),
    ),
    Quantity(
        key="answer_seconds_per_example",
        title="Time to answer",
        heading="answer",
        unit="seconds",
        per="per example",
        better="lower",
        middle="median",
        of_one_sequence=True,
        meaning="The time from an example to its answer, one at a time.",
        cost=CostPhrases(
            goal="the fastest answers",
            noun="speed of answering",
            gain="answers {} times faster",
            loss="answers {} times slower",
        ),
    ),
    Quantity(
        key="training_tokens_per_second",
        title="Training speed",
        heading="training",
        unit="count",
        per="tokens/s",
        better="higher",
        middle="median",
        meaning="The tokens that training takes in within a second.",
        cost=CostPhrases(
            goal="the fastest training",
            noun="training speed",
            gain="trains {} times faster",
            loss="trains {} times slower",
        ),
    ),
    Quantity(
        key="peak_training_bytes",
        title="Peak memory while training",
        heading="peak memory",
        unit="bytes",
        better="lower",
        meaning="The most memory that a training step holds at one time.",
        cost=CostPhrases(
            goal="the least memory while training",
            noun="training memory",
            gain="trains in {} times less memory",
            loss="trains in {} times more memory",
        ),
    ),
    Quantity(
        key="state_bytes",
        title="State carried between tokens",
        heading="state",
        unit="bytes",
        better="lower",
        of_one_sequence=True,
        meaning="What the model keeps of the tokens so far, to go on from there.",
        cost=CostPhrases(
            goal="the smallest state",
            noun="state size",
            gain="keeps a state {} times smaller",
            loss="keeps a state {} times larger",
        ),
    ),
    Quantity(
        key="training_step_seconds",
        title="Training time",
        unit="seconds",
        better="lower",
        middle="median",
    ),
    Quantity(
        key="forward_seconds",
        title="Time of a forward pass",
        unit="seconds",
        better="lower",
        middle="median",
    ),
    Quantity(
        key="mixer_seconds", title="Time of a layer", unit="seconds", better="lower",
        middle="median",
    ),
    Quantity(key="mixer_parameters", title="Parameters of a layer"),
    Quantity(key="mixer_flops", title="Operations of a layer", better="lower"),
    Quantity(key="forward_flops", title="Operations of a forward pass", better="lower"),
    Quantity(key="serial_steps", title="Serial steps", better="lower"),
    Quantity(
        key="newton_rounds", title="Rounds of Newton's method", better="lower",
        meaning="How often all positions are evaluated side by side until the states stand.",
    ),
    Quantity(key="output_difference", title="Difference from the loop", better="lower"),
    Quantity(key="dependent_operations", title="Dependent operations", better="lower"),
    Quantity(
        key="flops_per_second", title="Operations a second", unit="count", better="higher"
    ),
    Quantity(
        key="share_of_peak", title="Share of peak", better="higher", share=True, percent=True
    ),
    Quantity(key="gradient_norm", title="Gradient norm", middle="median"),
    Quantity(key="reach_positions", title="Reach in positions", better="higher"),
    Quantity(key="head_divergence_bits", title="Head divergence bits"),
    Quantity(
        key="accuracy", title="Accuracy", better="higher", share=True,
        meaning="The share of answers that are right.",
    ),
    Quantity(
        key="exact_match", title="Exact match", better="higher", share=True,
        meaning="The share of answers that are right from the first token to the last.",
    ),
    Quantity(key="solved", title="Solved", better="higher", share=True),
    Quantity(
        key="bits_per_byte", title="Bits per byte", better="lower",
        meaning="The bits in which the model could store a byte of text that it has not seen.",
    ),
)  # fmt: skip
QUANTITIES: dict[str, Quantity] = {row.key: row for row in _ROWS}


def quantity(key: str) -> Quantity:
    """The row of a quantity; what has none, such as the metric of a user's task, is read by its
    name."""
    if key in QUANTITIES:
        return QUANTITIES[key]
    unit, title = "", words.of_name(key)
    if key.endswith("per_second"):
        unit = "count"
    elif "seconds" in key:
        unit = "seconds"
    elif key.endswith("_bytes"):
        unit = "bytes"
    elif key in ("flops", "parameters"):
        unit = "count"
    return Quantity(
        key=key,
        title=title[:1].upper() + title[1:],
        unit=unit,
        middle="median" if unit == "seconds" else "mean",
        share=any(name in key for name in ("accuracy", "share", "solved", "exact_match")),
        percent=key.startswith("share"),
    )


def cost_quantities() -> tuple[Quantity, ...]:
    """The quantities that are costs, in the order in which they are spoken of and drawn."""
    return tuple(row for row in QUANTITIES.values() if row.cost is not None)


class CostTable:
    """The costs of architectures: for each, one series of one point a cost."""

    def __init__(self, series: Iterable[Series] = ()) -> None:
        """Raises UserError where a cost of an architecture comes twice."""
        self._series: dict[tuple[str, str], Series] = {}
        for one in series:
            place = (one.architecture, one.quantity)
            if place in self._series:
                raise UserError(
                    f"{one.architecture}: {one.quantity} is measured twice: pass the latest series "
                    "of each cost"
                )
            self._series[place] = one

    def value(self, architecture: str, cost: Quantity) -> float | None:
        """As measured, None where it was not."""
        found = self._series.get((architecture, cost.key))
        return None if found is None else cost.value(found.points[0])

    def values(self, cost: Quantity) -> list[float]:
        """What every architecture has of a cost."""
        return [
            cost.value(one.points[0]) for (_, key), one in self._series.items() if key == cost.key
        ]

    def burden(self, architecture: str, cost: Quantity) -> float | None:
        """The cost where lower is better, else its reciprocal; None where it was not measured."""
        value = self.value(architecture, cost)
        if value is None or cost.lower_is_better:
            return value
        return 1 / value if value > 0 else math.inf

    def spread(self, architecture: str, cost: Quantity) -> tuple[float, float] | None:
        """The lowest and the highest repeat, None where nothing was repeated."""
        found = self._series.get((architecture, cost.key))
        repeats = () if found is None else found.points[0].repeats
        return (min(repeats), max(repeats)) if len(repeats) > 1 else None

    def level(self, one: str, other: str, cost: Quantity) -> bool:
        """Whether two architectures cannot be told apart on a cost: between their lowest and
        highest repeats lies some value that both have. What is exact is level where it is equal."""
        mine, theirs = (self._range(name, cost) for name in (one, other))
        if mine is None or theirs is None:
            return False
        return mine[0] <= theirs[1] and theirs[0] <= mine[1]

    def best(self, architectures: Sequence[str], cost: Quantity) -> set[str]:
        """Those that are level with the cheapest of these; none where costs decide nothing."""
        known = {name: self.burden(name, cost) for name in architectures}
        found = {name: value for name, value in known.items() if value is not None}
        if not found or self.doubts():
            return set()
        cheapest = min(found, key=lambda name: found[name])
        return {name for name in found if self.level(name, cheapest, cost)}

    def _range(self, architecture: str, cost: Quantity) -> tuple[float, float] | None:
        value = self.value(architecture, cost)
        return self.spread(architecture, cost) or (None if value is None else (value, value))

    @property
    def disturbed(self) -> float | None:
        """The share of the cores that other processes took while costs were measured, where it was
        too much for them to count; None where they count."""
        shares = [
            float(one.settings["others_share"])
            for one in self._series.values()
            if one.settings.get("disturbed")
        ]
        return statistics.median(shares) if shares else None

    @property
    def deciding(self) -> "CostTable":
        """The costs by which something may be decided: all, or none where `doubts` says why."""
        return CostTable() if self.doubts() else self

    def doubts(self) -> tuple[str, ...]:
        """Sentences that say why costs decide nothing."""
        if self.disturbed is None:
            if any(one.settings.get("unfinished") for one in self._series.values()):
                return ("Costs are not measured to their end: they decide nothing yet.",)
            return ()
        return (
            f"The machine was busy ({100 * self.disturbed:.0f} % of its cores by others) while "
            "costs were measured: costs decide nothing. The same command measures them again.",
        )

    def measured(self, architectures: Sequence[str] | None = None) -> list[Quantity]:
        """The costs that at least one of these architectures has (None: any)."""
        known = {
            key for name, key in self._series if architectures is None or name in architectures
        }
        return [cost for cost in cost_quantities() if cost.key in known]


def latest_costs(measurements: Iterable[Measurement]) -> list[Series]:
    """The costs among the records of a file, each as it was measured last."""
    found = latest(one for one in measurements if one.measurement == COSTS)
    return [one for one in found if isinstance(one, Series)]
