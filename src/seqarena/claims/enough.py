"""Whether records are enough to judge by: repeats of every point, timings of a machine that was
quiet, and trainings that had ended.

Every function answers in words what is missing, "" where nothing is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from seqarena.core import words
from seqarena.core.results.estimates import mean
from seqarena.core.results.measurement import Measurement, Series

STANDS = 0.02  # a loss whose last fifth lies less than this share below the fifth before stands
FLOOR = 0.05  # nats: below it nothing is left to learn
PATIENCE = 5  # times the steps of the slowest learnt point, after which a loss that stands is final
STEADY = 1.5  # the slowest over the fastest timing of a point, up to which the machine was quiet
SOLVED, BEGUN = (
    0.9,
    0.5,
)  # accuracies: nothing is left to ask of training; the task is learnt at all

ENOUGH_TRAINING = (
    f"Not measured where training was too short: the loss of its last fifth lies more than "
    f"{STANDS:.0%} below that of the fifth before (and above {FLOOR} nats)"
)
ENOUGH_RECALL = (
    f"{ENOUGH_TRAINING}, no point reaches the accuracy from which the task counts as learnt, or a "
    f"point that was missed had less than {PATIENCE} times the steps that the learnt ones took."
)


def missing_repeats(records: Sequence[Measurement], least: Mapping[str, int]) -> str:
    """What of the repeats that a criterion names is missing: too few at a point of a curve of one
    of these quantities, not equally many everywhere, or not of the same seeds."""
    for quantity, number in least.items():
        shown = [r for r in records if isinstance(r, Series) and r.quantity == quantity]
        counts = {(one.label, p.x): len(p.repeats) for one in shown for p in one.points}
        if not counts:
            continue
        noun = "repeat" if is_timing(quantity) else "seed"
        (label, x), fewest = min(counts.items(), key=lambda item: item[1])
        if fewest < number:
            return (
                f"{label} has {words.plural(fewest, noun)} of {words.of_name(quantity)} at {x:g}, "
                f"and the criterion needs {number}"
            )
        (most_label, most_x), most = max(counts.items(), key=lambda item: item[1])
        if most != fewest:
            return (
                f"{most_label} has {words.plural(most, noun)} of {words.of_name(quantity)} at "
                f"{most_x:g} and {label} {fewest} at {x:g}: equally many are compared"
            )
        seeds = {str(one.settings["seeds"]) for one in shown if "seeds" in one.settings}
        if len(seeds) > 1:
            return f"{words.of_name(quantity)} has the seeds {words.listed(sorted(seeds))}"
    return ""


def disturbed(records: Sequence[Measurement], least: Mapping[str, int]) -> str:
    """At which point the timings of these quantities differ so much that the machine was busy."""
    for one in records:
        if not (isinstance(one, Series) and one.quantity in least and is_timing(one.quantity)):
            continue
        for point in one.points:
            spread = max(point.repeats) / min(point.repeats)
            if spread > STEADY:
                return (
                    f"the machine was busy: timings of {one.label} at {point.x:g} differ by "
                    f"{spread:.3g} times"
                )
    return ""


def is_timing(quantity: str) -> bool:
    """Whether its repeats are timings, and not seeds."""
    return quantity.endswith("_seconds") or quantity == "share_of_peak"


def still_falling(series: Series) -> str:
    """Which training of the curve ended while its loss still fell."""
    for x, tails in _tails(series).items():
        found = _falling(series, x, tails)
        if found:
            return found
    return "" if _tails(series) else f"the record of {series.label} does not say how training ended"


def undertrained(series: Series, *, solved: float = SOLVED, begun: float = BEGUN) -> str:
    """Why a curve of accuracies tells of its trainings and not of the architecture: nothing was
    learnt anywhere, or a point below `solved` was still falling or given up too soon."""
    tails, scores = _tails(series), {p.x: mean(p).value for p in series.points}
    if not tails:
        return f"the record of {series.label} does not say how training ended"
    learnt = [x for x, score in scores.items() if score >= begun]
    if not learnt:
        return f"{series.label} has learnt nothing: {max(scores.values()):.2f} at best"
    for x in (x for x, score in scores.items() if score < solved):
        found = _falling(series, x, tails[x]) or _given_up(series, x, learnt)
        if found:
            return found
    return ""


def _tails(series: Series) -> dict[float, Any]:
    """x -> one pair a seed."""
    found = series.settings.get("loss_tails")
    if not found or len(found) != len(series.points) or not all(all(pairs) for pairs in found):
        return {}
    return {point.x: pairs for point, pairs in zip(series.points, found, strict=True)}


def _falling(series: Series, x: float, tails: Sequence[tuple[float, float]]) -> str:
    for before, last in tails:
        if last > FLOOR and before - last > STANDS * before:
            share = (before - last) / before
            return (
                f"training was too short: at {words.of_name(series.axis)} {x:g} the loss of "
                f"{series.label} still fell by {share:.1%} in its last fifth"
            )
    return ""


def _given_up(series: Series, x: float, learnt: Sequence[float]) -> str:
    """Of trainings of their own at every point: whether the missed one was long enough."""
    taken = series.settings.get("steps_taken")
    if series.settings.get("train") != "each" or not taken:
        return ""
    steps = {point.x: each for point, each in zip(series.points, taken, strict=True)}
    if x in learnt:
        return ""
    slowest, here = max(max(steps[each]) for each in learnt), min(steps[x])
    if here >= PATIENCE * slowest:
        return ""
    return (
        f"training was too short: {series.label} at {words.of_name(series.axis)} {x:g} had "
        f"{words.plural(here, 'step')}, fewer than {PATIENCE} times the {slowest} that a learnt "
        "point took"
    )
