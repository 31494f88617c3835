"""Claims about how far back a model remembers, and how much."""

import math
from collections.abc import Callable, Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, difference, judgement, last, settled, verdict
from seqarena.core.results.estimates import Estimate, at, mean, reach
from seqarena.core.results.measurement import Measurement, Series
from seqarena.core.results.verdicts import Judgement

LEARNT = 0.9  # accuracy at which a distance counts as remembered


def _remembering(scale: Scale, *architectures: str) -> list[Part]:
    """Repeat two symbols out of four after a blank stretch; a model trained at each distance. The
    quick scale has one rate for each, at which the network learns soonest
    (measure/trained/recall.py)."""
    quick = scale == "quick"
    return [
        part("trained.recall:recall", 25 if quick else 3600, architecture=name, task="copying",
             distances=[2, 5, 10, 20, 40] if quick else [2, 5, 10, 20, 40, 80, 160, 320, 640, 1000],
             steps=400 if quick else 4000, width=64, depth=1,
             learning_rates=[1e-2 if name == "lstm" else 3e-3] if quick else [1e-3, 3e-3, 1e-2],
             seeds=[0, 1] if quick else [0, 1, 2, 3, 4], give_up_after=1 if quick else 2)
        for name in architectures
    ]  # fmt: skip


def at_least(series: Series, found: Estimate) -> str:
    """The reach in words: an end of the curve is a lower bound."""
    bound = "at least " if found.value and found.value == last(series).x else ""
    return f"{bound}{found}"


VANILLA = (5, 20)


def judge_vanilla(records: Sequence[Measurement]) -> Judgement:
    series = {name: curve(records, "accuracy", name) for name in ("elman", "irnn")}
    found = {name: reach(one, LEARNT) for name, one in series.items()}
    low, high = VANILLA
    inside, beyond = low <= found["elman"].value <= high, found["irnn"].value > high
    said = ", ".join(f"{name} {at_least(series[name], found[name])}" for name in found)
    return judgement(
        verdict(inside and not beyond, inside),
        f"reach in steps at {LEARNT:.0%}: {said}",
        found["elman"],
        "the same network with identity initialisation and ReLU goes farther: it is the "
        "initialisation, not the recurrence" if beyond else "",
        "the least distance that was asked is not learnt: with few steps the reach is that of the "
        "training, not of the network" if found["elman"].value == 0 else "",
        "the reach depends on the task, the steps of training and the size",
    )  # fmt: skip


VANILLA_CONTEXT = Claim(
    name="vanilla-context",
    title="A plain recurrent network remembers 5 to 20 steps",
    words="Because of vanishing gradients a plain recurrent network learns no dependency longer "
    "than about 5 to 20 steps.",
    source="Bengio et al. 1994; introductory texts",
    experiment="Copying two symbols across a blank stretch: the greatest distance up to which "
    f"accuracy is at least {LEARNT:.0%}, of an Elman network and of one with identity "
    "initialisation (Le et al. 2015).",
    criterion=f"Holds when the Elman network's reach is {VANILLA[0]} to {VANILLA[1]} and identity "
    f"initialisation does not go beyond {VANILLA[1]}. Within limits when it does.",
    parts=lambda scale: _remembering(scale, "elman", "irnn"),
    judge=judge_vanilla,
)

LONG = (100, 1000)
BETTER = 2.0  # times the Elman network's reach


def judge_lstm(records: Sequence[Measurement]) -> Judgement:
    series = {name: curve(records, "accuracy", name) for name in ("lstm", "elman")}
    found = {name: reach(one, LEARNT) for name, one in series.items()}
    lstm, elman = found["lstm"].value, found["elman"].value
    said = ", ".join(f"{name} {at_least(series[name], found[name])}" for name in found)
    better = lstm > 0 and lstm >= BETTER * elman
    unseen = lstm < LONG[0] and lstm == last(series["lstm"]).x and not _gave_up(series["lstm"])
    return judgement(
        verdict(LONG[0] <= lstm <= LONG[1], better or unseen),
        f"reach in steps at {LEARNT:.0%}: {said}",
        found["lstm"],
        "nothing farther was asked at this scale" if unseen else "",
        "learning to hold two symbols takes more steps of training the farther they are: with "
        "few steps the reach is that of the training, not of the cell" if lstm < LONG[0] else "",
    )  # fmt: skip


def _gave_up(series: Series) -> bool:
    """Whether distances were left out because nearer ones were not learnt."""
    return any(mean(point).value < LEARNT for point in series.points)


