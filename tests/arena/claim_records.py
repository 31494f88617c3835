"""Records made up for the tests of the ledger: for each claim, some that make it hold and some
that do not, and the null models that must not pass.

A point has three repeats, as criteria ask: one number stands for three that are equal.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqarena.core.results.measurement import Machine, Measurement, Point, Series

MACHINE = Machine(
    processor="a processor", device="cpu", dtype="float32", threads=1, torch_version="2",
    seqarena_version="0", code_digest="0", measured_at="2026-01-01T00:00:00+00:00",
)  # fmt: skip
Y = float | tuple[float, ...]


def series(
    quantity: str,
    architecture: str,
    values: Mapping[float, Y],
    variant: str = "",
    device: str = "cpu",
    **baselines: tuple[float, ...],
) -> Series:
    """A curve through `values`; several numbers at one x are its repeats, one stands for three."""
    return Series(
        measurement="planted",
        quantity=quantity,
        axis="x",
        architecture=architecture,
        variant=variant,
        points=tuple(
            Point(x=x, repeats=y if isinstance(y, tuple) else (y,) * 3) for x, y in values.items()
        ),
        baselines={name.replace("_", " "): found for name, found in baselines.items()},
        machine=MACHINE.model_copy(update={"device": device}),
    )


def power(
    quantity: str, architecture: str, exponent: float, variant: str = "", at: Any = (256, 512, 1024)
) -> Series:
    """y = x^exponent."""
    return series(quantity, architecture, {x: float(x) ** exponent for x in at}, variant)


def rate(architecture: str, decay: float, variant: str = "", line: float | None = None) -> Series:
    """A gradient that falls by `decay` a step, and the texts' line."""
    found = series(
        "gradient_norm", architecture, {k: decay**k for k in range(10)}, variant
    )  # fmt: skip
    lines = {} if line is None else {"lambda^k": tuple(line**k for k in range(10))}
    return found.model_copy(update={"baselines": lines})


def chain(architecture: str, exponent: float, formula: float = 1.0) -> Series:
    found = power("dependent_operations", architecture, exponent)
    steps = tuple(p.x**formula for p in found.points)
    return found.model_copy(
        update={"baselines": {"serial steps by formula": steps}, "variant": "scan"}
    )


def told(found: Series, **settings: Any) -> Series:
    """With settings added to its record."""
    return found.model_copy(update={"settings": {**found.settings, **settings}})


def trained(found: Series, fall: float = 0.0, **settings: Any) -> Series:
    """Trainings whose loss fell by that share in their last fifth."""
    tails = [[(1.0, 1.0 - fall)] * len(point.repeats) for point in found.points]
    return told(found, loss_tails=tails, **settings)


def timed(architecture: str, variant: str, exponent: float, steps: float = 1.0) -> Series:
    """Seconds ~ T^exponent at equal operations, by an algorithm of T^steps serial steps."""
    found = power("training_step_seconds", architecture, exponent, variant)
    return told(
        found,
        flops=[1.0] * len(found.points),
        serial_steps=[point.x**steps for point in found.points],
    )


def _serial(recurrent: float, scan: float) -> list[Measurement]:
    return [
        *(timed(name, "fused", recurrent) for name in ("elman", "lstm", "gru")),
        timed("mingru", "scan", scan), timed("attention", "fused", 0),
    ]  # fmt: skip


def _solved(rounds: float, difference: float, faster: float) -> list[Measurement]:
    """Rounds ~ T^rounds; newton `faster` times as fast as the kernel."""
    cells = ("elman", "gru", "lstm")
    return [
        *(power("newton_rounds", name, rounds, "newton") for name in cells),
        *(series("output_difference", name, {256: difference}, "newton") for name in cells),
        *(series("training_step_seconds", n, {256: 1 / faster}, "newton") for n in cells),
        *(series("training_step_seconds", n, {256: 1.0}, "fused") for n in cells),
        *(series("training_step_seconds", n, {256: 1.2}, "stepwise") for n in cells),
    ]


