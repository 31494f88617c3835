"""Claims about what recurrence costs in time and in weights."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, difference, judgement, last, verdict
from seqarena.core.results.estimates import at, exponent, ratio
from seqarena.core.results.measurement import Measurement, Point, Series
from seqarena.core.results.verdicts import Judgement

GROWS = 0.8  # an exponent of the length from which on a cost counts as growing with it
FLAT = 0.2  # and up to which it counts as constant
BEYOND = 256  # positions from which on exponents of seconds are fitted: below, fixed costs rule
FORMULA = "serial steps by formula"


def by_formula(series: Series, name: str = FORMULA) -> Series:
    """The curve of its own baseline."""
    values = series.baselines[name]
    points = tuple(Point(x=p.x, repeats=(y,)) for p, y in zip(series.points, values, strict=True))
    return series.model_copy(update={"points": points})


def chains(*architectures: tuple[str, str]) -> list[Part]:
    """The longest chain of operations of (architecture, algorithm); the same at both scales."""
    return [
        part("trained.experiments:chain", 6, architecture=name, variant=algorithm,
             options={"algorithm": algorithm}, lengths=[64, 128, 256, 512])
        for name, algorithm in architectures
    ]  # fmt: skip


def training_speed(scale: Scale, *architectures: str) -> list[Part]:
    """Training steps at rising length, one sequence at a time."""
    lengths = [128, 256, 512, 1024, 2048] if scale == "quick" else [64, 256, 1024, 2048, 4096, 8192]
    return [
        part("costs.scaling:speed", 12 if scale == "quick" else 150, alone=True, architecture=name,
             lengths=lengths, what=["training"], threads=1, depth=1,
             repeats=3 if scale == "quick" else 5, seconds=0.3 if scale == "quick" else 2.0)
        for name in architectures
    ]  # fmt: skip


def _serial_parts(scale: Scale) -> list[Part]:
    return chains(
        ("elman", "loop"), ("lstm", "loop"), ("gru", "loop"),
        ("mingru", "scan"), ("attention", "explicit"),
    )  # fmt: skip


def judge_serial(records: Sequence[Measurement]) -> Judgement:
    gated = {
        name: exponent(curve(records, "dependent_operations", name))
        for name in ("elman", "lstm", "gru")
    }
    attention = exponent(curve(records, "dependent_operations", "attention"))
    scan = exponent(by_formula(curve(records, "dependent_operations", "mingru")))
    slowest = min(gated.values(), key=lambda found: found.value)
    apart = slowest.value >= GROWS and attention.value <= FLAT
    figure = (
        f"chain of operations ~ T^p: Elman {gated['elman']}, LSTM {gated['lstm']}, "
        f"GRU {gated['gru']}; attention {attention}; minGRU by a scan {scan} (formula)"
    )
    return judgement(
        verdict(apart and scan.value >= GROWS, apart), figure, gated["lstm"],
        "a recurrence that is linear in its state needs no step after the other: a scan computes "
        "it in about log T" if scan.value < GROWS else "",
        "nonlinear ones can be solved by Newton iterations too, which is not measured here",
    )  # fmt: skip


SERIAL = Claim(
    name="serial-steps",
    title="A recurrence cannot be computed in parallel over time",
    words="Each state needs the one before it, so the steps of a recurrent network cannot be "
    "computed side by side, whatever the hardware.",
    source="Vaswani et al. 2017; introductory texts",
    experiment="The longest chain of dependent operations that automatic differentiation records "
    "in one forward pass, at 64 to 512 positions, each algorithm written out.",
    criterion=f"Holds when the chain of Elman, LSTM and GRU grows with an exponent of at least "
    f"{GROWS} and attention's with at most {FLAT}, and a scan over a linear recurrence grows as "
    "well. Within limits when that scan does not: then it is true of nonlinear recurrences alone.",
    parts=_serial_parts,
    judge=judge_serial,
)


def _time_parts(scale: Scale) -> list[Part]:
    return training_speed(scale, "lstm", "attention")


def judge_time(records: Sequence[Measurement]) -> Judgement:
    lstm = curve(records, "training_step_seconds", "lstm")
    attention = curve(records, "training_step_seconds", "attention")
    grows, flat = exponent(lstm, beyond=BEYOND), exponent(attention, beyond=BEYOND)
    length = last(lstm).x
    faster = ratio(at(lstm, length), at(attention, length))
    holds = grows.value >= GROWS and flat.value <= FLAT
    figure = (
        f"seconds a training step ~ T^p: LSTM {grows}, attention {flat}; at {length:g} positions "
        f"attention is {faster} times as fast"
    )
    return judgement(
        verdict(holds, grows.value >= GROWS and faster.low > 1), figure, flat,
        "attention's steps do not depend on one another, but its work grows as T^2 D + T D^2, and "
        "a processor has to do it" if flat.value > FLAT else "",
        "on this machine; a processor with idle units hides growth until they are busy",
    )  # fmt: skip


TIME = Claim(
    name="training-time",
    title="Training time grows with the length for recurrence and not for attention",
    words="A training step of a recurrent network takes longer the longer the sequence is; with "
    "attention its time does not depend on the length, and it is faster.",
    source="Vaswani et al. 2017, table 1; introductory texts",
    experiment="Seconds of whole optimizer steps of one sequence at rising length, LSTM (fused) "
    "and attention (fused) side by side, alone on the machine.",
    criterion=f"Holds when from {BEYOND} positions on the LSTM's exponent is at least {GROWS} and "
    f"attention's at most {FLAT}. Within limits when attention grows as well but every repeat of "
    "it is faster than every repeat of the LSTM at the greatest length.",
    parts=_time_parts,
    judge=judge_time,
)

TWICE = (1.7, 2.3)


def _bidirectional_parts(scale: Scale) -> list[Part]:
    return [
        part("trained.experiments:layers", 6, alone=True, architecture=name, widths=[64],
             repeats=7 if scale == "quick" else 15, seconds=2.0 if scale == "quick" else 10.0)
        for name in ("lstm", "bi_lstm")
    ]  # fmt: skip


def judge_bidirectional(records: Sequence[Measurement]) -> Judgement:
    def found(quantity: str) -> tuple[Point, Point]:
        return (
            last(curve(records, quantity, "bi_lstm")), last(curve(records, quantity, "lstm"))
        )  # fmt: skip

    work, seconds = ratio(*found("mixer_flops")), ratio(*found("mixer_seconds"))
    low, high = TWICE
    return judgement(
        verdict(
            low <= work.value <= high and low <= seconds.value <= high, low <= work.value <= high
        ),
        f"operations {work.value:.3g} times, seconds {seconds} times",
        seconds,
        "the projection that joins the two directions is counted in",
    )


BIDIRECTIONAL = Claim(
    name="bidirectional-cost",
    title="Reading both ways costs twice as much",
    words="A bidirectional LSTM runs two passes and so doubles the computation.",
    source="Schuster and Paliwal 1997; Graves and Schmidhuber 2005; introductory texts",
    experiment="Operations by formula, and seconds forward and backward, of one bidirectional "
    "LSTM layer and of one LSTM layer of the same width.",
    criterion=f"Holds when both ratios lie in {TWICE[0]} to {TWICE[1]}. Within limits when the "
    "operations do and the seconds do not.",
    parts=_bidirectional_parts,
    judge=judge_bidirectional,
)

EQUAL_SHARE = 0.02  # of the LSTM's bits per byte


def _gru_parts(scale: Scale) -> list[Part]:
    seeds, steps = ([0, 1, 2], 250) if scale == "quick" else ([0, 1, 2, 3, 4], 3000)
    found = [
        part("trained.experiments:language", 25 if scale == "quick" else 1500, architecture=name,
             sizes=[{"width": 64, "depth": 1}], steps=steps, seeds=seeds)
        for name in ("lstm", "gru")
    ]  # fmt: skip
    return found + [
        part(
            "trained.experiments:layers", 4, architecture=name, widths=[64], repeats=1, seconds=0.1
        )
        for name in ("lstm", "gru")
    ]


def judge_gru(records: Sequence[Measurement]) -> Judgement:
    bits = {name: last(curve(records, "bits_per_byte", name)) for name in ("lstm", "gru")}
    weights = ratio(
        last(curve(records, "mixer_parameters", "gru")),
        last(curve(records, "mixer_parameters", "lstm")),
    )
    lstm = sum(bits["lstm"].repeats) / len(bits["lstm"].repeats)
    gap = difference(bits["gru"], bits["lstm"])
    share = gap.model_copy(
        update={name: getattr(gap, name) / lstm for name in ("value", "low", "high")}
    )
    fewer = weights.value < 1
    inside = abs(share.value) <= EQUAL_SHARE
    proven = max(abs(share.low), abs(share.high)) <= EQUAL_SHARE
    return judgement(
        verdict(fewer and proven, fewer and (inside or share.value < 0)),
        f"a GRU layer has {weights.value:.3g} of the LSTM's parameters; bits per byte differ by "
        f"{share} of the LSTM's",
        share,
        "the GRU is better" if share.value < -EQUAL_SHARE else "",
        "" if proven or not inside else "equal as far as these seeds tell",
        "on one text at equal width; by task either can win (the LSTM on long text, the GRU on "
        "the adding problem, in the literature)",
    )


GRU = Claim(
    name="gru-lstm",
    title="A GRU does what an LSTM does with fewer parameters",
    words="The GRU merges states and gates and reaches comparable quality with fewer parameters.",
    source="Cho et al. 2014; Chung et al. 2014; introductory texts",
    experiment="Parameters of a layer of equal width; bits per byte on the embedded text after "
    "equal steps, over seeds.",
    criterion=f"Holds when the GRU has fewer parameters and the whole 95 % interval of the "
    f"difference lies within {EQUAL_SHARE:.0%} of the LSTM's bits per byte. Within limits when "
    "the mean difference alone does, or the GRU is better.",
    parts=_gru_parts,
    judge=judge_gru,
)

CLAIMS = (SERIAL, TIME, BIDIRECTIONAL, GRU)
