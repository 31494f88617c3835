"""The result schema: what a trial writes, ranking reads and the report draws. Units in names.

A trial's `records.jsonl` holds one record a line, append-only. Each number comes with all that it
depends on: configuration, seed, code, hardware, dtype, algorithm.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from seqarena.core.config import Config
from seqarena.core.results.baselines import BaselineRow
from seqarena.core.results.data_summary import DataSummary
from seqarena.core.results.forecast_windows import ForecastRecord
from seqarena.core.results.lines import read_lines
from seqarena.core.results.measurement import Series

NUMBERS_DEPEND_ON_THIS = False  # records say what was found (jobs/sources.py)


class Provenance(Config):
    """Where and how a trial ran."""

    kind: Literal["provenance"] = "provenance"
    seqarena_version: str
    code_digest: str
    torch_version: str
    python_version: str
    platform: str
    processor: str
    device: str
    dtype: str
    threads: int
    freed_memory: str  # kept in the process, or returned to the system (core/malloc.py)
    denormals: str = "kept"  # numbers below the normal range, or flushed to zero (core/runtime.py)
    products: str = "blas"  # who multiplied float32 matrices on the CPU (core/products.py)
    algorithms: tuple[str, ...]  # one a layer, as resolved from `auto`
    started_at: str  # ISO 8601, UTC
    started_from: str | None = None  # SHA-256 of the weights that the body was taken from


class StepRecord(Config):
    """One optimizer step (the loss is the mean over the batch before the step)."""

    kind: Literal["step"] = "step"
    step: int
    tokens: int  # seen so far, this step included
    loss_nats: float
    gradient_norm: float  # before clipping
    learning_rate: float
    training_seconds: float  # spent in training so far, evaluation and checkpoints not counted
    skipped: bool = False  # it would have written a number that is not finite: nothing was changed
    pieces: int = 1  # that the batch was computed in; more than asked for once memory ran out


class EvaluationRecord(Config):
    """The task's metric on one split. `chunk_values` are paired between trials."""

    kind: Literal["evaluation"] = "evaluation"
    step: int
    tokens: int
    split: Literal["validation", "test"]
    metric: str
    value: float
    chunk_values: tuple[float, ...] = ()
    num_scored: int = 0  # targets that the value is a ratio over; 0: not recorded
    slices: dict[str, float] = {}


class ResultRecord(Config):
    """The last line of a finished trial."""

    kind: Literal["result"] = "result"
    status: Literal["finished", "diverged"]
    steps: int
    tokens: int
    training_seconds: float
    training_flops: float | None  # None: a layer's operations are not known
    parameters: int
    state_bytes: int | None  # of one sequence, after the context length; None: not known
    validation_value: float | None
    test_value: float | None
    skipped_steps: int = 0  # they would have written a number that is not finite
    pieces: int = 1  # that a batch was computed in; more than asked for once memory ran out


class FailureRecord(Config):
    """Why a trial failed the last time that it was tried, in failure.json beside its records."""

    reason: str
    failed_at: str  # ISO 8601, UTC


Record = Annotated[
    Provenance | StepRecord | EvaluationRecord | ForecastRecord | ResultRecord,
    Field(discriminator="kind"),
]
_RECORD: TypeAdapter[Any] = TypeAdapter(Record)


class TrialSummary(Config):
    """What ranking and the report know of one trial."""

    trial: str  # the hash that names its folder
    architecture: str
    role: Literal["search", "seed", "repeat"]  # repeat: the same configuration and seed again
    learning_rate: float
    seed: int
    status: Literal["planned", "running", "finished", "diverged", "failed"]
    parameters: int
    width: int
    tokens: int
    training_seconds: float
    training_flops: float | None  # None: not known
    state_bytes: int | None
    steps: int = 0  # of the optimizer, so far
    validation_value: float | None = None
    test_value: float | None = None
    test_chunk_values: tuple[float, ...] = ()
    test_num_scored: int = 0  # targets; 0: not recorded
    test_slices: dict[str, float] = {}
    # (tokens, value) of every evaluation on validation, and (tokens, loss_nats) of training
    validation_curve: tuple[tuple[int, float], ...] = ()
    training_curve: tuple[tuple[int, float], ...] = ()
    algorithms: tuple[str, ...] = ()
    skipped_steps: int = 0  # they would have written a number that is not finite
    pieces: int = 1  # that a batch was computed in
    failure: str = ""  # why it failed
    forecast: ForecastRecord | None = None  # of the task forecasting: some test windows

    @property
    def label(self) -> str:
        """Its name in a list of trials."""
        return f"{self.architecture}, rate {self.learning_rate:g}, seed {self.seed}"


WINDOW_LOSS = 0.02  # of the best value; of metrics that are shares, in the metric


class TriedRate(Config):
    """One learning rate that an architecture tried."""

    learning_rate: float
    validation_value: float | None  # mean over the trials there; None: all diverged
    trials: int
    diverged: int


