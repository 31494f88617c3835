"""The rows of whole layers, Mamba-2, Griffin's recurrent block and Gated DeltaNet: forward and
backward, float32, against the layer of transformers without its CUDA kernels and our own loop.

The linear maps alone are what every arrangement of the layer has to compute.

    python -m benchmarks --clock process --rows mamba2 hawk gated_delta
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from transformers import Mamba2Config as TheirMamba2Config
from transformers import Qwen3NextConfig, RecurrentGemmaConfig
from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer
from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet
from transformers.models.recurrent_gemma.modeling_recurrent_gemma import (
    RecurrentGemmaRecurrentBlock,
)

from benchmarks.side_by_side import Contender, Row
from benchmarks.training import assert_same, count
from seqarena.mixers.base import Mixer
from seqarena.mixers.delta.gated_delta import GatedDeltaConfig, GatedDeltaNet
from seqarena.mixers.state_space.mamba2 import Mamba2, Mamba2Config
from seqarena.mixers.state_space.rg_lru import RGLRU, RGLRUConfig

B, T, WIDTH = 2, 1024, 384


def mamba2() -> Row:
    """Four heads of 192 channels, 64 states."""
    model, loop = (Mamba2(WIDTH, Mamba2Config(algorithm=name)) for name in ("chunked", "loop"))
    w = dict(model.named_parameters())
    config = TheirMamba2Config(
        hidden_size=WIDTH, num_heads=model.num_heads, head_dim=model.value_features,
        state_size=model.key_features, n_groups=1, chunk_size=64, num_hidden_layers=1,
    )  # fmt: skip
    theirs = Mamba2Mixer(config, layer_idx=0).eval()
    inward = (w["gate.weight"], w["inward.weight"], w["steps.weight"])
    theirs.load_state_dict(
        {
            "in_proj.weight": torch.cat(inward),
            "conv1d.weight": w["convolution.weight"],
            "conv1d.bias": w["convolution.bias"],
            "dt_bias": w["step_bias"],
            "A_log": w["a_log"],
            "D": w["skip"],
            "norm.weight": w["norm.weight"],
            "out_proj.weight": w["outward.weight"],
        }
    )
    maps = [(WIDTH, len(x)) for x in inward] + [(model.inner_width, WIDTH)]
    return _row("Mamba-2 layer", model, loop, maps, ("transformers Mamba-2", theirs, theirs))


def hawk() -> Row:
    """512 channels, gates in four blocks."""
    model, loop = (RGLRU(WIDTH, RGLRUConfig(algorithm=name)) for name in ("fused", "loop"))
    w = dict(model.named_parameters())
    blocks, inner = model.num_blocks, model.inner_width
    config = RecurrentGemmaConfig(
        hidden_size=WIDTH, lru_width=inner, num_attention_heads=blocks, conv1d_width=4
    )
    theirs = RecurrentGemmaRecurrentBlock(config, layer_idx=0)
    x_weight, z_weight = w["in_proj.weight"].chunk(2)
    x_bias, z_bias = w["in_proj.bias"].chunk(2)
    r_weight, i_weight = w["gate_weight"].chunk(2, dim=-1)
    r_bias, i_bias = w["gate_bias"].unflatten(0, (blocks, -1)).chunk(2, dim=-1)
    theirs.load_state_dict(
        {
            "linear_x.weight": x_weight, "linear_x.bias": x_bias,
            "linear_y.weight": z_weight, "linear_y.bias": z_bias,
            "linear_out.weight": w["out_proj.weight"], "linear_out.bias": w["out_proj.bias"],
            "conv_1d.weight": w["convolution.weight"], "conv_1d.bias": w["convolution.bias"],
            "rg_lru.recurrent_param": w["decay"],
            "rg_lru.recurrent_gate_weight": r_weight, "rg_lru.recurrent_gate_bias": r_bias,
            "rg_lru.input_gate_weight": i_weight, "rg_lru.input_gate_bias": i_bias,
        }
    )  # fmt: skip
    # position 0 would begin a text, where theirs leaves out a factor
    positions_BT = torch.arange(1, T + 1).expand(B, T)

    def call(x_BTD: Tensor) -> Tensor:
        return theirs(x_BTD, positions_BT, attention_mask=None, use_cache=False)[0]

    maps = [(WIDTH, 2 * inner), (inner, 2 * inner // blocks), (inner, WIDTH)]
    return _row("RG-LRU block", model, loop, maps, ("transformers RecurrentGemma", theirs, call))


def gated_delta() -> Row:
    """Four heads of 96 features of a key and 192 of a value; theirs is chunked as well."""
    model, loop = (
        GatedDeltaNet(WIDTH, GatedDeltaConfig(algorithm=name)) for name in ("chunked", "loop")
    )
    w, H, K, V = dict(model.named_parameters()), model.num_heads, WIDTH // 4, 2 * WIDTH // 4
    config = Qwen3NextConfig(
        hidden_size=WIDTH, linear_num_key_heads=H, linear_num_value_heads=H,
        linear_key_head_dim=K, linear_value_head_dim=V, linear_conv_kernel_dim=4,
        num_hidden_layers=2, layer_types=["linear_attention", "full_attention"],
        rms_norm_eps=1e-5,
    )  # fmt: skip
    theirs = Qwen3NextGatedDeltaNet(config, layer_idx=0)

    def by_head(*parts: Tensor) -> Tensor:
        """Rows of each head together, as theirs has them."""
        return torch.cat([x.unflatten(0, (H, -1)) for x in parts], dim=1).flatten(0, 1)

    q, k, v = w["inward.weight"].split((H * K, H * K, H * V))
    theirs.load_state_dict(
        {
            "in_proj_qkvz.weight": by_head(q, k, v, w["gate.0.weight"]),
            "in_proj_ba.weight": by_head(*w["steps.weight"].chunk(2)),
            "conv1d.weight": w["convolution.weight"],
            "A_log": w["decay.a_log"],
            "dt_bias": w["decay.bias"],
            "norm.weight": w["norm.weight"],
            "out_proj.weight": w["outward.weight"],
        }
    )
    maps = [(WIDTH, 2 * H * (K + V)), (WIDTH, 2 * H), (H * V, WIDTH)]
    return _row(
        "Gated DeltaNet layer", model, loop, maps, ("transformers Qwen3-Next", theirs, theirs)
    )


def _row(
    title: str,
    model: Mixer,
    loop: Mixer,
    maps: list[tuple[int, int]],
    other: tuple[str, nn.Module, Callable[[Tensor], Tensor]],
) -> Row:
    """Ours by a fast algorithm and by the loop, and the other's layer, all of the same weights;
    `maps` are the inputs and outputs of the layer's linear maps."""
    name, theirs, call = other
    loop.load_state_dict(model.state_dict())
    x_BTD = torch.randn(B, T, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = [torch.randn(size, requires_grad=True) for size in maps]
    inputs = [torch.randn(B * T, size[0], requires_grad=True) for size in maps]

    def run(layer: Callable[[Tensor], Tensor]) -> Tensor:
        y_BTD = layer(x_BTD)
        y_BTD.sum().backward()
        return y_BTD.detach()

    def linear_maps() -> None:
        for x, weight in zip(inputs, weights, strict=True):
            (x @ weight).sum().backward()

    runs = [partial(run, lambda x, mixer=mixer: mixer(x)[0]) for mixer in (model, loop)]
    runs.append(partial(run, call))
    contenders = [
        Contender(f"seqarena {model.algorithm}", True, runs[0], count(model)),
        Contender("seqarena loop", False, runs[1], count(loop)),
        Contender(name, False, runs[2], count(theirs)),
        Contender("its linear maps alone", False, linear_maps),
    ]
    expected = runs[0]()
    checks = [assert_same(c.name, c.run(), expected) for c in contenders[1:3]]  # pyright: ignore[reportArgumentType]
    settings = {"batch": B, "T": T, "width": WIDTH, "layers": 1, "dtype": "float32"}
    return Row(f"{title}, forward and backward", B * T, settings, contenders, checks)


ROWS: dict[str, Callable[[str], Row]] = {
    "mamba2": lambda dtype: mamba2(),
    "hawk": lambda dtype: hawk(),
    "gated_delta": lambda dtype: gated_delta(),
}
