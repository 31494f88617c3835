"""CTC by its definition: the probability of every path, summed. V^T paths a row."""

import itertools

import torch
from torch import Tensor

from seqarena.ops.ctc import BLANK, ctc


@ctc.truth("enumerate", serial_steps=lambda length: length)
def enumerate_paths(
    log_probs_BTV: Tensor, targets_BU: Tensor, lengths_B: Tensor, target_lengths_B: Tensor
) -> Tensor:
    """Differentiated by autograd."""
    losses = []
    for row, log_probs_TV in enumerate(log_probs_BTV):
        length = int(lengths_B[row])
        wanted = targets_BU[row, : int(target_lengths_B[row])].tolist()
        paths_NT = torch.tensor(
            [
                path
                for path in itertools.product(range(log_probs_TV.shape[1]), repeat=length)
                if spelled(path) == wanted
            ],
            device=log_probs_TV.device,
        )
        each_NT = log_probs_TV[torch.arange(length, device=log_probs_TV.device), paths_NT]
        losses.append(-each_NT.sum(1).logsumexp(0))
    return torch.stack(losses)


def spelled(path: tuple[int, ...]) -> list[int]:
    """B of the paper: repeats become one, then blanks go."""
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK]
