"""A baseline: its name, its idea, and the function that scores it on a task's own splits."""

from collections.abc import Callable
from typing import Any, NamedTuple

from seqarena.core.config import load_object
from seqarena.tasks.base import Scores, Split


class BaselineResult(NamedTuple):
    """What a baseline reaches. The test scores are of the split, the metric and the chunks of the
    architectures; without chunk values the value is known and not sampled, or cannot be parted."""

    test: Scores
    validation: float | None = None
    detail: str = ""  # what was chosen or left out: "order 5"


class Baseline(NamedTuple):
    """One row. `score` takes the task, or is `package.module:function` of such a function."""

    name: str
    idea: str
    score: str | Callable[[Any], BaselineResult]

    def result(self, task: Any) -> BaselineResult:
        """Scores it on the task. Raises what its function raises."""
        score = load_object(self.score) if isinstance(self.score, str) else self.score
        return score(task)


def result_of(
    scores: Callable[[Split], Scores], detail: str = "", *, validated: bool = True
) -> BaselineResult:
    """Of a function that scores a split; unless `validated`, only the test split is scored."""
    test = scores("test")
    return BaselineResult(test, scores("validation").value if validated else None, detail)


def known(value: float, detail: str = "", **slices: float) -> BaselineResult:
    """The result of a baseline whose value is known without a test: the same on both splits."""
    scores = Scores(value=value, chunk_values=(), slices=slices, num_scored=0)
    return BaselineResult(scores, value, detail)
