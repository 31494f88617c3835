"""Makes slstm.safetensors: the sLSTM layer of the package `xlstm` 2.0.6, backend vanilla.

    python slstm.py        in an environment that has the package

xlstm.blocks.slstm.layer.sLSTMLayer with random weights in float64, over a first call and one that
continues from its state: inputs, weights by the reference's names, outputs, final states, and the
gradients of a fixed random weighting of the outputs with respect to inputs and weights.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

BATCH, LENGTH, WIDTH, HEADS = 2, 11, 12, 3
FIRST = 7  # positions of the first call


def main() -> None:
    torch.manual_seed(0)
    layer = sLSTMLayer(
        sLSTMLayerConfig(embedding_dim=WIDTH, num_heads=HEADS, backend="vanilla", dtype="float32")
    ).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.7 * torch.randn_like(parameter))
    x = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64)
    first, state = layer(x[:, :FIRST], return_last_state=True)
    second, state = layer(x[:, FIRST:], **state, return_last_state=True)
    y = torch.cat((first, second), dim=1)
    named = dict(layer.named_parameters())
    gradients = torch.autograd.grad((y * weight).sum(), [x, *named.values()])
    stored = {"x": x, "weight": weight, "y": y, "state": state["slstm_state"]}
    stored |= {"history": state["conv_state"]} | named
    stored |= {f"gradient {n}": g for n, g in zip(["x", *named], gradients)}
    stored = {name: value.detach().contiguous() for name, value in stored.items()}
    save_file(stored, Path(__file__).with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
