"""How information flows through a model over tokens, whatever it is made of.

    influence     ||J_ij|| with J_ij = d f_i / d e_j, f_i the logits at i, e_j the embedding
                  at j, estimated by random projections: E ||d (v . f_i) / d e_j||^2 = ||J_ij||_F^2
                  for v ~ N(0, 1). With rows that are made to sum to one, a recurrent network, a
                  convolution and a state space can be looked at beside attention's weights.
    gradient flow the same from the last position alone, against the distance k = T - 1 - j
    receptive     which inputs change which outputs at all, by perturbation: exact, not estimated

Everything reaches the embeddings through a hook on the table of tokens, so that stacks and whole
systems are measured alike.

    T  positions    D  width of the embedding    V  outputs
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.models.model import Model


class GradientFlow(NamedTuple):
    """Norms of d f_T / d e_(T-k) for k = 0 .. T - 1, and what they say."""

    norms_T: np.ndarray
    rate: float  # lambda of the line lambda^k that fits the logarithms best, from k = 1 on
    half_life: float  # steps after which that line has halved; inf where it does not fall

    @property
    def verdict(self) -> str:
        """In a word: vanishing, steady or exploding."""
        if self.rate > 1.05:
            return "exploding"
        return "vanishing" if self.rate < 0.95 else "steady"


def influence(model: Model, tokens_T: Tensor, *, draws: int = 8, seed: int = 0) -> np.ndarray:
    """Norms of d f_i / d e_j, [T, T]: row i is an output, column j an input. One sequence."""
    with _embeddings(model, tokens_T) as (outputs_TV, embedded_TD):
        generator = torch.Generator().manual_seed(seed)
        squares_TT = np.zeros((len(tokens_T), len(tokens_T)))
        for output_V, squares_T in zip(outputs_TV, squares_TT):
            for _ in range(draws):
                v_V = torch.randn(output_V.shape, generator=generator, dtype=output_V.dtype)
                squares_T += _squared_gradient(output_V, v_V, embedded_TD) / draws
    return np.sqrt(squares_TT)


def gradient_flow(model: Model, tokens_T: Tensor, *, draws: int = 8, seed: int = 0) -> GradientFlow:
    """From the last position back to the first. Needs at least three positions."""
    if len(tokens_T) < 3:
        raise UserError("the flow of gradients needs a sequence of at least three positions")
    with _embeddings(model, tokens_T) as (outputs_TV, embedded_TD):
        generator = torch.Generator().manual_seed(seed)
        squares_T = np.zeros(len(tokens_T))
        for _ in range(draws):
            v_V = torch.randn(outputs_TV.shape[1], generator=generator, dtype=outputs_TV.dtype)
            squares_T += _squared_gradient(outputs_TV[-1], v_V, embedded_TD) / draws
    norms_T = np.sqrt(squares_T)[::-1]  # by distance
    reached = np.flatnonzero(norms_T[1:] > 0) + 1
    if len(reached) < 2:
        return GradientFlow(norms_T, 0.0, 0.0)
    slope = np.polyfit(reached, np.log(norms_T[reached]), 1)[0]
    rate = float(np.exp(slope))
    return GradientFlow(norms_T, rate, float(-np.log(2) / slope) if slope < 0 else np.inf)


def reaches(model: Model, tokens_T: Tensor, vocab_size: int) -> np.ndarray:
    """[T, T] of truth: whether output i changes when token j is replaced by another."""
    model.eval()
    length = len(tokens_T)
    changed_TT = tokens_T.repeat(length, 1)
    diagonal = torch.arange(length)
    changed_TT[diagonal, diagonal] = (tokens_T + 1) % vocab_size
    with torch.no_grad():
        before_TV = model.answer(Batch(tokens_T[None], tokens_T[None]))[0]
        after_TTV = model.answer(Batch(changed_TT, changed_TT))  # row j: token j replaced
    return (after_TTV != before_TV).any(-1).T.cpu().numpy()


def receptive_field(model: Model, tokens_T: Tensor, vocab_size: int) -> int:
    """How many positions back the last output sees (itself not counted): the exact reach where the
    sequence is longer than that, by perturbation."""
    seen_T = reaches(model, tokens_T, vocab_size)[-1]
    return len(tokens_T) - 1 - int(np.flatnonzero(seen_T)[0]) if seen_T.any() else 0


def _squared_gradient(output_V: Tensor, v_V: Tensor, embedded_TD: Tensor) -> np.ndarray:
    (gradient_TD,) = torch.autograd.grad(
        (output_V * v_V.to(output_V.device)).sum(), embedded_TD, retain_graph=True
    )
    return gradient_TD.double().square().sum(-1).squeeze(0).cpu().numpy()


@contextmanager
def _embeddings(model: Model, tokens_T: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Outputs [T, V] of one sequence and the embeddings [1, T, D] that they depend on."""
    model.eval()
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    table = max(tables, key=lambda m: m.num_embeddings, default=None)
    if table is None:
        raise UserError(f"{type(model).__name__} has no embedding of tokens to look back to")
    caught: list[Tensor] = []

    def catch(_: nn.Module, __: object, embedded: Tensor) -> Tensor:
        caught.append(embedded.detach().requires_grad_())
        return caught[-1]

    handle = table.register_forward_hook(catch)
    try:
        with torch.enable_grad():
            outputs_BTV = model.answer(Batch(tokens_T[None], tokens_T[None]))
        yield outputs_BTV[0], caught[0]
    finally:
        handle.remove()
