"""Weights as they lie best for products with few rows, as decoding has them.

A product x W^T of one row reads each row of W from its start; of several rows the BLAS and oneDNN
both repack W first. Where W lies by columns they read it as it lies. The numbers are the same but
for the order of sums.
"""

import torch
from torch import nn


def by_columns(model: nn.Module) -> nn.Module:
    """The same model, its matrices laid out by columns, in place; values and shapes stay."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.data = parameter.data.t().contiguous().t()
    return model
