"""How information flows through a model, whatever it is made of.

    influence     ||J_ij|| with J_ij = d f_i / d e_j, f_i the logits at i, e_j the vector of input
                  j, estimated by random projections: E ||d (v . f_i) / d e_j||^2 = ||J_ij||_F^2
                  for v ~ N(0, 1). With rows that are made to sum to one, a recurrent
                  network, a convolution and a state space can be looked at beside attention
    gradient flow d loss_T / d e_(T-k), the loss being that of the last answer; or the same of the
                  answer itself, by projections
    state flow    d s_T / d s_(T-k) of a state that keeps its size, through the state's interface
    receptive     which inputs change the last answer at all, by perturbation: not estimated

The vectors e are what looking the tokens up gives, wherever a model does so, or the numbers that a
model reads. Of pairs, they stand for the source.

    N  positions read    R  answers (one for a label)    D  width of e    V  outputs
    P  projections       S  numbers of a state
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqarena.core.batch import Batch, map_batch, nothing_asked
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import decay_of, half_life
from seqarena.core.shapes import state_tensors
from seqarena.models.model import Model
from seqarena.tasks.transcript_loss import criterion_of

_ROUNDINGS = 64  # that an answer may gather: what differs by less is the same
_NUMBERS_KEPT = 4_000_000  # of all states of all projections, which bounds memory
_MOST_PROJECTIONS, _FEWEST_PROJECTIONS = 128, 8


class GradientFlow(NamedTuple):
    """Norms at distance k = 0 .. T - 1, and what they say."""

    norms_T: np.ndarray

    @property
    def rate(self) -> float:
        """lambda of the line lambda^k that fits the logarithms best, from k = 1 on."""
        return decay_of(range(len(self.norms_T)), self.norms_T.tolist()).value

    @property
    def half_life(self) -> float:
        """Steps after which that line has halved; inf where it does not fall."""
        return half_life(self.rate)

    @property
    def verdict(self) -> str:
        """In a word: vanishing, steady or exploding."""
        if self.rate > 1.05:
            return "exploding"
        return "vanishing" if self.rate < 0.95 else "steady"


def influence(model: Model, inputs: Tensor | Batch, *, draws: int = 8, seed: int = 0) -> np.ndarray:
    """Norms of d f_i / d e_j, [R, N], for tokens [T] or a batch of one example: from `draws` random
    projections, exact where there are as many as outputs."""
    outputs_PRV, read = _answers(model, inputs, draws)
    generator = torch.Generator().manual_seed(seed)
    return np.stack([_norms(output_PV, read, generator) for output_PV in outputs_PRV.unbind(1)])


def gradient_flow(
    model: Model, inputs: Tensor | Batch, *, draws: int = 8, seed: int = 0
) -> GradientFlow:
    """From the last answer back to the first position. Needs at least three positions."""
    if _read(_batch(inputs)).shape[1] < 3:
        raise UserError("the flow of gradients needs a sequence of at least three positions")
    outputs_PRV, read = _answers(model, inputs, draws)
    norms_N = _norms(outputs_PRV[:, -1], read, torch.Generator().manual_seed(seed))
    return GradientFlow(norms_N[::-1])


def loss_flow(model: Model, inputs: Tensor | Batch, *, parameters: bool = False) -> GradientFlow:
    """Norms of d loss_T / d e_(T-k): the loss of the last answer alone, as training has it; of a
    transcript, whose symbols have no place, the loss of the whole. The answer that is right comes
    from the batch's targets (of plain tokens: the first one). With `parameters`, the gradients of
    the model's parameters are left in place as well."""
    batch = _batch(inputs)
    asked_BT = batch.targets_BT
    if model.problem.form != "transcript":
        asked_BT = nothing_asked(batch.targets_BT)
        asked_BT[:, -1] = batch.targets_BT[:, -1]

    def run(caught: Batch) -> Tensor:
        return model.loss(caught, criterion_of(model.problem))

    loss, read = _traced(model, batch._replace(targets_BT=asked_BT), run)
    squares_N = _squares(loss, read)
    if parameters:
        model.zero_grad()
        loss.backward()
    return GradientFlow(np.sqrt(squares_N)[::-1])


