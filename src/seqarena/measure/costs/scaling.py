"""How time and memory grow with the length: curves of one architecture with one algorithm.

    speed        seconds of a forward pass, of a training step, and of decoding one token
    equal_tokens seconds of a training step of so many tokens, in many short or few long sequences
    memory       peak bytes of a training step, bytes of the decoding state; each beside a formula
    utilisation  operations a second, as a share of the machine's own fastest matrix product

An algorithm is chosen by `options={"algorithm": "loop"}` (see `algorithms`) and names the curve, so
that the loop, the kernel and the scan of one architecture stand side by side. What is not measured
stands in the settings of what is, with its reason: `skipped` by length, `not_measured` by quantity.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from seqarena.core.errors import UserError, unknown_name
from seqarena.core.results.measurement import Point, Series
from seqarena.core.runtime import limited_threads
from seqarena.measure.costs.bench import Bench
from seqarena.measure.costs.growth import Growth, Limits
from seqarena.measure.costs.peak import peak_flops_per_second
from seqarena.measure.costs.speed import WARMUP_STEPS
from seqarena.measure.subject import Subject, subject
from seqarena.models.stacks.stack import layer_operation

QUANTITIES = {
    "forward": "forward_seconds",
    "training": "training_step_seconds",
    "decoding": "decode_seconds_per_token",
}


def speed(
    architecture: str,
    *,
    lengths: Sequence[int],
    batch_size: int = 1,
    what: Sequence[str] = ("forward", "training", "decoding"),
    width: int = 64,
    depth: int = 2,
    params: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    checkpoint: str | Path | None = None,
    repeats: int = 5,
    seconds: float = 0.5,
    threads: int | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    peak: bool = False,
    limit_seconds: float = 120.0,
    limit_bytes: int | None = None,
) -> list[Series]:
    """Seconds against length, one series a quantity of `what`; decoding is of one sequence.

    `seconds` fills the repeats of a point. A length that would break a limit
    (measure/costs/growth.py) is skipped. `peak` measures the machine's matrix product too. Settings
    by length: `flops`, of the whole timed call by the model's formula, and `serial_steps`. Raises
    UserError where nothing can be measured, with the reason.
    """
    for name in what:
        if name not in QUANTITIES:
            raise unknown_name("timing", name, QUANTITIES)
    chosen = _chosen(architecture, variant, options, checkpoint, width, depth, params)
    bench = Bench(chosen, batch_size, device, dtype)
    with _undisturbed(threads):
        growth = Growth(bench, lengths, Limits(limit_seconds, limit_bytes), repeats, seconds)
        settings = _settings(growth, options)
        settings |= {"repeats": repeats, "seconds": seconds, "warmup": WARMUP_STEPS}
        if peak:
            settings["peak_flops_per_second"] = peak_flops_per_second(
                torch.get_num_threads(), device, dtype
            )
        wanted = {QUANTITIES[name]: getattr(growth, name) for name in what}
        return _curves("speed", growth, wanted, settings)


def equal_tokens(
    architecture: str,
    *,
    tokens: int,
    lengths: Sequence[int],
    **more: Any,
) -> list[Series]:
    """Seconds of a training step of `tokens` tokens against the length of the sequences that they
    are cut into: the work is about the same everywhere, the serial steps grow with the length.

    `more` goes to `speed`. Raises UserError for a length that does not divide the tokens.
    """
    found: list[Series] = []
    for length in sorted(lengths):
        if tokens % length:
            raise UserError(f"{tokens} tokens cannot be cut into sequences of {length}")
        found += speed(
            architecture, lengths=[length], batch_size=tokens // length, what=("training",), **more
        )
    first = found[0]
    by_length = {
        name: [value for each in found for value in each.settings[name]]
        for name in ("flops", "serial_steps")
    }
    return [
        first.model_copy(
            update={
                "measurement": "speed at equal tokens",
                "points": tuple(point for each in found for point in each.points),
                "settings": first.settings
                | by_length
                | {"tokens": tokens, "batch_size": [each.settings["batch_size"] for each in found]},
            }
        )
    ]


def memory(
    architecture: str,
    *,
    lengths: Sequence[int],
    batch_size: int = 1,
    width: int = 64,
    depth: int = 2,
    params: int | None = None,
    options: dict[str, Any] | None = None,
    variant: str = "",
    checkpoint: str | Path | None = None,
    threads: int | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    limit_seconds: float = 120.0,
    limit_bytes: int | None = None,
) -> list[Series]:
    """Bytes against length: `peak_training_bytes` and, of what continues a sequence, `state_bytes`.

    Baselines of the peak: "formula", the prediction of measure/costs/prediction.py; "parameters",
    its floor of 16 bytes a parameter in float32; "quadratic term", its part that grows as T^2. Of
    the state: "formula", the class's own. Skipping and errors as in `speed`.
    """
    chosen = _chosen(architecture, variant, options, checkpoint, width, depth, params)
    bench = Bench(chosen, batch_size, device, dtype)
    with _undisturbed(threads):
        growth = Growth(bench, lengths, Limits(limit_seconds, limit_bytes), 1, 0.0)
        wanted = {"peak_training_bytes": growth.training_bytes, "state_bytes": growth.state_bytes}
        settings = _settings(growth, options)
        settings["counted_at"] = list(growth.predicted.counted_at)
        settings["activation_bytes"] = list(growth.predicted.activations)
        return _curves("memory", growth, wanted, settings)


def utilisation(
    architecture: str,
    *,
    lengths: Sequence[int],
    batch_sizes: Sequence[int],
    what: str = "training",
    **more: Any,
) -> list[Series]:
    """The share of the machine's measured matrix-product peak that a call reaches against length,
    one series a batch size.

    `what` is "training" or "forward"; `more` goes to `speed`. The operations are those of the
    model's own formula: what an algorithm spends beside them is not to its credit. A batch size
    that breaks a limit everywhere is named in the others' settings; raises UserError where all do.
    """
    if what == "decoding":
        raise UserError("utilisation is of training or forward: decoding reads one token at a time")
    found: list[Series] = []
    missing: dict[str, str] = {}
    for batch_size in batch_sizes:
        try:
            (timed,) = speed(
                architecture, lengths=lengths, batch_size=batch_size, what=(what,), peak=True,
                **more,
            )  # fmt: skip
        except UserError as error:
            missing[f"batch {batch_size}"] = str(error)
            continue
        found.append(_share_of_peak(timed, what, batch_size))
    if not found:
        raise UserError("; ".join(missing.values()) or "give at least one batch size")
    return [_with_settings(series, {"not_measured": missing}) for series in found]


def algorithms(architecture: str) -> tuple[str, ...]:
    """The algorithms that every layer of the architecture can be computed by, the slow truth
    first; none where its layers share none, or where it is a system with a way of its own."""
    row = subject(architecture).row
    if row.system is not None:
        return ()
    offered = [layer_operation(*layer).available("cpu", torch.float32) for layer in row.cycle]
    return tuple(name for name in offered[0] if all(name in names for names in offered))


def _chosen(
    architecture: str,
    variant: str,
    options: dict[str, Any] | None,
    checkpoint: str | Path | None,
    width: int,
    depth: int,
    params: int | None,
) -> Subject:
    """The subject to measure. Its variant defaults to the requested algorithm."""
    if checkpoint is not None and options:
        raise UserError("a checkpoint has its options: they cannot be given beside it")
    return subject(
        architecture, variant=variant or str((options or {}).get("algorithm", "")),
        checkpoint=checkpoint, options=options, width=width, depth=depth, params=params,
    )  # fmt: skip


@contextmanager
def _undisturbed(threads: int | None) -> Iterator[None]:
    """As many threads as asked for (None: as now), and random numbers as they were, after it."""
    with limited_threads(threads or torch.get_num_threads()), torch.random.fork_rng(devices=[]):
        yield


def _settings(growth: Growth, options: dict[str, Any] | None) -> dict[str, Any]:
    bench, length = growth.bench, growth.possible[0]
    model = bench.subject.build(length)
    return bench.subject.settings(length) | {
        "parameters": model.num_parameters,
        "batch_size": bench.batch_size,
        "options": options or {},
        "algorithms": list(model.algorithms),
    }


def _curves(
    measurement: str, growth: Growth, wanted: dict[str, Any], settings: dict[str, Any]
) -> list[Series]:
    """The curves that there are; the others are named in their settings."""
    found: list[Series] = []
    missing: dict[str, str] = {}
    no_decoding = growth.bench.why_no_decoding(growth.possible[0])
    for quantity, measure in wanted.items():
        decodes = measure in (growth.decoding, growth.state_bytes)
        if decodes and no_decoding is not None:
            missing[quantity] = no_decoding
            continue
        own = settings | ({"batch_size": 1} if decodes else {})
        try:
            found.append(growth.curve(measurement, quantity, measure, own))
        except UserError as error:
            missing[quantity] = str(error)
    if not found:
        name = growth.bench.subject.row.name
        raise UserError(f"{name}: {'; '.join(missing.values()) or 'nothing was asked for'}")
    return [_with_settings(series, {"not_measured": missing}) for series in found]


def _share_of_peak(timed: Series, what: str, batch_size: int) -> Series:
    peak = timed.settings["peak_flops_per_second"]
    points = tuple(
        Point(x=point.x, repeats=tuple(flops / seconds / peak for seconds in point.repeats))
        for point, flops in zip(timed.points, timed.settings["flops"], strict=True)
    )
    return timed.model_copy(
        update={
            "measurement": "utilisation",
            "quantity": "share_of_peak",
            "variant": f"{timed.variant}, batch {batch_size}".removeprefix(", "),
            "points": points,
            "settings": timed.settings | {"what": what},
        }
    )


def _with_settings(series: Series, more: dict[str, dict[str, str]]) -> Series:
    """The series with those of `more` that say something."""
    said = {key: value for key, value in more.items() if value}
    return series.model_copy(update={"settings": series.settings | said})
