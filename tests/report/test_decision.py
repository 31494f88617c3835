"""How sure the page says that it is."""

import pytest
from report_views import whole_view

from seqarena.core.results.baselines import BaselineRow
from seqarena.core.results.records import Ranking
from seqarena.report.run.decision import certainty


def ranking_below(high: float) -> Ranking:
    """A ranking whose leader, none of whose seeds diverged, does not beat its baseline."""
    ranking = whole_view().ranking
    assert ranking is not None
    first = ranking.rows[0].model_copy(update={"diverged_seeds": ()})
    baseline = BaselineRow(
        name="n-gram", idea="by hand", detail="", value=1.0, validation_value=1.0, seconds=1.0,
        lead=-0.5, lead_low=-0.9, lead_high=high, p_value=0.01,
    )  # fmt: skip
    return ranking.model_copy(
        update={
            "rows": (first, *ranking.rows[1:]),
            "leaders": (first.architecture,),
            "winner": None,
            "baselines": (baseline,),
            "below_baseline": tuple(row.architecture for row in ranking.rows),
        }
    )


@pytest.mark.parametrize(
    ("high", "said"),
    [
        (-0.1, "Sure: the n-gram baseline is better than each of them, at 95 %."),
        (0.1, "Not sure: chance can explain the gap to the n-gram baseline."),
    ],
)
def test_below_a_baseline_no_seed_is_said_to_have_diverged(high: float, said: str) -> None:
    assert certainty(ranking_below(high)).startswith(said)
