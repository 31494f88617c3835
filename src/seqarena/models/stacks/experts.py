"""A channel mixer of which every position uses a part: noisy top-k mixture of experts (Shazeer et
al. 2017, "Outrageously Large Neural Networks", section 2.1 and appendix A).

    h(x) = W_g x + noise * softplus(W_n x)       noise ~ N(0, 1), in training alone
    g(x) = softmax over the k greatest of h(x), zero elsewhere                    equations 3 to 5
    y    = sum over the chosen experts i of g_i(x) E_i(x)                         equation 1

Two losses keep the experts busy, each the squared coefficient of variation over experts: that of
the importance, sum of g over positions (equation 7), and that of the load, the smooth estimate of
how many positions choose an expert (equations 8 to 11). Padding takes part in neither.

Letters: N positions of all sequences; X experts; D the width; H an expert's hidden units.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.models.stacks.channel_mixers import MLP

BALANCE = 0.1  # weight of each of the two losses, as in the paper's language models


class Experts(nn.Module):
    """Experts are MLPs of `hidden_width` units each. [B, T, D] -> [B, T, D]."""

    def __init__(
        self, width: int, hidden_width: int, num_layers: int, *, experts: int, chosen: int
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(MLP(width, hidden_width, num_layers) for _ in range(experts))
        self.chosen = chosen
        # both begin at zero: all experts alike at first (appendix A)
        self.gate_XD = nn.Parameter(torch.zeros(experts, width))
        self.noise_XD = nn.Parameter(torch.zeros(experts, width))
        self.balance_loss: Tensor | None = None  # of the last training call

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        x_ND = x_BTD.flatten(0, 1)
        gates_NX, self.balance_loss = self.gates(
            x_ND, None if mask_BT is None else mask_BT.flatten()
        )
        y_ND = torch.zeros_like(x_ND)
        for gate_N, expert in zip(gates_NX.unbind(1), self.experts):
            (index,) = gate_N.nonzero(as_tuple=True)
            part = expert(x_ND[index]) * gate_N[index, None].to(x_ND.dtype)
            y_ND = y_ND.index_add(0, index, part.to(y_ND.dtype))
        return y_ND.view_as(x_BTD)

    def gates(self, x_ND: Tensor, mask_N: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """g_NX, and the balance loss in training."""
        clean_NX = F.linear(x_ND, self.gate_XD)
        if not self.training:
            return self._top(clean_NX), None
        deviation_NX = F.softplus(F.linear(x_ND, self.noise_XD)) + 1e-2
        noisy_NX = clean_NX + torch.randn_like(clean_NX) * deviation_NX
        gates_NX = self._top(noisy_NX)
        real_N1 = gates_NX.new_ones(len(x_ND), 1) if mask_N is None else mask_N[:, None]
        importance_X = (gates_NX * real_N1).sum(0)
        load_X = (self._load(clean_NX, noisy_NX, deviation_NX) * real_N1).sum(0)
        return gates_NX, BALANCE * (_variation(importance_X) + _variation(load_X))

    def _top(self, scores_NX: Tensor) -> Tensor:
        best_NK, index_NK = scores_NX.topk(self.chosen, -1)
        return torch.zeros_like(scores_NX).scatter(-1, index_NK, best_NK.softmax(-1))

    def _load(self, clean_NX: Tensor, noisy_NX: Tensor, deviation_NX: Tensor) -> Tensor:
        """Probability that an expert is among the chosen when its own noise is drawn again."""
        if self.chosen == len(self.experts):
            return torch.ones_like(clean_NX)
        best_NK = noisy_NX.topk(self.chosen + 1, -1).values
        last_in_N1, first_out_N1 = best_NK[:, -2:-1], best_NK[:, -1:]
        # what an expert has to beat: the k-th greatest of the others
        threshold_NX = torch.where(noisy_NX >= last_in_N1, first_out_N1, last_in_N1)
        return torch.special.ndtr((clean_NX - threshold_NX) / deviation_NX)

    def flops(self, length: int) -> int:
        """The gate, and k experts a position."""
        expert = self.experts[0]
        assert isinstance(expert, MLP)
        gate = 2 * self.gate_XD.numel()
        return length * gate + self.chosen * expert.flops(length)


def _variation(x_X: Tensor) -> Tensor:
    """Squared coefficient of variation."""
    return x_X.var(unbiased=False) / (x_X.mean() ** 2 + 1e-10)
