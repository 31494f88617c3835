"""What was run: the command, the data, the plan, the machine, the trials, the method."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from seqarena.core import words
from seqarena.core.results.records import Ranking, RunView
from seqarena.report.page.parts import Cell, Section, Table, headings, number_cell
from seqarena.report.run.labels import ARCHITECTURE, architecture_cell
from seqarena.report.run.reading import architectures, chosen_rate, chosen_trials

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class FactsSection(Section):
    """`facts`: titled lists of names and values. `plan`: the whole plan as JSON."""

    template = "run/facts.html"
    command: str
    facts: Sequence[tuple[str, Facts]]
    excluded: Facts
    failures: Facts
    table: Table
    method: Sequence[str]
    plan: str


def facts_section(view: RunView) -> FactsSection:
    """How to run it again, on which data, what is not ranked, how the numbers were made."""
    provenance = view.provenance.model_dump(exclude={"kind"}) if view.provenance else {}
    groups = {
        "Data": view.data,
        "Plan": _settings(view.plan),
        "Machine and versions": provenance,
    }
    return FactsSection(
        name="run",
        link="What was run",
        heading="What was run",
        command=view.command,
        facts=[(title, list(_flat(facts))) for title, facts in groups.items() if facts],
        excluded=list((view.ranking.excluded if view.ranking else view.reasons).items()),
        failures=list(view.failures.items()),
        table=_trained_table(view),
        method=_method(view),
        plan=json.dumps(view.plan, indent=2),
    )


def _settings(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan without what the page shows elsewhere and without the models' inner settings."""
    elsewhere = ("name", "command", "excluded", "task_digest", "code")
    return {
        key: value
        for key, value in plan.items()
        if key not in elsewhere
        and not (isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value))
    }


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as pairs of words: {"budget": {"tokens": 1}} gives ("budget, tokens", "1")."""
    for key, value in facts.items():
        name = f"{prefix}{words.of_name(str(key))}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{name}, ")
        else:
            yield name, _value(str(key), value)


def _value(key: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return _repeats([_value(key, item) for item in value]) or words.ABSENT
    if value is None or value == {}:
        return words.ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key.endswith("bytes"):
        return f"{words.with_unit(value, 'bytes')} ({value:,} bytes)"
    if isinstance(value, int) and key not in ("year", "seed", "seeds"):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _repeats(items: Sequence[str]) -> str:
    """Equal neighbours are counted: "loop × 2, scan"."""
    runs = [(item, len(list(group))) for item, group in groupby(items)]
    return ", ".join(item if count == 1 else f"{item} × {count}" for item, count in runs)


def _trained_table(view: RunView) -> Table:
    heads = headings(
        ARCHITECTURE,
        "parameters",
        "width",
        "learning rate",
        "tokens",
        "training, s",
        "training, FLOPs",
        "trials finished",
        "diverged",
        "failed",
        "steps skipped",
        "algorithm of each layer",
    )
    rows = [_trained_row(view, name) for name in architectures(view)]
    caption = "One trial at the chosen rate, and how many there were"
    return Table(caption, heads, rows, name="trained")


def _trained_row(view: RunView, name: str) -> list[Cell]:
    own = [trial for trial in view.trials if trial.architecture == name]
    trial = next(iter(chosen_trials(view, name)), own[0])
    finished, *others = (
        sum(t.status == s for t in own) for s in ("finished", "diverged", "failed")
    )
    others.append(sum(t.skipped_steps for t in own))
    rate = chosen_rate(view, name)
    return [
        architecture_cell(view, name),
        number_cell(f"{trial.parameters:,}", trial.parameters),
        number_cell(f"{trial.width:,}", trial.width),
        number_cell(words.rate(rate), rate),
        number_cell(words.with_unit(trial.tokens, "count"), trial.tokens),
        number_cell(words.significant(trial.training_seconds), trial.training_seconds),
        _flops_cell(trial.training_flops),
        number_cell(f"{finished} of {len(own)}", finished),
        *(number_cell(str(count), count) for count in others),
        Cell(_repeats(list(trial.algorithms)) or words.ABSENT),
    ]


def _flops_cell(flops: float | None) -> Cell:
    return number_cell("not known" if flops is None else words.significant(flops), flops)


def _looks(ranking: Ranking) -> str:
    """What looking at a comparison again, with more seeds, adds to p."""
    if ranking.look_share == 1:
        return ""
    share = words.percent(ranking.look_share)
    return (
        ", and for looking again with more seeds of those that tie: this look may spend "
        f"{share} of the error"
    )


def _method(view: RunView) -> list[str]:
    """How the numbers were made, in sentences."""
    metric = words.of_name(view.metric)
    notes = [
        "The plan uses the validation split as the test split. The learning rate was chosen on the "
        "data that rank the architectures, so the values are somewhat too good."
        if view.data.get("test_is_validation")
        else "The learning rate is chosen on the validation split. The test split ranks the "
        "architectures and chooses nothing."
    ]
    ranking = view.ranking
    if ranking is None:
        return notes
    confidence = words.percent(ranking.confidence)
    floor = f"{ranking.noise_floor:.{words.metric_decimals(ranking)}f} {metric}"
    return [
        *notes,
        f"The {confidence} interval of a mean adds what seeds and what the choice of test examples "
        "vary. Neighbouring test chunks count as alike as they are. The seed variance is shared "
        "between architectures as far as theirs are alike. The gap to the leader is paired by test "
        "chunk.",
        "p is the test of the gap to the leader, corrected for all pairs of architectures (Sidak)"
        f"{_looks(ranking)}.",
        f"The noise floor is {floor}: {ranking.noise_floor_origin}.",
        f"Two architectures tie if p is above {1 - ranking.confidence:.2g}. If leaders tie, there "
        "is no winner. An architecture with a diverged seed cannot win.",
        "Costs are measured after training, while no trial runs: every architecture once, then "
        "again, so that what disturbs the machine hits all alike. Two costs are level where their "
        "repeats overlap.",
    ]
