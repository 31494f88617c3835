"""Claims about what goes into a Transformer: positions, norms, heads."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
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
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate, at, mean, ratio
from seqarena.core.results.measurement import Measurement, Point, Series
from seqarena.core.results.verdicts import Judgement

KEEPS, LITTLE = 1.02, 1.15  # bits per byte at the longest over those at the trained length
POSITIONS = ("attention_sinusoidal", "attention", "attention_alibi")


def _position_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.length:length_generalisation", 20 if quick else 2400, architecture=name,
             task="language", train_length=32 if quick else 128, factors=[1, 2, 4, 16],
             steps=250 if quick else 5000, width=64, depth=2, batch_size=16,
             learning_rates=[3e-3], seeds=[0, 1, 2])
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
        f"at the longest, {last(curve(records, 'bits_per_byte', POSITIONS[0])).x:,.0f} bytes, "
        f"sinusoids need {plain(own.value)} times the bits of the trained length, rotary positions "
        f"{plain(found['attention'].value)} times and linear biases "
        f"{plain(found['attention_alibi'].value)} times",
        f"bits per byte at the longest over the trained length: sinusoids {own}, rotary "
        f"{found['attention']}, linear biases {found['attention_alibi']}",
        own,
        "linear biases extrapolate where sinusoids do not"
        if found["attention_alibi"].value <= KEEPS < own.value else "",
        "the phases of long distances were never seen in training" if own.value > KEEPS else "",
    )  # fmt: skip


SINUSOIDS = Claim(
    name="sinusoids",
    title="Positions written as sine waves let a Transformer read beyond its trained length",
    words="Sines and cosines let a Transformer work on sequences longer than it was trained on.",
    source="Vaswani et al. 2017, section 3.5; introductory texts; against it: Press et al. 2022",
    experiment="Bits per byte at 1, 2, 4 and 16 times the trained length: sinusoids, rotary "
    "positions and linear biases.",
    criterion=f"Holds when at the longest, sinusoids need at most {KEEPS:g} times the bits of the "
    f"trained length. Within limits up to {LITTLE:g} times.",
    parts=_position_parts,
    judge=judge_positions,
    repeats={"bits_per_byte": SEEDS},
)

WORSE = 0.1  # bits per byte
DEPTHS = {"quick": (1, 8), "full": (2, 6, 12, 24)}


def _norm_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.experiments:language", 35 if quick else 5400, architecture="attention",
             variant=f"{where}-norm", model={"norm_position": where},
             sizes=[{"width": 32 if quick else 128, "depth": depth} for depth in DEPTHS[scale]],
             steps=150 if quick else 3000, seeds=[0, 1, 2],
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
        f"with norms after each part, a stack of {deep:g} layers needs "
        f"{plain(abs(at_last.value))} bits a byte {'more' if at_last.value > 0 else 'less'} than "
        f"with norms before, and one of {shallow:g} "
        f"{plain(abs(at_first.value))} {'more' if at_first.value > 0 else 'less'}",
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
    title="Normalising before each part lets deep Transformers train; normalising after does not",
    words="Layer normalisation with residuals makes deep stacks trainable; placed after each part "
    "as first published, depth makes training hard, and before it, it does not.",
    source="Vaswani et al. 2017; Xiong et al. 2020; introductory texts on residuals and norms",
    experiment="Bits per byte after equal steps by depth, norms before and after, else the same.",
    criterion=f"Holds when at the greatest depth post-norm is worse by at least {WORSE} bits, "
    f"beyond the seeds' doubt, and by at least {WORSE} more than at the least depth. Within "
    "limits when it is worse at the greatest depth alone by the mean, or at the least as well.",
    parts=_norm_parts,
    judge=judge_norms,
    repeats={"bits_per_byte": SEEDS},
)

DIFFER = 0.1  # bits
HEADS_AS = ("initial", "sharpened", "trained")


LOOKING = ("attention", "lstm", "mamba")  # of whom the page gets maps of one sentence


def _head_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("flow.heads:head_divergence", 30 if quick else 3600, steps=250 if quick else 8000,
             width=64 if quick else 128, depth=2 if quick else 4,
             seeds=[0, 1, 2]),
        part("flow.maps:language_maps", 20 if quick else 3600, architectures=list(LOOKING),
             steps=150 if quick else 5000, width=64, depth=1 if quick else 2),
    ]  # fmt: skip


def judge_heads(records: Sequence[Measurement]) -> Judgement:
    start, sharp, end = (
        curve(records, "head_divergence_bits", "attention", variant) for variant in HEADS_AS
    )
    gap = difference(_over_layers(end), _over_layers(sharp))
    in_one = max(difference(p, at(sharp, p.x)).low for p in end.points)
    found, said = settled(gap, DIFFER, limits=in_one >= DIFFER)
    before, null, after = (mean(_over_layers(one)) for one in (start, sharp, end))
    return judgement(
        found,
        f"trained heads differ by {plain(after.value)} bits and untrained ones by "
        f"{plain(before.value)}, but untrained heads made as narrow as the trained ones differ by "
        f"{plain(null.value)}",
        f"mean divergence between heads of a layer, in bits: trained {after}, before {before}, "
        f"before but as narrow {null}; trained over as narrow {gap}",
        gap,
        said if found != "does not hold" else "",
        "looking at fewer places makes heads differ, wherever they look: trained heads are more "
        "alike than chance would have them" if gap.high < 0 else "",
        "that a head means something in grammar is not measured, and many can be taken away "
        "without loss (Michel et al. 2019)",
    )  # fmt: skip


def _over_layers(series: Series) -> Point:
    """Each seed's mean over the layers. Raises UserError where they have not the same seeds."""
    numbers = {len(point.repeats) for point in series.points}
    if len(numbers) != 1:
        raise UserError(f"{series.label}: the layers have different numbers of seeds")
    repeats = zip(*(point.repeats for point in series.points), strict=True)
    return Point(x=0, repeats=tuple(sum(each) / len(each) for each in repeats))


HEADS = Claim(
    name="heads",
    title="Each head of attention learns to look for something else",
    words="Heads of one layer learn different kinds of relation between positions.",
    source="Vaswani et al. 2017, appendix; Clark et al. 2019; introductory texts",
    experiment="Jensen-Shannon divergence between the attention of every two heads of a layer, "
    "averaged over positions of a test text, after training on the embedded text, before it, and "
    "of the untrained heads with their scores multiplied until each has the entropy of its trained "
    "self. Maps of one sentence are below, attention's and the influence in models without it.",
    criterion=f"Holds when the mean over layers is at least {DIFFER} bits above that of the "
    "untrained heads of equal entropy, beyond the seeds' doubt. Within limits when the mean alone "
    f"is, or the whole interval of one layer is {DIFFER} above.",
    parts=_head_parts,
    judge=judge_heads,
    amended="The first form compared with untrained heads as they are; sharper scores alone passed "
    "it. A trial with the null of equal entropy was seen before this form was written; its bound "
    "is the old one.",
    repeats={"head_divergence_bits": SEEDS},
)

CLAIMS = (SINUSOIDS, NORMS, HEADS)
