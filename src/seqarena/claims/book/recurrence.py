"""Claims about what recurrence costs in time and in weights."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import SEEDS, curve, difference, judgement, last, plain, verdict
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import at, exponent, ratio
from seqarena.core.results.measurement import Measurement, Point, Series
from seqarena.core.results.verdicts import Judgement

FLAT = 0.2  # and up to which it counts as constant
BEYOND = 256  # positions from which on exponents of seconds are fitted: below, fixed costs rule


def by_formula(series: Series, name: str) -> Series:
    """The curve of its baseline of that name."""
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


def training_speed(scale: Scale, *forms: tuple[str, str]) -> list[Part]:
    """Training steps of (architecture, algorithm) at rising length, one sequence at a time."""
    lengths = [128, 256, 512, 1024, 2048] if scale == "quick" else [64, 256, 1024, 2048, 4096, 8192]
    return [
        part("costs.scaling:speed", 12 if scale == "quick" else 150, alone=True, architecture=name,
             variant=algorithm, options={"algorithm": algorithm}, lengths=lengths,
             what=["training"], threads=1, depth=1,
             repeats=3 if scale == "quick" else 5, seconds=0.3 if scale == "quick" else 2.0)
        for name, algorithm in forms
    ]  # fmt: skip


TIMED = 3  # timings of a point that a verdict needs
SERIAL = (
    0.5  # exponent of the seconds an operation: nearer to one step after the other than to none
)
EQUAL_TOKENS = 2048
STEPPED = (("elman", "fused"), ("lstm", "fused"), ("gru", "fused"))
WIDE = (("attention", "fused"), ("mingru", "scan"))


def _serial_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("costs.scaling:equal_tokens", 12 if quick else 90, alone=True, architecture=name,
             variant=algorithm, options={"algorithm": algorithm}, tokens=EQUAL_TOKENS,
             lengths=[32, 128, 512, 2048] if quick else [32, 64, 128, 256, 512, 1024, 2048],
             depth=1, threads=1, repeats=TIMED if quick else 7, seconds=0.3 if quick else 3.0)
        for name, algorithm in (*STEPPED, *WIDE)
    ]  # fmt: skip


def serial_steps(series: Series) -> Series:
    """Steps one after the other, by the formula of the algorithm that the curve was timed with.
    Raises UserError where the record does not hold them."""
    steps = series.settings.get("serial_steps", ())
    if len(steps) != len(series.points):
        raise UserError(f"the record of {series.label} has no serial steps")
    points = tuple(Point(x=p.x, repeats=(y,)) for p, y in zip(series.points, steps, strict=True))
    return series.model_copy(update={"points": points})


def an_operation(series: Series) -> Series:
    """Seconds over operations by the model's formula. Raises UserError where none are recorded."""
    flops = series.settings.get("flops", ())
    if len(flops) != len(series.points):
        raise UserError(f"the record of {series.label} does not count its operations")
    points = tuple(
        Point(x=p.x, repeats=tuple(seconds / work for seconds in p.repeats))
        for p, work in zip(series.points, flops, strict=True)
    )
    return series.model_copy(update={"points": points})


def judge_serial(records: Sequence[Measurement]) -> Judgement:
    found = {
        name: exponent(an_operation(curve(records, "training_step_seconds", name, algorithm)))
        for name, algorithm in (*STEPPED, *WIDE)
    }
    stepped = all(found[name].value >= SERIAL for name, _ in STEPPED)
    flat, scan = found["attention"].value <= FLAT, found["mingru"].value
    slowest = min(found[name].value for name, _ in STEPPED)
    said = ", ".join(f"{name} {p}" for name, p in found.items())
    return judgement(
        verdict(stepped and flat and scan >= SERIAL, stepped and flat),
        f"with the same number of tokens in sequences twice as long, an operation takes "
        f"{plain(2**slowest)} times as long or more in Elman, LSTM and GRU, "
        f"{plain(2 ** found['attention'].value)} times in attention and {plain(2**scan)} times in "
        "a linear recurrence that is computed by a scan",
        f"seconds an operation ~ T^p at {EQUAL_TOKENS:,} tokens a step: {said}",
        found["lstm"],
        "a recurrence that is linear in its state needs no step after the other: a scan computes "
        "it in about log T" if scan < SERIAL else "",
        "that the formulas of these networks take one step after the other is their definition; "
        "what is measured is whether this machine pays for it",
        "nonlinear ones can be solved by Newton's method too: the claim sequential-dependency",
    )  # fmt: skip


SERIAL_STEPS = Claim(
    name="serial-steps",
    title="A recurrence cannot be computed in parallel, so its time follows its number of steps",
    words="Each state needs the one before it, so the steps of a recurrent network cannot be "
    "computed side by side, and its time follows the number of steps.",
    source="Vaswani et al. 2017; introductory texts",
    experiment=f"Seconds of a training step of {EQUAL_TOKENS:,} tokens, cut into many short "
    "sequences or into one long, over the operations by the model's formula, alone on the machine: "
    "the work is the same, the serial steps are not. Each architecture by its fastest algorithm.",
    criterion=f"Holds when the seconds an operation of Elman, LSTM and GRU grow with the length by "
    f"an exponent of at least {SERIAL}, attention's by at most {FLAT}, and those of a linear "
    f"recurrence by a scan by at least {SERIAL} as well. Within limits when the scan's do not: "
    "then it is true of nonlinear recurrences alone.",
    parts=_serial_parts,
    judge=judge_serial,
    amended="The first form counted the chain of operations in the graph of algorithms that take "
    "one step after the other, which is so by construction. Time at equal work replaced it; "
    "the bound was set when lengths of 16 to 128 had been tried (exponents .09 to .26), before "
    "the longer ones that decide.",
    repeats={"training_step_seconds": TIMED},
)

