"""Writing a target: greedy, and beam search with a length penalty, over any model of pairs.

A hypothesis is a row of the batch: its state is whatever the model's `begin` and `step` carry, and
`select` moves rows about. Scores are sums of log probabilities; finished hypotheses are compared by
score / ((5 + length) / 6)^alpha (Wu et al. 2016, equation 14).

    B  sources    K  beam    L  tokens written    V  vocabulary
"""

import torch
from torch import Tensor

from seqarena.core.batch import END, START, Batch
from seqarena.models.model import Model, select


def greedy(model: Model, batch: Batch, max_length: int) -> Tensor:
    """The likeliest token at every step: int64 [B, L], END where a target ends and behind it."""
    assert batch.source_BS is not None
    size, device = len(batch.source_BS), batch.source_BS.device
    state = model.begin(batch, max_length)
    token_B = torch.full((size,), START, device=device)
    ended_B = torch.zeros(size, dtype=torch.bool, device=device)
    written = []
    for _ in range(max_length):
        logits_BV, state = model.step(token_B, state)
        token_B = logits_BV.argmax(-1).masked_fill(ended_B, END)
        written.append(token_B)
        ended_B = ended_B | (token_B == END)
        if bool(ended_B.all()):
            break
    return torch.stack(written, 1)


def beam(
    model: Model, batch: Batch, max_length: int, *, width: int = 5, length_penalty: float = 0.6
) -> Tensor:
    """The best of `width` hypotheses kept at every step: int64 [B, L] as `greedy` gives it.

    With `width` 1 it writes what `greedy` writes. A finished hypothesis stays in the beam, its
    score fixed, until it is driven out or the search ends.
    """
    assert batch.source_BS is not None
    size, device = len(batch.source_BS), batch.source_BS.device
    rows_BK = torch.arange(size, device=device)[:, None].expand(size, width)
    state = model.begin(batch, max_length)
    state = select(state, rows_BK.flatten())
    score_BK = torch.full((size, width), -torch.inf, device=device)
    score_BK[:, 0] = 0.0  # all hypotheses start alike: keep one
    token_BK = torch.full((size, width), START, device=device)
    written_BKL = token_BK.new_zeros(size, width, 0)
    ended_BK = torch.zeros(size, width, dtype=torch.bool, device=device)
    length_BK = torch.zeros(size, width, device=device)
    for _ in range(max_length):
        logits_NV, state = model.step(token_BK.flatten(), state)
        step_BKV = logits_NV.float().log_softmax(-1).unflatten(0, (size, width))
        only_end_V = torch.full_like(step_BKV[0, 0], -torch.inf)
        only_end_V[END] = 0.0
        step_BKV = torch.where(ended_BK[..., None], only_end_V, step_BKV)
        candidate_BKV = score_BK[..., None] + step_BKV
        grown_BK = length_BK + (~ended_BK).float()
        ranked_BKV = candidate_BKV / _penalty(grown_BK, length_penalty)[..., None]
        choice_BK = ranked_BKV.flatten(1).topk(width, -1).indices
        parent_BK = choice_BK // step_BKV.shape[-1]
        token_BK = choice_BK % step_BKV.shape[-1]
        score_BK = candidate_BKV.flatten(1).gather(1, choice_BK)
        length_BK = grown_BK.gather(1, parent_BK)
        ended_BK = ended_BK.gather(1, parent_BK) | (token_BK == END)
        kept_BKL = written_BKL.gather(1, parent_BK[..., None].expand_as(written_BKL))
        written_BKL = torch.cat((kept_BKL, token_BK[..., None]), -1)
        state = select(state, (parent_BK + width * rows_BK).flatten())
        if bool(ended_BK.all()):
            break
    best_B = (score_BK / _penalty(length_BK, length_penalty)).argmax(-1)
    return written_BKL[torch.arange(size, device=device), best_B]


def _penalty(length: Tensor, alpha: float) -> Tensor:
    return ((5.0 + length) / 6.0) ** alpha
