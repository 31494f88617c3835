"""A verdict on the page: its mark and its words."""

from typing import NamedTuple

from seqarena.core.results.verdicts import LedgerView
from seqarena.report.page.parts import Mark


class VerdictWords(NamedTuple):
    """A verdict's mark, whose shape needs no colour to be recognised, and its words in a count."""

    mark: Mark
    singular: str
    plural: str


VERDICTS: dict[str, VerdictWords] = {
    "holds": VerdictWords(Mark("✓", "holds"), "holds", "hold"),
    "holds within limits": VerdictWords(
        Mark("≈", "limits"), "holds within limits", "hold within limits"
    ),
    "does not hold": VerdictWords(Mark("✕", "refused"), "does not hold", "do not hold"),
    "not measurable here": VerdictWords(
        Mark("–", "absent"), "cannot be measured here", "cannot be measured here"
    ),
    "not measured yet": VerdictWords(
        Mark("…", "absent"), "is not measured yet", "are not measured yet"
    ),
}
JUDGED = ("holds", "holds within limits", "does not hold")


def number_with(view: LedgerView, verdict: str) -> int:
    """How many claims have the verdict."""
    return sum(claim.judgement.verdict == verdict for claim in view.claims)
