"""Stores what the authors' Hyena gives: github.com/HazyResearch/safari at 02220c6, the class
`HyenaOperator` of standalone_hyena.py at order 2, on a sequence shorter than its longest.

    python tests/mixers/references/hyena.py PATH_OF_THE_CHECKOUT

Needs torch and einops. Its table of features, which it could train, has no place with us.
"""

import sys

import torch
from arrays import store


def main() -> None:
    """Writes hyena.safetensors."""
    sys.path.insert(0, sys.argv[1])
    torch.set_default_dtype(torch.float64)
    from standalone_hyena import HyenaOperator  # type: ignore

    torch.manual_seed(0)
    width = 6
    layer = HyenaOperator(width, l_max=30, order=2, filter_order=8, emb_dim=9, w=14)
    x_BTD = torch.randn(2, 21, width, requires_grad=True)
    w_BTD = torch.randn(2, 21, width)
    y_BTD = layer(x_BTD)
    (y_BTD * w_BTD).sum().backward()

    def both(part: str) -> dict[str, torch.Tensor]:
        """Parameters ("data") or their gradients ("grad") under our names."""
        network = layer.filter_fn.implicit_filter
        places = {
            "in_proj": layer.in_proj,
            "short": layer.short_filter,
            "out_proj": layer.out_proj,
            "filter.first": network[0],
            "filter.inner.0": network[2],
            "filter.inner.1": network[4],
            "filter.last": network[6],
        }
        found = {
            f"{place}.{name}": getattr(parameter, part)
            for place, module in places.items()
            for name, parameter in module.named_parameters()
        }
        found["filter.frequency_E"] = getattr(network[1].freq, part)[0]
        found["skip_D"] = getattr(layer.filter_fn.bias, part)
        return found

    store(__file__, x_BTD, w_BTD, y_BTD, both("data"), {"x": x_BTD.grad, **both("grad")})


if __name__ == "__main__":
    main()
