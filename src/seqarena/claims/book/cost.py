"""Claims about memory, machines, and the forms that are cheaper than attention."""

from collections.abc import Sequence

from seqarena.claims.book.linear_time import STEP, beyond, counts, exponents, growth, most
from seqarena.claims.book.measuring import part
from seqarena.claims.book.memory import AMENDED_TRAINING
from seqarena.claims.book.recall import (
    AMENDED_LOOKUP,
    KNEW,
    KNOWS,
    LOSES,
    UNDECIDED,
    lookup,
)
from seqarena.claims.book.recurrence import BEYOND, FLAT, TIMED, serial_steps, training_speed
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.enough import ENOUGH_RECALL, undertrained
from seqarena.claims.judging import SEEDS, curve, difference, judgement, last, plain, verdict
from seqarena.core import words
from seqarena.core.results.estimates import at, exponent, mean
from seqarena.core.results.measurement import Measurement, Series
from seqarena.core.results.verdicts import Judgement

QUADRATIC, LINEAR = 1.6, 1.25  # exponents: from, up to
FORMS = (("attention", "explicit"), ("attention", "fused"), ("lstm", "fused"))


def _memory_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("costs.scaling:memory", 6 if quick else 120, architecture=name, variant=algorithm,
             options={"algorithm": algorithm}, depth=1, width=64,
             lengths=[128, 256, 512, 1024, 2048] if quick else [128, 512, 1024, 2048, 4096, 8192])
        for name, algorithm in FORMS
    ]  # fmt: skip


def judge_memory(records: Sequence[Measurement]) -> Judgement:
    peak = {
        form: exponent(curve(records, "peak_training_bytes", *form), beyond=512) for form in FORMS
    }
    state = {form[0]: exponent(curve(records, "state_bytes", *form)) for form in FORMS[1:]}
    explicit, fused, lstm = (peak[form] for form in FORMS)
    recurrent = lstm.value <= LINEAR and state["lstm"].value <= FLAT
    quadratic = explicit.value >= QUADRATIC
    return judgement(
        verdict(
            recurrent and quadratic and fused.value >= QUADRATIC, recurrent and quadratic
        ),
        f"twice the length takes {plain(2**explicit.value)} times the memory where attention is "
        f"written out, {plain(2**fused.value)} times where it is fused and "
        f"{plain(2**lstm.value)} times in an LSTM; the LSTM's decoding state does "
        f"{'not grow' if state['lstm'].value <= FLAT else 'grow'}",
        f"peak training bytes ~ T^p: attention written out {explicit}, fused {fused}, LSTM {lstm}; "
        f"decoding state ~ T^p: attention {state['attention']}, LSTM {state['lstm']}",
        explicit,
        "a fused kernel never holds the T x T weights: its memory is linear, its work stays "
        "quadratic" if fused.value <= LINEAR else "",
    )  # fmt: skip


MEMORY = Claim(
    name="attention-memory",
    title="Attention needs memory as the square of the length, a recurrent network in proportion",
    words="Training with attention needs memory as T squared, a recurrent network as T; when "
    "writing token by token the recurrent state does not grow, attention's does.",
    source="Vaswani et al. 2017; Dao et al. 2022 on the fused form; introductory texts",
    experiment="Peak bytes of a training step by length, attention written out and fused, and "
    "LSTM; bytes of the decoding state.",
    criterion=f"Holds when beyond 512 positions both forms of attention grow with an exponent of "
    f"at least {QUADRATIC}, the LSTM with at most {LINEAR}, and its state with at most {FLAT}. "
    "Within limits when the fused form does not: then it is true of the form that is written out.",
    parts=_memory_parts,
    judge=judge_memory,
    chart="peak_training_bytes",
)

USED = {"lstm": (0.3, 0.6), "attention": (0.7, 0.95)}  # shares of a GPU that texts simulate
AROUND = 0.05


def _utilisation_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    return [
        part("costs.scaling:utilisation", 20 if quick else 240, alone=True, architecture=name,
             lengths=[64, 128, 256] if quick else [50, 100, 200, 1000], depth=1, threads=1,
             width=128 if quick else 512, batch_sizes=[1, 16] if quick else [8, 16, 32, 64],
             repeats=3, seconds=0.3 if quick else 2.0)
        for name in USED
    ]  # fmt: skip