LSTM_CONTEXT = Claim(
    name="lstm-context",
    title="An LSTM remembers 100 to 1,000 steps",
    words="Gates let an LSTM learn dependencies across hundreds of steps, up to about a thousand.",
    source="Hochreiter and Schmidhuber 1997; introductory texts",
    experiment="Copying two symbols across a blank stretch: the reach of an LSTM beside an Elman "
    "network's.",
    criterion=f"Holds when the LSTM's reach is {LONG[0]} to {LONG[1]:,}. Within limits when it is "
    f"at least {BETTER:g} times the Elman network's, or all distances asked at this scale are "
    "remembered.",
    parts=lambda scale: _remembering(scale, "lstm", "elman"),
    judge=judge_lstm,
)

# The curves that introductory texts draw instead of measuring: accuracy by distance.
DRAWN: dict[str, Callable[[float], float]] = {
    "lstm": lambda distance: max(0.1, 0.9 * math.exp(-distance / 30)),
    "attention": lambda distance: max(0.85, 0.95 - 0.0005 * distance),
}
NEAR = 0.1  # in accuracy


def _drawn_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.recall:recall", 65 if quick else 1800, architecture=name, task="text_copy",
             distances=[9, 39, 89, 189], steps=120 if quick else 4000, width=64, depth=2,
             learning_rates=[3e-3] if quick else [1e-3, 3e-3],
             seeds=[0, 1] if quick else [0, 1, 2, 3, 4])
        for name in DRAWN
    ]  # fmt: skip


def judge_drawn(records: Sequence[Measurement]) -> Judgement:
    gaps = {
        name: {p.x: mean(p).value - line(p.x) for p in curve(records, "accuracy", name).points}
        for name, line in DRAWN.items()
    }
    worst = {name: max(found.values(), key=abs) for name, found in gaps.items()}
    near = {name: abs(gap) <= NEAR for name, gap in worst.items()}
    said = "; ".join(
        f"{name} " + ", ".join(f"{gap:+.2f} at {x:g}" for x, gap in found.items())
        for name, found in gaps.items()
    )
    largest = max(worst.values(), key=abs)
    return judgement(
        verdict(all(near.values()), any(near.values())),
        f"measured minus drawn accuracy: {said}",
        Estimate(value=largest, low=largest, high=largest),
        "the texts' curves are formulas of the distance, not measurements",
        "what is measured depends on the training: each point is a model trained for equal steps",
    )


DRAWN_CURVES = Claim(
    name="copy-curves",
    title="The curves of recall over distance that texts draw",
    words="Accuracy of copying across noise falls as 0.9 exp(-d/30), not below 0.1, for an LSTM, "
    "and as 0.95 - 0.0005 d, not below 0.85, for a Transformer.",
    source="introductory texts, which draw these curves by formula",
    experiment="Their own task: five of nine symbols, noise of the same alphabet, a delimiter, "
    "then the five; LSTM and attention trained at distances 9, 39, 89 and 189.",
    criterion=f"Holds when every measured mean lies within {NEAR} of the drawn curve. Within "
    "limits when that is so for one of the two.",
    parts=_drawn_parts,
    judge=judge_drawn,
)

KNOWS, LOSES = 0.8, 0.1
KNEW = 0.5  # what must have been there at the fewest pairs, to be lost
AMENDED_LOOKUP = (
    "The first runs decided by models of which none had learnt to look up. That attention must be "
    f"right in {KNOWS:.0%}, and others once in {KNEW:.0%}, was asked from then on; the steps and "
    "the number of pairs are those at which attention was seen to learn."
)
UNDECIDED = "not decided: attention has not learnt to look up within these steps"


def lookup(scale: Scale, *architectures: str) -> list[Part]:
    """Values of keys seen before, by the number of pairs, at equal width."""
    quick = scale == "quick"
    return [
        part("trained.recall:recall", 65 if quick else 3600, architecture=name, task="mqar",
             distances=[4, 8] if quick else [4, 8, 16, 32], steps=1200 if quick else 6000,
             width=64, depth=2, train="mixed", batch_size=32 if quick else 64, weight_decay=0.1,
             learning_rates=[5e-3] if quick else [1e-3, 3e-3, 1e-2],
             seeds=[0] if quick else [0, 1, 2],
             task_settings={} if quick else {"sequence_length": 128})
        for name in architectures
    ]  # fmt: skip


