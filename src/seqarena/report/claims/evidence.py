"""Claim by claim: the claim, a chart, the verdict, and folded all behind it; the citations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqarena.core import words
from seqarena.core.results.verdicts import Citation, ClaimView, LedgerView
from seqarena.report.claims.charts import small_chart
from seqarena.report.claims.verdicts import VERDICTS, answer
from seqarena.report.measured.curves import CurveBlock, curve_block
from seqarena.report.measured.series_reading import groups
from seqarena.report.page.parts import Figure, Mark, Section


class ClaimCard(NamedTuple):
    """One claim in a plain sentence, a small chart of what was measured, its verdict with the
    answer in plain words, and what is folded below."""

    name: str  # of its place on the page
    title: str
    mark: Mark
    verdict: str
    lead: str  # "Yes", "No" and the like
    answer: str
    remark: str
    chart: CurveBlock | None
    facts: Sequence[tuple[str, str]]
    maps: str  # how many the explorer shows for it, in words
    blocks: Sequence[CurveBlock]  # of the other quantities

    @property
    def figures(self) -> list[Figure]:
        """In the order of the card."""
        shown = [] if self.chart is None else [self.chart]
        return [block.figure for block in (*shown, *self.blocks)]


@dataclass(frozen=True, kw_only=True)
class EvidenceSection(Section):
    """One card a claim; the claims of which nothing was measured are a list below the cards."""

    template = "claims/evidence.html"
    styles = ("claims.css",)
    cards: Sequence[ClaimCard]
    waiting: Sequence[ClaimCard]


@dataclass(frozen=True, kw_only=True)
class CitationsSection(Section):
    """Published figures, each with what it really compares."""

    template = "claims/citations.html"
    citations: Sequence[Citation]


def evidence_section(view: LedgerView, order: Sequence[str]) -> EvidenceSection:
    """Every claim with its curves. `order` gives each architecture its colour over the page."""
    cards = [_card(claim, order) for claim in view.claims if not _waits(claim)]
    return EvidenceSection(
        name="evidence",
        link="Evidence",
        heading="Claim by claim",
        figures=tuple(figure for card in cards for figure in card.figures),
        cards=cards,
        waiting=[_card(claim, order) for claim in view.claims if _waits(claim)],
    )


def _waits(claim: ClaimView) -> bool:
    """Whether no part of its measuring has found anything."""
    return claim.judgement.verdict == "not measured yet" and not (claim.series or claim.maps)


def _card(claim: ClaimView, order: Sequence[str]) -> ClaimCard:
    name, judgement = f"claim-{claim.name}", claim.judgement
    shown = groups(claim.series)
    chosen = next((group for group in shown if group.quantity == claim.chart), None)
    chosen = chosen or next(iter(shown), None)
    words_of_it = VERDICTS[judgement.verdict]
    return ClaimCard(
        name=name,
        title=claim.title,
        mark=words_of_it.mark,
        verdict=judgement.verdict,
        lead=words_of_it.lead,
        answer=answer(judgement),
        remark=judgement.remark,
        chart=chosen and small_chart(chosen, f"{name}-0", order),
        facts=_facts(claim),
        maps=words.plural(len(claim.maps), "map") if claim.maps else "",
        blocks=[
            curve_block(group, f"{name}-{i}", order, height=320)
            for i, group in enumerate((group for group in shown if group is not chosen), start=1)
        ],
    )


def _facts(claim: ClaimView) -> list[tuple[str, str]]:
    """Names and values; a fact without a value is left out."""
    judgement = claim.judgement
    facts = [
        ("figures", "" if judgement.figure == answer(judgement) else judgement.figure),
        ("claimed", claim.words),
        ("source", claim.source),
        ("experiment", claim.experiment),
        ("criterion", claim.criterion),
        ("criterion changed", claim.amended),
        ("measuring took", words.duration(claim.seconds) if claim.seconds else ""),
    ]
    return [(name, value) for name, value in facts if value]


def citations_section(view: LedgerView) -> CitationsSection | None:
    """The citations. None where there are none."""
    if not view.citations:
        return None
    return CitationsSection(
        name="citations",
        link="Citations",
        heading="Published, not measured here",
        citations=view.citations,
    )
