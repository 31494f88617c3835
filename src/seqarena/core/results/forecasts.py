"""A ladder as it was measured, and what is forecast from it: the records of `seqarena forecast`.

A ladder is a sequence of comparisons at growing sizes. Its scale is the training compute in units
of its own: parameters times tokens, which is compute but for a factor that all rungs share.
"""

import math
from typing import Literal

from seqarena.core.config import Config

NUMBERS_DEPEND_ON_THIS = False  # records say what was found (jobs/sources.py)


class LadderCell(Config):
    """One architecture on one rung, at its learning rate. Seeds in ascending order."""

    architecture: str
    parameters: int
    tokens: int
    flops: float  # of a training, by the model's own formula; 0: not known
    learning_rate: float
    learning_rate_at_edge: bool
    seeds: tuple[int, ...]
    values: tuple[float, ...]  # the metric on test, one a seed
    chunk_values: tuple[float, ...] = ()  # mean over seeds of each test chunk, paired between cells
    training_seconds: tuple[float, ...] = ()  # one a seed
    peak_training_bytes: float | None = None
    lost_seeds: int = 0  # diverged or failed at the chosen rate
    # (tokens, mean over seeds) on validation while it was trained
    validation_curve: tuple[tuple[int, float], ...] = ()

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


class LadderRung(Config):
    """One comparison of the ladder. `params` is what was asked for, `tokens` what was trained
    on."""

    name: str
    params: int
    tokens: int
    cells: tuple[LadderCell, ...]

    @property
    def scale(self) -> float:
        return float(self.params) * self.tokens

    def cell(self, architecture: str) -> LadderCell | None:
        return next((one for one in self.cells if one.architecture == architecture), None)


class Ladder(Config):
    """Rungs in ascending order, and the architectures that have a score on every one of them."""

    task: str
    data: str
    metric: str
    lower_is_better: bool
    architectures: tuple[str, ...]
    rungs: tuple[LadderRung, ...]
    left_out: dict[str, str] = {}  # architecture -> why it is not on every rung
    unfinished: tuple[str, ...] = ()  # rungs whose trials have not all ended
    titles: dict[str, str] = {}  # architecture -> its plain name
    families: dict[str, str] = {}

    @property
    def top(self) -> LadderRung:
        return self.rungs[-1]


class ForecastTarget(Config):
    """Where the forecast is made. `factor` is its scale over that of the top rung."""

    asked: str
    factor: float
    params: int
    tokens: int
    flops: float  # about: of a typical architecture of the ladder

    @property
    def scale(self) -> float:
        return float(self.params) * self.tokens


class Span(Config):
    """A figure with its interval; a bound that is None is open."""

    value: float
    low: float | None
    high: float | None


class MethodScore(Config):
    """How a method did when the top rungs were hidden from it. Lower scores are better."""

    method: str
    title: str
    brier: float  # mean of (probability - outcome)^2 over pairs
    accuracy: float  # share of right signs, where it does not abstain
    abstained: float  # share of pairs
    coverage: float  # of 80 % intervals
    log_score: float  # minus the mean log density of the hidden gaps
    model_error: float  # deviation that a factor of e of scale adds beyond the noise
    pairs: int
    chosen: bool = False


class PairForecast(Config):
    """Two architectures at the target. Gaps are in the metric's unit, `worse` minus `better` with
    positive for worse; `better` is the one that is more probably so."""

    better: str
    worse: str
    probability: float  # that `better` is better, at least one half
    gap: float
    gap_80: tuple[float, float]
    gap_95: tuple[float, float]
    told: bool  # False: it cannot be told
    top_gap: float  # at the top rung, of the same order
    top_probability: float  # by the top rung alone
    # compute of `worse` over that of `better` for the same score; None where it cannot be said
    multiplier: Span | None = None
    crossing: Span | None = None  # the scale, over the top rung's, at which the order changes
    # (scale over the top rung's, gap, its 80 % interval, its 95 % interval): of the method, from
    # the lowest rung to the target; and of each rung as it was measured, with an 80 % interval
    path: tuple[tuple[float, float, float, float, float, float], ...] = ()
    measured: tuple[tuple[float, float, float, float], ...] = ()


class ArchitectureForecast(Config):
    """One architecture at the target: its score, and what a training there costs."""

    architecture: str
    place: int
    score: float
    score_80: tuple[float, float]
    wins: float  # expected share of the others that it beats
    best_probability: float  # that it is the best of all
    seconds: Span | None = None  # of one training on this machine
    seconds_exponent: Span | None = None  # seconds ~ scale ^ exponent
    peak_training_bytes: Span | None = None
    bytes_exponent: Span | None = None
    learning_rate: float | None = None  # carried to the target
    path: tuple[tuple[float, float, float, float], ...] = ()  # (scale, score, its 80 % interval)


class Forecast(Config):
    """What a ladder says of a target."""

    ladder: Ladder
    target: ForecastTarget
    method: str
    methods: tuple[MethodScore, ...]
    pairs: tuple[PairForecast, ...]
    architectures: tuple[ArchitectureForecast, ...]  # the best first
    threshold: float  # a pair is told from this probability on
    warnings: tuple[str, ...] = ()

    def pair(self, one: str, other: str) -> PairForecast:
        return next(p for p in self.pairs if {p.better, p.worse} == {one, other})


class Predictions(Config):
    """What is written before a verification: everything that will be scored, and nothing else."""

    written_at: str  # ISO 8601, UTC
    data: str
    metric: str
    lower_is_better: bool
    target: ForecastTarget
    method: str
    threshold: float
    pairs: tuple[PairForecast, ...]


class VerifiedPair(Config):
    """A prediction beside what was then measured. `gap` has the prediction's sign."""

    prediction: PairForecast
    gap: float
    gap_noise: float  # deviation of the measured gap
    right: bool
    squared_error: float  # (probability - outcome)^2
    inside_80: bool
    inside_95: bool


class Verification(Config):
    """Predictions scored by trainings at the target."""

    sha256: str  # of the file of the predictions
    written_at: str
    folders: tuple[str, ...]
    scores: dict[str, float]  # architecture -> metric at the target
    pairs: tuple[VerifiedPair, ...]

    @property
    def told(self) -> tuple[VerifiedPair, ...]:
        return tuple(one for one in self.pairs if one.prediction.told)

    @property
    def brier(self) -> float:
        return math.fsum(one.squared_error for one in self.pairs) / len(self.pairs)


class ForecastView(Config):
    """Everything that the page draws."""

    name: str
    command: str
    forecast: Forecast
    sha256: str = ""  # of the file of the predictions
    written_at: str = ""
    verification: Verification | None = None
    choices: tuple[str, ...] = ()  # what was decided on the way, in words


RatesAt = Literal["every-rung", "narrowed"]
