"""The claim that the dependency of one step on the one before cannot be eliminated."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.recurrence import TIMED
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import SEEDS, curve, judgement, plain, verdict
from seqarena.core.results.estimates import at, exponent, mean
from seqarena.core.results.measurement import Measurement, Series
from seqarena.core.results.verdicts import Judgement

CELLS = ("elman", "gru", "lstm")
STEPPING = ("fused", "stepwise")  # algorithms that take one position after the other
GROWING = 0.5  # exponent of the rounds: nearer to one a position than to a fixed number
EQUAL = 1e-8  # largest difference from the loop in float64 that counts as the same function
WIDTH = 16  # features of the layer: a dense Jacobian is small


def _parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    solved = [
        part("trained.rounds:rounds", 8 if quick else 60, architecture=name, width=WIDTH,
             lengths=[64, 256, 1024, 4096] if quick else [64, 256, 1024, 4096, 16384],
             steps=150 if quick else 600)
        for name in CELLS
    ]  # fmt: skip
    timed = [
        part("costs.scaling:speed", 5 if quick else 120, alone=True, architecture=name,
             variant=algorithm, options={"algorithm": algorithm}, what=["training"], width=WIDTH,
             lengths=[512, 2048] if quick else [256, 1024, 4096, 16384], threads=1, depth=1,
             repeats=3 if quick else 5, seconds=0.3 if quick else 2.0)
        for name in CELLS for algorithm in ("newton", *STEPPING)
    ]  # fmt: skip
    return [*solved, *timed]


def judge_dependency(records: Sequence[Measurement]) -> Judgement:
    rounds = {name: curve(records, "newton_rounds", name) for name in CELLS}
    growth = {name: exponent(series) for name, series in rounds.items()}
    apart = max(_largest(curve(records, "output_difference", name)) for name in CELLS)
    faster = {name: _fastest(records, name) for name in CELLS}
    best = max(faster, key=lambda name: faster[name][0])
    gain, place = faster[best]
    stays = [name for name in CELLS if growth[name].value >= GROWING]
    eliminated = not stays and apart <= EQUAL
    longest = max(point.x for point in rounds["lstm"].points)
    most = max(max(at(series, longest).repeats) for series in rounds.values())
    grown = max(growth, key=lambda name: growth[name].value)
    said = ", ".join(f"{name} {found}" for name, found in growth.items())
    return judgement(
        verdict(not eliminated, gain <= 1),
        f"all {longest:,.0f} steps of Elman, GRU and LSTM are solved side by side in "
        f"{most:,.0f} rounds or fewer of Newton's method, and twice the length takes up to "
        f"{plain(2 ** growth[grown].value)} times the rounds; a training step is at best "
        f"{plain(gain)} times as fast as step by step ({best}, {place:,.0f} positions)",
        f"rounds ~ T^p: {said}; largest difference from the loop {apart:.1g} in float64; speed "
        "over the faster of kernel and stepwise form at best "
        + ", ".join(f"{name} {plain(found[0])}" for name, found in faster.items()),
        growth[grown],
        f"the rounds of {', '.join(stays)} grow with the length" if stays else "",
        "one layer of width 16, trained shortly; where small differences grow from step to step "
        "(a chaotic network) the rounds approach one a position, and Newton's method is refused",
        "each round solves a linear recurrence, whose work grows as the cube of the width",
    )


def _largest(series: Series) -> float:
    return max(max(point.repeats) for point in series.points)


def _fastest(records: Sequence[Measurement], name: str) -> tuple[float, float]:
    """The best speed of newton over the fastest algorithm that steps, and at which length."""
    newton, *stepping = (
        curve(records, "training_step_seconds", name, form) for form in ("newton", *STEPPING)
    )
    return max(
        (min(mean(at(form, p.x)).value for form in stepping) / mean(p).value, p.x)
        for p in newton.points
    )


DEPENDENCY = Claim(
    name="sequential-dependency",
    title="No method can compute the steps of a recurrent network side by side",
    words="The hidden state of a step needs that of the step before; this sequential dependency is "
    "inherent and cannot be eliminated, whatever the hardware.",
    source="introductory texts; against it Lim et al. 2024, Gonzalez et al. 2024, Danieli et al. "
    "2025",
    experiment=f"A layer of Elman, GRU and LSTM of width {WIDTH}, trained shortly on the embedded "
    "text, over test text of rising length: rounds until Newton's method has solved for all states "
    "at once, and the largest difference from the loop, in float64. Seconds of a training step by "
    "it, by the library's kernel and by the stepwise form, alone on the machine.",
    criterion=f"Holds when for one of the three the rounds grow with the length by an exponent of "
    f"at least {GROWING}, or an output differs from the loop's by more than {EQUAL:g} (a solve "
    "that does not converge counts one round a position). Within limits when neither is so, but no "
    "training step of the three is faster than the faster of kernel and stepwise form at any "
    "length: the dependency can then be eliminated, and nothing is gained by it here.",
    parts=_parts,
    judge=judge_dependency,
    amended="The first form compared the time with the library's kernel alone, which for Elman and "
    "GRU is slower here than the form that steps in Python.",
    repeats={"newton_rounds": SEEDS, "output_difference": SEEDS, "training_step_seconds": TIMED},
)

CLAIMS = (DEPENDENCY,)