def judge_utilisation(records: Sequence[Measurement]) -> Judgement:
    shares: dict[str, list[float]] = {name: [] for name in USED}
    on_gpu = False
    for record in records:
        if isinstance(record, Series) and record.quantity == "share_of_peak":
            on_gpu = record.machine.device.startswith("cuda")
            for point in record.points:
                shares.setdefault(record.architecture, []).append(mean(point).value)
    for name in USED:
        if not shares[name]:
            curve(records, "share_of_peak", name)  # says what is missing
    said = ", ".join(f"{name} {min(s):.0%} to {max(s):.0%}" for name, s in shares.items())
    inside = [
        USED[name][0] - AROUND <= share <= USED[name][1] + AROUND
        for name, found in shares.items()
        for share in found
    ]
    apart = max(shares["attention"]) > max(shares["lstm"])
    if not on_gpu:
        return judgement(
            "not measurable here",
            "the claim is about a GPU, and there is none here; of this processor an LSTM uses "
            f"{max(shares['lstm']):.0%} at best, attention {max(shares['attention']):.0%}",
            f"share of this processor's matrix-product peak: {said}",
            None,
            "the claim is about a GPU, and there is none here; the same measurement on this "
            "processor stands instead",
        )
    return judgement(
        verdict(all(inside), apart),
        f"an LSTM uses up to {max(shares['lstm']):.0%} of this GPU, attention up to "
        f"{max(shares['attention']):.0%}",
        f"share of the GPU's matrix-product peak: {said}", None,
        "" if all(inside) else "the shares differ from those drawn, which are a formula",
    )  # fmt: skip


UTILISATION = Claim(
    name="gpu-utilisation",
    title="A recurrent network leaves a GPU idle; attention keeps it busy",
    words="A recurrent network uses 30 to 60 % of a GPU and a Transformer 70 to 95 %.",
    source="introductory texts, which draw these numbers by formula",
    experiment="Operations of a training step by the model's formula over seconds and the "
    "measured peak of a matrix product, by batch and length.",
    criterion=f"On a GPU: holds when every share lies in the drawn range, give or take {AROUND}. "
    "Within limits when attention's best share exceeds the LSTM's. Without a GPU: not measurable "
    "here, and the processor's shares are shown.",
    parts=_utilisation_parts,
    judge=judge_utilisation,
    repeats={"share_of_peak": TIMED},
)


PARALLEL = (("s4d", "parallel"), ("mamba", "scan"))
# What is counted and not timed, by the algorithm that has the fewest serial steps
COUNTED = {
    "cauchy": ("s4",), "scan": ("s5", "lru", "hawk"), "parallel": ("h3",),
    "chunked": ("mamba2", "mamba3"),
}  # fmt: skip
STATE_SPACES = tuple(name for names in COUNTED.values() for name in names)
FEW_STEPS = 0.5  # exponent up to which serial steps count as few


def _state_space_parts(scale: Scale) -> list[Part]:
    timed = [found for form in PARALLEL for found in training_speed(scale, form)]
    return [*timed, *(counts(*names, algorithm=form) for form, names in COUNTED.items())]


def judge_state_space(records: Sequence[Measurement]) -> Judgement:
    timed = {name: curve(records, "training_step_seconds", name, form) for name, form in PARALLEL}
    seconds = {name: exponent(series, beyond=BEYOND) for name, series in timed.items()}
    work = growth(records, "forward_flops", STATE_SPACES)
    steps = {name: exponent(serial_steps(series)) for name, series in timed.items()}
    steps |= growth(records, "serial_steps", STATE_SPACES)
    slow, serial = [*beyond(seconds, STEP), *beyond(work, STEP)], beyond(steps, FEW_STEPS)
    return judgement(
        verdict(not slow and not serial, not slow),
        f"twice the length takes S4D {plain(2 ** seconds['s4d'].value)} and Mamba "
        f"{plain(2 ** seconds['mamba'].value)} times as long; of {len(STATE_SPACES)} more the work "
        f"grows up to {plain(2 ** work[most(work)].value)} times; of the nine, "
        f"{len(steps) - len(serial)} have steps one after the other that hardly grow",
        f"a training step ~ T^p, by one algorithm each: {exponents(seconds)}; operations by "
        f"formula: {exponents(work)}; serial steps: {exponents(steps)}",
        seconds["mamba"],
        f"more than linear: {words.listed(slow)}" if slow else "",
        f"computed in chunks or steps one after the other: {words.listed(serial)}"
        if serial else "",
        "on a processor without idle units parallel steps save no time",
    )  # fmt: skip


