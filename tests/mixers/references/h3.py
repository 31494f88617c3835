"""Stores what the authors' H3 gives: github.com/HazyResearch/H3 at 5c4d06b, the class
`src.models.ssm.h3.H3` with `mode="diag", measure="diag-lin"` and two channels a head.

    python tests/mixers/references/h3.py PATH_OF_THE_CHECKOUT

Needs torch and einops (stand_ins.py). The trained B of the two state spaces stay at their start
(e_1, ones), where their product with C is ours.
"""

import sys

import torch
from arrays import store
from stand_ins import stand_in


def main() -> None:
    """Writes h3.safetensors."""
    sys.path.insert(0, sys.argv[1])
    stand_in()
    from src.models.ssm.h3 import H3  # type: ignore

    torch.manual_seed(0)
    width, heads = 6, 3
    layer = H3(width, d_state=8, head_dim=2, mode="diag", measure="diag-lin").double()
    x_BTD = torch.randn(2, 21, width, requires_grad=True)
    w_BTD = torch.randn(2, 21, width)
    y_BTD = layer(x_BTD)
    (y_BTD * w_BTD).sum().backward()

    def both(part: str) -> dict[str, torch.Tensor]:
        """Parameters ("data") or their gradients ("grad") under our names."""
        inward = [getattr(projection, attribute) for attribute in ("weight", "bias")
                  for projection in (layer.q_proj, layer.k_proj, layer.v_proj)]  # fmt: skip
        diagonal = layer.kernel.kernel
        return {
            "in_proj.weight": torch.cat([getattr(p, part) for p in inward[:3]]),
            "in_proj.bias": torch.cat([getattr(p, part) for p in inward[3:]]),
            "shift_KD": getattr(layer.ssm_k_kernel.kernel.C, part)[0].T,
            "shift_skip_D": getattr(layer.ssm_k_D, part),
            "log_step": getattr(diagonal.log_dt, part),
            "log_a_real": getattr(diagonal.inv_A_real, part),
            "a_imaginary": getattr(diagonal.A_imag, part),
            "c": getattr(diagonal.C, part)[0],
            "skip_H": getattr(layer.D, part),
            "out_proj.weight": getattr(layer.output_linear.weight, part),
            "out_proj.bias": getattr(layer.output_linear.bias, part),
        }

    assert diagonal_start(layer, heads)
    store(__file__, x_BTD, w_BTD, y_BTD, both("data"), {"x": x_BTD.grad, **both("grad")})


def diagonal_start(layer: torch.nn.Module, heads: int) -> bool:
    """Whether both B are at their start."""
    shift_HN, diagonal_HN2 = layer.ssm_k_kernel.kernel.B, layer.kernel.kernel.B
    ones = torch.view_as_complex(diagonal_HN2.detach()) == 1
    return bool(ones.all()) and len(ones) == heads and bool((shift_HN.argmax(1) == 0).all())


if __name__ == "__main__":
    main()
