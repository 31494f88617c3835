"""Claims about what does not grow with the length: of linear attention and the delta rule, of
sparse attention, and of hybrids. All of their rows are counted by formula."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.recurrence import FLAT
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import (
    SEEDS,
    curve,
    difference,
    judgement,
    last,
    plain,
    settled,
    verdict,
)
from seqarena.core import words
from seqarena.core.results.estimates import Estimate, exponent, mean, ratio
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

STEP = 1.2  # exponent of the length up to which work counts as linear
COUNTED_LENGTHS = (1024, 2048, 4096, 8192, 16384)

ADDING = ("linear_attention", "retnet", "gla", "hgrn2", "mlstm", "based", "lightning_attention",
          "rwkv6")  # fmt: skip
OVERWRITING = ("deltanet", "gated_delta", "delta_product", "kimi_delta", "gated_delta2", "rwkv7")
SPARSE = ("sparse_attention", "sliding_window", "longformer", "bigbird", "attention_sinks")
DENSE = ("latent_attention", "forgetting_attention")  # they keep less, or forget, and see all
HYBRIDS = ("griffin", "jamba", "samba", "qwen3_next")


def counts(*architectures: str, algorithm: str = "auto") -> Part:
    """Their operations, serial steps and state by formula; the same at both scales."""
    return part("costs.counted:counted", 3, architectures=list(architectures),
                lengths=list(COUNTED_LENGTHS), algorithm=algorithm)  # fmt: skip


def growth(
    records: Sequence[Measurement], quantity: str, architectures: Sequence[str]
) -> dict[str, Estimate]:
    """The exponent of the length of each."""
    return {name: exponent(curve(records, quantity, name)) for name in architectures}


def most(found: dict[str, Estimate]) -> str:
    """The name with the largest value."""
    return max(found, key=lambda name: found[name].value)


def beyond(found: dict[str, Estimate], limit: float) -> list[str]:
    """The names whose value lies above `limit`."""
    return [name for name, each in found.items() if each.value > limit]


def exponents(found: dict[str, Estimate]) -> str:
    """Each with its name."""
    return ", ".join(f"{name} {round(each.value, 2) + 0.0:.2f}" for name, each in found.items())


def judge_fixed(records: Sequence[Measurement]) -> Judgement:
    names = (*ADDING, *OVERWRITING)
    work, state = (growth(records, q, names) for q in ("forward_flops", "state_bytes"))
    attention = exponent(curve(records, "state_bytes", "attention"))
    bad = {*beyond(work, STEP), *beyond(state, FLAT)}
    good = len(names) - len(bad)
    return judgement(
        verdict(not bad, 2 * good >= len(names)),
        f"with twice the length the work of {good} of {len(names)} forms of linear attention and "
        f"the delta rule is at most doubled, or nearly so, and their state stays as it is; the "
        f"most work grows {plain(2 ** work[most(work)].value)} times ({most(work)}), the most "
        f"state {plain(2 ** state[most(state)].value)} times ({most(state)}), attention's "
        f"{plain(2**attention.value)} times",
        f"operations ~ T^p: {exponents(work)}; decoding state ~ T^p: {exponents(state)}, attention "
        f"{attention}",
        state[most(state)],
        f"not so of {words.listed(sorted(bad))}" if bad else "",
        "by the formulas, which the tests hold against what a run executes and keeps; what a state "
        "of fixed size forgets is another claim",
    )


FIXED_STATE = Claim(
    name="fixed-state",
    title="Linear attention and the delta rule keep a memory that never grows",
    words="Attention without the softmax is a recurrence over a matrix: its work is linear in the "
    "length, and what it keeps of the past never grows, whether it adds to the matrix or "
    "overwrites it.",
    source="Katharopoulos et al. 2020; Sun et al. 2023 (RetNet); Yang et al. 2024 (GLA, DeltaNet); "
    "Peng et al. 2025 (RWKV-7)",
    experiment=f"Forward operations and bytes of the decoding state by formula, at "
    f"{COUNTED_LENGTHS[0]:,} to {COUNTED_LENGTHS[-1]:,} positions, of "
    f"{words.listed([*ADDING, *OVERWRITING])}, and attention's state.",
    criterion=f"Holds when of every one of them the operations grow with an exponent of at most "
    f"{STEP} and the state with at most {FLAT}. Within limits when that is so of at least half.",
    parts=lambda scale: [counts(*ADDING, *OVERWRITING), counts("attention")],
    judge=judge_fixed,
    chart="state_bytes",
)


def judge_sparse(records: Sequence[Measurement]) -> Judgement:
    work, state = (growth(records, q, SPARSE) for q in ("forward_flops", "state_bytes"))
    quadratic = growth(records, "forward_flops", ("attention", *DENSE))
    dear, kept = beyond(work, STEP), beyond(state, FLAT)
    whole = last(curve(records, "state_bytes", "attention"))
    latent = ratio(last(curve(records, "state_bytes", "latent_attention")), whole)
    both = [name for name in SPARSE if name not in {*dear, *kept}]
    return judgement(
        verdict(not dear and not kept, not dear or bool(both)),
        f"with twice the length the work of sparse patterns grows up to "
        f"{plain(2 ** work[most(work)].value)} times ({most(work)}) and attention's "
        f"{plain(2 ** quadratic['attention'].value)} times; what decoding keeps stays bounded in "
        f"{words.listed(both) if both else 'none of them'}",
        f"operations ~ T^p: {exponents(work)}, {exponents(quadratic)}; decoding state ~ T^p: "
        f"{exponents(state)}; latent attention keeps {latent.value:.2f} of attention's bytes",
        work[most(work)],
        f"the work of {words.listed(dear)} grows faster than linearly" if dear else "",
        f"{words.listed(kept)} may look back to any position and so keep{'s' * (len(kept) == 1)} "
        "them all" if kept else "",
        "latent attention keeps less of every position and forgetting attention weighs the far "
        "ones down; both look at all of them",
    )  # fmt: skip


SPARSE_FORMS = Claim(
    name="sparse-attention",
    title="Attention that looks at few positions is cheap, and need not keep them all",
    words="Attention over a window, a few first positions, strides or random blocks costs work "
    "linear in the length, and need not keep every position.",
    source="Child et al. 2019; Beltagy et al. 2020; Zaheer et al. 2020; Xiao et al. 2024",
    experiment=f"Forward operations and bytes of the decoding state by formula, at "
    f"{COUNTED_LENGTHS[0]:,} to {COUNTED_LENGTHS[-1]:,} positions, of {words.listed(SPARSE)}; "
    f"beside them attention, {words.listed(DENSE)}.",
    criterion=f"Holds when of every pattern the operations grow with an exponent of at most {STEP} "
    f"and the state with at most {FLAT}. Within limits when the operations of all do, or both of "
    "one pattern.",
    parts=lambda scale: [counts(*SPARSE, *DENSE), counts("attention")],
    judge=judge_sparse,
    chart="forward_flops",
)

# The layers of Samba in the block of their parts
MIXED, PARTS = "mamba:sliding_window", ("mamba", "sliding_window")
HALF = 0.5  # of the bytes of as many layers of attention
FEWER = 0.02  # bits per byte


def _hybrid_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    seconds = {MIXED: 14, "mamba": 15, "sliding_window": 10}
    trained = [
        part("trained.experiments:language", seconds[name] if quick else 3600, architecture=name,
             sizes=[{"params": 60_000 if quick else 1_000_000}], steps=200 if quick else 4000,
             seeds=[0, 1, 2] if quick else [0, 1, 2, 3, 4], learning_rates=[3e-3])
        for name in (MIXED, *PARTS)
    ]  # fmt: skip
    return [*trained, counts("attention"), counts(*HYBRIDS)]


def _share_of_state(records: Sequence[Measurement], name: str) -> float:
    """Its state over that of as many layers of attention, at the longest."""
    hybrid = curve(records, "state_bytes", name)
    one_layer = mean(last(curve(records, "state_bytes", "attention"))).value
    return mean(last(hybrid)).value / (one_layer * hybrid.settings.get("depth", 1))


def judge_hybrids(records: Sequence[Measurement]) -> Judgement:
    shares = {name: _share_of_state(records, name) for name in HYBRIDS}
    bits = {name: last(curve(records, "bits_per_byte", name)) for name in (MIXED, *PARTS)}
    gaps = {name: difference(bits[name], bits[MIXED]) for name in PARTS}
    rival = min(gaps, key=lambda name: gaps[name].value)
    better, said = settled(gaps[rival], FEWER)
    dearest = max(shares, key=lambda name: shares[name])
    small = shares[dearest] <= HALF
    return judgement(
        verdict(small and better == "holds", small or better == "holds"),
        f"hybrids keep at most {shares[dearest]:.2g} of what attention alone keeps ({dearest}), "
        f"and layers of {' and '.join(PARTS)} in turn need {plain(abs(gaps[rival].value))} bits a "
        f"byte {'fewer' if gaps[rival].value > 0 else 'more'} than {rival} alone",
        "state over that of attention alone: "
        + ", ".join(f"{name} {share:.2g}" for name, share in shares.items())
        + "; bits per byte: "
        + ", ".join(f"{name} {mean(point)}" for name, point in bits.items()),
        gaps[rival],
        said,
        "" if better != "does not hold" else f"the mixture is not better than its parts by {FEWER}",
        "on one small text after few steps, where what learns fast leads",
        "" if small else f"{dearest} keeps more than {HALF:g} of attention's state",
    )


HYBRID = Claim(
    name="hybrids",
    title="A hybrid predicts better than its parts, at a fraction of attention's memory",
    words="A few layers of attention among recurrent ones predict better than either alone, and "
    "keep a fraction of what a Transformer keeps.",
    source="De et al. 2024 (Griffin); Lieber et al. 2024 (Jamba); Ren et al. 2024 (Samba); Qwen "
    "Team 2025 (Qwen3-Next)",
    experiment=f"Bytes of the decoding state by formula of {words.listed(HYBRIDS)} at "
    f"{COUNTED_LENGTHS[-1]:,} positions, over those of as many layers of attention; bits per byte "
    f"of {words.listed(PARTS)} and of one layer of each in turn, as in Samba, on the embedded text "
    "after equal steps, at equal size.",
    criterion=f"Holds when {MIXED} needs at least {FEWER} bits a byte fewer than each of "
    f"{words.listed(PARTS)}, beyond the seeds' doubt, and every hybrid keeps at most {HALF:g} of "
    "attention's bytes. Within limits when one of the two is so.",
    parts=_hybrid_parts,
    judge=judge_hybrids,
    amended="The first form trained Samba itself for 150 steps, whose norms and channel mixers are "
    "not those of its parts (it needed .6 bits more than Mamba). The same layers in the same "
    "block, and 200 steps, replaced it; the bounds are the old ones.",
    repeats={"bits_per_byte": SEEDS},
)

CLAIMS = (FIXED_STATE, SPARSE_FORMS, HYBRID)
