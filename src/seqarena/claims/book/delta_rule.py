"""Claims about recurrences that overwrite: what they track, and what they recall."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.memory import FAILS, SOLVES, above_chance
from seqarena.claims.book.recall import KNEW, KNOWS, LOSES, UNDECIDED, lookup
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.enough import ENOUGH_RECALL, undertrained
from seqarena.claims.judging import SEEDS, curve, difference, judgement, last, settled, verdict
from seqarena.core.results.estimates import at, mean
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

PLAIN = "deltanet"
SIGNED = "deltanet+negative_eigenvalues=true"


def _parity_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.length:length_generalisation", 30 if quick else 3000,
             architecture=name, task="parity", train_length=24 if quick else 40, batch_size=64,
             factors=[1, 2, 4], steps=1000 if quick else 5000, width=32 if quick else 64, depth=2,
             learning_rates=[6e-3] if quick else [2e-3, 6e-3], seeds=[0, 1, 2])
        for name in (PLAIN, SIGNED)
    ]  # fmt: skip


def judge_tracking(records: Sequence[Measurement]) -> Judgement:
    (plain, plain_beyond), (signed, signed_beyond) = (
        above_chance(curve(records, "accuracy", name)) for name in (PLAIN, SIGNED)
    )
    learns, carries = (found.value >= SOLVES for found in (signed, signed_beyond))
    best = max(plain, plain_beyond, key=lambda found: found.value)
    fails = best.value <= FAILS
    return judgement(
        verdict(learns and carries and fails, learns and fails),
        f"with eigenvalues in [0, 1] DeltaNet gets {plain.value:.0%} of the way from guessing to "
        f"right at the lengths that it was trained on and {plain_beyond.value:.0%} at longer ones, "
        f"with eigenvalues in [-1, 1] {signed.value:.0%} and {signed_beyond.value:.0%}",
        f"parity, share of the way at the trained length and beyond it: in [0, 1] {plain} and "
        f"{plain_beyond}, in [-1, 1] {signed} and {signed_beyond}",
        signed,
        "it is learnt, and does not last as the strings grow longer"
        if learns and not carries else "",
        "a parity is one state that flips, and what is never multiplied by a negative number "
        "cannot flip" if learns and fails else "",
    )  # fmt: skip


TRACKING = Claim(
    name="state-tracking",
    title="A linear recurrence tracks a state that flips only with negative eigenvalues",
    words="Linear recurrences whose transition has eigenvalues in [0, 1] cannot compute the parity "
    "of a string; letting them lie in [-1, 1] is all that it takes.",
    source="Grazzi et al. 2024; Sarrof et al. 2024",
    experiment="Parity of bits by DeltaNet, trained on up to 24 symbols (in full 40) and asked at "
    "one, two and four times that: how far from guessing to always right, with the eigenvalues of "
    "its transition in [0, 1] and in [-1, 1], else the same.",
    criterion=f"Holds when with eigenvalues in [-1, 1] it is at least {SOLVES:.0%} of the way, at "
    "the trained length and on average of the longer ones, and with eigenvalues in [0, 1] at most "
    f"{FAILS:.0%} at either. Within limits when that is so of [0, 1], and of [-1, 1] at the "
    "trained length.",
    parts=_parity_parts,
    judge=judge_tracking,
    amended="Single seeds at lengths of 8 to 40 were tried before this criterion was written, to "
    "find steps within which it is learnt; its bounds are those of the claim attention-always.",
    repeats={"accuracy": SEEDS},
)

DELTA = "gated_delta"


def judge_delta(records: Sequence[Measurement]) -> Judgement:
    names = ("attention", "linear_attention", DELTA)
    found = {name: curve(records, "accuracy", name) for name in names}
    pairs = last(found["attention"]).x
    right = {name: at(series, pairs) for name, series in found.items()}
    level = {name: mean(point).value for name, point in right.items()}
    figure = f"recall at {pairs:g} pairs: " + ", ".join(
        f"{name} {mean(point)}" for name, point in right.items()
    )
    if level["attention"] < KNOWS:
        return judgement("not measured yet", UNDECIDED, f"{UNDECIDED}; {figure}")
    gap = difference(right[DELTA], right["linear_attention"])
    gained, said = settled(gap, LOSES)
    as_attention = level["attention"] - level[DELTA] < LOSES
    lacking = DELTA if gained == "does not hold" else "linear_attention"
    why = undertrained(found[lacking], solved=KNOWS, begun=KNEW) if level[lacking] < KNOWS else ""
    if why:
        return judgement("not measured yet", why, f"{why}; {figure}", gap)
    if gained == "holds" and not as_attention:
        gained = "holds within limits"
    return judgement(
        gained,
        f"with {pairs:g} pairs to keep, a state that is overwritten answers {level[DELTA]:.0%}, "
        f"one that is added to {level['linear_attention']:.0%}, attention "
        f"{level['attention']:.0%}",
        figure,
        gap,
        said,
        "" if as_attention else "attention recalls more still",
    )


RECALL = Claim(
    name="delta-recall",
    title="Overwriting by the delta rule recalls more than adding up",
    words="Linear attention adds every pair to its state until they blur; the delta rule erases "
    "what a key held before it writes, and so recalls nearly as attention does.",
    source="Schlag et al. 2021; Yang et al. 2024 (DeltaNet, Gated DeltaNet)",
    experiment=f"Multi-query associative recall at equal width: accuracy at the most pairs of "
    f"{DELTA}, of linear attention and of attention.",
    criterion=f"Holds when {DELTA} is right at least {LOSES} more often than linear attention, "
    f"beyond the seeds' doubt, and less than {LOSES} less often than attention. Within limits "
    f"when the first alone is so, or by the mean alone. Not measured where attention is right in "
    f"less than {KNOWS:.0%}. {ENOUGH_RECALL}",
    parts=lambda scale: lookup(scale, "attention", "linear_attention", DELTA),
    judge=judge_delta,
    repeats={"accuracy": SEEDS},
)

CLAIMS = (TRACKING, RECALL)
