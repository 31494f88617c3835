"""The answer of a run: its verdict in large words, the doubt, and the recommendation as cards."""

from collections.abc import Sequence

from seqarena.core import words
from seqarena.core.results.records import Ranking, RunView
from seqarena.report.page.parts import AnswerSection, Card, Table, Verdict, headings, number_cell
from seqarena.report.run.labels import architecture_cell
from seqarena.report.run.reading import architectures, chosen_trials

_LONG_CARD = 200  # characters from which a card takes the whole width
_LONGEST_HEADLINE = 60  # characters before a colon that still read as a headline
_STATES = ("finished", "running", "planned", "diverged", "failed")


def answer_section(view: RunView) -> AnswerSection:
    """The verdict of the ranking; before there is one, how many trials have finished."""
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
    return AnswerSection(
        label="The answer",
        title=view.name,
        facts=_facts(view),
        verdict=_verdict(ranking),
        doubt=_doubt(ranking),
        cards_label="Recommendation",
        cards=[_card(sentence) for sentence in ranking.recommendation],
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


def _verdict(ranking: Ranking) -> Verdict:
    """The verdict, large up to its colon and through the leader's name where that follows."""
    verdict = ranking.verdict
    colon = verdict.rfind(": ", 0, _LONGEST_HEADLINE)
    if colon < 0:
        return Verdict(verdict) if len(verdict) <= _LONGEST_HEADLINE else Verdict("", verdict)
    head, rest = verdict[:colon], verdict[colon + 2 :]
    leader = f"{ranking.rows[0].architecture}, " if ranking.rows else ""
    if leader and rest.startswith(leader):
        return Verdict(f"{head}: {leader[:-2]}", rest.removeprefix(leader))
    return Verdict(head, rest)


def _card(sentence: str) -> Card:
    head, colon, rest = sentence.partition(": ")
    long = len(sentence) > _LONG_CARD
    if not colon or len(head) > _LONGEST_HEADLINE:
        return Card("", sentence, long=long)
    return Card(head, rest, long=long)


def _doubt(ranking: Ranking) -> str:
    metric, decimals = words.of_name(ranking.metric), words.metric_decimals(ranking)
    counts = {len(row.seed_values) for row in ranking.rows}
    sentences = []
    if counts:
        low, high = min(counts), max(counts)
        seeds = words.plural(high, "seed") if low == high else f"{low} to {high} seeds"
        interval = words.percent(ranking.confidence)
        sentences.append(f"Each mean is over {seeds}, with its {interval} interval.")
    if ranking.noise_floor > 0:
        sentences.append(f"A gap below {ranking.noise_floor:.{decimals}f} {metric} is noise.")
    if ranking.repeat_difference is not None:
        same = ranking.repeat_difference == 0
        by = "exactly" if same else f"to within {words.significant(ranking.repeat_difference)}"
        sentences.append(f"The same trial run twice agreed {by}.")
    return " ".join(sentences)


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
    return Table("Trials by state", headings("architecture", *_STATES, metric), rows)
