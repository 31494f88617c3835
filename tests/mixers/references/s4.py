"""Stores what the authors' S4 gives: github.com/state-spaces/s4 at e757cef, the class `S4Block` of
models/s4/s4.py with `mode="dplr", init="legs"`.

    python tests/mixers/references/s4.py PATH_OF_THE_CHECKOUT

Needs torch and einops (stand_ins.py). It trains C (I - A_d^L) where ours is C. With L = 4,096 and
steps of 0.05 and more A_d^L is below 1e-40, and the two are the same.
"""

import math
import sys

import torch
from arrays import store
from stand_ins import stand_in


def main() -> None:
    """Writes s4.safetensors."""
    sys.path.insert(0, f"{sys.argv[1]}/models/s4")
    stand_in()
    from s4 import S4Block  # type: ignore

    torch.manual_seed(0)
    width = 5
    layer = S4Block(
        width, transposed=False, mode="dplr", init="legs", d_state=8, l_max=4096, verbose=False
    ).double()
    kernel = layer.layer.kernel
    with torch.no_grad():
        kernel.inv_dt.copy_(torch.linspace(math.log(0.05), math.log(0.1), width)[:, None])
        for parameter in (kernel.A_real, kernel.A_imag, kernel.B, kernel.P):
            parameter.add_(0.05 * torch.randn_like(parameter))
    x_BTD = torch.randn(2, 40, width, requires_grad=True)
    w_BTD = torch.randn(2, 40, width)
    before = kernel.C.detach().clone()
    y_BTD = layer(x_BTD)[0]
    assert float((kernel.C - before).abs().max()) < 1e-15
    (y_BTD * w_BTD).sum().backward()

    def both(part: str) -> dict[str, torch.Tensor]:
        """Parameters ("data") or their gradients ("grad") under our names."""
        return {
            "log_step": getattr(kernel.inv_dt, part)[:, 0],
            "log_a_real": getattr(kernel.A_real, part),
            "a_imaginary": -getattr(kernel.A_imag, part),
            "p": getattr(kernel.P, part)[0],
            "b": getattr(kernel.B, part)[0],
            "c": getattr(kernel.C, part)[0],
            "skip": getattr(layer.layer.D, part)[0],
            "out_proj.weight": getattr(layer.output_linear[0].weight, part),
            "out_proj.bias": getattr(layer.output_linear[0].bias, part),
        }

    store(__file__, x_BTD, w_BTD, y_BTD, both("data"), {"x": x_BTD.grad, **both("grad")})


if __name__ == "__main__":
    main()
