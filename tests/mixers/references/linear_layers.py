"""Stores what the layers of flash-linear-attention give on fixed inputs and weights: retnet, gla,
hgrn2, based and rwkv6.safetensors.

    python -m tests.mixers.references.linear_layers       where fla-core 0.6.0 can be imported

The layers are those of `fla.layers`, their wiring untouched. What runs on a GPU alone is replaced:
the recurrence by the package's own naive function (`fla.ops.*.naive`), rotations, norms and
activations by the same in plain torch. All of it is computed in float64.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

torch.Tensor.float = torch.Tensor.double  # before the package reads its default arguments
torch.float = torch.float32 = torch.float64  # pyright: ignore
torch.set_default_dtype(torch.float64)

import torch.nn.functional as F  # noqa: E402
from fla.layers import based, gla, hgrn2, multiscale_retention, rwkv6  # noqa: E402
from fla.modules import RMSNorm  # noqa: E402
from fla.modules.activations import ACT2FN  # noqa: E402
from fla.modules.layernorm import GroupNorm  # noqa: E402
from fla.modules.rotary import RotaryEmbedding, rotary_embedding_ref  # noqa: E402
from fla.modules.token_shift import token_shift_ref  # noqa: E402
from fla.ops.gla.naive import naive_recurrent_gla  # noqa: E402
from fla.ops.retention.naive import naive_retention  # noqa: E402
from fla.ops.rwkv6.recurrent_naive import naive_recurrent_rwkv6  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from tests.mixers.references.arrays import store  # noqa: E402

BATCH, LENGTH, WIDTH, HEADS = 2, 19, 12, 3
SIZES: dict[str, Any] = {"hidden_size": WIDTH, "num_heads": HEADS}
NORMED: dict[str, Any] = {**SIZES, "norm_eps": 1e-6, "fuse_norm": False}


def retention(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> tuple[Tensor, None]:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return naive_retention(q, k, v).transpose(1, 2), None


def gated(q: Tensor, k: Tensor, v: Tensor, gk: Tensor, **_: Any) -> tuple[Tensor, None]:
    return naive_recurrent_gla(q, k, v, gk)


def finch(
    r: Tensor, k: Tensor, v: Tensor, w: Tensor, u: Tensor, scale: float, **_: Any
) -> tuple[Tensor, None]:
    r, k, v, w = (x.transpose(1, 2) for x in (r, k, v, w))
    return naive_recurrent_rwkv6(r, k, v, w, u, scale)[0].transpose(1, 2), None


def turned(self: RotaryEmbedding, q: Tensor, k: Tensor, **_: Any) -> tuple[Tensor, ...]:
    angles = torch.arange(q.shape[1])[:, None] * self.inv_freq
    return tuple(rotary_embedding_ref(x, angles.cos(), angles.sin()) for x in (q, k))


def normed(self: RMSNorm, x: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)


def normed_and_out(
    x: Tensor, weight: Tensor, _: None, out: Tensor, __: None, eps: float = 1e-5
) -> Tensor:
    return F.linear(F.rms_norm(x, x.shape[-1:], weight, eps), out)


def group_normed(self: GroupNorm, x: Tensor) -> Tensor:
    y = F.group_norm(x.flatten(0, 1), self.num_groups, self.weight, self.bias, self.eps)
    return y.view_as(x)


def stand_in() -> None:
    """Puts them where the layers find what runs on a GPU alone."""
    RMSNorm.forward, GroupNorm.forward, RotaryEmbedding.forward = normed, group_normed, turned
    ACT2FN["swish"] = F.silu
    for module, name, function in (
        (multiscale_retention, "chunk_retention", retention),
        (gla, "fused_recurrent_gla", gated),
        (hgrn2, "fused_recurrent_gla", gated),
        (hgrn2, "rms_norm_linear", normed_and_out),
        (hgrn2, "swish", F.silu),
        (rwkv6, "fused_recurrent_rwkv6", finch),
        (rwkv6, "token_shift", lambda x, *_: token_shift_ref(x)),
    ):
        assert hasattr(module, name), name
        setattr(module, name, function)


Translate = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def projections(theirs: Mapping[str, Tensor], *names: str) -> Tensor:
    """Ours is one matrix."""
    return torch.cat([theirs[f"{name}_proj.weight"] for name in names])


def gated_out(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "gated_out.gate.weight": theirs["g_proj.weight"],
        "gated_out.norm.weight": theirs["g_norm.weight"],
        "gated_out.outward.weight": theirs["o_proj.weight"],
    }


def as_retnet(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {"inward.weight": projections(theirs, "q", "k", "v"), **gated_out(theirs)}


def as_gla(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    low = {
        f"low_rank.{end}": theirs[f"gk_proj.{end}"] for end in ("0.weight", "1.weight", "1.bias")
    }
    return {**as_retnet(theirs), **low}


def as_hgrn2(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "inward.weight": projections(theirs, "q", "f", "i"),
        "norm.weight": theirs["g_norm.weight"],
        "outward.weight": theirs["o_proj.weight"],
        "bound": theirs["bound"],
    }


def as_based(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "inward.weight": projections(theirs, "q", "k", "v"),
        "outward.weight": theirs["o_proj.weight"],
    }


def as_rwkv6(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    order = (1, 2, 3, 0, 4)  # theirs is r, w, k, v, g; ours w, k, v, r, g
    low = theirs["x_proj.0.linear.weight"].view(5, -1, WIDTH)[list(order)]
    names = {"query": "r", "key": "k", "value": "v", "gate": "g"}
    return {
        "mix_base": theirs["x_proj.0.mu"],
        "mixes": theirs["x_bias"][list(order)],
        "mix_in.weight": low.flatten(0, 1),
        "mix_out": theirs["x_proj.2.weight"].view(WIDTH, 5, -1).permute(1, 2, 0)[list(order)],
        "decay": theirs["w_proj.linear.lora.2.bias"],
        "decay_in.weight": theirs["w_proj.linear.lora.0.weight"],
        "decay_out.weight": theirs["w_proj.linear.lora.2.weight"],
        "bonus": theirs["bonus"],
        **{f"{ours}.weight": theirs[f"{name}_proj.linear.weight"] for ours, name in names.items()},
        "outward.weight": theirs["o_proj.weight"],
        "norm.weight": theirs["g_norm.weight"],
        "norm.bias": theirs["g_norm.bias"],
    }


def keep(name: str, layer: nn.Module, translate: Translate, **more: Any) -> None:
    """Runs the layer, and stores its numbers under our names."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x_BTD = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    w_BTD = torch.randn(BATCH, LENGTH, WIDTH)
    found = layer.forward_reference(x_BTD) if name == "based" else layer(x_BTD, **more)[0]
    (found * w_BTD).sum().backward()
    parameters = dict(layer.named_parameters())
    values = {key: parameter.data for key, parameter in parameters.items()}
    gradients = {key: parameter.grad for key, parameter in parameters.items()}
    assert None not in gradients.values()
    script = str(Path(__file__).with_name(f"{name}.py"))
    ours = {"x": x_BTD.grad, **translate(gradients)}
    store(script, x_BTD, w_BTD, found, translate(values), ours)


