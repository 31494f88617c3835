"""Claims about memory, machines, and the forms that are cheaper than attention."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.memory import AMENDED_LOOKUP, KNEW, KNOWS, LOSES, UNDECIDED, lookup
from seqarena.claims.book.recurrence import BEYOND, FLAT, by_formula, chains, training_speed
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, difference, judgement, last, verdict
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
        f"peak training bytes ~ T^p: attention written out {explicit}, fused {fused}, LSTM {lstm}; "
        f"decoding state ~ T^p: attention {state['attention']}, LSTM {state['lstm']}",
        explicit,
        "a fused kernel never holds the T x T weights: its memory is linear, its work stays "
        "quadratic" if fused.value <= LINEAR else "",
    )  # fmt: skip


MEMORY = Claim(
    name="attention-memory",
    title="Attention's memory is quadratic, a recurrence's linear, and constant in decoding",
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
            f"share of this processor's matrix-product peak: {said}",
            None,
            "the claim is about a GPU, and there is none here; the same measurement on this "
            "processor stands instead",
        )
    return judgement(
        verdict(all(inside), apart), f"share of the GPU's matrix-product peak: {said}", None,
        "" if all(inside) else "the shares differ from those drawn, which are a formula",
    )  # fmt: skip


UTILISATION = Claim(
    name="gpu-utilisation",
    title="Recurrence leaves a GPU idle, attention fills it",
    words="A recurrent network uses 30 to 60 % of a GPU and a Transformer 70 to 95 %.",
    source="introductory texts, which draw these numbers by formula",
    experiment="Operations of a training step by the model's formula over seconds and the "
    "measured peak of a matrix product, by batch and length.",
    criterion=f"On a GPU: holds when every share lies in the drawn range, give or take {AROUND}. "
    "Within limits when attention's best share exceeds the LSTM's. Without a GPU: not measurable "
    "here, and the processor's shares are shown.",
    parts=_utilisation_parts,
    judge=judge_utilisation,
)


def _state_space_parts(scale: Scale) -> list[Part]:
    return [*training_speed(scale, "s4d", "mamba"), *chains(("mamba", "scan"))]


STEP = 1.2  # an exponent of seconds up to which a cost counts as linear


def judge_state_space(records: Sequence[Measurement]) -> Judgement:
    seconds = {
        name: exponent(curve(records, "training_step_seconds", name), beyond=BEYOND)
        for name in ("s4d", "mamba")
    }
    steps = exponent(by_formula(curve(records, "dependent_operations", "mamba", "scan")))
    linear = all(found.value <= STEP for found in seconds.values())
    return judgement(
        verdict(linear and steps.value <= 0.5, linear),
        f"seconds a training step ~ T^p: S4D {seconds['s4d']}, Mamba {seconds['mamba']}; serial "
        f"steps of Mamba's scan ~ T^p: {steps} (formula)",
        seconds["mamba"],
        "" if steps.value <= 0.5 else "the algorithm that was measured is serial in chunks",
        "on a processor without idle units parallel steps save no time",
    )


STATE_SPACE = Claim(
    name="state-space",
    title="State-space models are linear without the sequential bottleneck",
    words="State-space models cost time linear in the length and are computed in parallel, unlike "
    "recurrent networks and unlike attention.",
    source="Gu et al. 2022 (S4D); Gu and Dao 2023 (Mamba)",
    experiment="Seconds of training steps by length, alone on the machine, and serial steps of "
    "Mamba's scan by its formula.",
    criterion=f"Holds when from {BEYOND} positions on both exponents of the seconds are at most "
    f"{STEP} and serial steps grow with at most 0.5. Within limits when the seconds alone do.",
    parts=_state_space_parts,
    judge=judge_state_space,
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
    cost = {
        name: exponent(curve(records, "forward_seconds", name))
        for name in ("attention", "linear_attention", "sparse_attention")
    }
    found = {name: curve(records, "accuracy", name) for name in cost}
    most = last(found["attention"]).x
    right = {name: at(found[name], most) for name in cost}
    lost = {name: difference(right["attention"], right[name]) for name in cost}
    if mean(right["attention"]).value < KNOWS:
        return judgement(
            "not measured yet",
            f"{UNDECIDED}: {mean(right['attention'])} at {most:g} pairs; forward seconds ~ T^p: "
            f"attention {cost['attention']}, linear {cost['linear_attention']}, sparse "
            f"{cost['sparse_attention']}",
        )
    cheap = ("linear_attention", "sparse_attention")
    cheaper = {n: cost[n].value <= cost["attention"].value - CHEAPER for n in cheap}
    loses = {n: lost[n].value >= LOSES for n in cheap}
    traded = [n for n in cheap if cheaper[n] and loses[n]]
    return judgement(
        verdict(len(traded) == 2, bool(traded)),
        f"forward seconds ~ T^p: attention {cost['attention']}, linear {cost[cheap[0]]}, sparse "
        f"{cost[cheap[1]]}; recall at {most:g} pairs: {mean(right['attention'])}, "
        f"{mean(right[cheap[0]])}, {mean(right[cheap[1]])}",
        lost["linear_attention"],
        *(f"{n.replace('_', ' ')} loses no recall here" for n in cheap if not loses[n]),
        *(
            f"{n.replace('_', ' ')} has not learnt to look up at all within these steps"
            for n in cheap
            if max(mean(point).value for point in found[n].points) < KNEW
        ),
        *(
            f"{n.replace('_', ' ')} is not cheaper at these lengths"
            for n in cheap
            if not cheaper[n]
        ),
        "one seed" if len(right["attention"].repeats) < 2 else "",
    )


LINEAR_ATTENTION = Claim(
    name="cheap-attention",
    title="Linear and sparse attention trade recall for cost",
    words="Attention without the softmax, or over few positions, costs less on long sequences and "
    "remembers less exactly.",
    source="Katharopoulos et al. 2020; Child et al. 2019; Arora et al. 2024",
    experiment="Exponent of forward seconds by length, alone on the machine; accuracy of "
    "multi-query associative recall at the most pairs; attention, linear and sparse.",
    criterion=f"Holds when both are cheaper than attention by at least {CHEAPER} in the exponent "
    f"and lose at least {LOSES} of accuracy. Within limits when that is so of one. Not decided "
    f"when attention is right in less than {KNOWS:.0%}.",
    parts=_linear_parts,
    judge=judge_linear,
    amended=AMENDED_LOOKUP,
)

CLAIMS = (MEMORY, UTILISATION, STATE_SPACE, LINEAR_ATTENTION)
