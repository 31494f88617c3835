"""How many claims hold, which result surprises most, and every claim in a table."""

from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.verdicts import ClaimView, LedgerView
from seqarena.report.claims.verdicts import JUDGED, VERDICTS, answer, number_with
from seqarena.report.page.parts import AnswerSection, Card, Cell, Section, Table, Verdict, headings

_DOUBT = (
    "Each criterion was written before the run that it judges. If it was changed after an earlier "
    "run, the claim says so. Each verdict is computed from the records on this page."
)


@dataclass(frozen=True, kw_only=True)
class ClaimsSection(Section):
    """One row a claim."""

    template = "claims/table.html"
    table: Table


def answer_section(view: LedgerView) -> AnswerSection:
    """The numbers of claims by verdict, and the claims that the records limit or refuse."""
    judged = [claim for claim in view.claims if claim.judgement.verdict in JUDGED]
    seconds = sum(claim.seconds for claim in view.claims)
    hold = f"{number_with(view, 'holds')} of {words.plural(len(view.claims), 'claim')} hold"
    return AnswerSection(
        link="Verdict",
        label="The verdict",
        title=view.name,
        facts=[
            f"{view.scale} run",
            f"{len(judged)} judged",
            f"measured in {words.duration(seconds)}",
        ],
        verdict=Verdict(hold, _other_verdicts(view)),
        doubt=_DOUBT,
        cards_label="In short",
        cards=_cards(view),
        command=view.command,
    )


def _other_verdicts(view: LedgerView) -> str:
    parts = [
        f"{number} {wording.plural if number > 1 else wording.singular}"
        for verdict, wording in VERDICTS.items()
        if verdict != "holds" and (number := number_with(view, verdict))
    ]
    if not parts:
        return "No claim is limited or refused."
    return f"{words.listed(parts)}."


def _cards(view: LedgerView) -> list[Card]:
    """The most surprising claim, and the others that the records limit or refuse."""
    surprising = _most_surprising(view)
    cards = [] if surprising is None else [_surprise_card(surprising)]
    for verdict in ("does not hold", "holds within limits"):
        head = f"{VERDICTS[verdict].mark.sign} {verdict}"
        for claim in view.claims:
            if claim.judgement.verdict == verdict and claim is not surprising:
                cards.append(_card(head, claim, f"{answer(claim.judgement)}."))
    return cards


def _surprise_card(claim: ClaimView) -> Card:
    remark = claim.judgement.remark
    text = f"{answer(claim.judgement)}. {remark}".strip()
    return _card("Most surprising", claim, text)._replace(long=True)


def _card(head: str, claim: ClaimView, text: str) -> Card:
    lead = VERDICTS[claim.judgement.verdict].lead
    return Card(head, f" {lead}: {text}", f"#claim-{claim.name}", f"{claim.title}.")


def _most_surprising(view: LedgerView) -> ClaimView | None:
    """A refused claim before a limited one; of several, the one with most sources.

    A reader least expects that the records refuse a claim which many sources repeat.
    """
    for verdict in ("does not hold", "holds within limits"):
        claims = [claim for claim in view.claims if claim.judgement.verdict == verdict]
        if claims:
            return max(claims, key=lambda claim: len(claim.source.split(";")))
    return None


def claims_section(view: LedgerView) -> ClaimsSection:
    """Every claim with its verdict and what was found, in plain words."""
    places = list(VERDICTS)
    rows = []
    for claim in view.claims:
        verdict, said = claim.judgement.verdict, answer(claim.judgement)
        rows.append(
            [
                Cell(claim.title, claim.title, href=f"#claim-{claim.name}"),
                Cell(verdict, str(places.index(verdict)), mark=VERDICTS[verdict].mark),
                Cell(said[:1].upper() + said[1:], said, prose=True),
            ]
        )
    table = Table(
        "Every claim with its verdict and what was found",
        headings("claim", "verdict", "found"),
        rows,
        sortable=True,
        kind="ledger",
    )
    return ClaimsSection(name="claims", link="Claims", heading="All claims", table=table)
