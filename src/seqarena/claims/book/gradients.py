"""Claims about how gradients flow back through time."""

from collections.abc import Sequence

from seqarena.claims.book.measuring import part
from seqarena.claims.book.recurrence import FLAT, by_formula, chains
from seqarena.claims.claim import Claim, Part, Scale
from seqarena.claims.judging import SEEDS, curve, judgement, plain, verdict
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate, decay, exponent, half_life
from seqarena.core.results.measurement import Measurement, Series
from seqarena.core.results.verdicts import Judgement

RADII = (0.5, 0.9, 1.5, 3.0)
LINE = "lambda^k"  # of the record: spectral radius times the mean slope of tanh in the very run
OFF = 0.1  # how far the measured rate may lie from that line's, as a share of it
LENGTH = 64


def flow(scale: Scale, *architectures: str) -> list[Part]:
    """d h_T / d h_(T-k) at initialisation."""
    return [
        part("flow.gradient:gradient_flow_series", 4, architecture=name, length=LENGTH, width=64,
             seeds=3 if scale == "quick" else 10, of="state")
        for name in architectures
    ]  # fmt: skip


def _power_parts(scale: Scale) -> list[Part]:
    return [
        part("flow.gradient:gradient_flow_series", 4, architecture="elman", length=LENGTH, width=64,
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
        f"at spectral radius {min(RADII):g} the gradient is multiplied by "
        f"{plain(rates[min(RADII)].value)} a step where the texts' line says "
        f"{plain(lines[min(RADII)])}, at {max(RADII):g} by {plain(rates[max(RADII)].value)} where "
        f"it says {plain(lines[max(RADII)])}",
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
    title="Back through time a gradient shrinks or grows by one and the same factor a step",
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
    repeats={"gradient_norm": SEEDS},
)

LONGER = 10.0  # times the half-life of the Elman network's gradient: cured
HELPS = 2.0
BIASES = (0.0, 1.0, 3.0)  # of the forget gate: neutral, the catalog's, wide open
GATES = ("read", "held")
FOREVER = 1e6  # steps: a half-life to compare with where nothing falls


def cell(bias: float, gates: str) -> str:
    """The variant of an LSTM."""
    return f"forget bias {bias:g}, gates {gates}"


def _gating_parts(scale: Scale) -> list[Part]:
    return flow(scale, "elman", "gru") + [
        part("flow.gradient:gradient_flow_series", 4, architecture="lstm", length=LENGTH, width=64,
             seeds=3 if scale == "quick" else 10, of="state", options={"forget_bias": bias},
             held_gates=gates == "held", variant=cell(bias, gates))
        for bias in BIASES
        for gates in GATES
    ]  # fmt: skip


def _life(records: Sequence[Measurement], name: str, variant: str | None = None) -> float:
    """Half-life in steps."""
    return min(half_life(decay(curve(records, "gradient_norm", name, variant)).value), FOREVER)


def judge_gating(records: Sequence[Measurement]) -> Judgement:
    elman, gru = max(_life(records, "elman"), 1e-9), _life(records, "gru")
    read, held = (
        {bias: _life(records, "lstm", cell(bias, gates)) for bias in BIASES} for gates in GATES
    )
    gain = {bias: read[bias] / max(held[bias], 1e-9) for bias in BIASES}
    cured = all(read[bias] >= LONGER * elman for bias in BIASES) and gru >= LONGER * elman
    own = all(found >= HELPS for found in gain.values())
    some = any(gain[b] >= HELPS and read[b] >= HELPS * elman for b in BIASES)
    said = "; ".join(
        f"LSTM at forget bias {bias:g} {_steps(read[bias])}, its gates held {_steps(held[bias])}"
        for bias in BIASES
    )
    first, last_bias = min(BIASES), max(BIASES)
    return judgement(
        verdict(cured and own, some),
        f"at a neutral bias the LSTM's gradient lives {plain(read[first] / elman)} times as long "
        f"as a plain network's, and at equal bias gates that read their input make it live "
        f"{plain(min(gain.values()))} to {plain(max(gain.values()))} times as long as gates that "
        "are held",
        f"half-life of the gradient: Elman {_steps(elman)}, GRU {_steps(gru)}; {said}",
        Estimate(value=gain[first], low=min(gain.values()), high=max(gain.values())),
        "what is longer comes of the bias of the forget gate, with gates that read nothing as well"
        if not some and read[last_bias] >= LONGER * elman else "",
        "at initialisation; training moves the gates (a forget gate that learns to stay open)",
    )  # fmt: skip


def _steps(life: float) -> str:
    return "without end" if life >= FOREVER else f"{life:.3g} steps"


GATING = Claim(
    name="gating",
    title="Gates keep the gradient alive where a plain recurrent network loses it",
    words="The LSTM's cell adds instead of multiplying, so its gradient does not vanish; the GRU "
    "does the same with two gates.",
    source="Hochreiter and Schmidhuber 1997; Cho et al. 2014; introductory texts",
    experiment=f"Half-life of d h_T / d h_(T-k) over {LENGTH} steps of Elman, GRU and LSTM of "
    f"equal width, as they begin. The LSTM with its forget bias at "
    f"{', '.join(f'{bias:g}' for bias in BIASES)}, each with gates that read their input and with "
    "gates held at their biases: what the second has comes of the bias alone.",
    criterion=f"Holds when at every forget bias the LSTM's half-life, and the GRU's, is at least "
    f"{LONGER:g} times the Elman network's, and the LSTM's at least {HELPS:g} times that with held "
    f"gates. Within limits when at some bias it is {HELPS:g} times both the Elman network's and "
    "that with held gates.",
    parts=_gating_parts,
    judge=judge_gating,
    amended="The first form compared one forget bias with the Elman network, so that it measured "
    "the bias. The bias became a factor and held gates the null; a trial of these very "
    "measurements was seen before this criterion was written, with the older bounds kept.",
    repeats={"gradient_norm": SEEDS},
)

STEADY = 0.98  # a rate of decay from which on distance hardly matters


def _path_parts(scale: Scale) -> list[Part]:
    found = [
        part("flow.gradient:gradient_flow_series", 4, architecture=name, length=LENGTH, width=64,
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
        f"one attention step joins any two positions, and {best:.1%} of the gradient is left after "
        f"a step back, against {rates['lstm'].value:.1%} in an LSTM and "
        f"{rates['elman'].value:.1%} in an Elman network",
        f"chain of operations ~ T^p with p {chain}; gradient's rate a step: {said}",
        rates["attention"],
        "" if best > recurrent else "a short path does not alone give the larger gradient",
        "each position is one of T in a mean, so that its own share of the gradient is about 1/T",
    )


PATH = Claim(
    name="constant-path",
    title="Attention joins any two positions in one step, so distance costs nothing",
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
    repeats={"gradient_norm": SEEDS},
)

CLAIMS = (POWER, GATING, PATH)
