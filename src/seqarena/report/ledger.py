"""The ledger's page: what the claims of the literature come to when they are measured."""

from collections.abc import Sequence
from typing import NamedTuple

from seqarena.core.ledger import ClaimView, LedgerView
from seqarena.core.measurement import Map, Measurement, Series, latest
from seqarena.report import units
from seqarena.report.diagrams import diagrams_section
from seqarena.report.explorer import explorer_section
from seqarena.report.markup import Cell, Markup, definitions, element, table
from seqarena.report.measured import Catalog, architectures_of, group_block
from seqarena.report.sections import Figure, Section, lead, section_html
from seqarena.report.series_reading import groups
from seqarena.report.shell import page_html
from seqarena.report.timeline import timeline_section


class Sign(NamedTuple):
    """A verdict's mark: a shape that is told apart without colour, and its words in a count."""

    mark: str
    name: str  # of its class in measured.css
    one: str  # what it says of one claim, and of several
    several: str


_SIGNS: dict[str, Sign] = {
    "holds": Sign("✓", "holds", "holds", "hold"),
    "holds within limits": Sign("≈", "limits", "holds within limits", "hold within limits"),
    "does not hold": Sign("✕", "refused", "does not hold", "do not hold"),
    "not measurable here": Sign(
        "–", "absent", "cannot be measured here", "cannot be measured here"
    ),
    "not measured yet": Sign("…", "absent", "is not measured yet", "are not measured yet"),
}


def render_ledger(view: LedgerView, catalog: Catalog, *, served: bool = False) -> str:
    """The whole page: the verdict in words, every claim with its records, and the citations.

    `catalog`: for each architecture what measure.complexity.describe says of it.
    """
    found = _records(view)
    order = architectures_of(found)
    sections = [
        _answer(view),
        _table(view),
        _claims(view, order),
        diagrams_section(found, catalog),
        explorer_section(found, served=served),
        timeline_section(catalog, found),
        _citations(view),
    ]
    return page_html(view.name, sections, served=served)


def _records(view: LedgerView) -> list[Measurement]:
    """Every record of the ledger once, though claims may share them."""
    records: list[Series | Map] = []
    for claim in view.claims:
        records += [*claim.series, *claim.maps]
    return latest(records)


def _answer(view: LedgerView) -> Section:
    settled = [claim for claim in view.claims if claim.judgement.verdict in _settled()]
    seconds = sum(claim.seconds for claim in view.claims)
    head = f"{_count(view, 'holds')} of {units.plural(len(view.claims), 'claim')} hold"
    others = [
        f"{number} {sign.several if number > 1 else sign.one}"
        for verdict, sign in _SIGNS.items()
        if verdict != "holds" and (number := _count(view, verdict))
    ]
    facts = [f"{view.scale} run", f"{len(settled)} judged", f"measured in {_duration(seconds)}"]
    html = element(
        "section",
        element("h1", view.name),
        element("p", " · ".join(facts), class_="facts"),
        element("p", element("b", head), element("span", _sentence(others)), class_="verdict"),
        element(
            "p",
            "Each criterion was written down before the run that it judges; where it was changed "
            "once an earlier run had been seen, the claim says so. Each verdict is computed from "
            "the records that are drawn here.",
            class_="doubt",
        ),
        element("ul", *_cards(view), class_="cards", aria_label="In short"),
        element("pre", element("code", view.command), tabindex="0"),
        id="answer",
        aria_label="The verdict",
    )
    return Section("answer", "Verdict", html)


def _settled() -> tuple[str, ...]:
    return ("holds", "holds within limits", "does not hold")


def _count(view: LedgerView, verdict: str) -> int:
    return sum(claim.judgement.verdict == verdict for claim in view.claims)


def _sentence(parts: Sequence[str]) -> str:
    if not parts:
        return "Nothing else was claimed."
    said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{said}."


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"


def _cards(view: LedgerView) -> list[Markup]:
    """The most surprising claim, and the others that the records limit or refuse."""
    surprising = _most_surprising(view)
    cards = []
    if surprising is not None:
        cards.append(_short("Most surprising", surprising, long=True))
    for verdict in ("does not hold", "holds within limits"):
        for claim in view.claims:
            if claim.judgement.verdict == verdict and claim is not surprising:
                cards.append(_short(_SIGNS[verdict].mark + " " + verdict, claim))
    return cards


