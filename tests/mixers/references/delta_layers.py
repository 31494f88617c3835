"""Stores what the layers of flash-linear-attention give on fixed inputs and weights: deltanet,
gated_delta, delta_product, kimi_delta, kimi_delta_bounded, gated_delta2 and rwkv7.safetensors.

    python -m tests.mixers.references.delta_layers        where fla-core 0.6.0 can be imported

The layers are those of `fla.layers`, their wiring untouched. What runs on a GPU alone is replaced:
the recurrence by the package's own naive function (`fla.ops.*.naive`), its fused products by the
package's plain forms, short convolutions and norms by those of torch. What it computes in float32
is computed in float64.
"""

import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

torch.Tensor.float = torch.Tensor.double  # before the package reads its default arguments
torch.float = torch.float32 = torch.float64  # pyright: ignore
torch.set_default_dtype(torch.float64)

import torch.nn.functional as F  # noqa: E402
from fla.layers import delta_net, gated_deltanet, gated_deltaproduct, gdn2, kda, rwkv7  # noqa: E402
from fla.modules import FusedRMSNormGated, RMSNorm, ShortConvolution  # noqa: E402
from fla.modules.token_shift import token_shift_ref  # noqa: E402
from fla.ops.delta_rule.naive import delta_rule_recurrence  # noqa: E402
from fla.ops.gated_delta_product.naive import naive_recurrent_gated_delta_product  # noqa: E402
from fla.ops.gated_delta_rule.gate import naive_gdn_gate  # noqa: E402
from fla.ops.gated_delta_rule.naive import naive_recurrent_gated_delta_rule  # noqa: E402
from fla.ops.gdn2.naive import naive_recurrent_gdn2  # noqa: E402
from fla.ops.generalized_delta_rule.dplr.naive import dplr_recurrence  # noqa: E402
from fla.ops.kda.gate import naive_kda_gate, naive_kda_lowerbound_gate  # noqa: E402
from fla.ops.kda.naive import naive_recurrent_kda  # noqa: E402
from fla.ops.rwkv7.fused_addcmul import torch_addcmul_rwkv7  # noqa: E402
from fla.ops.rwkv7.fused_k_update import k_update_ref  # noqa: E402
from fla.ops.rwkv7.gate_output_correction import gate_output_correction_ref  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from tests.mixers.references.arrays import store  # noqa: E402

BATCH, LENGTH, WIDTH, HEADS = 2, 19, 12, 3
FEATURES = WIDTH // HEADS
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH, "head_dim": FEATURES, "num_heads": HEADS, "conv_size": 3,
}  # fmt: skip
Names = dict[str, tuple[str, ...]]  # our parameter -> theirs, joined along the first axis
INWARD: Names = {
    "inward.weight": ("q_proj.weight", "k_proj.weight", "v_proj.weight"),
    "convolution.weight": ("q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"),
    "norm.weight": ("o_norm.weight",),
    "outward.weight": ("o_proj.weight",),
}
DECAY: Names = {"decay.a_log": ("A_log",), "decay.bias": ("dt_bias",)}
STEPS: Names = {
    "steps.weight": ("b_proj.weight", "a_proj.weight"),
    "gate.0.weight": ("g_proj.weight",),
}
LOW_RANK: Names = {
    **{f"steps.{i}.weight": (f"f_proj.{i}.weight",) for i in (0, 1)},
    **{f"gate.{i}.weight": (f"g_proj.{i}.weight",) for i in (0, 1)},
    "gate.1.bias": ("g_proj.1.bias",),
}