class BoundedHGRN2(hgrn2.HGRN2Attention):
    """The layer with its lower bound, which the model around it makes, as a parameter."""

    def __init__(self) -> None:
        super().__init__(**SIZES, expand_ratio=None, layer_idx=1)
        self.bound = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x_BTD: Tensor) -> tuple[Tensor, None, None]:
        return super().forward(x_BTD, lower_bound=self.bound.sigmoid())


def main() -> None:
    """Writes all files."""
    stand_in()
    torch.manual_seed(0)
    keep("retnet", multiscale_retention.MultiScaleRetention(**NORMED), as_retnet)
    keep("gla", gla.GatedLinearAttention(**NORMED, gate_low_rank_dim=4, expand_k=1), as_gla)
    keep("hgrn2", BoundedHGRN2(), as_hgrn2)
    layer = based.BasedLinearAttention(
        WIDTH, feature_dim=3, num_heads=HEADS, num_key_value_heads=HEADS
    )
    keep("based", layer, as_based)
    ranks = {"proj_low_rank_dim": 2, "gate_low_rank_dim": 5}
    layer = rwkv6.RWKV6Attention(
        **SIZES, expand_k=1, norm_eps=64e-5, fuse_norm=False, **ranks, layer_idx=0
    )
    keep("rwkv6", layer, as_rwkv6)


if __name__ == "__main__":
    main()