def _short(head: str, claim: ClaimView, *, long: bool = False) -> Markup:
    link = element("a", claim.title, href=f"#claim-{claim.name}")
    said = f": {claim.judgement.figure}"
    if long and claim.judgement.remark:
        said = f"{said.rstrip('.')}. {claim.judgement.remark}"
    return element("li", element("b", head), link, said, class_="long" if long else None)


def _most_surprising(view: LedgerView) -> ClaimView | None:
    """Refused before limited; among equals the one that most sources state.

    A claim that everyone repeats and the records refuse is what a reader expects least.
    """
    for verdict in ("does not hold", "holds within limits"):
        claims = [claim for claim in view.claims if claim.judgement.verdict == verdict]
        if claims:
            return max(claims, key=lambda claim: len(claim.source.split(";")))
    return None


def _table(view: LedgerView) -> Section:
    rows = [
        [
            Cell(element("a", claim.title, href=f"#claim-{claim.name}"), claim.title),
            Cell(_verdict(claim), str(list(_SIGNS).index(claim.judgement.verdict))),
            Cell(claim.judgement.figure, claim.judgement.figure),
        ]
        for claim in view.claims
    ]
    html = section_html(
        "claims",
        "All claims",
        element(
            "div",
            table(
                "Every claim with its verdict and the figure it rests on",
                ["claim", "verdict", "figure"],
                rows,
                sortable=True,
                class_="ledger",
            ),
        ),
    )
    return Section("claims", "Claims", html)


def _verdict(claim: ClaimView) -> Markup:
    verdict = claim.judgement.verdict
    sign = _SIGNS[verdict]
    mark = element("span", sign.mark, class_="mark", aria_hidden="true")
    return element("span", mark, verdict, class_=f"verdict-mark {sign.name}")


def _claims(view: LedgerView, order: Sequence[str]) -> Section:
    cards, figures = [], []
    for claim in view.claims:
        card, own = _claim(claim, order)
        cards.append(card)
        figures += own
    html = section_html(
        "evidence",
        "Claim by claim",
        lead("What is claimed, how it was tried, when it would hold, and what was found."),
        *cards,
    )
    return Section("evidence", "Evidence", html, tuple(figures))


def _claim(claim: ClaimView, order: Sequence[str]) -> tuple[Markup, list[Figure]]:
    judgement = claim.judgement
    blocks = [
        group_block(group, f"claim-{claim.name}-{i}", order)
        for i, group in enumerate(groups(claim.series))
    ]
    link = element("a", _maps_words(claim), href="#explorer")
    maps = element("p", link, class_="to-maps") if claim.maps else None
    facts = [
        ("stands in", claim.source),
        ("experiment", claim.experiment),
        ("criterion", claim.criterion),
        *([("changed since", claim.amended)] if claim.amended else []),
        *([("remark", judgement.remark)] if judgement.remark else []),
        *([("measuring took", _duration(claim.seconds))] if claim.seconds else []),
    ]
    card = element(
        "article",
        element("h3", claim.title, id=f"claim-{claim.name}-heading"),
        _verdict(claim),
        element("p", claim.words, class_="words"),
        element("p", judgement.figure, class_="decisive"),
        definitions(facts),
        maps,
        element("div", *(block for block, _ in blocks), class_="pair") if blocks else None,
        id=f"claim-{claim.name}",
        class_="claim",
        aria_labelledby=f"claim-{claim.name}-heading",
    )
    return card, [figure for _, figure in blocks]


def _maps_words(claim: ClaimView) -> str:
    return f"{units.plural(len(claim.maps), 'map')} in the explorer below"


def _citations(view: LedgerView) -> Section | None:
    if not view.citations:
        return None
    entries = [
        element(
            "li",
            element("b", citation.quoted),
            element("p", citation.really),
            element("small", citation.source),
        )
        for citation in view.citations
    ]
    html = section_html(
        "citations",
        "Published, not measured here",
        lead("Figures that texts quote, and what they really compare. None is ours."),
        element("ul", *entries, class_="cards"),
    )
    return Section("citations", "Citations", html)
