"""Claims about whole systems: translation, convolution, memory networks."""

import itertools
from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.recurrence import FLAT, TIMED, chains
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
from seqarena.core.results.estimates import at, exponent, mean, ratio
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

IMPROVES = 0.05  # in exact matches
NOT_FASTER = 1.05  # seconds a step with attention over those without, at least 1 / this
BOTH = ("rnnsearch", "seq2seq_gru")


def _translation_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    trained = [
        part("trained.experiments:translation", 50 if quick else 3600, architecture=name,
             width=64 if quick else 128, steps=250 if quick else 4000,
             seeds=[0, 1, 2], learning_rates=[3e-3])
        for name in BOTH
    ]  # fmt: skip
    timed = [
        part("costs.scaling:speed", 15 if quick else 120, alone=True, architecture=name,
             lengths=[16, 32, 64] if quick else [16, 32, 64, 128, 256], what=["training"],
             batch_size=8, threads=1, repeats=3, seconds=0.5 if quick else 3.0)
        for name in BOTH
    ]  # fmt: skip
    return trained + timed


def judge_translation(records: Sequence[Measurement]) -> Judgement:
    written = {name: last(curve(records, "exact_match", name)) for name in BOTH}
    seconds = {name: last(curve(records, "training_step_seconds", name)) for name in BOTH}
    gap = difference(written["rnnsearch"], written["seq2seq_gru"])
    times = ratio(seconds["rnnsearch"], seconds["seq2seq_gru"])
    found, said = settled(gap, IMPROVES)
    slower = times.value >= 1 / NOT_FASTER
    if not slower:
        found = "does not hold"
    return judgement(
        found,
        f"with attention {mean(written['rnnsearch']).value:.0%} are written exactly, without "
        f"{mean(written['seq2seq_gru']).value:.0%}; a step of training takes "
        f"{plain(times.value)} times as long",
        f"exact matches {mean(written['rnnsearch'])} with attention, "
        f"{mean(written['seq2seq_gru'])} without; a training step takes {times} times as long",
        gap,
        said,
        "" if slower else "with attention it is faster here",
        "dates of ten languages by characters after few steps; on sentences see the lab log",
    )


TRANSLATION = Claim(
    name="attention-on-rnn",
    title="Attention makes a recurrent translator better, but no faster",
    words="Looking back at all encoder states improved translation much, but the network stayed "
    "sequential and as slow.",
    source="Bahdanau et al. 2015; introductory texts",
    experiment="Dates written exactly by RNNsearch and by the encoder-decoder without attention, "
    "after equal steps at equal width; seconds of a training step, alone on the machine.",
    criterion=f"Holds when attention adds at least {IMPROVES} of exact matches, beyond the seeds' "
    f"doubt, and its step is not faster (at least 1/{NOT_FASTER} of the other's seconds). Within "
    "limits when the mean alone does.",
    parts=_translation_parts,
    judge=judge_translation,
    repeats={"exact_match": SEEDS, "training_step_seconds": TIMED},
)


def _convolution_parts(scale: Scale) -> list[Part]:
    depths, length = ([1, 2, 3], 80) if scale == "quick" else ([1, 2, 3, 4], 320)
    return [
        part(
            "flow.gradient:receptive_field_series",
            6,
            architecture=name,
            depths=depths,
            length=length,
        )
        for name in ("conv", "attention")
    ] + chains(("conv", "unfolded"))


def judge_convolution(records: Sequence[Measurement]) -> Judgement:
    reach = curve(records, "reach_positions", "conv")
    attention = curve(records, "reach_positions", "attention")
    chain = exponent(curve(records, "dependent_operations", "conv"))
    values = [mean(point).value for point in sorted(reach.points, key=lambda p: p.x)]
    grows = all(later > earlier for earlier, later in itertools.pairwise(values))
    first = min(point.x for point in attention.points)
    said = ", ".join(f"{p.x:g} layer(s) {mean(p).value:g}" for p in reach.points)
    whole = mean(at(attention, first)).value
    return judgement(
        verdict(grows and chain.value <= FLAT, grows or chain.value <= FLAT),
        f"{last(reach).x:g} layers of convolution see {mean(last(reach)).value:g} positions back "
        f"where one sees {values[0]:g} and one of attention {whole:g}; its steps one after the "
        f"other {'do not grow' if chain.value <= FLAT else 'grow'} with the length",
        f"positions that the last output sees: {said}; attention with {first:g} layer sees "
        f"{whole:g}; chain of operations ~ T^p with p {chain}",
        mean(last(reach)),
        "gaps that widen with depth make the reach grow by multiplying, not by adding",
    )


CONVOLUTION = Claim(
    name="convolution",
    title="Convolution reads all positions at once, and every layer sees farther",
    words="A stack of convolutions is computed at all positions at once; each layer sees a little "
    "farther, so distant positions need many layers.",
    source="van den Oord et al. 2016; Gehring et al. 2017; introductory texts",
    experiment="Which inputs change the last output, by perturbation, against depth; the longest "
    "chain of operations against length.",
    criterion=f"Holds when every added depth reaches farther and the chain's exponent is at most "
    f"{FLAT}. Within limits when one of the two is so.",
    parts=_convolution_parts,
    judge=judge_convolution,
    chart="reach_positions",
)

ANSWERS, GAINS = 0.9, 0.05


def _hop_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("trained.experiments:questions", 50 if quick else 3600, hops=[1, 2, 3],
             steps=1000 if quick else 6000, seeds=[0, 1, 2] if quick else [0, 1, 2, 3, 4],
             width=20 if quick else 50, learning_rates=[1e-2])
    ]  # fmt: skip


def judge_hops(records: Sequence[Measurement]) -> Judgement:
    series = curve(records, "accuracy", "memory_network")
    one, most = at(series, 1), last(series)
    gap = difference(most, one)
    usual = min(series.baselines["most usual answer"])
    found, said = settled(gap, GAINS)
    answers = mean(most).value >= ANSWERS
    if not answers:
        found = verdict(False, found != "does not hold")
    elif found == "does not hold":
        found = "holds within limits"
    return judgement(
        found,
        f"with {most.x:g} readings of its memory {mean(most).value:.0%} of the answers are right, "
        f"with one {mean(one).value:.0%}",
        f"right answers with {most.x:g} hops {mean(most)}, with one {mean(one)}; always the most "
        f"usual {usual:.3g}",
        mean(most),
        said,
        f"more hops add less than {GAINS}" if gap.value < GAINS else "",
        "generated stories of where people and things are; published on bAbI",
    )


HOPS = Claim(
    name="memory-hops",
    title="A memory that is read several times answers simple questions about a story",
    words="A memory network that reads its memory several times before it answers does well on "
    "simple questions about a story.",
    source="Sukhbaatar et al. 2015; introductory texts",
    experiment="Accuracy on the embedded stories by the number of hops, after equal steps.",
    criterion=f"Holds when with the most hops at least {ANSWERS:.0%} are right, and at least "
    f"{GAINS} more than with one, beyond the seeds' doubt. Within limits when one of the two is "
    "so.",
    parts=_hop_parts,
    judge=judge_hops,
    amended="The quick run took 500 steps at first, too few for answers that need two sentences; "
    "1,000 are steps at which three hops were seen to learn them.",
    repeats={"accuracy": SEEDS},
)

CLAIMS = (TRANSLATION, CONVOLUTION, HOPS)