def _time(lstm: float, attention: float, faster: float = 1.0) -> list[Measurement]:
    one, other = timed("lstm", "fused", lstm), timed("attention", "fused", attention)
    points = tuple(
        p.model_copy(update={"repeats": tuple(y / faster for y in p.repeats)}) for p in other.points
    )
    return [one, other.model_copy(update={"points": points})]


def _layers(one: str, other: str, work: float, seconds: float) -> list[Measurement]:
    return [
        series("mixer_flops", one, {64: work}), series("mixer_flops", other, {64: 1.0}),
        series("mixer_parameters", one, {64: work}), series("mixer_parameters", other, {64: 1.0}),
        series("mixer_seconds", one, {64: seconds}),
        series("mixer_seconds", other, {64: 1.0}),
    ]  # fmt: skip


def _gru(bits: Y, parameters: float) -> list[Measurement]:
    return [
        *_layers("gru", "lstm", parameters, 1.0),
        series("bits_per_byte", "gru", {1: bits}),
        series("bits_per_byte", "lstm", {1: (2.0, 2.01, 2.02)}),
    ]


def _powers(rates: Callable[[float], float]) -> list[Measurement]:
    from seqarena.claims.book.gradients import RADII

    return [rate("elman", rates(r), f"radius {r:g}", line=0.8 * r) for r in RADII]


def _rates(**rates: float) -> list[Measurement]:
    return [*(rate(name, found) for name, found in rates.items())]


def _gates(elman: float, gru: float, read: Sequence[float], held: Sequence[float]) -> Any:
    from seqarena.claims.book.gradients import BIASES, cell

    return [
        rate("elman", elman), rate("gru", gru),
        *(rate("lstm", y, cell(b, "read")) for b, y in zip(BIASES, read, strict=True)),
        *(rate("lstm", y, cell(b, "held")) for b, y in zip(BIASES, held, strict=True)),
    ]  # fmt: skip


def reaching(one: str, far: float, other: str, near: float, **how: Any) -> list[Measurement]:
    """Accuracies that end there; the trainings as `how` says, else long and ended."""

    def up_to(name: str, limit: float) -> Series:
        grid = (5, 10, 20, 40, 80, 160, 640)
        found = series("accuracy", name, {d: 1.0 if d <= limit else (0.2, 0.3, 0.2) for d in grid})
        steps = [[100] * 3 if d <= limit else [1000] * 3 for d in grid]
        return trained(found, **{"train": "each", "steps_taken": steps, **how})

    return [up_to(one, far), up_to(other, near)]


def _drawn(off: float) -> list[Measurement]:
    from seqarena.claims.book.recall import DRAWN

    return [
        trained(series("accuracy", name, {d: line(d) - off for d in (9.0, 39.0, 89.0)}))
        for name, line in DRAWN.items()
    ]


def _pairs(fall: float = 0.0, **most: float) -> list[Measurement]:
    return [
        trained(series("accuracy", name, {2: 1.0, 16: (y, y + 0.01, y - 0.01)}), fall)
        for name, y in most.items()
    ]


def parity(attention: float, learnt: float = 1.0, lstm: float = 1.0) -> list[Measurement]:
    return [
        series("accuracy", name, {4: at_4, 8: y, 64: y}, guesser=(0.5, 0.5, 0.5))
        for name, at_4, y in (("lstm_plain", 1.0, lstm), ("attention", learnt, attention))
    ]


def _positions(worse: float) -> list[Measurement]:
    return [
        series("bits_per_byte", name, {32: 3.0, 512: 3.0 * worse})
        for name in ("attention_sinusoidal", "attention", "attention_alibi")
    ]


def _norms(post: float) -> list[Measurement]:
    return [
        series("bits_per_byte", "attention", {1: (3.0, 3.1, 3.0), 8: (y, y + 0.01, y)}, variant)
        for variant, y in (("pre-norm", 2.9), ("post-norm", post))
    ]


