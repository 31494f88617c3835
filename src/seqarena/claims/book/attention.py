"""Claims about what goes into a Transformer: positions, norms, heads."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, difference, judgement, last, settled, verdict
from seqarena.core.results.estimates import Estimate, at, mean, ratio
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

KEEPS, LITTLE = 1.02, 1.15  # bits per byte at the longest over those at the trained length
POSITIONS = ("attention_sinusoidal", "attention", "attention_alibi")


def _position_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.length:length_generalisation", 25 if quick else 2400, architecture=name,
             task="language", train_length=32 if quick else 128, factors=[1, 2, 4, 16],
             steps=250 if quick else 5000, width=64, depth=2, batch_size=16,
             learning_rates=[3e-3], seeds=[0, 1] if quick else [0, 1, 2])
        for name in POSITIONS
    ]  # fmt: skip


def judge_positions(records: Sequence[Measurement]) -> Judgement:
    found: dict[str, Estimate] = {}
    for name in POSITIONS:
        series = curve(records, "bits_per_byte", name)
        first = min(point.x for point in series.points)
        found[name] = ratio(last(series), at(series, first))
    own = found["attention_sinusoidal"]
    return judgement(
        verdict(own.value <= KEEPS, own.value <= LITTLE),
        f"bits per byte at the longest over the trained length: sinusoids {own}, rotary "
        f"{found['attention']}, linear biases {found['attention_alibi']}",
        own,
        "linear biases extrapolate where sinusoids do not"
        if found["attention_alibi"].value <= KEEPS < own.value else "",
        "the phases of long distances were never seen in training" if own.value > KEEPS else "",
    )  # fmt: skip


SINUSOIDS = Claim(
    name="sinusoids",
    title="Sinusoidal positions extrapolate to longer sequences",
    words="Sines and cosines let a Transformer work on sequences longer than it was trained on.",
    source="Vaswani et al. 2017, section 3.5; introductory texts; against it: Press et al. 2022",
    experiment="Bits per byte at 1, 2, 4 and 16 times the trained length: sinusoids, rotary "
    "positions and linear biases.",
    criterion=f"Holds when at the longest, sinusoids need at most {KEEPS:g} times the bits of the "
    f"trained length. Within limits up to {LITTLE:g} times.",
    parts=_position_parts,
    judge=judge_positions,
)

WORSE = 0.1  # bits per byte
DEPTHS = {"quick": (1, 8), "full": (2, 6, 12, 24)}


def _norm_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.experiments:language", 45 if quick else 5400, architecture="attention",
             variant=f"{where}-norm", model={"norm_position": where},
             sizes=[{"width": 32 if quick else 128, "depth": depth} for depth in DEPTHS[scale]],
             steps=150 if quick else 3000, seeds=[0, 1] if quick else [0, 1, 2],
             learning_rates=[3e-3])
        for where in ("pre", "post")
    ]  # fmt: skip


def judge_norms(records: Sequence[Measurement]) -> Judgement:
    pre, post = (
        curve(records, "bits_per_byte", "attention", f"{where}-norm") for where in ("pre", "post")
    )
    shallow, deep = min(p.x for p in pre.points), last(pre).x
    at_first = difference(at(post, shallow), at(pre, shallow))
    at_last = difference(at(post, deep), at(pre, deep))
    found, said = settled(at_last, WORSE)
    if found == "holds" and at_last.value - at_first.value < WORSE:
        found = "holds within limits"
    return judgement(
        found,
        f"post-norm minus pre-norm, bits per byte: {at_first} at {shallow:g} layer(s), {at_last} "
        f"at {deep:g}",
        at_last,
        said,
        "post-norm is worse at the least depth as well: not an effect of depth alone"
        if at_first.value >= WORSE else "",
        "at one learning rate with a short warm-up; a longer one helps post-norm",
    )  # fmt: skip


NORMS = Claim(
    name="norm-position",
    title="Norms before each part train deep, norms after do not",
    words="Layer normalisation with residuals makes deep stacks trainable; placed after each part "
    "as first published, depth makes training hard, and before it, it does not.",
    source="Vaswani et al. 2017; Xiong et al. 2020; introductory texts on residuals and norms",
    experiment="Bits per byte after equal steps by depth, norms before and after, else the same.",
    criterion=f"Holds when at the greatest depth post-norm is worse by at least {WORSE} bits, "
    f"beyond the seeds' doubt, and by at least {WORSE} more than at the least depth. Within "
    "limits when it is worse at the greatest depth alone by the mean, or at the least as well.",
    parts=_norm_parts,
    judge=judge_norms,
)

APART = 2.0  # times as far from one another as before training
DIFFER = 0.1  # bits


LOOKING = ("attention", "lstm", "mamba")  # of whom the page gets maps of one sentence


def _head_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("flow.heads:head_divergence", 45 if quick else 3600, steps=250 if quick else 8000,
             width=64 if quick else 128, depth=2 if quick else 4,
             seeds=[0, 1] if quick else [0, 1, 2]),
        part("flow.maps:language_maps", 45 if quick else 3600, architectures=list(LOOKING),
             steps=150 if quick else 5000, width=64, depth=1 if quick else 2),
    ]  # fmt: skip


def judge_heads(records: Sequence[Measurement]) -> Judgement:
    before, after = (
        curve(records, "head_divergence_bits", "attention", variant)
        for variant in ("initial", "trained")
    )
    best = max(after.points, key=lambda point: mean(point).value)
    gap = difference(best, at(before, best.x))
    times = mean(best).value / max(mean(at(before, best.x)).value, 1e-9)
    found, said = settled(gap, DIFFER)
    if found == "holds" and times < APART:
        found = "holds within limits"
    return judgement(
        found,
        f"mean divergence between heads of layer {best.x:g}: {mean(best)} bits after training, "
        f"{mean(at(before, best.x))} before",
        mean(best),
        said,
        "heads come to look at different places; that a head means something in grammar is not "
        "measured, and many can be taken away without loss (Michel et al. 2019)",
    )


HEADS = Claim(
    name="heads",
    title="Heads specialise",
    words="Heads of one layer learn different kinds of relation between positions.",
    source="Vaswani et al. 2017, appendix; Clark et al. 2019; introductory texts",
    experiment="Jensen-Shannon divergence between the attention of every two heads of a layer, "
    "averaged over positions of a test text, before and after training on the embedded text. Maps "
    "of one sentence stand beside it, attention's and the influence in models without it.",
    criterion=f"Holds when in some layer it rises by at least {DIFFER} bits, beyond the seeds' "
    f"doubt, to at least {APART:g} times what it was. Within limits when one of the two is so.",
    parts=_head_parts,
    judge=judge_heads,
)

CLAIMS = (SINUSOIDS, NORMS, HEADS)
