"""A run folder, read: the ranking, the trained models, the numbers, the page."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult

from seqarena.arena.folder import RunFolder
from seqarena.arena.view import read_run
from seqarena.core import words
from seqarena.core.errors import UserError, missing_extra
from seqarena.core.results.quantities import CostTable, cost_quantities
from seqarena.core.results.records import Ranking, RankRow, RunView
from seqarena.engine.pages import write_page
from seqarena.engine.trained import NO_CODE, OwnCode, TrainedModel, trained_models
from seqarena.report.run.decision import train_on_command
from seqarena.report.tables import ranking_table


def folder_and_model(place: str) -> tuple[str, str | None]:
    """`runs/NAME:MODEL` in its two parts; a folder that exists, or a place without a colon, has no
    model."""
    folder, _, model = place.rpartition(":")
    return (place, None) if not folder or Path(place).exists() else (folder, model or None)


class Run:
    """One comparison or training, as its folder's records say."""

    def __init__(
        self,
        path: str | Path,
        not_measured: Mapping[str, str] | None = None,
        code: OwnCode = NO_CODE,
    ) -> None:
        """`path` is the run folder; `not_measured` has the costs that could not be, and why;
        `code` is what its models may run of a user's own.

        Raises UserError for a folder that is no run.
        """
        self.path = Path(path)
        self.not_measured = dict(not_measured or {})
        self.code = code
        RunFolder(self.path).load_plan()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def view(self) -> RunView:
        """Everything that the page draws."""
        return read_run(RunFolder(self.path))

    @property
    def failures(self) -> dict[str, str]:
        """What failed, by name, and why: trials, and costs that this call could not measure."""
        return self.view.failures | self.not_measured

    @property
    def ranking(self) -> Ranking:
        """Places, intervals, ties, the noise floor and the verdict.

        Raises UserError while no trial is finished.
        """
        if self.view.ranking is None:
            raise UserError(f"{self.path}: {'. '.join(words.unranked(self.view))}")
        return self.view.ranking

    @property
    def rows(self) -> tuple[RankRow, ...]:
        """The ranking's rows, the best first; none while nothing is finished."""
        return self.view.ranking.rows if self.view.ranking else ()

    @property
    def models(self) -> dict[str, TrainedModel]:
        """The trained model of each ranked architecture, the best first."""
        places = trained_models(self.path, self.view)
        return {name: TrainedModel(place, self.code) for name, place in places.items()}

    @property
    def best(self) -> TrainedModel:
        """The trained model in the first place."""
        _ = self.ranking
        return next(iter(self.models.values()))

    @property
    def train_on(self) -> str:
        """The command that trains the best at ten times the size; "" where none makes sense."""
        return train_on_command(self.view, str(self.path))

    @property
    def data_path(self) -> str | None:
        """The data that it was trained on; None: the embedded data of its task."""
        return self.view.plan["task"].get("data")

    def table(self) -> list[dict[str, Any]]:
        """One dictionary an architecture: its place, scores and measured costs. Behind them one a
        baseline, with neither place nor costs."""
        costs = CostTable(self.view.costs)
        ranking = self.view.ranking
        below = ranking.below_baseline if ranking else ()
        found: list[dict[str, Any]] = [
            row.model_dump()
            | {"baseline": False, "below_baseline": row.architecture in below}
            | {cost.key: costs.value(row.architecture, cost) for cost in cost_quantities()}
            for row in self.rows
        ]
        for one in ranking.baselines if ranking else ():
            said = {"architecture": one.name, "mean": one.value, "gap_to_leader": one.lead}
            said |= {"gap_low": one.lead_low, "gap_high": one.lead_high, "p_value": one.p_value}
            found.append(dict.fromkeys(found[0]) | said | {"baseline": True})
        return found

    def trials(self) -> list[dict[str, Any]]:
        """One dictionary a trial: rate, seed, scores and what it took."""
        curves = {"validation_curve", "training_curve", "test_chunk_values", "algorithms"}
        return [trial.model_dump(exclude=curves) for trial in self.view.trials]

    def to_pandas(self) -> Any:
        """`table()` as a pandas DataFrame. Raises UserError where pandas is missing."""
        try:
            import pandas
        except ModuleNotFoundError:
            raise missing_extra("pandas", "pandas", "to_pandas") from None
        return pandas.DataFrame(self.table())

    def page(self) -> Path:
        """Draws the page again from the records; where it is."""
        return write_page(self.path)

    @property
    def page_path(self) -> Path:
        """Where the page is."""
        return RunFolder(self.path).report_path

    def summary(self) -> dict[str, Any]:
        """The answer as JSON values: verdict, recommendation, table, failures and places."""
        ranking = self.view.ranking
        return {
            "run": str(self.path),
            "report": str(self.page_path),
            "metric": self.view.metric,
            "lower_is_better": self.view.lower_is_better,
            "verdict": ranking.verdict if ranking else ". ".join(words.unranked(self.view)),
            "winner": ranking.winner if ranking else None,
            "noise_floor": ranking.noise_floor if ranking else None,
            "warnings": list(ranking.warnings) if ranking else [],
            "baselines": [one.model_dump() for one in ranking.baselines] if ranking else [],
            "recommendation": list(ranking.recommendation) if ranking else [],
            "open_questions": list(ranking.open_questions) if ranking else [],
            "partings": [one.model_dump() for one in ranking.partings] if ranking else [],
            "costs_disturbed": CostTable(self.view.costs).disturbed,
            "table": self.table(),
            "excluded": dict(ranking.excluded if ranking else self.view.reasons),
            "failures": self.failures,
        }

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield ranking_table(self.view)

    def __str__(self) -> str:
        console = Console(width=100, color_system=None)
        with console.capture() as captured:
            console.print(self)
        return captured.get()
