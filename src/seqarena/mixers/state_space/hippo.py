"""HiPPO-LegS, the matrix that projects the past onto Legendre polynomials, in the basis in which
its normal part is diagonal: where S4 and S5 begin.

Gu, Dao, Ermon, Rudra and Re 2020, "HiPPO: Recurrent Memory with Optimal Polynomial Projections",
arXiv:2008.07669; the basis is that of theorem 1 of Gu et al. 2022, arXiv:2111.00396.
"""

import torch
from torch import Tensor


def hippo_normal_spectrum(size: int) -> tuple[Tensor, Tensor]:
    """The normal part of HiPPO-LegS of P = `size` states: Im A of the half with negative
    frequencies [P / 2], and their eigenvectors [P, P / 2], complex128. Re A is -1/2 throughout.

    HiPPO-LegS is A_nk = -sqrt(2 n + 1) sqrt(2 k + 1) below the diagonal, -(n + 1) on it; adding
    p p^T with p_n = sqrt(n + 1/2) leaves -1/2 and a skew-symmetric matrix.
    """
    roots = torch.sqrt(torch.arange(size, dtype=torch.float64) + 0.5)
    below = -torch.outer(roots, roots).tril(-1)
    frequencies, vectors = torch.linalg.eigh(-1j * (below - below.T))
    return frequencies[: size // 2], vectors[:, : size // 2]