class Parting(Config):
    """What would tell an architecture that ties with the leader apart from it, with four chances in
    five and a gap as measured."""

    architecture: str
    leader: str
    gap: float  # in the metric's unit
    more_seeds: int | None  # of each of the two; None: seeds do not, however many
    seconds: float | None  # of training, of those trials one after the other
    times_test_data: float | None  # how much larger the test data must be, where seeds do not
    within_reach: bool  # seeds may, if the gap is as wide as what was measured leaves open


class RankRow(Config):
    """One architecture in the ranking. Seeds are those run at the chosen learning rate."""

    place: int
    architecture: str
    mean: float
    low: float  # interval of the mean over seeds and test chunks, see arena.statistics
    high: float
    seed_values: tuple[float, ...]
    learning_rate: float
    learning_rate_at_edge: bool  # the best rate is the lowest or highest that was tried
    parameters: int
    gap_to_leader: float  # in the metric's unit, positive is worse
    gap_low: float  # 95 % interval of this gap, paired by test chunk
    gap_high: float
    p_value: float | None  # of the gap, corrected for all pairs; None for the leader
    ties_leader: bool  # the leader, and what is not told apart from it at the confidence
    on_front: bool  # on the Pareto front of quality and costs
    seeds: tuple[int, ...] = ()  # the seed of each of `seed_values`
    diverged_seeds: tuple[int, ...] = ()  # ran at the chosen rate and diverged: not in the mean
    failed_seeds: tuple[int, ...] = ()  # did not end at the chosen rate: not in the mean
    skipped_steps: int = 0  # of all seeds at the chosen rate, see TrialSummary
    tried_rates: tuple[TriedRate, ...] = ()  # lowest first
    # of the rates tried, the neighbours of the chosen one that lose at most WINDOW_LOSS to the best
    window: tuple[TriedRate, ...] = ()
    steps: int = 0  # optimizer steps of a trial
    # what its validation curve gained for each doubling of training in the second half; above 0 is
    # better, in the metric's unit. None: too few evaluations
    gain_per_doubling: float | None = None


class Ranking(Config):
    """The answer, with its doubt."""

    metric: str
    lower_is_better: bool
    rows: tuple[RankRow, ...]
    excluded: dict[str, str]  # architecture -> why it has no place (cannot do the task, diverged)
    noise_floor: float  # gap that two identical entries show in 95 % of cases, same seeds count
    noise_floor_origin: str  # how it was measured, in words
    repeat_difference: float | None  # the same trial run twice: largest absolute difference
    winner: str | None
    leaders: tuple[str, ...]  # all that tie with the best, best first
    verdict: str  # one sentence
    recommendation: tuple[str, ...]  # sentences, each one reason
    confidence: float = 0.95
    look_share: float = 1.0  # of the error, which this look at the comparison may spend
    partings: tuple[Parting, ...] = ()  # of all that tie with the leader
    too_short: bool = False  # trained for too few steps to name a winner
    open_questions: tuple[str, ...] = ()  # what the budget leaves open, in sentences
    baselines: tuple[BaselineRow, ...] = ()  # the best first, see arena.baselines
    below_baseline: tuple[str, ...] = ()  # architectures that do not beat the best of them
    warnings: tuple[str, ...] = ()  # what is wrong with the data; the verdict begins with it

    @property
    def leader_below_baseline(self) -> bool:
        """Whether no architecture is better than the best baseline."""
        return bool(self.rows) and self.rows[0].architecture in self.below_baseline

    @property
    def fineness(self) -> float:
        """The smallest difference that counts: the noise floor, else the smallest gap to the
        leader, else 0."""
        gaps = [row.gap_to_leader for row in self.rows[1:] if row.gap_to_leader > 0]
        return self.noise_floor if self.noise_floor > 0 else min(gaps, default=0.0)


class RunView(Config):
    """Everything the report draws: one run folder, read and ranked."""

    name: str
    command: str  # runs it again
    task: str
    metric: str
    lower_is_better: bool
    data: dict[str, Any]  # name, bytes, tokens, tokenizer, splits
    plan: dict[str, Any]  # the whole plan, as stored
    provenance: Provenance | None
    ranking: Ranking | None  # None while nothing can be ranked yet
    trials: tuple[TrialSummary, ...]
    costs: tuple[Series, ...]  # one point each, at the user's length (core/results/quantities.py)
    # architecture -> {title, family, year, paper, idea, work, serial_steps, path_length, state}
    catalog: dict[str, dict[str, Any]]
    summary: DataSummary | None = None  # what was read; None in folders of earlier versions
    reasons: dict[str, str] = {}  # while nothing is ranked: architecture -> why it has no place

    @property
    def failures(self) -> dict[str, str]:
        """The trials that failed, by label, and why."""
        return {trial.label: trial.failure for trial in self.trials if trial.status == "failed"}


def parse_record(line: str) -> Any:
    """One line of records.jsonl as its record."""
    return _RECORD.validate_json(line)


def read_records(path: Path) -> Iterator[Any]:
    """The records of a trial. A torn last line (killed while writing) is left out.

    Raises UserError when another line is damaged or not a record.
    """
    return read_lines(path, parse_record, owner=path.parent)
