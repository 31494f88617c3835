"""The ledger of claims as printed and drawn: words, verdicts, and the records they rest on."""

from typing import Literal

from seqarena.core.config import Config
from seqarena.core.results.estimates import Estimate
from seqarena.core.results.measurement import Map, Series

Verdict = Literal[
    "holds",
    "holds within limits",
    "does not hold",
    "not measurable here",
    "not measured yet",
]


class Judgement(Config):
    """What the records say of a claim."""

    verdict: Verdict
    figure: str  # the decisive numbers with their intervals, in one line
    estimate: Estimate | None = None  # the one number that the criterion is about
    answer: str = ""  # the same in one plain sentence, which follows "Yes:", "No:" and the like
    remark: str = ""  # where the claim is too simple, what limits the measurement


class ClaimView(Config):
    """One line of the ledger."""

    name: str
    title: str
    words: str  # the claim, in our own words
    source: str  # the papers, or "introductory texts"
    experiment: str  # what is measured
    criterion: str  # stated before the run: when it holds, and within which limits
    amended: str = ""  # what of it was changed after an earlier run had been seen
    judgement: Judgement
    chart: str = ""  # the quantity that is drawn beside the answer
    series: tuple[Series, ...] = ()
    maps: tuple[Map, ...] = ()
    seconds: float = 0.0  # that its measuring took


class Citation(Config):
    """A published figure that texts quote, and what it really compares. Never our measurement."""

    quoted: str
    really: str
    source: str


class LedgerView(Config):
    """The whole ledger at one scale."""

    name: str
    scale: Literal["quick", "full"]
    command: str  # runs it again
    claims: tuple[ClaimView, ...]
    citations: tuple[Citation, ...]
