"""Stores what the authors' QRNN gives: github.com/salesforce/pytorch-qrnn at 1634991, the class
`torchqrnn.qrnn.QRNNLayer` on the CPU with a window of 2 and the output gate.

    python tests/mixers/references/qrnn.py PATH_OF_THE_CHECKOUT

Needs torch; the CUDA parts that it imports are stood in for. Its gate F takes in what ours lets go
(1 - F is f of the paper), so that its rows change sign, and the current input comes first.
"""

import sys
import types

import torch
from arrays import store


def main() -> None:
    """Writes qrnn.safetensors."""
    sys.path.insert(0, sys.argv[1])
    for missing in ("cupy", "cupy.cuda", "pynvrtc", "pynvrtc.compiler"):
        sys.modules[missing] = types.SimpleNamespace(function=None, Program=None)  # type: ignore
    from torchqrnn.qrnn import QRNNLayer  # type: ignore

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    width = 6
    layer = QRNNLayer(width, window=2, output_gate=True, use_cuda=False)
    x_BTD = torch.randn(2, 21, width, requires_grad=True)
    w_BTD = torch.randn(2, 21, width)
    y_BTD = layer(x_BTD.transpose(0, 1))[0].transpose(0, 1)
    (y_BTD * w_BTD).sum().backward()
    sign_F1 = torch.ones(3 * width, 1)
    sign_F1[width : 2 * width] = -1.0

    def both(part: str) -> dict[str, torch.Tensor]:
        """Parameters ("data") or their gradients ("grad") under our names."""
        now_FD, before_FD = getattr(layer.linear.weight, part).chunk(2, dim=1)
        return {
            "in_proj.weight": sign_F1 * torch.cat((before_FD, now_FD), dim=1),
            "in_proj.bias": sign_F1[:, 0] * getattr(layer.linear.bias, part),
        }

    store(__file__, x_BTD, w_BTD, y_BTD, both("data"), {"x": x_BTD.grad, **both("grad")})


if __name__ == "__main__":
    main()