def unit(x: Tensor) -> Tensor:
    """As the package's l2norm."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, **_: Any) -> tuple[Tensor, None]:
    q, k, v, beta = (x.transpose(1, 2) for x in (unit(q), unit(k), v, beta))
    return delta_rule_recurrence(q, k, v, beta)[0].transpose(1, 2), None


def gated_delta_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, A_log: Tensor, dt_bias: Tensor,
    allow_neg_eigval: bool, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    g = naive_gdn_gate(g, A_log, dt_bias)
    beta = beta.sigmoid() * (1 + allow_neg_eigval)
    return naive_recurrent_gated_delta_rule(unit(q), unit(k), v, beta, g)


def gated_delta_product(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, num_householder: int, **_: Any
) -> tuple[Tensor, None]:
    scale = FEATURES**-0.5
    return naive_recurrent_gated_delta_product(
        unit(q), unit(k), v, g, beta, scale, num_householder=num_householder
    )


def kimi(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, A_log: Tensor, dt_bias: Tensor,
    allow_neg_eigval: bool, lower_bound: float | None, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    if lower_bound is None:
        g = naive_kda_gate(g, A_log, dt_bias)
    else:
        g = naive_kda_lowerbound_gate(g, A_log, dt_bias, lower_bound)
    return naive_recurrent_kda(unit(q), unit(k), v, g, beta.sigmoid() * (1 + allow_neg_eigval))


def gdn2_rule(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, b: Tensor, w: Tensor, **_: Any
) -> tuple[Tensor, None]:
    return naive_recurrent_gdn2(unit(q), unit(k), v, g, b, w)


def rwkv7_rule(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, **_: Any
) -> tuple[Tensor, None]:
    r, w, k, v, a, b = (x.transpose(1, 2) for x in (r, w, k, v, a, b))
    return dplr_recurrence(r * math.sqrt(FEATURES), k, v, a, b, w)[0].transpose(1, 2), None


def convolved(self: ShortConvolution, x: Tensor, **_: Any) -> tuple[Tensor, None]:
    padded = F.pad(x.transpose(1, 2), (self.kernel_size[0] - 1, 0))
    y = F.conv1d(padded, self.weight, self.bias, groups=x.shape[-1])
    return F.silu(y).transpose(1, 2), None


def normed(self: RMSNorm, x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def normed_and_gated(self: FusedRMSNormGated, x: Tensor, g: Tensor) -> Tensor:
    activation = {"swish": F.silu, "silu": F.silu, "sigmoid": torch.sigmoid}[self.activation]
    return F.rms_norm(x, x.shape[-1:], self.weight, self.eps) * activation(g)


def stand_in() -> None:
    """Puts them where the layers find what runs on a GPU alone."""
    ShortConvolution.forward, RMSNorm.forward = convolved, normed
    FusedRMSNormGated.forward = normed_and_gated
    gated_deltanet.GatedDeltaNet._use_fused_qkv_conv = lambda *_, **__: False
    replaced: list[tuple[ModuleType, str, Callable[..., Any]]] = [
        (delta_net, "fused_recurrent_delta_rule", delta_rule),
        (gated_deltanet, "chunk_gated_delta_rule", gated_delta_rule),
        (gated_deltaproduct, "chunk_gated_delta_product", gated_delta_product),
        (kda, "chunk_kda", kimi),
        (gdn2, "chunk_gdn2", gdn2_rule),
        (rwkv7, "chunk_rwkv7", rwkv7_rule),
        (rwkv7, "token_shift", lambda x, *_, **__: (token_shift_ref(x), None)),
        (rwkv7, "fused_addcmul_rwkv7", torch_addcmul_rwkv7),
        (rwkv7, "fused_k_rwkv7", k_update_ref),
        (rwkv7, "gate_output_correction", gate_output_correction_ref),
    ]
    for module, name, function in replaced:
        assert hasattr(module, name), name
        setattr(module, name, function)


def rwkv7_names() -> Names:
    low_rank = {"decay": "w_lora", "rate": "a_lora", "gate": "g_lora"}
    names: Names = {
        f"{ours}.{i}.weight": (f"{theirs}.lora.{i}.weight",)
        for ours, theirs in low_rank.items()
        for i in (0, 2)
    }
    names |= {f"{ours}.2.bias": (f"{low_rank[ours]}.lora.2.bias",) for ours in ("decay", "rate")}
    projections = {"receptance": "r", "key": "k", "value": "v", "outward": "o"}
    names |= {f"{ours}.weight": (f"{theirs}_proj.weight",) for ours, theirs in projections.items()}
    vectors = {"erased_D": "k_k", "blend_D": "k_a", "bonus_D": "r_k"}
    vectors |= {"norm_weight_D": "g_norm.weight", "norm_bias_D": "g_norm.bias"}
    names |= {ours: (theirs,) for ours, theirs in vectors.items()}
    return {**names, "mix_SD": tuple(f"x_{stream}" for stream in "rwkvag")}


def keep(name: str, layer: nn.Module, names: Names) -> None:
    """Runs the layer, and stores its numbers under our names."""
    layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x_BTD = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    w_BTD = torch.randn(BATCH, LENGTH, WIDTH)
    y_BTD = layer(x_BTD)[0]
    (y_BTD * w_BTD).sum().backward()
    theirs = dict(layer.named_parameters())
    assert theirs.keys() == {part for parts in names.values() for part in parts}, theirs.keys()

    def joined(parts: tuple[str, ...], of: Callable[[nn.Parameter], Tensor | None]) -> Tensor:
        found = [of(theirs[part]) for part in parts]
        if "_D" in parts[0] or parts[0] in ("r_k",):
            found = [x.flatten() for x in found]
        if parts[0].startswith("x_"):
            return torch.cat([x.view(1, -1) for x in found])
        return torch.cat(found)

    parameters = {ours: joined(parts, lambda p: p.data) for ours, parts in names.items()}
    gradients = {ours: joined(parts, lambda p: p.grad) for ours, parts in names.items()}
    script = str(Path(__file__).with_name(f"{name}.py"))
    store(script, x_BTD, w_BTD, y_BTD, parameters, {"x": x_BTD.grad, **gradients})


def main() -> None:
    """Writes all files."""
    stand_in()
    torch.manual_seed(0)
    beta: Names = {"beta.weight": ("b_proj.weight",)}
    plain = {name: size for name, size in SIZES.items() if name != "head_dim"}
    layer = delta_net.DeltaNet(**plain, allow_neg_eigval=True)
    keep("deltanet", layer, {**INWARD, **beta})
    keep("gated_delta", gated_deltanet.GatedDeltaNet(**SIZES), {**INWARD, **DECAY, **STEPS})
    layer = gated_deltaproduct.GatedDeltaProduct(**SIZES, num_householder=3)
    keep("delta_product", layer, {**INWARD, **DECAY, **STEPS})
    kimi_names = {**INWARD, **DECAY, **LOW_RANK, **beta}
    keep("kimi_delta", kda.KimiDeltaAttention(**SIZES, allow_neg_eigval=True), kimi_names)
    layer = kda.KimiDeltaAttention(**SIZES, safe_gate=True, lower_bound=-5.0)
    keep("kimi_delta_bounded", layer, kimi_names)
    gates: Names = {"erasing.weight": ("b_proj.weight",), "writing.weight": ("w_proj.weight",)}
    names = {**INWARD, **DECAY, **LOW_RANK, **gates}
    keep("gated_delta2", gdn2.GatedDeltaNet2(**SIZES, expand_v=2, allow_neg_eigval=True), names)
    ranks = {f"{part}_low_rank_dim": 5 for part in ("decay", "gate", "a")}
    layer = rwkv7.RWKV7Attention(
        "chunk", WIDTH, FEATURES, layer_idx=0, num_hidden_layers=2, **ranks
    )
    keep("rwkv7", layer, rwkv7_names())


if __name__ == "__main__":
    main()