def heads(trained_bits: float, sharpened: float, initial: float = 0.1) -> list[Measurement]:
    return [
        series("head_divergence_bits", "attention", {1: (y, y + 0.001, y), 2: y}, variant)
        for variant, y in (
            ("initial", initial), ("sharpened", sharpened), ("trained", trained_bits),
        )
    ]  # fmt: skip


def quadratic_memory(explicit: float, fused: float, lstm: float) -> list[Measurement]:
    return [
        power("peak_training_bytes", "attention", explicit, "explicit", (512, 1024, 2048)),
        power("peak_training_bytes", "attention", fused, "fused", (512, 1024, 2048)),
        power("peak_training_bytes", "lstm", lstm, "fused", (512, 1024, 2048)),
        power("state_bytes", "attention", 1, "fused"),
        power("state_bytes", "lstm", 0, "fused"),
    ]


def _shares(lstm: float, attention: float, device: str) -> list[Measurement]:
    return [
        series("share_of_peak", name, {64: y}, "batch 8", device)
        for name, y in (("lstm", lstm), ("attention", attention))
    ]


def counted(
    work: float, state: float, steps: float = 0.0, *, names: Sequence[str], depth: int = 1
) -> list[Measurement]:
    """Formulas that grow as these powers of the length."""
    exponents = {"forward_flops": work, "state_bytes": state, "serial_steps": steps}
    return [
        told(power(quantity, name, p), depth=depth)
        for name in names
        for quantity, p in exponents.items()
    ]


def _state_space(seconds: float, steps: float) -> list[Measurement]:
    from seqarena.claims.book.cost import STATE_SPACES

    return [
        timed("s4d", "parallel", seconds, steps), timed("mamba", "scan", seconds, steps),
        *counted(1, 0, steps, names=STATE_SPACES),
    ]  # fmt: skip


def _fixed(adding: float, overwriting: float) -> list[Measurement]:
    """The powers by which the states grow."""
    from seqarena.claims.book.linear_time import ADDING, OVERWRITING

    return [
        *counted(1, adding, names=ADDING), *counted(1, overwriting, names=OVERWRITING),
        *counted(2, 1, names=["attention"]),
    ]  # fmt: skip


def _sparse(work: float, state: float) -> list[Measurement]:
    from seqarena.claims.book.linear_time import DENSE, SPARSE

    return [*counted(work, state, names=SPARSE), *counted(2, 1, names=["attention", *DENSE])]


def _hybrids(state: float, mixed: float) -> list[Measurement]:
    """The power by which the states grow, and the hybrid's bits where its parts need 2.5."""
    from seqarena.claims.book.linear_time import HYBRIDS, MIXED, PARTS

    bits = {MIXED: mixed, **dict.fromkeys(PARTS, 2.5)}
    return [
        *(series("bits_per_byte", n, {6e4: (y, y + 0.001, y)}) for n, y in bits.items()),
        *counted(1, state, names=HYBRIDS, depth=4), *counted(2, 1, names=["attention"]),
    ]  # fmt: skip


def tracking(plain: float, learnt: float, farther: float) -> list[Measurement]:
    """Accuracies without negative eigenvalues, and with them at the trained length and beyond."""
    from seqarena.claims.book.state_tracking import PLAIN, SIGNED

    return [
        series("accuracy", name, {24: at_24, 48: y, 96: y}, guesser=(0.5, 0.5, 0.5))
        for name, at_24, y in ((PLAIN, plain, plain), (SIGNED, learnt, farther))
    ]


def _cheap(cost: float, recall: float) -> list[Measurement]:
    return [
        power("forward_seconds", "attention", 1.8),
        power("forward_seconds", "linear_attention", cost),
        power("forward_seconds", "sparse_attention", cost),
        *_pairs(attention=1.0, linear_attention=recall, sparse_attention=recall),
    ]


