"""What a user asks of `seqarena forecast`, as nested data (core/options.py). No torch in here."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import model_validator

from seqarena.arena.requests import (
    CompareRequest,
    LineupRequest,
    RunRequest,
    SearchRequest,
    SizeRequest,
    TaskRequest,
)
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.options import Counts, Names, Number, Texts, knob
from seqarena.core.results.forecasts import RatesAt
from seqarena.forecast.targets import parse_target
from seqarena.train.budget import Budget
from seqarena.train.config import TrainingRequest

LEAST_RUNGS = 4
DEFAULT_MODELS = ("gru", "lstm", "attention", "mamba", "conv", "mingru")


class ForecastLineup(LineupRequest):
    """Which architectures are on the ladder."""

    models: Names | None = knob(
        None,
        "lstm,gru,... or all; gru:attention@3:1 is a hybrid, bi:gru reads both ways. Default: gru, "
        "lstm, attention, mamba, conv, mingru.",
    )


class LadderRequest(Config):
    """The rungs, and where they are carried on to."""

    target: str = knob(
        "100x",
        "Where to forecast: 100x (the training compute of the top rung), 10M (parameters), "
        "200M-tokens or 1e15-flops. Size and tokens grow together.",
    )
    rungs: Counts = knob((6_000, 12_000, 25_000, 50_000), "Parameters of each rung, at least four.")
    tokens_per_parameter: Number = knob(10.0, "Training tokens for each parameter.", finite=True)
    rates_at: RatesAt = knob(
        "every-rung",
        "every-rung: all --rates are tried on each; narrowed: from the third rung on, those that "
        "were chosen on the rung below, and the next lower one.",
    )
    verify: int = knob(
        0, "Train so many architectures, the best first, at the target and score the forecast.",
        ge=0, le=10**4,
    )  # fmt: skip
    folders: Texts = knob(
        (), "A finished run folder as a rung, instead of training. Repeatable.", option="--from"
    )

    @model_validator(mode="after")
    def _rungs_that_grow(self) -> Self:
        if len(self.sizes) < LEAST_RUNGS:
            raise UserError(
                f"--rungs names {len(self.sizes)} sizes: a ladder needs at least {LEAST_RUNGS}, "
                "such as 12k,25k,50k,100k"
            )
        parse_target(self.target)
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """Parameters of the rungs in ascending order, each once."""
        return tuple(sorted(set(self.rungs)))

    def tokens(self, params: int) -> int:
        return max(1, round(params * self.tokens_per_parameter))


class LadderRunRequest(RunRequest):
    """Where the ladder runs and for how long."""

    max_minutes: Number | None = knob(
        None, "Leave out the top rungs that by the estimate do not fit. Default: no limit."
    )


class ForecastRequest(Config):
    """Who is better at a size that is too large to try, from a ladder of smaller ones."""

    # a ladder says how large, how long and how many seeds
    hidden: ClassVar[tuple[str, ...]] = (
        "rate", "leader_seeds", "until_decided",
        "repeats", "steps", "epochs", "tokens", "flops", "seconds",
    )  # fmt: skip

    task: TaskRequest = TaskRequest()
    lineup: ForecastLineup = ForecastLineup()
    ladder: LadderRequest = LadderRequest()
    training: TrainingRequest = TrainingRequest()
    search: SearchRequest = SearchRequest()
    run: LadderRunRequest = LadderRunRequest()

    @model_validator(mode="after")
    def _a_budget_of_its_own(self) -> Self:
        if self.training.budget != TrainingRequest().budget:
            raise UserError(
                "a ladder trains each rung on --tokens-per-parameter: give no budget of its own"
            )
        return self

    def rung(
        self, params: int, tokens: int, *, runs: Path, name: str, models: tuple[str, ...] = (),
        rates: tuple[float, ...] = (), mixers: tuple[str, ...] | None = None, widens: bool = True,
    ) -> CompareRequest:  # fmt: skip
        """The comparison of one rung. `models`, `mixers` and `rates` replace those asked for, and
        only where it `widens` others are tried too; all get the same seeds, and none gets more."""
        search = self.search.model_copy(
            update={
                "learning_rates": rates or self.search.learning_rates,
                "leader_seeds": self.search.num_seeds,
                "until_decided": False,
                "repeats": 0,
                "widen": self.search.widen if widens else 0,
            }
        )
        mixer = self.lineup.mixer if mixers is None else mixers
        chosen = models or (self.lineup.models or (() if mixer else DEFAULT_MODELS))
        return CompareRequest(
            task=self.task,
            lineup=LineupRequest(models=chosen or None, mixer=mixer),
            size=SizeRequest(params=params),
            training=self.training.model_copy(update={"budget": Budget(tokens=tokens)}),
            search=search,
            run=RunRequest(**{**dict(self.run), "name": name, "runs": runs, "max_minutes": None}),
        )