SLOWER_GROWTH = 0.2  # in the exponent


def _time_parts(scale: Scale) -> list[Part]:
    return training_speed(scale, ("lstm", "fused"), ("attention", "fused"))


def judge_time(records: Sequence[Measurement]) -> Judgement:
    lstm = curve(records, "training_step_seconds", "lstm")
    attention = curve(records, "training_step_seconds", "attention")
    grows, flat = exponent(lstm, beyond=BEYOND), exponent(attention, beyond=BEYOND)
    shared = [p.x for p in lstm.points if p.x >= BEYOND]
    faster = {x: ratio(at(lstm, x), at(attention, x)) for x in shared}
    longest = faster[max(shared)]
    slower_growth = grows.value - flat.value >= SLOWER_GROWTH
    everywhere = all(found.low > 1 for found in faster.values())
    return judgement(
        verdict(grows.value > 0 and slower_growth and everywhere, slower_growth or everywhere),
        f"twice the length takes an LSTM {plain(2**grows.value)} times as long and attention "
        f"{plain(2**flat.value)} times; at {max(shared):,.0f} positions attention is "
        f"{plain(longest.value)} times as fast",
        f"seconds a training step ~ T^p: LSTM {grows}, attention {flat}; at {max(shared):g} "
        f"positions attention is {longest} times as fast",
        flat,
        "attention's time is not constant, as texts write: its work grows as T^2 D + T D^2, and a "
        "processor has to do it" if flat.value > FLAT else "",
        "on this machine; a processor with idle units hides growth until they are busy",
    )  # fmt: skip


TIME = Claim(
    name="training-time",
    title="Attention trains faster than a recurrent network, the more so the longer the sequence",
    words="A training step of a recurrent network takes longer the longer the sequence is; with "
    "attention it grows less, or not at all, and it is faster.",
    source="Vaswani et al. 2017, table 1; introductory texts",
    experiment="Seconds of whole optimizer steps of one sequence at rising length, LSTM (fused) "
    "and attention (fused) side by side, alone on the machine.",
    criterion=f"Holds when from {BEYOND} positions on attention's exponent is lower than the "
    f"LSTM's by at least {SLOWER_GROWTH} and every repeat of it is faster than every repeat of the "
    "LSTM at each length. Within limits when one of the two is so.",
    parts=_time_parts,
    judge=judge_time,
    amended="The first form asked that attention's time be constant, which no processor that is "
    "busy can give, so that it could never hold. Growth against the LSTM's replaced it.",
    repeats={"training_step_seconds": TIMED},
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
        f"a bidirectional layer does {plain(work.value)} times the operations of one direction and "
        f"takes {plain(seconds.value)} times as long",
        f"operations {work.value:.3g} times, seconds {seconds} times",
        seconds,
        "the projection that joins the two directions is counted in",
    )


BIDIRECTIONAL = Claim(
    name="bidirectional-cost",
    title="Reading a sequence in both directions costs twice as much",
    words="A bidirectional LSTM runs two passes and so doubles the computation.",
    source="Schuster and Paliwal 1997; Graves and Schmidhuber 2005; introductory texts",
    experiment="Operations by formula, and seconds forward and backward, of one bidirectional "
    "LSTM layer and of one LSTM layer of the same width.",
    criterion=f"Holds when both ratios lie in {TWICE[0]} to {TWICE[1]}. Within limits when the "
    "operations do and the seconds do not.",
    parts=_bidirectional_parts,
    judge=judge_bidirectional,
    repeats={"mixer_seconds": TIMED},
)

EQUAL_SHARE = 0.02  # of the LSTM's bits per byte


def _gru_parts(scale: Scale) -> list[Part]:
    seeds, steps = ([0, 1, 2], 250) if scale == "quick" else ([0, 1, 2, 3, 4], 3000)
    found = [
        part("trained.experiments:language", 15 if scale == "quick" else 1500, architecture=name,
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
        f"a GRU layer has {weights.value:.0%} of an LSTM layer's parameters, and the bits a byte "
        f"of the two differ by {abs(share.value):.1%}",
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
    title="The GRU, a simpler LSTM, does as well with fewer parameters",
    words="The GRU merges states and gates and reaches comparable quality with fewer parameters.",
    source="Cho et al. 2014; Chung et al. 2014; introductory texts",
    experiment="Parameters of a layer of equal width; bits per byte on the embedded text after "
    "equal steps, over seeds.",
    criterion=f"Holds when the GRU has fewer parameters and the whole 95 % interval of the "
    f"difference lies within {EQUAL_SHARE:.0%} of the LSTM's bits per byte. Within limits when "
    "the mean difference alone does, or the GRU is better.",
    parts=_gru_parts,
    judge=judge_gru,
    repeats={"bits_per_byte": SEEDS},
)

CLAIMS = (SERIAL_STEPS, TIME, BIDIRECTIONAL, GRU)
