"""Claims about loss against size."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, difference, judgement, last, settled
from seqarena.core.results.estimates import exponent, mean
from seqarena.core.results.measurement import Measurement
from seqarena.core.results.verdicts import Judgement

AHEAD = 0.02  # bits per byte
STEEPER = 0.01  # in the exponent
BOTH = ("lstm", "attention")


def _size_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    sizes = [16_000, 48_000, 144_000] if quick else [30_000, 100_000, 300_000, 1_000_000, 3_000_000]
    return [
        part("trained.experiments:language", 50 if quick else 18000, architecture=name,
             sizes=[{"params": params} for params in sizes], steps=200 if quick else 4000,
             sequence_length=64 if quick else 256, seeds=[0, 1] if quick else [0, 1, 2],
             learning_rates=[5e-3] if quick else [1e-3, 3e-3])
        for name in BOTH
    ]  # fmt: skip


def judge_sizes(records: Sequence[Measurement]) -> Judgement:
    series = {name: curve(records, "bits_per_byte", name) for name in BOTH}
    slopes = {name: exponent(one) for name, one in series.items()}
    gap = difference(last(series["lstm"]), last(series["attention"]))
    steeper = slopes["attention"].value <= slopes["lstm"].value - STEEPER
    found, said = settled(gap, AHEAD, limits=steeper)
    if found == "holds" and not steeper:
        found = "holds within limits"
    largest = last(series["attention"]).x
    return judgement(
        found,
        f"bits per byte ~ N^p: attention {slopes['attention']}, LSTM {slopes['lstm']}; at "
        f"{largest:,.0f} parameters attention {mean(last(series['attention']))}, LSTM "
        f"{mean(last(series['lstm']))}",
        gap,
        said if found != "does not hold" else "",
        "attention's loss falls faster with size without being lower yet"
        if steeper and gap.value < AHEAD else "",
        "small models, equal steps, one text; published comparisons differ at sizes and on data "
        "that are not in reach here",
    )  # fmt: skip


SIZES = Claim(
    name="loss-by-size",
    title="Attention's loss falls faster with size than recurrence's",
    words="At scale a Transformer's loss stays below that of any recurrent model of the same size.",
    source="Kaplan et al. 2020, figure 7; introductory texts",
    experiment="Bits per byte on the embedded text after equal steps at rising parameter counts, "
    "LSTM and attention, with a power law fitted through each.",
    criterion=f"Holds when attention's fitted exponent is lower by at least {STEEPER} and at the "
    f"largest size it is ahead by at least {AHEAD} bits, beyond the seeds' doubt. Within limits "
    "when one of the two is so.",
    parts=_size_parts,
    judge=judge_sizes,
)

CLAIMS = (SIZES,)