def _translation(right: float, seconds: float) -> list[Measurement]:
    return [
        series("exact_match", "rnnsearch", {100: (right, right + 0.01, right)}),
        series("exact_match", "seq2seq_gru", {100: (0.1, 0.11, 0.1)}),
        series("training_step_seconds", "rnnsearch", {64: seconds}),
        series("training_step_seconds", "seq2seq_gru", {64: 1.0}),
    ]


def _convolution(reaches: tuple[float, ...], exponent: float) -> list[Measurement]:
    return [
        series("reach_positions", "conv", dict(enumerate(reaches, start=1))),
        series("reach_positions", "attention", {1: 79.0}),
        chain("conv", exponent),
    ]


def _hops(most: float) -> list[Measurement]:
    values: dict[float, Y] = {
        1: (0.5, 0.51, 0.5), 2: (0.6, 0.61, 0.6), 3: (most, most + 0.01, most)
    }  # fmt: skip
    usual = (0.2, 0.2, 0.2)
    return [series("accuracy", "memory_network", values, most_usual_answer=usual)]


def _sizes(attention: float, at_most: float, fall: float = 0.0) -> list[Measurement]:
    sizes = (1e4, 3e4, 1e5)

    def bits(slope: float, end: float) -> dict[float, Y]:
        values = {n: end * (n / 1e5) ** slope for n in sizes}
        return {n: (y, y + 0.001, y) for n, y in values.items()}

    return [
        trained(series("bits_per_byte", "attention", bits(attention, at_most)), fall),
        trained(series("bits_per_byte", "lstm", bits(-0.1, 2.5)), fall),
    ]


def ladder(*gaps: float, tokens: Sequence[int] | None = None) -> list[Measurement]:
    """Rungs at which attention is so many bits behind the better of the two."""
    sizes = [1e4 * 2**i for i in range(len(gaps))]
    seen = list(tokens or (5 * int(n) for n in sizes))
    bits = [3.0 - 0.2 * i for i in range(len(gaps))]

    def rungs(name: str, behind: Sequence[float]) -> Series:
        values: dict[float, Y] = {
            n: (y + off, y + off + 0.01, y + off - 0.01)
            for n, y, off in zip(sizes, bits, behind, strict=True)
        }
        return told(series("bits_per_byte", name, values), tokens=seen)

    even, odd = (
        [0.1 * (i % 2) for i in range(len(gaps))],
        [0.1 * (1 - i % 2) for i in range(len(gaps))],
    )
    return [rungs("attention", gaps), rungs("lstm", even), rungs("gru", odd)]


