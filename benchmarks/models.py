"""Whole models beside other packages: a training step of an embedding, layers in a residual stack
with norms before them, and a head; tokens/s, and peak memory beside the weights and the moments of
the optimizer.

    python -m benchmarks.models [--rows gated_delta mamba2 ...] [--threads 1] [--repeats 3]

Ours runs as `compare` would run it (its products by the library that `--products auto` finds), by
the BLAS as the others do, and by the naive loop. A package that is missing is said and left out;
their layers are their own, without CUDA kernels, in the same stack.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmarks.side_by_side import Clock, Contender, Row, compare
from benchmarks.training import VOCABULARY, batch, count, training_step
from seqarena.core import runtime
from seqarena.core.malloc import keep_freed_memory
from seqarena.core.products import multiplying, resolve_products
from seqarena.measure.costs.memory import peak_bytes
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.language_model import LanguageModel, ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig

Layer = Callable[[Tensor], Tensor]


class Stack(nn.Module):
    """Another package's layers, wired as ours are. `call` is how one is called."""

    def __init__(
        self, layers: list[nn.Module], width: int, call: Callable[[nn.Module, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in layers)
        self.norm, self.call = nn.RMSNorm(width), call

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.tokens(tokens_BT)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x_BTD = x_BTD + self.call(layer, norm(x_BTD))
        return nn.functional.linear(self.norm(x_BTD), self.tokens.weight)


def ours(name: str, width: int, depth: int, algorithm: str) -> LanguageModel:
    """The catalog's mixer in a bare stack."""
    ((mixer, options),) = CATALOG[name].cycle
    layer = LayerConfig(mixer=mixer, options={**options, "algorithm": algorithm})
    stack = StackConfig(width=width, layers=(layer,) * depth, channel_mixer="none", norm="rms")
    return LanguageModel(ModelConfig(vocab_size=VOCABULARY, stack=stack))


def transformers_mamba(width: int, depth: int) -> nn.Module:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    config = MambaConfig(hidden_size=width, state_size=16, num_hidden_layers=depth)
    layers: list[nn.Module] = [MambaMixer(config, layer_idx=i) for i in range(depth)]
    return Stack(layers, width, lambda layer, x: layer(x))


def mambapy(width: int, depth: int) -> nn.Module:
    from mambapy.mamba import MambaBlock, MambaConfig  # pyright: ignore[reportMissingImports]

    config = MambaConfig(d_model=width, n_layers=depth)
    return Stack([MambaBlock(config) for _ in range(depth)], width, lambda layer, x: layer(x))


def transformers_mamba2(width: int, depth: int) -> nn.Module:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(
        hidden_size=width, num_heads=4, head_dim=width // 2, state_size=64, n_groups=1,
        chunk_size=64, num_hidden_layers=depth,
    )  # fmt: skip
    layers: list[nn.Module] = [Mamba2Mixer(config, layer_idx=i) for i in range(depth)]
    return Stack(layers, width, lambda layer, x: layer(x))


def recurrent_gemma(width: int, depth: int) -> nn.Module:
    from transformers import RecurrentGemmaConfig
    from transformers.models.recurrent_gemma.modeling_recurrent_gemma import (
        RecurrentGemmaRecurrentBlock,
    )

    config = RecurrentGemmaConfig(
        hidden_size=width, lru_width=width * 4 // 3, num_attention_heads=4, conv1d_width=4
    )

    def call(layer: nn.Module, x: Tensor) -> Tensor:
        positions = torch.arange(1, x.shape[1] + 1).expand(x.shape[:2])
        return layer(x, positions, attention_mask=None, use_cache=False)[0]

    layers: list[nn.Module] = [
        RecurrentGemmaRecurrentBlock(config, layer_idx=i) for i in range(depth)
    ]
    return Stack(layers, width, call)


def qwen3_next(width: int, depth: int) -> nn.Module:
    from transformers import Qwen3NextConfig
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    config = Qwen3NextConfig(
        hidden_size=width, linear_num_key_heads=4, linear_num_value_heads=4,
        linear_key_head_dim=width // 4, linear_value_head_dim=width // 2,
        linear_conv_kernel_dim=4, num_hidden_layers=2,
        layer_types=["linear_attention", "full_attention"],
    )  # fmt: skip
    layers: list[nn.Module] = [Qwen3NextGatedDeltaNet(config, layer_idx=0) for _ in range(depth)]
    return Stack(layers, width, lambda layer, x: layer(x))


def mingru_pytorch(width: int, depth: int) -> nn.Module:
    from minGRU_pytorch import minGRU  # pyright: ignore[reportMissingImports]

    return Stack([minGRU(width) for _ in range(depth)], width, lambda layer, x: layer(x))


def xlstm(width: int, depth: int) -> nn.Module:
    from xlstm import mLSTMLayer, mLSTMLayerConfig  # pyright: ignore[reportMissingImports]

    config = mLSTMLayerConfig(embedding_dim=width, context_length=4096, num_heads=4)
    config._inner_embedding_dim = 2 * width
    config.proj_factor = 2.0
    return Stack([mLSTMLayer(config) for _ in range(depth)], width, lambda layer, x: layer(x))


Builder = Callable[[int, int], nn.Module]
ROWS: dict[str, dict[str, Builder]] = {
    "mamba": {"transformers Mamba": transformers_mamba, "mambapy": mambapy},
    "mamba2": {"transformers Mamba-2": transformers_mamba2},
    "hawk": {"transformers RecurrentGemma": recurrent_gemma},
    "gated_delta": {"transformers Qwen3-Next": qwen3_next},
    "mingru": {"minGRU-pytorch": mingru_pytorch},
    "mlstm": {"xlstm": xlstm},
}


def main() -> None:
    arguments = _arguments()
    runtime.flush_denormals()
    keep_freed_memory()
    torch.set_num_threads(arguments.threads)
    console, products = Console(), resolve_products("auto", "cpu")
    console.print(
        f"{runtime.processor_name()}, threads {arguments.threads}, {arguments.dtype}, width "
        f"{arguments.width}, layers {arguments.depth}, T {arguments.length}, batch "
        f"{arguments.batch}; our products: {products.name} ({products.reason})"
    )
    for name in arguments.rows:
        _show(name, arguments, products.name, console)


def _show(name: str, arguments: argparse.Namespace, products: str, console: Console) -> None:
    made = dict(_contenders(name, arguments, products, console))
    contenders = [
        Contender(label, label.startswith("ours") and "loop" not in label, step, count(model))
        for label, (model, step) in made.items()
    ]
    tokens = arguments.batch * arguments.length
    # the layers differ in small maps and biases: sizes are shown, and not held against each other
    row = Row(name, tokens, {}, [one._replace(parameters=None) for one in contenders])
    outcome = compare(row, repeats=arguments.repeats, clock=arguments.clock)
    table = Table(title=name, title_justify="left")
    for heading in ("", "size", "tokens/s", "peak MB", "ours is times as fast"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for one in contenders:
        model, step = made[one.name]
        peak = peak_bytes(partial(_given, step), lambda run: run()) if arguments.memory else 0
        ratios = [r for r in outcome.ratios if (r.ours, r.theirs) == ("ours", one.name)]
        table.add_row(
            one.name,
            f"{count(model) / 1e6:.2f}M",
            f"{outcome.tokens_per_second(one.name):,.0f}",
            f"{peak / 1e6:.0f}" if peak else "",
            "".join(f"{r.median:.2f} ({r.low:.2f}..{r.high:.2f})" for r in ratios),
        )
    console.print(table)


def _contenders(
    name: str, arguments: argparse.Namespace, products: str, console: Console
) -> Iterator[tuple[str, tuple[nn.Module, Callable[[], Any]]]]:
    size, data = (arguments.width, arguments.depth), batch(arguments.batch, arguments.length)
    model = ours(name, *size, "auto")
    step = training_step(model, lambda x: model(x)[0], data, arguments.dtype)
    yield "ours", (model, partial(_multiplied, step, products))
    yield "ours, products by the BLAS", (model, step)
    if arguments.loop:
        loop = ours(name, *size, "loop")
        walk = training_step(loop, lambda x: loop(x)[0], data, arguments.dtype)
        yield "our loop", (loop, walk)
    for label, build in ROWS[name].items():
        try:
            theirs = build(*size)
        except ImportError as error:
            console.print(f"{label} is left out: {error}")
            continue
        yield label, (theirs, training_step(theirs, theirs, data, arguments.dtype))


def _given(step: Callable[[], Any]) -> Callable[[], Any]:
    return step


def _multiplied(step: Callable[[], None], products: str) -> None:
    with multiplying(products):
        step()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--clock", choices=list(Clock.__args__), default="process")
    for name in ("memory", "loop"):  # both take long
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=True)
    for name, default in (("width", 384), ("depth", 6), ("length", 1024), ("batch", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


if __name__ == "__main__":
    main()
