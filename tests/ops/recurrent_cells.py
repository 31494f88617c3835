"""Small problems of every recurrent cell, and what one of its forms makes of them."""

import torch

from seqarena.core.shapes import lengths_to_mask
from seqarena.ops.recurrent.elman import ElmanWeights, elman
from seqarena.ops.recurrent.gru import GRUWeights, gru, gru_reset_before
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm, lstm_peephole
from seqarena.ops.recurrent.slstm import SLSTMState, slstm

BATCH, WIDTH, HIDDEN = 3, 5, 4
GATES = {
    "elman_tanh": 1,
    "elman_relu": 1,
    "gru_after": 3,
    "gru_before": 3,
    "lstm": 4,
    "lstm_peephole": 4,
    "slstm": 4,
}


def problem(cell, length, dtype):
    """Input, start and weights, small enough that ReLU does not grow without bound."""
    generator = torch.Generator().manual_seed(length)

    def draw(*shape, scale=1.0):
        number = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
        return number.to(dtype).requires_grad_()

    gates = GATES[cell]
    leaves = {"x": draw(BATCH, length, WIDTH), "h": draw(BATCH, HIDDEN)}
    if cell.startswith(("lstm", "slstm")):
        leaves["c"] = draw(BATCH, HIDDEN)
    if cell == "slstm":
        leaves["log n"], leaves["m"] = draw(BATCH, HIDDEN), draw(BATCH, HIDDEN)
    leaves["input"] = draw(gates * HIDDEN, WIDTH, scale=0.5)
    heads = 2 if cell == "slstm" else 1
    leaves["recurrent"] = draw(gates * HIDDEN, HIDDEN // heads, scale=0.3)
    leaves["bias"] = draw(gates * HIDDEN)
    if cell == "gru_after":
        leaves["inner_bias"] = draw(HIDDEN)
    if cell == "lstm_peephole":
        leaves["peepholes"] = draw(3, HIDDEN)
    return leaves


def apply(cell, leaves, lengths_B, algorithm):
    x, h, triple = leaves["x"], leaves["h"], [leaves[n] for n in ("input", "recurrent", "bias")]
    if cell.startswith("lstm"):
        start, weights = LSTMState(h, leaves["c"]), LSTMWeights(*triple, leaves.get("peepholes"))
        cell_of = lstm if weights.peepholes_3E is None else lstm_peephole
        return cell_of(x, start, weights, lengths_B, algorithm=algorithm)
    if cell == "slstm":
        parts = torch.nn.functional.linear(x, leaves["input"], leaves["bias"])
        start = SLSTMState(h, leaves["c"], leaves["log n"].exp(), leaves["m"])
        recurrent_HGP = leaves["recurrent"].unflatten(0, (2, -1))
        return slstm(parts, start, recurrent_HGP, lengths_B, algorithm=algorithm)
    if cell.startswith("gru"):
        weights = GRUWeights(*triple, leaves.get("inner_bias"))
        cell_of = gru if weights.inner_bias_E is not None else gru_reset_before
        y, h = cell_of(x, h, weights, lengths_B, algorithm=algorithm)
    else:
        kind = cell.split("_")[1]
        weights = ElmanWeights(*triple)
        y, h = elman(x, h, weights, lengths_B, nonlinearity=kind, algorithm=algorithm)
    return y, (h,)


def run(cell, leaves, lengths_B, algorithm):
    """Outputs at real positions, final states, and the gradient of each leaf."""
    y, state = apply(cell, leaves, lengths_B, algorithm)
    if lengths_B is not None:
        y = y.masked_fill(~lengths_to_mask(lengths_B, y.shape[1])[..., None], 0.0)
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (leaf * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)).sum()
        for leaf in (y, *state)
    )
    gradients = torch.autograd.grad(total, list(leaves.values()))
    states = {f"final {i}": leaf for i, leaf in enumerate(state)}
    values = {"output": y} | states
    return {n: value.detach() for n, value in values.items()} | dict(zip(leaves, gradients))


def assert_same(found, expected, tolerance):
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(
            found[name], value, rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )
