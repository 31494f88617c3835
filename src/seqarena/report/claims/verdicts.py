"""A verdict on the page: its mark and its words."""

from typing import NamedTuple

from seqarena.core.results.verdicts import Judgement, LedgerView
from seqarena.report.page.parts import Mark


class VerdictWords(NamedTuple):
    """A verdict's mark, whose shape needs no colour to be recognised, its words in a count, and
    what it answers."""

    mark: Mark
    singular: str
    plural: str
    lead: str  # before the answer in plain words


VERDICTS: dict[str, VerdictWords] = {
    "holds": VerdictWords(Mark("✓", "holds"), "holds", "hold", "Yes"),
    "holds within limits": VerdictWords(
        Mark("≈", "limits"), "holds within limits", "hold within limits", "Yes, within limits"
    ),
    "does not hold": VerdictWords(Mark("✕", "refused"), "does not hold", "do not hold", "No"),
    "not measurable here": VerdictWords(
        Mark("–", "absent"),
        "cannot be measured here",
        "cannot be measured here",
        "Cannot be measured here",
    ),
    "not measured yet": VerdictWords(
        Mark("…", "absent"), "is not measured yet", "are not measured yet", "Not known yet"
    ),
}
JUDGED = ("holds", "holds within limits", "does not hold")


def answer(judgement: Judgement) -> str:
    """The answer in plain words, without its lead; the figure where the judge gives none."""
    return judgement.answer or judgement.figure


def number_with(view: LedgerView, verdict: str) -> int:
    """How many claims have the verdict."""
    return sum(claim.judgement.verdict == verdict for claim in view.claims)
