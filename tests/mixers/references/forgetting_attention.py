"""Makes forgetting_attention.safetensors: the naive form of the package flash-linear-attention.

    python tests/mixers/references/forgetting_attention.py     in an environment that has fla-core

fla.ops.forgetting_attn.naive.naive_forgetting_attn of fla-core 0.6.0 between projections written
out, four heads over two groups of keys and values. The function computes in float32 whatever it is
given; here its `float()` keeps float64.
"""

import torch
import torch.nn.functional as F
from arrays import store
from fla.ops.forgetting_attn.naive import naive_forgetting_attn

BATCH, LENGTH, WIDTH, HEADS, GROUPS = 2, 23, 24, 4, 2
FEATURES = WIDTH // HEADS


def main() -> None:
    torch.manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return (0.4 * torch.randn(*shape, dtype=torch.float64)).requires_grad_()

    parameters = {
        "projections.inward.weight": random(WIDTH + 2 * GROUPS * FEATURES, WIDTH),
        "projections.outward.weight": random(WIDTH, WIDTH),
        "gate.weight": random(HEADS, WIDTH),
        "gate.bias": random(HEADS),
    }
    inward, outward, gate, bias = parameters.values()
    x = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64, requires_grad=True)
    w = torch.randn(BATCH, LENGTH, WIDTH, dtype=torch.float64)
    heads = F.linear(x, inward).unflatten(-1, (-1, FEATURES)).split((HEADS, GROUPS, GROUPS), dim=2)
    torch.Tensor.float = torch.Tensor.double
    y = naive_forgetting_attn(*heads, F.logsigmoid(F.linear(x, gate, bias)))
    y = F.linear(y.flatten(2), outward)
    gradients = torch.autograd.grad((y * w).sum(), [x, *parameters.values()])
    named = dict(zip(("x", *parameters), gradients))
    store(__file__, x, w, y, parameters, named)


if __name__ == "__main__":
    main()
