"""A verdict on data whose splits overlap begins with that."""

from seqarena.core.results.data_summary import DataSummary
from seqarena.core.results.records import Ranking

NUMBERS_DEPEND_ON_THIS = False  # it words what was counted (jobs/sources.py)
REMEDY = "--drop-overlap trains without them"


def warned(ranking: Ranking, summary: DataSummary | None) -> Ranking:
    """The ranking. Where much of its test is in the training data too, its verdict begins so."""
    overlap = None if summary is None else summary.large_overlap
    if overlap is None:
        return ranking
    warning = f"{overlap}; {REMEDY}."
    return ranking.model_copy(
        update={"warnings": (warning,), "verdict": f"{warning} {ranking.verdict}"}
    )
