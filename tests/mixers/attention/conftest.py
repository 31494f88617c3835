"""References that are compared in float64."""

import pytest
import torch


@pytest.fixture
def exact_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    """`transformers` asks its softmax for float32: here it keeps the dtype of the scores."""
    monkeypatch.setattr(torch.nn.functional, "softmax", lambda x, dim, dtype=None: x.softmax(dim))