def judge_bottleneck(records: Sequence[Measurement]) -> Judgement:
    attention, lstm = (curve(records, "accuracy", name) for name in ("attention", "lstm"))
    few, many = min(p.x for p in lstm.points), last(lstm).x
    knows = mean(at(attention, many))
    figure = (
        f"at {many:g} pairs attention {knows}, LSTM {mean(at(lstm, many))}; the LSTM at {few:g} "
        f"pairs {mean(at(lstm, few))}"
    )
    if knows.value < KNOWS:
        return judgement("not measured yet", f"{UNDECIDED}: {figure}", knows)
    gap = difference(at(attention, many), at(lstm, many))
    fall = mean(at(lstm, few)).value - mean(at(lstm, many)).value
    found, said = settled(gap, LOSES)
    learnt = mean(at(lstm, few)).value >= KNEW
    if found == "holds" and (fall < LOSES or not learnt):
        found = "holds within limits"
    return judgement(
        found,
        figure,
        gap,
        said,
        "the LSTM is low at few pairs too: then it is learning to look up that fails here, not "
        "the room in its state" if not learnt or fall < LOSES <= gap.value else "",
        "one seed" if len(last(lstm).repeats) < 2 else "",
    )  # fmt: skip


BOTTLENECK = Claim(
    name="state-bottleneck",
    title="A state of fixed size is a bottleneck",
    words="A recurrent network puts everything into one vector of fixed size, so the more it has "
    "to keep the more it loses; attention keeps every position.",
    source="Bahdanau et al. 2015; Arora et al. 2024 (Zoology); introductory texts",
    experiment="Multi-query associative recall at equal width: accuracy by the number of pairs of "
    "a key and a value, LSTM beside attention.",
    criterion=f"Holds when at the most pairs attention is right in at least {KNOWS:.0%}, at least "
    f"{LOSES} more than the LSTM, and the LSTM, right in at least {KNEW:.0%} at the fewest pairs, "
    f"has lost at least {LOSES} since. "
    "Within limits when only the gap at the most pairs is there. Not decided when attention itself "
    "is below that.",
    parts=lambda scale: lookup(scale, "attention", "lstm"),
    judge=judge_bottleneck,
    amended=AMENDED_LOOKUP,
)

SOLVES, FAILS = 0.95, 0.2  # of the way from guessing to always right


def _trained(scale: Scale) -> int:
    """Length up to which parity is trained."""
    return 16 if scale == "quick" else 40


def _parity_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.length:length_generalisation", 30 if quick else 3600, architecture=name,
             task="parity", train_length=_trained(scale), batch_size=64,
             factors=[1, 2, 4, 16] if quick else [1, 1.6, 3.2, 6.4],
             steps=800 if quick else 10000, width=64, depth=1 if name == "lstm_plain" else 2,
             learning_rates=[1e-2] if quick else [1e-3, 3e-3, 1e-2],
             seeds=[0, 1] if quick else [0, 1, 2])
        for name in ("lstm_plain", "attention")
    ]  # fmt: skip


def _above_chance(series: Series) -> Estimate:
    """(accuracy - guess) / (1 - guess), averaged over the lengths beyond the first, the trained."""
    trained = min(point.x for point in series.points)
    guess = next(iter(series.baselines.values()))
    beyond = [
        Estimate(**{k: (getattr(mean(p), k) - g) / (1 - g) for k in ("value", "low", "high")})
        for p, g in zip(series.points, guess, strict=True)
        if p.x > trained
    ]
    return Estimate(
        **{k: sum(getattr(e, k) for e in beyond) / len(beyond) for k in ("value", "low", "high")}
    )


def judge_parity(records: Sequence[Measurement]) -> Judgement:
    found = {
        name: _above_chance(curve(records, "accuracy", name))
        for name in ("lstm_plain", "attention")
    }
    beaten = found["attention"].value >= found["lstm_plain"].value
    return judgement(
        verdict(found["attention"].value >= SOLVES, beaten),
        "parity beyond the trained lengths, share of the way from guessing to right: "
        f"attention {found['attention']}, LSTM {found['lstm_plain']}",
        found["attention"],
        f"the LSTM solves what attention does not (at most {FAILS})"
        if found["lstm_plain"].value >= SOLVES and found["attention"].value <= FAILS else "",
        "attention averages over positions, and a parity turns on each of them; one state that "
        "flips carries it to any length",
    )  # fmt: skip


PARITY = Claim(
    name="attention-always",
    title="Attention handles every dependency, however long",
    words="Since every position sees every other, a Transformer handles long dependencies better "
    "than any recurrent network.",
    source="introductory texts; against it: Hahn 2020, Deletang et al. 2023",
    experiment=f"Parity of bits, trained on up to {_trained('quick')} symbols (in full "
    f"{_trained('full')}), asked at up to 256: how far from guessing to always right, beyond the "
    "trained lengths, attention and a bare LSTM.",
    criterion=f"Holds when attention is at least {SOLVES:.0%} of the way. Within limits when it is "
    "at least as far as the LSTM.",
    parts=_parity_parts,
    judge=judge_parity,
)

CLAIMS = (VANILLA_CONTEXT, LSTM_CONTEXT, DRAWN_CURVES, BOTTLENECK, PARITY)