STATE_SPACE = Claim(
    name="state-space",
    title="State-space models take time in proportion to the length, and not step by step",
    words="State-space models cost time linear in the length and are computed in parallel, unlike "
    "recurrent networks and unlike attention.",
    source="Gu et al. 2022 (S4, S4D); Smith et al. 2023 (S5); Orvieto et al. 2023 (LRU); Gu and "
    "Dao 2023 (Mamba); Dao and Gu 2024 (Mamba-2)",
    experiment="Seconds of training steps by length, alone on the machine, and serial steps by the "
    "formula of the very algorithm that was timed: S4D as one convolution, Mamba by a scan. "
    f"Operations and serial steps by formula of {words.listed(STATE_SPACES)}, by the algorithm of "
    "each that has the fewest.",
    criterion=f"Holds when from {BEYOND} positions on both exponents of the seconds and all of the "
    f"operations are at most {STEP}, and all of the serial steps at most {FEW_STEPS}. Within "
    "limits when those of the seconds and operations are.",
    parts=_state_space_parts,
    judge=judge_state_space,
    amended="The first form joined the seconds of one algorithm with the serial steps of another. "
    "The architectures that are counted were added later, under the same bounds; a first count, of "
    "the algorithms that are fastest here, was seen before the algorithms were named.",
    repeats={"training_step_seconds": TIMED},
)

CHEAPER = 0.2  # in the exponent of peak bytes or of the state


def _linear_parts(scale: Scale) -> list[Part]:
    quick = scale == "quick"
    names = ("attention", "linear_attention", "sparse_attention")
    return lookup(scale, *names) + [
        part("costs.scaling:speed", 12 if quick else 150, alone=True, architecture=name, depth=1,
             lengths=[256, 512, 1024, 2048] if quick else [512, 1024, 2048, 4096, 8192],
             what=["forward"], threads=1, repeats=3, seconds=0.3 if quick else 2.0)
        for name in names
    ]  # fmt: skip


def judge_linear(records: Sequence[Measurement]) -> Judgement:
    cheap = ("linear_attention", "sparse_attention")
    cost = {
        name: exponent(curve(records, "forward_seconds", name)) for name in ("attention", *cheap)
    }
    found = {name: curve(records, "accuracy", name) for name in cost}
    most = last(found["attention"]).x
    right = {name: at(found[name], most) for name in cost}
    lost = {name: difference(right["attention"], right[name]) for name in cheap}
    figure = (
        f"forward seconds ~ T^p: attention {cost['attention']}, linear {cost[cheap[0]]}, sparse "
        f"{cost[cheap[1]]}; recall at {most:g} pairs: {mean(right['attention'])}, "
        f"{mean(right[cheap[0]])}, {mean(right[cheap[1]])}"
    )
    if mean(right["attention"]).value < KNOWS:
        return judgement("not measured yet", UNDECIDED, f"{UNDECIDED}; {figure}")
    cheaper = {n: cost[n].value <= cost["attention"].value - CHEAPER for n in cheap}
    loses = {n: lost[n].value >= LOSES and lost[n].low > 0 for n in cheap}
    for name in cheap:
        why = undertrained(found[name], solved=KNOWS, begun=KNEW) if loses[name] else ""
        if why:
            return judgement("not measured yet", why, f"{why}; {figure}", lost[name])
    traded = [n for n in cheap if cheaper[n] and loses[n]]
    said = [
        f"{n.replace('_', ' ')} grows {plain(2 ** cost[n].value)} times and recalls "
        f"{mean(right[n]).value:.0%}"
        for n in ("attention", *cheap)
    ]
    return judgement(
        verdict(len(traded) == 2, bool(traded)),
        f"with twice the length the time of {said[0]}, {said[1]}, {said[2]}",
        figure,
        lost[cheap[0]],
        *(f"{n.replace('_', ' ')} loses no recall here" for n in cheap if not loses[n]),
        *(
            f"{n.replace('_', ' ')} is not cheaper at these lengths"
            for n in cheap
            if not cheaper[n]
        ),
    )


LINEAR_ATTENTION = Claim(
    name="cheap-attention",
    title="Cheaper forms of attention remember less exactly",
    words="Attention without the softmax, or over few positions, costs less on long sequences and "
    "remembers less exactly.",
    source="Katharopoulos et al. 2020; Child et al. 2019; Arora et al. 2024",
    experiment="Exponent of forward seconds by length, alone on the machine; accuracy of "
    "multi-query associative recall at the most pairs; attention, linear and sparse.",
    criterion=f"Holds when both are cheaper than attention by at least {CHEAPER} in the exponent "
    f"and lose at least {LOSES} of accuracy, beyond the seeds' doubt. Within limits when that is "
    f"so of one. Not measured where attention is right in less than {KNOWS:.0%}. {ENOUGH_RECALL}",
    parts=_linear_parts,
    judge=judge_linear,
    amended=f"{AMENDED_LOOKUP} {AMENDED_TRAINING}",
    repeats={"accuracy": SEEDS, "forward_seconds": TIMED},
)

CLAIMS = (MEMORY, UTILISATION, STATE_SPACE, LINEAR_ATTENTION)
