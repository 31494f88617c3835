"""One call from a name to an `nn.Module`, sized by one dial."""

from typing import Any

import torch

from seqarena.core.architecture import Architecture, with_options, with_short_convolution
from seqarena.core.batch import Problem, own_inputs
from seqarena.core.errors import UserError
from seqarena.core.user_code import allow
from seqarena.models.any import AnyConfig, build_model
from seqarena.models.catalog import architecture, yours
from seqarena.models.model import Model
from seqarena.models.size import Shape, configure, default_depth, solve
from seqarena.models.stacks.plain_modules import with_measured


def build(
    name: str,
    *,
    vocab_size: int | None = None,
    problem: Problem | None = None,
    params: int | None = None,
    width: int | None = None,
    depth: int | None = None,
    max_length: int = 1024,
    mixer: str | None = None,
    options: dict[str, Any] | None = None,
    short_convolution: int = 0,
    seed: int | None = None,
) -> Model:
    """A freshly initialised model: `build("mamba", vocab_size=256, params=1_000_000)`.

    Give `vocab_size` for a model that predicts its own inputs, or a whole `problem` (core/batch.py)
    for any other. Give `params` (the width is solved to within 1 %) or `width`; `depth` is the
    number of layers, by default one that fits the size. `mixer` is a user's own,
    `path/to/file.py:Class`, and `name` then only labels it. `options` go to each layer, and
    `short_convolution` is how many taps a convolution before each has (0: there is none).
    `max_length` matters to learned positions alone. `seed` is that of the initial weights; None
    leaves torch's generator as it is. Raises UserError for an unknown name or an
    impossible size.
    """
    if mixer:
        allow(mixer)
    row = with_options(architecture(name), options) if not mixer else yours(name, mixer, options)
    row = with_measured(row)
    row = with_short_convolution(row, short_convolution)
    if (vocab_size is None) == (problem is None):
        raise UserError("give either vocab_size or a problem, and not both")
    if problem is None:
        assert vocab_size is not None
        problem = own_inputs(vocab_size, max_length)
    config = model_config(row, problem, params=params, width=width, depth=depth)
    if seed is not None:
        torch.manual_seed(seed)
    return build_model(config)


def model_config(
    row: Architecture,
    problem: Problem,
    *,
    params: int | None,
    width: int | None,
    depth: int | None,
) -> AnyConfig:
    """The configuration `build` builds: sized by `params` or by `width`, one of them."""
    if (params is None) == (width is None):
        raise UserError("give either a parameter count or a width, and not both")
    shape = Shape(problem, depth or default_depth(row, params))
    if params is not None:
        return solve(row, shape, params)
    assert width is not None
    return configure(row, shape, width)
