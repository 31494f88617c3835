"""Linear attention (Katharopoulos et al. 2020): attention whose softmax became a feature map.

    S_t = S_(t-1) + k_t v_t^T        z_t = z_(t-1) + k_t        y_t = S_t^T q_t / (z_t . q_t + eps)

for queries and keys that already went through the feature map (equations 16 to 20). All forms
compute in at least float32, also under autocast: S and z are sums over the whole past.

    loop       the recurrence, one position after another (the slow truth)
    parallel   masked T x T products, work T^2
    chunked    parallel inside chunks of L positions, the recurrence between them: work T (L + E)

    E features of a key   F features of a value   N chunks   L positions of a chunk
    X sequences, heads and chunks together (B H N)
"""

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6  # keeps the quotient finite where no key is felt, as in the authors' code


def linear_attention(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    algorithm: str,
    chunk_size: int = 32,
) -> tuple[Tensor, Tensor, Tensor]:
    """From the sums before the call to the outputs and the sums after: y_BHTF, s_BHEF, z_BHE.

    `algorithm` is "loop", "parallel" or "chunked". The outputs have the sums' dtype.
    """
    q_BHTE, k_BHTE, v_BHTF = (x.to(s_BHEF.dtype) for x in (q_BHTE, k_BHTE, v_BHTF))
    if torch.is_autocast_enabled(q_BHTE.device.type):
        with torch.autocast(q_BHTE.device.type, enabled=False):
            return _linear_attention(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, algorithm, chunk_size)
    return _linear_attention(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, algorithm, chunk_size)


def positive_features(x: Tensor) -> Tensor:
    """elu(x) + 1: the feature map of the paper (equation 7)."""
    return F.elu(x) + 1


def _linear_attention(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    algorithm: str,
    chunk_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    if algorithm == "loop":
        return _loop(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE)
    length = q_BHTE.shape[2]
    size = length if algorithm == "parallel" else min(length, chunk_size)
    return _chunked(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, size)


def _loop(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTF: Tensor, s_BHEF: Tensor, z_BHE: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    outputs = []
    for q_BHE, k_BHE, v_BHF in zip(q_BHTE.unbind(2), k_BHTE.unbind(2), v_BHTF.unbind(2)):
        s_BHEF = s_BHEF + k_BHE[..., :, None] * v_BHF[..., None, :]
        z_BHE = z_BHE + k_BHE
        total_BH1 = (q_BHE * z_BHE).sum(-1, keepdim=True) + EPSILON
        outputs.append((q_BHE[..., None, :] @ s_BHEF)[..., 0, :] / total_BH1)
    return torch.stack(outputs, dim=2), s_BHEF, z_BHE


def _chunked(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTF: Tensor, s_BHEF: Tensor, z_BHE: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor]:
    B, H, length, _ = q_BHTE.shape
    N = -(-length // size)

    def chunks(x_BHTE: Tensor) -> Tensor:
        """[B H N, L, E]: batched products are fastest on three axes. Keys of zeros add nothing."""
        return F.pad(x_BHTE, (0, 0, 0, N * size - length)).reshape(B * H * N, size, -1)

    def sums_before(start: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
        """The sum before each chunk, [B H N, ...], and that after the last, [B, H, ...]."""
        added = added.view(B, H, N, *added.shape[1:])
        sums = torch.cat((start[:, :, None], added), dim=2).cumsum(dim=2)
        return sums[:, :, :-1].flatten(0, 2), sums[:, :, -1]

    q_XLE, k_XLE, v_XLF = chunks(q_BHTE), chunks(k_BHTE), chunks(v_BHTF)
    inside_XLL = torch.bmm(q_XLE, k_XLE.transpose(1, 2)).tril()
    s_XEF, s_BHEF = sums_before(s_BHEF, torch.bmm(k_XLE.transpose(1, 2), v_XLF))
    z_XE, z_BHE = sums_before(z_BHE, k_XLE.sum(dim=1))
    total_XL1 = inside_XLL.sum(-1, keepdim=True) + torch.bmm(q_XLE, z_XE[..., None])
    y_XLF = torch.baddbmm(torch.bmm(inside_XLL, v_XLF), q_XLE, s_XEF) / (total_XL1 + EPSILON)
    return y_XLF.view(B, H, N * size, -1)[:, :, :length], s_BHEF, z_BHE
