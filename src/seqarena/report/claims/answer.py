"""How many of the judged claims hold, and the result that surprises most."""

from seqarena.core import words
from seqarena.core.results.verdicts import ClaimView, LedgerView
from seqarena.report.claims.verdicts import JUDGED, VERDICTS, answer, number_with
from seqarena.report.page.parts import AnswerSection, Card, Verdict

_DOUBT = (
    "Each criterion was written before the run that it judges. If it was changed after an earlier "
    "run, the claim says so. Each verdict is computed from the records on this page."
)


def answer_section(view: LedgerView) -> AnswerSection:
    """How many of the judged claims hold, and the numbers of the others by verdict."""
    judged = [claim for claim in view.claims if claim.judgement.verdict in JUDGED]
    seconds = sum(claim.seconds for claim in view.claims)
    surprising = _most_surprising(view)
    return AnswerSection(
        link="Verdict",
        label="The verdict",
        title=view.name,
        facts=[
            f"{view.scale} run",
            f"{len(judged)} of {words.plural(len(view.claims), 'claim')} judged",
            f"measured in {words.duration(seconds)}",
        ],
        verdict=Verdict(_headline(view, len(judged)), _other_verdicts(view)),
        doubt=_DOUBT,
        cards_label="In short",
        cards=[] if surprising is None else [_surprise_card(surprising)],
        command=view.command,
    )


def _headline(view: LedgerView, judged: int) -> str:
    if not judged:
        return "No claim is judged yet"
    hold = number_with(view, "holds")
    wording = VERDICTS["holds"]
    verb = wording.singular if hold == 1 else wording.plural
    return f"{hold} of {words.plural(judged, 'claim')} {verb}"


def _other_verdicts(view: LedgerView) -> str:
    parts = [
        f"{number} {wording.plural if number > 1 else wording.singular}"
        for verdict, wording in VERDICTS.items()
        if verdict != "holds" and (number := number_with(view, verdict))
    ]
    if not parts:
        return "No claim is limited or refused."
    return f"{words.listed(parts)}."


def _surprise_card(claim: ClaimView) -> Card:
    lead = VERDICTS[claim.judgement.verdict].lead
    text = f" {lead}: {answer(claim.judgement)}."
    return Card("Most surprising", text, f"#claim-{claim.name}", f"{claim.title}.", long=True)


def _most_surprising(view: LedgerView) -> ClaimView | None:
    """A refused claim before a limited one; of several, the one with most sources.

    A reader least expects that the records refuse a claim which many sources repeat.
    """
    for verdict in ("does not hold", "holds within limits"):
        claims = [claim for claim in view.claims if claim.judgement.verdict == verdict]
        if claims:
            return max(claims, key=lambda claim: len(claim.source.split(";")))
    return None
