"""The claim that a recurrence which may turn its state over tracks what others cannot."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.memory import FAILS, SOLVES, above_chance
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import SEEDS, curve, judgement, verdict
from seqarena.core.results.estimates import Estimate
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

PLAIN = "deltanet"
SIGNED = "deltanet+negative_eigenvalues=true"


def _parity_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    seconds = {PLAIN: 50, SIGNED: 16}
    return [
        part("trained.length:length_generalisation", seconds[name] if quick else 3000,
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
        f"with eigenvalues in [0, 1] DeltaNet gets {_share(plain)} of the way from guessing to "
        f"right at the lengths that it was trained on and {_share(plain_beyond)} at longer ones, "
        f"with eigenvalues in [-1, 1] {_share(signed)} and {_share(signed_beyond)}",
        f"parity, share of the way at the trained length and beyond it: in [0, 1] {plain} and "
        f"{plain_beyond}, in [-1, 1] {signed} and {signed_beyond}",
        signed,
        "it is learnt, and does not last as the strings grow longer"
        if learns and not carries else "",
        "a parity is one state that flips, and what is never multiplied by a negative number "
        "cannot flip" if learns and fails else "",
    )  # fmt: skip


def _share(found: Estimate) -> str:
    """For a sentence: below guessing is none of the way."""
    return f"{max(found.value, 0.0):.0%}"


TRACKING = Claim(
    name="parity-eigenvalues",
    title="A linear recurrence tells odd from even once its memory may flip its sign, not before",
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

CLAIMS = (TRACKING,)
