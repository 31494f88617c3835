"""What the page of a run says first: how sure the answer is, what it costs, what the words mean."""

import shlex
from typing import NamedTuple

from seqarena.core import words
from seqarena.core.results.quantities import CostTable, quantity
from seqarena.core.results.records import Ranking, RankRow, RunView
from seqarena.report.page.parts import Fold, Phrase
from seqarena.report.run.labels import name_of


class Tile(NamedTuple):
    """One number of the answer: its value with its unit, its name, what it is in one line."""

    value: str
    name: str
    meaning: str


class Outlook(NamedTuple):
    """What holds at another size than the run's, as a forecast found it."""

    head: str  # "At 10M parameters"
    text: str
    href: str = ""
    link: str = ""
    command: str = ""
    train_on: str = ""  # the command that trains the leader at ten times the size


def unknown_outlook(view: RunView) -> Outlook:
    """Where no forecast was made: that this run does not say, and what would."""
    task = view.plan.get("task") or {}
    kind, data = str(task.get("kind") or "language"), task.get("data")
    words_of = ["seqarena", "forecast", *([shlex.quote(str(data))] if data else [])]
    words_of += ["--task", shlex.quote(kind)] if kind != "language" else []
    return Outlook(
        "At the size you will train",
        "This run does not say: with more parameters and data the order may change. A ladder of "
        "sizes does:",
        command=" ".join([*words_of, "--target", "100x"]),
        train_on=train_on_command(view, f"{_runs(view)}/{view.name}"),
    )


def train_on_command(view: RunView, folder: str) -> str:
    """The command that trains the leader of a ranking at ten times its size; none where it was not
    sized by its parameters or is no better than a baseline."""
    params = (view.plan.get("size") or {}).get("params")
    if not params or view.ranking is None or view.ranking.leader_below_baseline:
        return ""
    size = words.with_unit(10 * params, "count").replace(" ", "")
    return f"seqarena train --from {shlex.quote(folder)} --params {size}"


def _runs(view: RunView) -> str:
    """Where the run's folder lies, by the command that made it."""
    typed = shlex.split(str(view.plan.get("command") or ""))
    return typed[typed.index("--runs") + 1] if "--runs" in typed[:-1] else "runs"


def choice_label(view: RunView, ranking: Ranking) -> str:
    """What the name in large type is: the architecture to use, or less where less is known."""
    if ranking.leader_below_baseline:
        return "Use here"
    if ranking.warnings:
        return "Ahead, where training has seen part of the test data"
    if len(ranking.rows) == 1:
        return "The only one with a result"
    if any(trial.status in ("planned", "running") for trial in view.trials):
        return "Ahead so far"
    if ranking.too_short:
        return "Ahead, after too little training"
    ties = len(ranking.leaders) - 1
    if not seeds_measured(ranking) or ties == len(ranking.rows) - 1:
        return "Ahead, and not told apart from the others"
    if ties:
        others = "the one that ties" if ties == 1 else f"one of the {ties} that tie"
        return f"Use here, or {others} with it"
    return "Use here" if ranking.winner else "Ahead, though some of its seeds diverged"


def choice(view: RunView, ranking: Ranking) -> Phrase:
    """The leader, or no architecture where none beats the best baseline."""
    if ranking.leader_below_baseline:
        return Phrase("None of these", f"the {ranking.baselines[0].name} baseline is no worse")
    return name_of(view, ranking.rows[0].architecture)


def seeds_measured(ranking: Ranking) -> bool:
    """Whether chance was measured: some architecture has several seeds."""
    return any(row.p_value is not None for row in ranking.rows)


def certainty(ranking: Ranking) -> str:
    """How sure the ranking is, in sentences."""
    metric, decimals = words.of_name(ranking.metric), words.metric_decimals(ranking)
    sentences = [_told_apart(ranking)] if len(ranking.rows) > 1 else []
    counts = [len(row.seed_values) for row in ranking.rows]
    if counts:
        low, high = min(counts), max(counts)
        seeds = words.plural(high, "seed") if low == high else f"{low} to {high} seeds"
        interval = words.percent(ranking.confidence)
        sentences.append(f"Each mean is over {seeds}, with its {interval} interval.")
    if ranking.noise_floor > 0:
        sentences.append(
            f"The noise floor is {ranking.noise_floor:.{decimals}f} {metric}: two equal "
            "architectures would differ by that much through chance alone."
        )
    if ranking.repeat_difference is not None:
        same = ranking.repeat_difference == 0
        by = "exactly" if same else f"to within {words.significant(ranking.repeat_difference)}"
        sentences.append(f"The same trial run twice agreed {by}.")
    return " ".join(sentences)


def _told_apart(ranking: Ranking) -> str:
    if not seeds_measured(ranking):
        return "Not known: with one seed each, a gap cannot be told from chance."
    if ranking.too_short:
        return "Not known: the training was too short to name a winner."
    ties, others = len(ranking.leaders), len(ranking.rows) - len(ranking.leaders)
    share = words.percent(ranking.confidence)
    if ranking.leader_below_baseline:
        best = ranking.baselines[0]
        if best.lead_high < 0:
            return f"Sure: the {best.name} baseline is better than each of them, at {share}."
        return f"Not sure: chance can explain the gap to the {best.name} baseline."
    if ranking.winner:
        return f"Sure: at {share} for the whole table, each of the others is worse."
    if ties == 1:
        return "Not sure: some of its seeds diverged, and its mean is of the others."
    if not others:
        return f"Not sure: chance can explain the gaps between all {ties}."
    verb = "is" if others == 1 else "are"
    return (
        f"Partly: chance can explain the gaps between {ties} of {len(ranking.rows)}. The other "
        f"{others if others > 1 else 'one'} {verb} worse, at {share} for the whole table."
    )


def cost_tiles(view: RunView, row: RankRow) -> list[Tile]:
    """What an architecture costs, a tile for each cost that was measured of it; nothing where it is
    not the choice."""
    costs = CostTable(view.costs)
    if view.ranking is not None and view.ranking.leader_below_baseline:
        return []
    return [
        Tile(words.in_a_sentence(value, cost.unit, cost.per), cost.title, cost.meaning)
        for cost in costs.measured([row.architecture])
        if (value := costs.value(row.architecture, cost)) is not None
    ]


def doubt_fold(ranking: Ranking) -> Fold:
    """What the words of the doubt mean."""
    share = words.percent(ranking.confidence)
    measured = quantity(ranking.metric)
    terms = [(words.of_name(ranking.metric), measured.meaning)] if measured.meaning else []
    terms += [
        (
            "seed",
            "One training run. Another seed has other initial weights and another order of the "
            "data, so it ends at a slightly different value.",
        ),
        (
            f"{share} interval",
            "Where the value for more seeds and more test data would lie: such intervals hold it "
            f"in {share} of cases. Two intervals may overlap although the gap is clear, because "
            "all architectures are scored on the same examples. The interval of the gap decides.",
        ),
        (
            "tie",
            "The gap to the leader may be chance: another set of seeds could turn it round. A tie "
            "does not show that two are equal. More seeds can part them.",
        ),
        (
            "noise floor",
            "The gap that two equal architectures would show through chance alone, in all but "
            f"{words.percent(round(1 - ranking.confidence, 6))} of cases.",
        ),
        (
            "p",
            "How often chance alone would give such a gap, or a larger one, somewhere in the "
            "table. A small p speaks against chance.",
        ),
        (
            "diverged",
            "Training broke down and its loss grew without end. An architecture of which a seed "
            "diverged cannot win.",
        ),
    ]
    return Fold("What interval, tie and noise floor mean", terms=terms)
