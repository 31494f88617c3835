"""The top of a page of measurements: how much was measured, on which machine, and its extremes."""

from collections.abc import Sequence

from seqarena.core import words
from seqarena.core.results.measurement import Measurement, Series
from seqarena.report.measured.curves import architectures_of, machine_facts
from seqarena.report.measured.series_reading import estimate_text, estimates_of, groups
from seqarena.report.page.parts import AnswerSection, Card, Verdict


def answer_section(name: str, found: Sequence[Measurement]) -> AnswerSection:
    """The numbers of curves and maps, and a card for each quantity that has an estimate."""
    curves = [one for one in found if isinstance(one, Series)]
    kinds = list(dict.fromkeys(words.of_name(one.measurement) for one in found))
    counts = [words.plural(len(curves), "curve")] if curves else []
    if len(curves) < len(found):
        counts.append(words.plural(len(found) - len(curves), "map"))
    models = words.plural(len(architectures_of(found)), "architecture")
    return AnswerSection(
        label="What was measured",
        title=name,
        facts=machine_facts(found[-1].machine) if found else (),
        verdict=Verdict(" and ".join(counts) or "Nothing measured yet", f"of {models}"),
        doubt=f"Measured: {', '.join(kinds)}." if kinds else "",
        cards_label="Estimates",
        cards=_cards(curves),
    )


def _cards(curves: Sequence[Series]) -> list[Card]:
    """For each figure with an estimate, the curves with the lowest and the highest."""
    cards = []
    for group in groups(curves):
        estimates = [(one, estimates_of(one)[0]) for one in group.series if estimates_of(one)]
        if not estimates:
            continue
        estimates.sort(key=lambda pair: pair[1].estimate.value)
        ends = [estimates[0], estimates[-1]] if len(estimates) > 1 else estimates
        text = "; ".join(f"{one.label}: {estimate_text(found)}" for one, found in ends)
        cards.append(Card(f"{group.title}, {estimates[0][1].words}", text))
    return cards
