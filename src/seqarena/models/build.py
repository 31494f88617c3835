"""One call from a name to an `nn.Module`, sized by one dial."""

from typing import Any

import torch

from seqarena.core.errors import UserError
from seqarena.models.catalog import Architecture, architecture, yours
from seqarena.models.language_model import ModelConfig, TokenModel, build_model
from seqarena.models.size import Shape, configure, default_depth, solve


def build(
    name: str,
    *,
    vocab_size: int,
    params: int | None = None,
    width: int | None = None,
    depth: int | None = None,
    max_length: int = 1024,
    mixer: str | None = None,
    options: dict[str, Any] | None = None,
    seed: int | None = None,
) -> TokenModel:
    """A freshly initialised model: `build("mamba", vocab_size=256, params=1_000_000)`.

    Give `params` (the width is solved to within 1 %) or `width`. `mixer` is a user's own,
    `path/to/file.py:Class`, and `name` then only labels it. `options` go to every layer's mixer.
    `max_length` matters to learned positions alone. Raises UserError for an unknown name or an
    impossible size.
    """
    row = yours(name, mixer, options) if mixer else with_options(architecture(name), options)
    config = model_config(
        row,
        vocab_size=vocab_size,
        params=params,
        width=width,
        depth=depth,
        max_length=max_length,
    )
    if seed is not None:
        torch.manual_seed(seed)
    return build_model(config)


def model_config(
    row: Architecture,
    *,
    vocab_size: int,
    params: int | None,
    width: int | None,
    depth: int | None,
    max_length: int,
) -> ModelConfig:
    """The configuration `build` builds: sized by `params` or by `width`, one of them."""
    if (params is None) == (width is None):
        raise UserError("give either a parameter count or a width, and not both")
    if params is not None:
        shape = Shape(vocab_size, depth or default_depth(params), max_length)
        return solve(row, shape, params)
    assert width is not None
    return configure(row, Shape(vocab_size, depth or 2, max_length), width)


def with_options(row: Architecture, options: dict[str, Any] | None) -> Architecture:
    """The row with these options set on every layer of its cycle."""
    if not options:
        return row
    return row._replace(cycle=tuple((mixer, {**own, **options}) for mixer, own in row.cycle))
