"""`seqarena measure ...`: speed, memory, gradients, recall, length, reach, maps, utilisation."""

from typing import Annotated, Any

import typer

from seqarena.cli import compare, options
from seqarena.cli.measure_common import (
    Common,
    call_arguments,
    finish,
    options_of,
    run,
    targets_of,
    with_common,
)
from seqarena.core.errors import UserError

HELP = (
    "Measure one property of any architecture, as it begins or trained: curves with intervals.\n\n"
    "Each verb prints a table, says what it shows, and writes the records and a page to "
    "runs/measurements. Calling again reuses what stands.\n\n"
    "Start with:  seqarena measure speed --models lstm,attention --algorithms all"
)
SENTENCE = "The cat sat on the mat because it was comfortable"
Lengths = Annotated[str, typer.Option(help="Tokens in a sequence, 64,128,...")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of each training.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds, each one repeat of every point.")]
Rates = Annotated[str, typer.Option(help="Learning rates tried, chosen on validation.")]
TaskSettings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the task, key=value. Repeatable.")
]


@with_common
def speed(
    *,
    lengths: Lengths = "64,128,256,512,1024",
    batch: Annotated[int, typer.Option(min=1, help="Sequences at a time.")] = 1,
    what: Annotated[
        str, typer.Option(help="Of forward, training and decoding, those to time.")
    ] = "forward,training,decoding",
    repeats: Annotated[int, typer.Option(min=1, help="Timings of every point.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="Time for one point's repeats.")] = 0.5,
    device: compare.Device = "cpu",
    dtype: compare.Dtype = "float32",
    common: Common,
) -> None:
    """Time the forward pass, the training step and decoding against the length.

    seqarena measure speed --models lstm,attention --algorithms all

    A row is an architecture in one algorithm, a column a length T. `says` is p of time ~ T^p,
    fitted over all lengths, with its 95 % interval, then p over the longer half, and the operations
    a second at the last length as a share of the machine's fastest matrix product.
    """
    run(
        common,
        "seqarena.measure.scaling:speed",
        "lstm,gru,mingru,conv,attention,mamba",
        {
            "lengths": _numbers(lengths, "--lengths"),
            "batch_size": batch,
            "what": options.names(what),
            "repeats": repeats,
            "seconds": seconds,
            "peak": True,
            **_place(device, dtype, common),
        },
    )


@with_common
def memory(
    *,
    lengths: Lengths = "64,128,256,512,1024",
    batch: Annotated[int, typer.Option(min=1, help="Sequences at a time.")] = 1,
    device: compare.Device = "cpu",
    dtype: compare.Dtype = "float32",
    common: Common,
) -> None:
    """Count the peak bytes of training and the bytes of the decoding state against the length.

    seqarena measure memory --models attention,lstm --algorithms all

    A row is an architecture in one algorithm, a column a length T; the dim row below it is what
    the formula predicts. `says` is p of bytes ~ T^p: explicit softmax attention keeps all its
    weights and nears 2, its fused form stays at 1.
    """
    run(
        common,
        "seqarena.measure.scaling:memory",
        "lstm,mingru,attention,linear_attention,mamba",
        {
            "lengths": _numbers(lengths, "--lengths"),
            "batch_size": batch,
            **_place(device, dtype, common),
        },
    )


@with_common
def utilisation(
    *,
    lengths: Lengths = "64,256,1024",
    batches: Annotated[str, typer.Option(help="Sequences at a time, 1,8,...")] = "1,8,32",
    device: compare.Device = "cpu",
    dtype: compare.Dtype = "float32",
    common: Common,
) -> None:
    """Hold the operations a second of training against the machine's fastest matrix product.

    seqarena measure utilisation --models lstm,attention --batches 1,8,32

    A row is an architecture at one batch size, a column a length; cells are shares of the measured
    peak in per cent. `says` is the largest share and where it is reached.
    """
    run(
        common,
        "seqarena.measure.scaling:utilisation",
        "lstm,mingru,attention",
        {
            "lengths": _numbers(lengths, "--lengths"),
            "batch_sizes": _numbers(batches, "--batches"),
            **_place(device, dtype, common),
        },
    )


@with_common
def gradient(
    *,
    length: Annotated[int, typer.Option(min=3, help="Tokens in the sequence.")] = 128,
    of: Annotated[
        str,
        typer.Option(help="loss: d loss_T / d x_(T-k). state: d h_t / d h_(t-k), of recurrences."),
    ] = "loss",
    seeds: Seeds = 3,
    radius: Annotated[
        float | None,
        typer.Option(help="Scale an Elman network's recurrent matrix to this spectral radius."),
    ] = None,
    common: Common,
) -> None:
    """Follow the norm of the gradient back through time: does it vanish, hold or explode?

    seqarena measure gradient --models elman,lstm,attention --of loss

    A row is an architecture, a column the distance k; values are relative to distance 0. `says` is
    lambda of norm ~ lambda^k with its interval, and after how many steps the norm has halved.
    """
    arguments: dict[str, Any] = {"length": length, "of": of, "seeds": seeds}
    if radius is not None:
        arguments["spectral_radius"] = radius
    run(
        common,
        "seqarena.measure.gradient:gradient_flow_series",
        "elman,lstm,gru,conv,attention,mamba",
        arguments,
    )


@with_common
def reach(
    *,
    depths: Annotated[str, typer.Option(help="Layers, 1,2,4.")] = "1,2,4",
    length: Annotated[
        int | None,
        typer.Option(min=2, help="Tokens in the sequence. Default: one more than the formula's."),
    ] = None,
    common: Common,
) -> None:
    """Find how far back one output sees, by replacing one token at a time, at several depths.

    seqarena measure reach --models conv,sliding_window,lstm

    A row is an architecture, a column a number of layers, a cell a number of positions; the dim row
    below is what its layers' own formula says. Without a formula the sequence has 128 positions,
    and 127 means: it sees everything.
    """
    if common.depth is not None:
        raise UserError("measure reach asks for several depths: give --depths, not --depth")
    run(
        common,
        "seqarena.measure.gradient:receptive_field_series",
        "feed_forward,conv,sliding_window,lstm,attention",
        {"depths": _numbers(depths, "--depths"), **({"length": length} if length else {})},
    )


@with_common
def recall(
    *,
    task: Annotated[
        str, typer.Option(help="copying, selective_copying, text_copy, adding or mqar.")
    ] = "copying",
    distances: Annotated[
        str, typer.Option(help="How far back; of mqar, how many pairs. 5,10,...")
    ] = "5,10,20,50",
    steps: Steps = 600,
    rates: Rates = "3e-3",
    seeds: Seeds = 1,
    batch: compare.Batch = 32,
    settings: TaskSettings = None,
    device: compare.Device = "cpu",
    common: Common,
) -> None:
    """Train for a task of memory at each distance: how far does an architecture remember?

    seqarena measure recall --models elman,lstm,attention --distances 5,10,20,50,100

    A row is an architecture, a column a distance; the dim row is what a guesser without memory
    gets. `says` is the reach: the distance up to which accuracy is 90 % or more.
    """
    run(
        common,
        "seqarena.measure.recall:recall",
        "elman,lstm,gru,attention,mamba",
        {
            "task": task,
            "distances": _numbers(distances, "--distances"),
            **_training(steps, rates, seeds, batch, settings, device),
        },
    )


@with_common
def length(
    *,
    task: Annotated[
        str, typer.Option(help="parity, modular_arithmetic, copying, induction or language.")
    ] = "parity",
    train_length: Annotated[int, typer.Option(min=1, help="Length that is trained on.")] = 16,
    factors: Annotated[
        str, typer.Option(help="Scored at these multiples of it, 1,2,4,16.")
    ] = "1,2,4,16",
    steps: Steps = 600,
    rates: Rates = "3e-3",
    seeds: Seeds = 1,
    batch: compare.Batch = 32,
    settings: TaskSettings = None,
    device: compare.Device = "cpu",
    common: Common,
) -> None:
    """Train at one length and score at longer ones: what carries over?

    seqarena measure length --models lstm,attention --task parity --train-length 16

    A row is an architecture, a column the length that is scored; the dim row is what a guesser
    without memory gets. `says` is the length up to which accuracy is 90 % or more.
    """
    run(
        common,
        "seqarena.measure.length:length_generalisation",
        "elman,lstm,attention,mamba",
        {
            "task": task,
            "train_length": train_length,
            "factors": _numbers(factors, "--factors"),
            **_training(steps, rates, seeds, batch, settings, device),
        },
    )


@with_common
def maps(
    *,
    text: Annotated[str, typer.Option(help="The sentence to look at.")] = SENTENCE,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Train so many steps on text first, and show both."),
    ] = None,
    common: Common,
) -> None:
    """Draw who looks at whom: attention by layer and head, and for all the flow of information.

    seqarena measure maps --models attention,lstm --text "The cat sat on the mat" --steps 300

    Attention maps are the weights of each head. Information flow is the norm of d y_i / d x_j, rows
    summing to one, which every architecture has: the page shows both on the same axes.
    """
    if common.algorithms is not None:
        raise UserError("an algorithm changes no map: leave out --algorithms")
    from seqarena.measure.calls import Call

    arguments = {**common.sizes, "text": text, **options_of(common)}
    functions = ("seqarena.measure.maps:attention_maps", "seqarena.measure.maps:influence_maps")
    if steps is not None:
        if common.run is not None:
            raise UserError("--run has trained its models: leave out --steps")
        arguments["steps"] = steps
        functions = ("seqarena.measure.maps:maps_of_training",)
    found = targets_of(common, "attention,lstm")
    calls = [Call(name, t, call_arguments(t, arguments)) for name in functions for t in found]
    finish(common, calls)


VERBS = (speed, memory, utilisation, gradient, reach, recall, length, maps)


def _numbers(text: str, what: str) -> list[int]:
    """`64,128` as whole numbers. Raises UserError for anything else and for none."""
    found = [options.whole(part, what) for part in options.names(text)]
    if not found:
        raise UserError(f"{what} names nothing: write it as 64,128")
    return sorted({number for number in found if number is not None})


def _place(device: str, dtype: str, common: Common) -> dict[str, Any]:
    from seqarena.core.runtime import resolve_device, resolve_dtype

    device = resolve_device(device).name
    place: dict[str, Any] = {"device": device, "dtype": resolve_dtype(dtype, device).name}
    return place if common.threads is None else {**place, "threads": common.threads}


def _training(
    steps: int, rates: str, seeds: int, batch: int, settings: list[str] | None, device: str
) -> dict[str, Any]:
    from seqarena.core.runtime import resolve_device

    found: dict[str, Any] = {
        "steps": steps,
        "learning_rates": list(options.rates(rates)),
        "seeds": list(range(seeds)),
        "batch_size": batch,
        "device": resolve_device(device).name,
    }
    return {**found, "task_settings": options.settings(settings)} if settings else found
