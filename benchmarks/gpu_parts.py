"""The parts of benchmarks/gpu.py and their rows. A row is a name and what measures it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.gpu_operations import block_rows, operation_rows
from benchmarks.gpu_rivals import GPT, Cells, sized
from benchmarks.gpu_timing import Sizes, gigabytes, peak_of, repeats, spread
from benchmarks.training import VOCABULARY, batch, count, training_step
from seqarena.core.runtime import autocast
from seqarena.mixers.contract import CHECKS, subject
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.models.model import StatefulModel
from seqarena.models.stacks.stack import layer_operation, load_mixer
from seqarena.ops.short_convolution import short_convolution

__all__ = ["PARTS", "Part", "Sizes"]

Row = tuple[str, Callable[[], dict[str, Any]]]
CONTRACT = (
    *("mamba", "mingru", "retnet", "gated_delta", "deltanet", "s4d", "lru", "gla", "rwkv7"),
    *("minlstm", "mamba2"),
)
CHECKED = ("algorithms", "gradients", "padding", "decoding")
TRIED = ("mingru", "retnet")  # at tiny sizes
# the most important first: an architecture, its algorithm, whether its blocks are compiled
TRAINED = (
    ("attention", "auto", False), ("lstm", "auto", False), ("gru", "auto", False),
    ("mamba", "triton", False), ("mingru", "triton", False), ("gated_delta", "triton", False),
    ("retnet", "triton", False), ("s4d", "triton", False), ("deltanet", "triton", False),
    ("minlstm", "triton", False), ("linear_attention", "auto", False), ("mingru", "auto", False),
    ("s4d", "auto", False), ("retnet", "auto", False), ("gated_delta", "auto", False),
    ("lru", "triton", False), ("mamba2", "triton", False), ("mamba", "auto", False),
    ("lru", "auto", False), ("attention", "auto", True),
)  # fmt: skip
STREAMED = (
    ("mamba", "triton"), ("mingru", "triton"), ("gated_delta", "triton"), ("retnet", "triton"),
    ("linear_attention", "auto"), ("s4d", "triton"), ("deltanet", "triton"), ("lru", "triton"),
    ("gru", "auto"), ("lstm", "auto"),
)  # fmt: skip


class Part(NamedTuple):
    """Rows that are measured in one process, and their share of the time."""

    title: str
    share: float
    rows: Callable[[Sizes], Iterator[Row]]


def contract_rows(sizes: Sizes) -> Iterator[Row]:
    """The contract of mixers whose operation has a kernel."""
    for name in TRIED if sizes.small else CONTRACT:
        for dtype in (torch.float32, torch.bfloat16):
            kind = str(dtype).removeprefix("torch.")
            yield f"{name} {kind}", lambda name=name, dtype=dtype: _contract(name, dtype, sizes)
    yield "short convolution float32", lambda: _convolution_agrees(sizes)


def _contract(name: str, dtype: torch.dtype, sizes: Sizes) -> dict[str, Any]:
    place, options = CATALOG[name].cycle[0]
    mixer_class = load_mixer(place)
    algorithm = _available(name, "triton", sizes)
    config = mixer_class.Config(**options, algorithm=algorithm)
    checked = subject(mixer_class, config, device=sizes.device, dtype=dtype)
    for check in CHECKED[2:3] if sizes.small else CHECKED:
        CHECKS[check](checked)
    return {"algorithm": algorithm, "checks": CHECKED, "says": f"held by {algorithm}"}


def _convolution_agrees(sizes: Sizes) -> dict[str, Any]:
    """The kernel of the short convolution against its slow truth, gradients included."""
    offered = short_convolution.available(sizes.device, torch.float32)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(3, 260, 70), torch.randn(70, 4), torch.randn(70)
    found = []
    for form in (offered[0], offered[-1]):
        leaves = [t.to(sizes.device).requires_grad_() for t in (x, weight, bias)]
        y = short_convolution(*leaves, "silu", form)
        found.append((y.detach(), *torch.autograd.grad(y.square().sum(), leaves)))
    largest = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found, strict=True))
    assert largest < 1e-4, f"{offered[-1]} differs from {offered[0]} by {largest:.1e}"
    return {"largest_difference": largest, "says": f"{offered[-1]} held to {largest:.0e}"}


def training_rows(sizes: Sizes) -> Iterator[Row]:
    """Training steps of whole models, each rival beside what it is measured against."""
    depths = {"lstm": (nn.LSTM, 12), "gru": (nn.GRU, 16)}
    seen = set()
    for name, algorithm, compiled in TRAINED:
        label = f"{name} {algorithm}{' compiled' if compiled else ''}"
        if sizes.small and (name in seen or len(seen) == 4):
            continue
        yield label, lambda n=name, a=algorithm, c=compiled: _train(n, a, c, sizes)
        if name == "attention":
            kind = " compiled" if compiled else ""
            yield f"GPT wiring{kind}", lambda c=compiled: _train_gpt(c, sizes)
        if name in depths and name not in seen:
            cell, depth = depths[name]
            yield (
                f"nn.{cell.__name__} x {depth}",
                lambda c=cell, d=depth: _trained(
                    sized(lambda w: Cells(c, w, d), sizes.params, sizes.step), None, sizes
                ),
            )
        seen.add(name)
    if not sizes.small:
        yield "mamba triton, short convolution too", lambda: _with_convolution(sizes)


def _train(name: str, algorithm: str, compiled: bool, sizes: Sizes) -> dict[str, Any]:
    algorithm = _available(name, algorithm, sizes)
    model = build(
        name, vocab_size=VOCABULARY, params=sizes.params, max_length=sizes.length, seed=0,
        options={} if algorithm == "auto" else {"algorithm": algorithm},
    ).to(sizes.device)  # fmt: skip
    if compiled:
        for block in model.stack.blocks:  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]
            block.compile()
    found = _trained(model, lambda tokens: model(tokens)[0], sizes)
    stack = model.config.stack  # pyright: ignore[reportAttributeAccessIssue]
    shape = {"width": stack.width, "layers": len(stack.layers)}
    return {**found, **shape, "algorithms": model.algorithms, "compiled": compiled}


def _train_gpt(compiled: bool, sizes: Sizes) -> dict[str, Any]:
    model = sized(lambda width: GPT(width, 8, sizes.length), sizes.params, sizes.step)
    if compiled:
        model.compile()
    return _trained(model, None, sizes)


def _with_convolution(sizes: Sizes) -> dict[str, Any]:
    """As it would be if `auto` took the kernel of the short convolution."""
    default, short_convolution._default = short_convolution._default, "triton"
    try:
        return _train("mamba", "triton", False, sizes)
    finally:
        short_convolution._default = default


def _trained(
    model: nn.Module, logits: Callable[[Tensor], Tensor] | None, sizes: Sizes
) -> dict[str, Any]:
    model = model.to(sizes.device)
    tokens = batch(sizes.batch, sizes.length)
    step = training_step(model, logits or model, tokens, sizes.dtype, sizes.device)
    peak = peak_of(step, sizes)
    seconds = repeats(step, sizes)
    speeds = spread([sizes.batch * sizes.length / s for s in seconds])
    says = f"{speeds['median']:,.0f} tokens/s, {gigabytes(peak)}"
    facts = {"tokens_per_second": speeds, "peak_bytes": peak, "parameters": count(model)}
    return {**facts, "seconds": seconds, "says": says}


def million_rows(sizes: Sizes) -> Iterator[Row]:
    """One long sequence, piece after piece with the state carried on."""
    for name, algorithm in STREAMED[:2] if sizes.small else STREAMED:
        yield f"{name} {algorithm}", lambda n=name, a=algorithm: _stream(n, a, sizes)


def _stream(name: str, algorithm: str, sizes: Sizes) -> dict[str, Any]:
    algorithm = _available(name, algorithm, sizes)
    model = build(
        name, vocab_size=VOCABULARY, params=sizes.params, max_length=sizes.length, seed=0,
        options={} if algorithm == "auto" else {"algorithm": algorithm},
    ).to(sizes.device).eval()  # fmt: skip
    assert isinstance(model, StatefulModel)

    def read(tokens: int) -> None:
        state = model.initial_state(1)
        with torch.inference_mode(), autocast(sizes.device, sizes.dtype):
            for start in range(0, tokens, sizes.piece):
                size = min(sizes.piece, tokens - start)
                piece_BT = torch.randint(VOCABULARY, (1, size), device=sizes.device)
                state = model(piece_BT, state)[1]

    read(sizes.piece)  # compiles
    peaks = [peak_of(lambda n=n: read(n), sizes) for n in (sizes.stream // 8, sizes.stream)]
    (seconds,) = repeats(lambda: read(sizes.stream), sizes, least=1, most=1)
    speed = sizes.stream / seconds
    growth = peaks[1] / peaks[0] if peaks[0] else None
    says = f"{speed:,.0f} tokens/s, {gigabytes(peaks[1])}, growth {growth and round(growth, 3)}"
    return {
        "algorithm": algorithm, "tokens": sizes.stream, "piece": sizes.piece, "seconds": seconds,
        "tokens_per_second": speed, "peak_bytes": peaks, "growth": growth, "says": says,
    }  # fmt: skip


def _available(name: str, algorithm: str, sizes: Sizes) -> str:
    """The algorithm; `auto` at tiny sizes on a CPU, where no kernel runs."""
    offered = layer_operation(*CATALOG[name].cycle[0]).available(sizes.device, torch.float32)
    return "auto" if sizes.device == "cpu" and algorithm not in offered else algorithm


PARTS = {
    "contract": Part("the contract of every kernel on this device", 2.0, contract_rows),
    "training": Part("training steps of whole models", 3.5, training_rows),
    "operations": Part("forms of one operation side by side", 1.2, operation_rows),
    "million": Part("a long sequence in constant memory", 1.3, million_rows),
    "blocks": Part("sizes of the kernels' blocks", 0.6, block_rows),
}
