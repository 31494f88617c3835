"""Stores what the mLSTM layer of the authors' package gives on fixed inputs and weights: mlstm and
mlstm_parallel.safetensors.

    python -m tests.mixers.references.mlstm               where xlstm 2.0.6 can be imported

Reference: `xlstm.blocks.mlstm.layer.mLSTMLayer`, in plain torch. In the first file its cell runs by
its own `step`, one position after another; in the second by its parallel form, without the epsilon,
which is there relative to another maximum.
"""

import functools
from pathlib import Path

import torch
from torch import Tensor
from xlstm.blocks.mlstm.backends import parallel_stabilized_simple
from xlstm.blocks.mlstm.cell import mLSTMCell
from xlstm.blocks.mlstm.layer import mLSTMLayer, mLSTMLayerConfig

from tests.mixers.references.arrays import store

BATCH, LENGTH, WIDTH, HEADS = 2, 19, 12, 3


class Steps(mLSTMCell):
    """The cell, one position after another."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, **_: object) -> Tensor:
        outputs, state = [], None
        for t in range(q.shape[1]):
            now = (x[:, t : t + 1].clone() for x in (q, k, v))
            h, state = self.step(*now, mlstm_state=state)
            outputs.append(h)
        return torch.cat(outputs, dim=1)


def translated(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    gates = {
        f"gates.{end}": torch.cat([theirs[f"mlstm_cell.{gate}gate.{end}"] for gate in "if"])
        for end in ("weight", "bias")
    }
    return {
        "up.weight": theirs["proj_up.weight"],
        "convolution.weight": theirs["conv1d.conv.weight"],
        "convolution.bias": theirs["conv1d.conv.bias"],
        "blocks": torch.stack([theirs[f"{name}_proj.weight"] for name in "qkv"]),
        **gates,
        "norm_weight": theirs["mlstm_cell.outnorm.weight"],
        "skip": theirs["learnable_skip"],
        "down.weight": theirs["proj_down.weight"],
    }


def keep(name: str, layer: mLSTMLayer) -> None:
    """Runs the layer, and stores its numbers under our names."""
    x_BTD = torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True)
    w_BTD = torch.randn(BATCH, LENGTH, WIDTH)
    y_BTD = layer(x_BTD)
    (y_BTD * w_BTD).sum().backward()
    parameters = dict(layer.named_parameters())
    values = translated({key: p.data for key, p in parameters.items()})
    values["norm_weight"] = 1 + values["norm_weight"]
    gradients = translated({key: p.grad for key, p in parameters.items()})
    script = str(Path(__file__).with_name(f"{name}.py"))
    store(script, x_BTD, w_BTD, y_BTD, values, {"x": x_BTD.grad, **gradients})


def main() -> None:
    """Writes both files."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    sizes = {"embedding_dim": WIDTH, "num_heads": HEADS, "context_length": LENGTH}
    config = mLSTMLayerConfig(**sizes, round_proj_up_dim_up=True, round_proj_up_to_multiple_of=1)
    for name in ("mlstm", "mlstm_parallel"):
        layer = mLSTMLayer(config)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            layer.mlstm_cell.fgate.bias.sub_(4.0)  # so that it forgets within this length
            layer.mlstm_cell.igate.weight.mul_(4.0)
        if name == "mlstm":
            layer.mlstm_cell.__class__ = Steps
        else:
            plain = functools.partial(parallel_stabilized_simple, eps=0.0)
            layer.mlstm_cell.backend_fn = plain
        keep(name, layer)


if __name__ == "__main__":
    main()
