"""Claims about how gradients flow back through time."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.recurrence import FLAT, by_formula, chains
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import curve, judgement, verdict
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import decay, exponent, half_life
from seqarena.core.results.measurement import Measurement, Series
from seqarena.core.results.verdicts import Judgement

RADII = (0.5, 0.9, 1.5, 3.0)
LINE = "lambda^k"  # of the record: spectral radius times the mean slope of tanh in the very run
OFF = 0.1  # how far the measured rate may lie from that line's, as a share of it
LENGTH = 64


def flow(scale: Scale, *architectures: str) -> list[Part]:
    """d h_T / d h_(T-k) at initialisation."""
    return [
        part("flow.gradient:gradient_flow_series", 6, architecture=name, length=LENGTH, width=64,
             seeds=3 if scale == "quick" else 10, of="state")
        for name in architectures
    ]  # fmt: skip


def _power_parts(scale: Scale) -> list[Part]:
    return [
        part("flow.gradient:gradient_flow_series", 6, architecture="elman", length=LENGTH, width=64,
             seeds=3 if scale == "quick" else 10, of="state", spectral_radius=radius,
             variant=f"radius {radius:g}")
        for radius in RADII
    ]  # fmt: skip


def judge_power(records: Sequence[Measurement]) -> Judgement:
    rates, lines = {}, {}
    for radius in RADII:
        series = curve(records, "gradient_norm", "elman", f"radius {radius:g}")
        rates[radius], lines[radius] = decay(series), _line(series)
    near = {radius: abs(rates[radius].value / lines[radius] - 1) <= OFF for radius in RADII}
    below = all(near[radius] for radius in RADII if radius < 1)
    vanishes = all(rates[radius].value < 1 for radius in RADII if radius < 1)
    explodes = rates[max(RADII)].value > 1
    said = "; ".join(f"{r:g}: {rates[r]}, line {lines[r]:.3g}" for r in RADII)
    return judgement(
        verdict(all(near.values()) and vanishes and explodes, below and vanishes and explodes),
        f"measured rate a step by spectral radius: {said}",
        rates[RADII[0]],
        ""
        if all(near.values())
        else "where the weights are large the line is not what is "
        "measured: a mean slope says little of a product of slopes that are near zero or near one",
        ""
        if explodes
        else "above one it does not explode: tanh saturates, and its slope falls "
        "as the weights grow",
    )


def _line(series: Series) -> float:
    """The rate of the texts' line."""
    if LINE not in series.baselines:
        raise UserError(f"the record of {series.label} has no line {LINE}")
    return decay(by_formula(series, LINE)).value


POWER = Claim(
    name="gradient-power",
    title="Gradients shrink or grow as lambda^k",
    words="Back through k steps the gradient is multiplied by the same matrix k times, so it "
    "behaves as lambda^k: it vanishes below one and explodes above.",
    source="Hochreiter 1991; Bengio et al. 1994; Pascanu et al. 2013; introductory texts",
    experiment="Norm of d h_T / d h_(T-k) of an Elman network by automatic differentiation, its "
    f"recurrent matrix scaled to spectral radius {', '.join(f'{r:g}' for r in RADII)}. The line "
    "is the texts': lambda is that radius times the mean slope of tanh in the same run.",
    criterion=f"Holds when every fitted rate lies within {OFF:.0%} of its line's, gradients vanish "
    f"for radii below one and explode at {max(RADII):g}. Within limits when the lines of the radii "
    "below one fit, and gradients do vanish and explode.",
    parts=_power_parts,
    judge=judge_power,
    amended="The first form compared with the bare spectral radius, up to 1.5. Its run showed that "
    "the slope of tanh takes part; the line became the texts' own, and radius 3 was added.",
)

LONGER = 10.0  # times the half-life of the Elman network's gradient: cured
HELPS = 2.0


def _gating_parts(scale: Scale) -> list[Part]:
    return flow(scale, "elman", "lstm", "gru")


def judge_gating(records: Sequence[Measurement]) -> Judgement:
    rates = {
        name: decay(curve(records, "gradient_norm", name)) for name in ("elman", "lstm", "gru")
    }
    lives = {name: half_life(rate.value) for name, rate in rates.items()}
    times = {name: lives[name] / max(lives["elman"], 1e-9) for name in ("lstm", "gru")}
    worst = min(times.values())
    said = ", ".join(f"{name} {rates[name]} (half after {lives[name]:.3g})" for name in rates)
    return judgement(
        verdict(worst >= LONGER, max(times.values()) >= HELPS),
        f"lambda and half-life in steps: {said}",
        rates["lstm"],
        "the gates slow the decay and do not end it: a rate below one still vanishes"
        if rates["lstm"].value < 1 else "",
        "at initialisation; training moves the gates (a forget gate that learns to stay open)",
    )  # fmt: skip


GATING = Claim(
    name="gating",
    title="Gates cure vanishing gradients",
    words="The LSTM's cell adds instead of multiplying, so its gradient does not vanish; the GRU "
    "does the same with two gates.",
    source="Hochreiter and Schmidhuber 1997; Cho et al. 2014; introductory texts",
    experiment=f"Norm of d h_T / d h_(T-k) over {LENGTH} steps of Elman, LSTM and GRU of equal "
    "width, and the half-life of the fitted lambda.",
    criterion=f"Holds when both half-lives are at least {LONGER:g} times the Elman network's. "
    f"Within limits when one is at least {HELPS:g} times.",
    parts=_gating_parts,
    judge=judge_gating,
)

STEADY = 0.98  # a rate of decay from which on distance hardly matters


def _path_parts(scale: Scale) -> list[Part]:
    found = [
        part("flow.gradient:gradient_flow_series", 6, architecture=name, length=LENGTH, width=64,
             seeds=3 if scale == "quick" else 10, of="loss")
        for name in ("attention", "elman", "lstm")
    ]  # fmt: skip
    return found + chains(("attention", "explicit"))


def judge_path(records: Sequence[Measurement]) -> Judgement:
    rates = {
        name: decay(curve(records, "gradient_norm", name))
        for name in ("attention", "elman", "lstm")
    }
    chain = exponent(curve(records, "dependent_operations", "attention"))
    steady, best = rates["attention"].value >= STEADY, rates["attention"].value
    recurrent = max(rates["elman"].value, rates["lstm"].value)
    said = ", ".join(f"{name} {rate}" for name, rate in rates.items())
    return judgement(
        verdict(chain.value <= FLAT and steady and best > recurrent, chain.value <= FLAT),
        f"chain of operations ~ T^p with p {chain}; gradient's rate a step: {said}",
        rates["attention"],
        "" if best > recurrent else "a short path does not alone give the larger gradient",
        "each position is one of T in a mean, so that its own share of the gradient is about 1/T",
    )


PATH = Claim(
    name="constant-path",
    title="Attention connects any two positions by a path of constant length",
    words="Between any two positions lies one attention step, however far apart they are, so "
    "distance costs neither operations nor gradient.",
    source="Vaswani et al. 2017, section 4 and table 1; introductory texts",
    experiment="The longest chain of operations by length, and the norm of d loss_T / d x_(T-k) "
    "by distance, of attention, Elman and LSTM.",
    criterion=f"Holds when the chain's exponent is at most {FLAT}, attention's gradient falls by "
    f"a rate of at least {STEADY} a step, and both recurrent networks' rates are lower. Within "
    "limits when the chain alone is constant.",
    parts=_path_parts,
    judge=judge_path,
)

CLAIMS = (POWER, GATING, PATH)