# claim -> records that make it hold, records that make it not hold
PLANTED: dict[str, tuple[list[Measurement], list[Measurement]]] = {
    "serial-steps": (_serial(1, 1), _serial(0.1, 0)),
    "training-time": (_time(1, 0.1), _time(0.9, 1.0)),
    "bidirectional-cost": (
        _layers("bi_lstm", "lstm", 2.1, 2.0), _layers("bi_lstm", "lstm", 3.0, 2.0)
    ),
    "gru-lstm": (_gru((2.0, 2.01, 2.021), 0.75), _gru((2.5, 2.51, 2.52), 0.75)),
    "sequential-dependency": (_solved(1.0, 1e-12, 3.0), _solved(0.1, 1e-12, 3.0)),
    "gradient-power": (_powers(lambda r: 0.8 * r), _powers(lambda r: 0.4 * r)),
    "gating": (
        _gates(0.5, 0.98, (0.99, 0.99, 0.999), (0.5, 0.6, 0.9)),
        _gates(0.9, 0.9, (0.9, 0.9, 0.9), (0.9, 0.9, 0.9)),
    ),
    "constant-path": (
        [*_rates(attention=0.999, elman=0.5, lstm=0.8), chain("attention", 0)],
        [*_rates(attention=0.7, elman=0.5, lstm=0.8), chain("attention", 1)],
    ),
    "vanilla-context": (reaching("elman", 10, "irnn", 20), reaching("elman", 80, "irnn", 20)),
    "lstm-context": (reaching("lstm", 160, "elman", 10), reaching("lstm", 10, "elman", 10)),
    "attention-always": (parity(0.99), parity(0.52)),
    "copy-curves": (_drawn(0.05), _drawn(0.15)),
    "state-bottleneck": (_pairs(attention=0.98, lstm=0.3), _pairs(attention=0.98, lstm=0.98)),
    "sinusoids": (_positions(1.0), _positions(1.5)),
    "norm-position": (_norms(4.0), _norms(2.8)),
    "heads": (heads(0.4, 0.1), heads(0.1, 0.1)),
    "attention-memory": (quadratic_memory(2, 2, 1), quadratic_memory(1, 1, 1)),
    "gpu-utilisation": (_shares(0.4, 0.8, "cuda"), _shares(0.8, 0.4, "cuda")),
    "state-space": (_state_space(1, 0.2), _state_space(1.9, 0.2)),
    "cheap-attention": (_cheap(1.0, 0.5), _cheap(1.8, 1.0)),
    "fixed-state": (_fixed(0, 0), _fixed(1, 1)),
    "sparse-attention": (_sparse(1, 0), _sparse(2, 1)),
    "hybrids": (_hybrids(0.5, 2.4), _hybrids(1.5, 2.6)),
    "parity-eigenvalues": (tracking(0.51, 1.0, 0.99), tracking(0.99, 1.0, 0.99)),
    "attention-on-rnn": (_translation(0.6, 1.3), _translation(0.1, 1.3)),
    "convolution": (_convolution((3, 15, 63), 0), _convolution((63, 15, 3), 1)),
    "memory-hops": (_hops(0.97), _hops(0.51)),
    "loss-by-size": (_sizes(-0.2, 2.3), _sizes(-0.05, 2.7)),
    "at-scale": (ladder(0.1, 0.0, -0.1, -0.2), ladder(0.1, 0.2, 0.3, 0.4)),
}  # fmt: skip

# claim -> records that meet the weaker form that its criterion names
LIMITED: dict[str, list[Measurement]] = {
    "serial-steps": _serial(1, 0),  # a scan's seconds do not grow with its length
    "training-time": _time(1, 1, faster=3.0),  # faster, and it grows as much
    "sequential-dependency": _solved(0.1, 1e-12, 0.5),  # solved at once, and slower
    "state-space": _state_space(1, 1),  # linear in time, one step after the other
    "gating": _gates(0.5, 0.6, (0.99, 0.99, 0.999), (0.5, 0.6, 0.9)),  # not the GRU
    "cheap-attention": _cheap(1.0, 0.5)[:2] + _cheap(1.8, 0.5)[2:],  # one of the two is cheaper
    "fixed-state": _fixed(0, 1),  # those that add alone: more than half
    "sparse-attention": _sparse(1, 1),  # less work, and every position is kept
    "hybrids": _hybrids(1.5, 2.4),  # better, and as large a state
    "parity-eigenvalues": tracking(0.51, 1.0, 0.8),  # learnt, not carried farther
    "loss-by-size": _sizes(-0.2, 2.7),  # steeper, and not ahead
    "at-scale": ladder(-0.3, -0.1, -0.3, -0.1),  # ahead where it was measured
    "heads": [  # in one layer of two
        *heads(0.9, 0.7)[:2],
        series("head_divergence_bits", "attention", {1: (0.9, 0.9, 0.91), 2: 0.55}, "trained"),
    ],
}  # fmt: skip

# claim -> what the audit's null models give: heads that are sharper and otherwise as they began,
# and an LSTM that has its long gradients of the forget bias alone.
NULLS: dict[str, list[list[Measurement]]] = {
    "heads": [heads(0.9, 0.9), heads(0.5, 0.9)],
    "gating": [
        _gates(0.45, 0.62, (0.6, 0.81, 1.0), (0.6, 0.81, 1.0)),
        _gates(0.45, 0.99, (0.99, 0.99, 0.99), (0.99, 0.99, 0.99)),
    ],
}
