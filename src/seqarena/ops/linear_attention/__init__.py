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

from seqarena.ops.registry import operation, register_files

EPSILON = 1e-6  # keeps the quotient finite where no key is felt, as in the authors' code


@operation("linear_attention")
def linear_attention(
    q_BHTE: Tensor,
    k_BHTE: Tensor,
    v_BHTF: Tensor,
    s_BHEF: Tensor,
    z_BHE: Tensor,
    algorithm: str = "auto",
    chunk_size: int = 32,
) -> tuple[Tensor, Tensor, Tensor]:
    """From the sums before the call to the outputs and the sums after: y_BHTF, s_BHEF, z_BHE.

    The outputs have the sums' dtype. `chunk_size` matters to `chunked` only. Raises UserError for
    an unknown algorithm.
    """
    form = linear_attention.form(algorithm, q_BHTE)
    q_BHTE, k_BHTE, v_BHTF = (x.to(s_BHEF.dtype) for x in (q_BHTE, k_BHTE, v_BHTF))
    if torch.is_autocast_enabled(q_BHTE.device.type):
        with torch.autocast(q_BHTE.device.type, enabled=False):
            return form(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, chunk_size)
    return form(q_BHTE, k_BHTE, v_BHTF, s_BHEF, z_BHE, chunk_size)


def positive_features(x: Tensor) -> Tensor:
    """elu(x) + 1: the feature map of the paper (equation 7)."""
    return F.elu(x) + 1


register_files(__name__, __path__)
