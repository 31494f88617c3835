"""Claim by claim: the words, the experiment, the criterion, the records. Then the citations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqarena.core import words
from seqarena.core.results.verdicts import Citation, ClaimView, LedgerView
from seqarena.report.claims.verdicts import VERDICTS
from seqarena.report.measured.curves import CurveBlock, curve_block
from seqarena.report.measured.series_reading import groups
from seqarena.report.page.parts import Mark, Section


class ClaimCard(NamedTuple):
    """One claim. `maps`: how many maps the explorer shows for it, in words."""

    name: str  # of its place on the page
    title: str
    mark: Mark
    verdict: str
    words: str
    figure: str
    facts: Sequence[tuple[str, str]]
    maps: str
    blocks: Sequence[CurveBlock]


@dataclass(frozen=True, kw_only=True)
class EvidenceSection(Section):
    """One card a claim."""

    template = "claims/evidence.html"
    cards: Sequence[ClaimCard]


@dataclass(frozen=True, kw_only=True)
class CitationsSection(Section):
    """Published figures, each with what it really compares."""

    template = "claims/citations.html"
    citations: Sequence[Citation]


def evidence_section(view: LedgerView, order: Sequence[str]) -> EvidenceSection:
    """Every claim with its curves. `order` gives each architecture its colour over the page."""
    cards = [_card(claim, order) for claim in view.claims]
    return EvidenceSection(
        name="evidence",
        link="Evidence",
        heading="Claim by claim",
        figures=tuple(block.figure for card in cards for block in card.blocks),
        cards=cards,
    )


def _card(claim: ClaimView, order: Sequence[str]) -> ClaimCard:
    name, judgement = f"claim-{claim.name}", claim.judgement
    return ClaimCard(
        name=name,
        title=claim.title,
        mark=VERDICTS[judgement.verdict].mark,
        verdict=judgement.verdict,
        words=claim.words,
        figure=judgement.figure,
        facts=_facts(claim),
        maps=words.plural(len(claim.maps), "map") if claim.maps else "",
        blocks=[
            curve_block(group, f"{name}-{i}", order) for i, group in enumerate(groups(claim.series))
        ],
    )


def _facts(claim: ClaimView) -> list[tuple[str, str]]:
    """Names and values; a fact without a value is left out."""
    facts = [
        ("source", claim.source),
        ("experiment", claim.experiment),
        ("criterion", claim.criterion),
        ("criterion changed", claim.amended),
        ("remark", claim.judgement.remark),
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
