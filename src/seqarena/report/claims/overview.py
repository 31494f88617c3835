"""The ledger at a glance: a bar of the verdicts, the claims by verdict, all of them as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqarena.core.results.verdicts import ClaimView, LedgerView
from seqarena.report.claims.verdicts import VERDICTS, answer
from seqarena.report.page.parts import Cell, Mark, Section, Table, headings


class VerdictGroup(NamedTuple):
    """The claims of one verdict, each with its place on the page. One that is `folded` is read
    last: nothing was found of its claims."""

    mark: Mark
    words: str  # "hold", "do not hold"
    claims: Sequence[tuple[str, str]]  # title and address
    folded: bool


@dataclass(frozen=True, kw_only=True)
class OverviewSection(Section):
    """What a reader jumps from."""

    template = "claims/overview.html"
    groups: Sequence[VerdictGroup]
    table: Table


def overview_section(view: LedgerView) -> OverviewSection:
    """Every claim under its verdict, and once more in a table that sorts and saves."""
    return OverviewSection(
        name="claims",
        link="Claims",
        heading="All claims at a glance",
        groups=[
            group for verdict in VERDICTS if (group := _group(verdict, view.claims)) is not None
        ],
        table=_table(view.claims),
    )


def _group(verdict: str, claims: Sequence[ClaimView]) -> VerdictGroup | None:
    own = [claim for claim in claims if claim.judgement.verdict == verdict]
    if not own:
        return None
    wording = VERDICTS[verdict]
    return VerdictGroup(
        mark=wording.mark,
        words=wording.singular if len(own) == 1 else wording.plural,
        claims=[(claim.title, f"#claim-{claim.name}") for claim in own],
        folded=verdict == "not measured yet",
    )


def _table(claims: Sequence[ClaimView]) -> Table:
    places = list(VERDICTS)
    rows = []
    for claim in claims:
        verdict, said = claim.judgement.verdict, answer(claim.judgement)
        rows.append(
            [
                Cell(claim.title, claim.title, href=f"#claim-{claim.name}"),
                Cell(verdict, str(places.index(verdict)), mark=VERDICTS[verdict].mark),
                Cell(said[:1].upper() + said[1:], said, prose=True),
            ]
        )
    return Table(
        "Every claim with its verdict and what was found",
        headings("claim", "verdict", "found"),
        rows,
        sortable=True,
        kind="ledger",
    )