def state_flow(model: Model, tokens_T: Tensor, *, seed: int = 0) -> tuple[GradientFlow, int]:
    """||d s_T / d s_(T-k)||_F / ||I||_F, that is the root mean square of the Jacobian's singular
    values: never above its spectral norm, and 1 at k = 0. Also the number P of projections; where
    it is that of the state's numbers the norms are exact. `tokens_T` may be features [T, F].

    `model` is one that `carries` (models/model.py).
    """
    model.eval()

    def begun(count: int) -> Any:
        nothing = tokens_T[:0].expand(count, 0, *tokens_T.shape[1:])
        return model.begin(Batch(nothing, nothing))

    size = sum(tensor.numel() for tensor in state_tensors(begun(1)))
    kept = _NUMBERS_KEPT // max(1, size * len(tokens_T))
    draws = min(size, max(_FEWEST_PROJECTIONS, min(_MOST_PROJECTIONS, kept)))
    state, states = begun(draws), []
    with torch.enable_grad():
        for token in tokens_T:
            _, state = model.step(token.expand(draws, *token.shape), state)
            states.append([x for x in state_tensors(state) if x.requires_grad])
    if not states[-1]:
        return GradientFlow(np.zeros(len(tokens_T))), draws
    rows_PS = _projections(draws, sum(x[0].numel() for x in states[-1]), seed).to(states[-1][0])
    splits = rows_PS.split([x[0].numel() for x in states[-1]], 1)
    along = [v.reshape(x.shape) for v, x in zip(splits, states[-1])]
    earlier = [x for tensors in states[:-1] for x in tensors]
    gradients = iter(torch.autograd.grad(states[-1], earlier, along, allow_unused=True))
    squares = [
        sum(float(g.double().square().sum()) for _ in tensors if (g := next(gradients)) is not None)
        for tensors in states[:-1]
    ]
    squares.append(float(rows_PS.double().square().sum()))  # k = 0, the identity
    return GradientFlow(np.sqrt(np.array(squares[::-1]) / squares[-1])), draws


def reaches(model: Model, tokens_T: Tensor, vocab_size: int) -> np.ndarray:
    """[T, T] of truth: whether output i changes when token j is replaced by another."""
    return _changes(model, _batch(tokens_T), vocab_size).T


def receptive_field(model: Model, inputs: Tensor | Batch, vocab_size: int) -> int:
    """How many positions back the last answer sees (the last position not counted), by
    perturbation: the exact reach where the sequence is longer than that, as far as what comes from
    so far can still be told from rounding in the model's own precision."""
    seen_N = _changes(model, _batch(inputs), vocab_size)[:, -1]
    return len(seen_N) - 1 - int(np.flatnonzero(seen_N)[0]) if seen_N.any() else 0


def _changes(model: Model, batch: Batch, vocab_size: int) -> np.ndarray:
    """[N, R] of truth: whether answer r changes with what stands at position n."""
    model.eval()
    read_1N = _read(batch)
    length = read_1N.shape[1]
    changed = read_1N.repeat(length, *[1] * (read_1N.dim() - 1))
    diagonal = torch.arange(length)
    other_N = read_1N[0] + 1
    changed[diagonal, diagonal] = other_N if other_N.is_floating_point() else other_N % vocab_size
    # as many rows as there are changed ones: sums are rounded by the shape of a product
    same = _copies(batch, length)
    after = same._replace(**{"inputs_BT" if batch.source_BS is None else "source_BS": changed})
    with torch.no_grad():
        before_NRV, after_NRV = model.answer(same), model.answer(after)
    # rounding can keep two runs a bit apart for ever, however alike their inputs have become
    found = torch.finfo(before_NRV.dtype)
    sizes_NRV = before_NRV.abs()
    sizes_NRV = sizes_NRV[sizes_NRV < found.max]  # a span has the lowest number where it cannot be
    noise = _ROUNDINGS * found.eps * (sizes_NRV.max() if sizes_NRV.numel() else 0.0)
    return ((after_NRV - before_NRV).abs() > noise).any(-1).cpu().numpy()


