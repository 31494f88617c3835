"""Stand-ins for what the authors' state-space code imports and does not need for its numbers."""

import sys
import types

import torch


def stand_in() -> None:
    """Puts them where the modules would be. Conversions to float32 keep float64, and the default
    is float64, so that the reference is as exact as what is compared with it."""
    sys.modules["opt_einsum"] = types.SimpleNamespace(contract=torch.einsum)  # type: ignore
    utilities = types.SimpleNamespace(rank_zero_only=lambda function: function)
    sys.modules["pytorch_lightning"] = types.SimpleNamespace(utilities=utilities)  # type: ignore
    sys.modules["pytorch_lightning.utilities"] = utilities  # type: ignore
    sys.modules["scipy"] = types.SimpleNamespace(special=None)  # type: ignore
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
