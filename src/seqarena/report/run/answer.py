"""The answer of a run: what to use here, how sure that is, what it costs, what else there is."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqarena.core import words
from seqarena.core.results.quantities import CostTable
from seqarena.core.results.records import Ranking, RunView
from seqarena.report.page.parts import (
    AnswerSection,
    Card,
    Fold,
    Phrase,
    Prose,
    Section,
    Table,
    Verdict,
    headings,
    number_cell,
)
from seqarena.report.run.decision import (
    Outlook,
    Tile,
    certainty,
    choice,
    choice_label,
    cost_tiles,
    doubt_fold,
    unknown_outlook,
)
from seqarena.report.run.labels import ARCHITECTURE, architecture_cell, prose
from seqarena.report.run.reading import architectures, chosen_trials

_LONG_CARD = 200  # characters from which a card takes the whole width
_LONGEST_HEADLINE = 60  # characters before a colon that still read as a headline
_STATES = ("finished", "running", "planned", "diverged", "failed")


@dataclass(frozen=True, kw_only=True)
class DecisionSection(Section):
    """The top of a run's page: what to use here, how sure that is, what it costs.

    `verdict` is the verdict of the ranking after its first words, `state`. `settle`: what
    the budget leaves open and what would close it, a sentence each.
    """

    template = "run/decision.html"
    name: str = "answer"
    link: str = "Answer"
    label: str = "The answer"
    title: str
    facts: Sequence[str]
    choice_label: str
    choice: Phrase
    state: str
    verdict: Prose
    sure: str
    doubt: Fold
    settle: Sequence[Prose]
    outlook: Outlook
    tiles: Sequence[Tile]
    about_costs: str  # how far they can be trusted; on which no other of its quality is better
    cards: Sequence[Card]


def answer_section(
    view: RunView, outlook: Outlook | None = None
) -> AnswerSection | DecisionSection:
    """The decision of a ranking; before there is one, how many trials have finished."""
    ranking = view.ranking
    if ranking is None:
        few, sentence = words.unranked(view)
        return AnswerSection(
            label="The answer",
            title=view.name,
            facts=_facts(view),
            verdict=Verdict(few),
            doubt=f"{sentence} This page shows their results.",
            table=_states_table(view),
        )
    if not ranking.rows:
        return AnswerSection(
            label="The answer",
            title=view.name,
            facts=_facts(view),
            verdict=Verdict(ranking.verdict),
            doubt="",
        )
    best = ranking.rows[0]
    state, verdict = _verdict(ranking)
    quality, others = _split(ranking)
    doubts = CostTable(view.costs).doubts()
    known = () if ranking.leader_below_baseline else (best.architecture,)  # from the headline
    return DecisionSection(
        title=view.name,
        facts=_facts(view),
        choice_label=choice_label(view, ranking),
        choice=choice(view, ranking),
        state=state,
        verdict=prose(view, verdict, known),
        sure=certainty(ranking),
        doubt=doubt_fold(ranking),
        settle=[prose(view, sentence, known) for sentence in ranking.open_questions],
        outlook=outlook or unknown_outlook(view),
        tiles=cost_tiles(view, best),
        about_costs=" ".join([*doubts, quality]).strip(),
        cards=[_card(view, sentence, known) for sentence in others if sentence not in doubts],
    )


def _facts(view: RunView) -> list[str]:
    """The run in one line: task, data, number of architectures, their sizes, tokens, device."""
    names = architectures(view)
    trials = [trial for name in names for trial in chosen_trials(view, name)]
    facts = [words.of_name(view.task), str(view.data.get("name", ""))]
    facts.append(words.plural(len(names), "architecture"))
    if trials:
        facts.append(f"{_span([trial.parameters for trial in trials])} parameters")
        facts.append(f"{_span([trial.tokens for trial in trials])} training tokens each")
    if view.provenance:
        facts += [view.provenance.device, view.provenance.dtype]
    return facts


def _span(values: Sequence[int]) -> str:
    low, high = (words.with_unit(value, "count") for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _verdict(ranking: Ranking) -> tuple[str, str]:
    """The verdict up to its colon, and the rest, without the leader's name where it begins so."""
    verdict = ranking.verdict
    colon = verdict.rfind(": ", 0, _LONGEST_HEADLINE)
    if colon < 0:
        return "", verdict
    state, rest = verdict[:colon], verdict[colon + 2 :]
    return state, rest.removeprefix(f"{ranking.rows[0].architecture}, ")


def _split(ranking: Ranking) -> tuple[str, Sequence[str]]:
    """What the first sentence says beyond the headline, where it is on quality; the others."""
    first, *others = ranking.recommendation or ("",)
    if not first.startswith(f"For the best quality: {ranking.rows[0].architecture},"):
        return "", ranking.recommendation
    return words.capitalised(first.partition("; ")[2]), others


def _card(view: RunView, sentence: str, known: Sequence[str]) -> Card:
    head, colon, rest = sentence.partition(": ")
    long = len(sentence) > _LONG_CARD
    if not colon or len(head) > _LONGEST_HEADLINE:
        return Card("", prose(view, sentence, known), long=long)
    return Card(head, prose(view, rest, known), long=long)


def _states_table(view: RunView) -> Table:
    rows = []
    for name in architectures(view):
        own = [trial for trial in view.trials if trial.architecture == name]
        values = [t.validation_value for t in own if t.validation_value is not None]
        best = (min if view.lower_is_better else max)(values) if values else None
        counts = [sum(trial.status == state for trial in own) for state in _STATES]
        rows.append(
            [
                architecture_cell(view, name),
                *(number_cell(str(number), number) for number in counts),
                number_cell(words.ABSENT if best is None else f"{best:.4g}", best),
            ]
        )
    metric = f"best validation {words.of_name(view.metric)}"
    heads = headings(ARCHITECTURE, *_STATES, metric)
    return Table("Trials by state", heads, rows, name="trials")