def _answers(
    model: Model, inputs: Tensor | Batch, copies: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Answers [P, R, V] to P copies of an example, and the vectors [P, N, D] that they depend on:
    one backward pass then serves P projections."""
    return _traced(model, _copies(_batch(inputs), copies), model.answer)


def _copies(batch: Batch, count: int) -> Batch:
    return map_batch(lambda x: x.repeat(count, *[1] * (x.dim() - 1)), batch)


def _traced(model: Model, batch: Batch, run: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What `run` gives, and the vectors [P, N, D] to differentiate it by."""
    model.eval()
    read = _read(batch)
    with torch.enable_grad():
        if read.is_floating_point():
            read = read.to(next(model.parameters()).dtype).clone().requires_grad_()
            return run(batch._replace(inputs_BT=read)), (read,)
        with _LookUp(read, _offset(model)) as look_up:
            found = run(batch)
    if not look_up.vectors:
        raise UserError(f"{type(model).__name__} looks no token up: nothing to look back to")
    return found, tuple(look_up.vectors)


def _offset(model: Model) -> int:
    """What is added to a source token where source and target are read as one sequence."""
    return getattr(getattr(model, "config", None), "source_offset", 0)


class _LookUp(TorchFunctionMode):
    """Makes a leaf of the vectors that stand for the tokens [P, N], read in order, backwards, or
    with others behind them."""

    def __init__(self, tokens_PN: Tensor, offset: int) -> None:
        super().__init__()
        self.tokens_PN, self.offset = tokens_PN, offset
        self.vectors: list[Tensor] = []  # [P, N, D] in the order of the tokens

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is not F.embedding or args[0].dim() != 2:
            return found
        length = self.tokens_PN.shape[1]
        if torch.equal(args[0][:, :length], self.tokens_PN + self.offset):
            self.vectors.append(found[:, :length].detach().requires_grad_())
            return torch.cat((self.vectors[-1], found[:, length:]), 1)
        if torch.equal(args[0], self.tokens_PN.flip(1)):
            self.vectors.append(found.detach().flip(1).requires_grad_())
            return self.vectors[-1].flip(1)
        return found


def _norms(output_PV: Tensor, read: tuple[Tensor, ...], generator: torch.Generator) -> np.ndarray:
    """Norms of d output / d e_n, [N], by a random projection of each of P copies; exact where
    there are as many copies as outputs."""
    P, V = output_PV.shape
    if P == V:
        return np.sqrt(_squares(output_PV.diagonal().sum(), read))
    v_PV = torch.randn(P, V, generator=generator, dtype=output_PV.dtype)
    return np.sqrt(_squares((output_PV * v_PV.to(output_PV.device)).sum(), read) / P)


def _squares(value: Tensor, read: tuple[Tensor, ...]) -> np.ndarray:
    """Squared norms of d value / d e_n, [N], summed over copies. The graph stays."""
    gradients = torch.autograd.grad(value, read, retain_graph=True, allow_unused=True)
    squares_N = torch.zeros(read[0].shape[1], dtype=torch.float64, device=value.device)
    for gradient_PND in gradients:
        if gradient_PND is not None:
            squares_N += gradient_PND.double().flatten(2).square().sum((0, 2))
    return squares_N.cpu().numpy()


def _projections(count: int, size: int, seed: int) -> Tensor:
    """Orthonormal rows [P, S]: the identity where there are as many as directions."""
    if count >= size:
        return torch.eye(count, dtype=torch.float64)[:, :size]
    generator = torch.Generator().manual_seed(seed)
    random_SP = torch.randn(size, count, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(random_SP).Q.T.contiguous()


def _batch(inputs: Tensor | Batch) -> Batch:
    if isinstance(inputs, Batch):
        return inputs
    return Batch(inputs[None], inputs.roll(-1)[None])


def _read(batch: Batch) -> Tensor:
    """What is looked back to: the source of pairs, else the inputs."""
    return batch.inputs_BT if batch.source_BS is None else batch.source_BS
