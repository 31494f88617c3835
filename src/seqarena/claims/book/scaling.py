"""Claims about loss against size."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.enough import ENOUGH_TRAINING, still_falling
from seqarena.claims.judging import SEEDS, curve, difference, judgement, last, plain, settled
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate, exponent, mean
from seqarena.core.results.measurement import Measurement, Point
from seqarena.core.results.verdicts import Judgement

AHEAD = 0.02  # bits per byte
STEEPER = 0.01  # in the exponent
BOTH = ("lstm", "attention")
RUNGS = {
    "quick": (12_000, 24_000, 48_000, 96_000),
    "full": (12_000, 30_000, 75_000, 190_000, 470_000),
}
TOKENS_A_PARAMETER = {"quick": 5, "full": 10}
LENGTH, BATCH = {"quick": 64, "full": 128}, 16


def ladder(scale: Scale, *architectures: str) -> list[Part]:
    """Rungs of which each has more parameters, and as many more tokens to train on."""
    quick, tokens = scale == "quick", BATCH * LENGTH[scale]
    steps = [round(TOKENS_A_PARAMETER[scale] * params / tokens) for params in RUNGS[scale]]
    return [
        part("trained.experiments:language", 40 if quick else 6000, architecture=name,
             sizes=[{"params": params} for params in RUNGS[scale]], steps=steps, batch_size=BATCH,
             sequence_length=LENGTH[scale], seeds=[0, 1, 2] if quick else [0, 1, 2, 3, 4],
             learning_rates=[5e-3] if quick else [1e-3, 3e-3, 1e-2])
        for name in architectures
    ]  # fmt: skip


def _size_parts(scale: Scale) -> list[Part]:
    if scale == "quick":
        return ladder(scale, *BOTH)
    return [
        part("trained.experiments:language", 18000, architecture=name,
             sizes=[{"params": params} for params in (6_000, 12_000, 24_000, 48_000, 96_000)],
             steps=8000, sequence_length=128, batch_size=BATCH, seeds=[0, 1, 2],
             learning_rates=[1e-3, 3e-3, 1e-2])
        for name in BOTH
    ]  # fmt: skip


def judge_sizes(records: Sequence[Measurement]) -> Judgement:
    series = {name: curve(records, "bits_per_byte", name) for name in BOTH}
    slopes = {name: exponent(one) for name, one in series.items()}
    gap = difference(last(series["lstm"]), last(series["attention"]))
    ends = {name: mean(last(one)) for name, one in series.items()}
    largest = last(series["attention"]).x
    figure = (
        f"bits per byte ~ N^p: attention {slopes['attention']}, LSTM {slopes['lstm']}; at "
        f"{largest:,.0f} parameters attention {ends['attention']}, LSTM {ends['lstm']}"
    )
    if why := next(filter(None, map(still_falling, series.values())), ""):
        return judgement("not measured yet", why, f"{why}; {figure}", gap)
    steeper = slopes["attention"].value <= slopes["lstm"].value - STEEPER
    found, said = settled(gap, AHEAD, limits=steeper)
    if found == "holds" and not steeper:
        found = "holds within limits"
    return judgement(
        found,
        f"each doubling of the size multiplies attention's bits by "
        f"{2 ** slopes['attention'].value:.3f} and the LSTM's by {2 ** slopes['lstm'].value:.3f}; "
        f"at {largest:,.0f} parameters attention needs {ends['attention'].value:.2f} bits a byte "
        f"and the LSTM {ends['lstm'].value:.2f}",
        figure,
        gap,
        said if found != "does not hold" else "",
        "attention's loss falls faster with size without being lower yet"
        if steeper and gap.value < AHEAD else "",
        "small models, equal steps, one text; published comparisons differ at sizes and on data "
        "that are not in reach here",
    )  # fmt: skip


SIZES = Claim(
    name="loss-by-size",
    title="As models grow, attention improves faster than a recurrent network",
    words="Of models of the same size, trained to the end, attention's loss falls faster with size "
    "than a recurrent network's.",
    source="Kaplan et al. 2020, figure 7; introductory texts",
    experiment="Bits per byte on the embedded text at rising parameter counts, LSTM and attention, "
    "with a power law fitted through each. In full after equal steps; the quick scale reads the "
    "short trainings of at-scale.",
    criterion=f"Holds when attention's fitted exponent is lower by at least {STEEPER} and at the "
    f"largest size it is ahead by at least {AHEAD} bits, beyond the seeds' doubt. Within limits "
    f"when one of the two is so. {ENOUGH_TRAINING}.",
    parts=_size_parts,
    judge=judge_sizes,
    amended="That training must have ended was asked after runs whose losses still fell. The full "
    "sizes became smaller and the steps more, so that they can end.",
    repeats={"bits_per_byte": SEEDS},
)

RECURRENT = ("lstm", "gru")
FEWEST_RUNGS = 4
TARGET = 10.0  # times the largest rung


class Gap(NamedTuple):
    """Attention's bits minus the best recurrent network's, at one rung."""

    parameters: float
    tokens: float
    bits: Estimate  # negative: attention is ahead


def gaps_of(records: Sequence[Measurement]) -> list[Gap]:
    """The ladder, from the smallest rung. The best recurrent network is that of each rung; rungs
    are matched by their place, since sizes agree within the solver's 1 %. Raises UserError where
    the ladders differ or tokens do not grow with the size."""
    series = {name: curve(records, "bits_per_byte", name) for name in ("attention", *RECURRENT)}
    rungs = {name: sorted(one.points, key=lambda p: p.x) for name, one in series.items()}
    tokens = series["attention"].settings.get("tokens", ())
    if len({len(points) for points in rungs.values()}) != 1 or any(
        one.settings.get("tokens", ()) != tokens for one in series.values()
    ):
        raise UserError("the ladders of the architectures differ")
    if list(tokens) != sorted(set(tokens)) or len(tokens) != len(rungs["attention"]):
        raise UserError("tokens do not grow with the size along the ladder")
    return [
        Gap(point.x, seen, _behind_the_best(point, {n: rungs[n][i] for n in RECURRENT}))
        for i, (point, seen) in enumerate(zip(rungs["attention"], tokens, strict=True))
    ]


def _behind_the_best(point: Point, others: Mapping[str, Point]) -> Estimate:
    best = min(others.values(), key=lambda other: mean(other).value)
    return difference(point, best)


def extrapolated(gaps: Sequence[Gap], times: float = TARGET) -> Estimate:
    """The gap at so many times the largest rung's parameters: a straight line over their logarithm
    through the rungs' means, with the 95 % interval of a further rung. What bends away from the
    line widens it. Raises UserError for fewer than four rungs."""
    if len(gaps) < FEWEST_RUNGS:
        raise UserError(f"a ladder needs {FEWEST_RUNGS} sizes, here are {len(gaps)}")
    x = np.log([gap.parameters for gap in gaps])
    y = np.array([gap.bits.value for gap in gaps])
    line: Any = stats.linregress(x, y)
    target = float(np.log(gaps[-1].parameters * times))
    free = len(gaps) - 2
    residual = math.sqrt(float(np.square(y - line.intercept - line.slope * x).sum()) / free)
    off = (target - float(x.mean())) ** 2 / float(np.square(x - x.mean()).sum())
    half = float(stats.t.ppf(0.975, free)) * residual * math.sqrt(1 + 1 / len(gaps) + off)
    value = float(line.intercept + line.slope * target)
    return Estimate(value=value, low=value - half, high=value + half)


def judge_gaps(gaps: Sequence[Gap]) -> Judgement:
    """The verdict of a ladder of gaps, whoever measured it."""
    there, end = extrapolated(gaps), gaps[-1].bits
    figure = (
        "attention minus the best recurrent network, bits per byte: "
        + ", ".join(f"{gap.bits} at {gap.parameters:,.0f}" for gap in gaps)
        + f"; carried on to {TARGET:g} times the size {there}"
    )
    ahead = "ahead" if end.value < 0 else "behind"
    answer = (
        f"at {gaps[-1].parameters:,.0f} parameters attention is {plain(abs(end.value))} bits a "
        f"byte {ahead}, and carried on to {TARGET:g} times the size it is between "
        f"{_side(there.low)} and {_side(there.high)}"
    )
    doubt = "a line through few small rungs; one text"
    if there.high < 0 and end.value < 0:
        return judgement("holds", answer, figure, there, doubt)
    if there.low > 0:
        return judgement("does not hold", answer, figure, there, doubt)
    if end.high < 0:
        return judgement(
            "holds within limits", answer, figure, there,
            "it is ahead at the largest size that was measured; what comes after cannot be told",
            doubt,
        )  # fmt: skip
    return judgement(
        "not measured yet", f"cannot be told from this ladder: {answer}", figure, there,
        "larger rungs narrow the interval", doubt,
    )  # fmt: skip


def _side(bits: float) -> str:
    return f"{plain(abs(bits))} {'ahead' if bits < 0 else 'behind'}"


def judge_at_scale(records: Sequence[Measurement]) -> Judgement:
    return judge_gaps(gaps_of(records))


AT_SCALE = Claim(
    name="at-scale",
    title="At scale no recurrent network catches up with the Transformer",
    words="The loss curve of Transformers remains better than that of any recurrent baseline at "
    "scale.",
    source="introductory texts, which cite no measurement; Kaplan et al. 2020, figure 7",
    experiment="A ladder of sizes, each with as many more tokens to train on: bits per byte of "
    f"attention and of the best of {' and '.join(RECURRENT)} at each rung, the gap seed by seed, "
    f"and a straight line of the gap over the logarithm of the size, carried on to {TARGET:g} "
    "times the largest.",
    criterion=f"Holds when attention is ahead at the largest of at least {FEWEST_RUNGS} sizes and "
    f"the 95 % interval of the gap at {TARGET:g} times that size lies on its side of zero; does "
    "not hold when the interval lies on the other. Within limits when attention is ahead at the "
    "largest size, beyond the seeds' doubt, and the interval contains zero. Else it cannot be "
    "told.",
    parts=lambda scale: ladder(scale, "attention", *RECURRENT),
    judge=judge_at_scale,
    repeats={"bits_per_byte": SEEDS},
)

CLAIMS = (SIZES, AT_SCALE)
