"""Stores what the authors' SRU gives: github.com/asappresearch/sru at 9ddc8da, `sru.SRUCell` on the
CPU (its Python recurrence).

    python tests/mixers/references/sru.py PATH_OF_THE_CHECKOUT

Needs torch.
"""

import sys

import torch
from arrays import store


def main() -> None:
    """Writes sru.safetensors."""
    sys.path.insert(0, sys.argv[1])
    torch.set_default_dtype(torch.float64)
    from sru.modules import SRUCell  # type: ignore

    torch.manual_seed(0)
    width = 6
    cell = SRUCell(width, width).double()
    cell.scale_x.fill_(3**0.5)  # the very number: it was kept in float32
    with torch.no_grad():
        cell.bias.add_(0.3 * torch.randn_like(cell.bias))
    x_BTD = torch.randn(2, 21, width, requires_grad=True)
    w_BTD = torch.randn(2, 21, width)
    y_BTD = cell(x_BTD.transpose(0, 1))[0].transpose(0, 1)
    (y_BTD * w_BTD).sum().backward()

    def both(part: str) -> dict[str, torch.Tensor]:
        """Parameters ("data") or their gradients ("grad") under our names."""
        weight_DE3 = getattr(cell.weight, part).view(width, width, 3)
        return {
            "in_proj.weight": torch.cat([weight_DE.T for weight_DE in weight_DE3.unbind(2)]),
            "cell_2E": getattr(cell.weight_c, part).view(2, width),
            "bias_2E": getattr(cell.bias, part).view(2, width),
        }

    store(__file__, x_BTD, w_BTD, y_BTD, both("data"), {"x": x_BTD.grad, **both("grad")})


if __name__ == "__main__":
    main()
