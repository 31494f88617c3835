"""Equal size: every architecture's width is solved so that all have the same parameters.

The width sizes the model; its granularity is coarse, so the channel mixer's hidden width, which
costs a handful of parameters a unit, takes up the rest. Counting is done on the meta device: no
memory, no time, no random numbers.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.models.any import AnyConfig, count_parameters
from seqarena.models.catalog import Architecture
from seqarena.models.combinations import check_depth, whole_depth
from seqarena.models.model import SystemConfig, load_system
from seqarena.models.stacks.language_model import ModelConfig
from seqarena.models.stacks.stack import LayerConfig, StackConfig, user_layer

TOLERANCE = 0.01  # of the parameter target
CHANNEL_RATIO = {
    "mlp": 4.0,
    "gated": 8 / 3,
    "experts": 1.0,
    "none": 0.0,
}  # hidden over width, as published
_STEP = 8  # widths in multiples of this are preferred: vector units like them
_LARGEST_WIDTH = 1 << 17


class Shape(NamedTuple):
    """What a model of a given size needs to know beside its architecture."""

    problem: Problem
    depth: int


def default_depth(row: Architecture, params: int | None) -> int:
    """Layers for a parameter target: 2 below 300k, 4 below 3M, 6 below 30M, 12 above; 2 where a
    width is given instead. A hybrid has as many more as make its pattern whole."""
    limits = ((300_000, 2), (3_000_000, 4), (30_000_000, 6))
    depth = next((depth for limit, depth in limits if (params or 0) < limit), 12)
    return whole_depth(row, depth)


def configure(
    architecture: Architecture, shape: Shape, width: int, channel_width: int | None = None
) -> AnyConfig:
    """The architecture's model at a given width; the channel mixer is `CHANNEL_RATIO` times it.

    A system is a stack of its own making: for it, `channel_width` is the option that its `dial`
    names. Raises UserError for a depth that holds less than a hybrid's pattern.
    """
    if architecture.system is not None:
        options = dict(architecture.model)
        dial = load_system(architecture.system).dial
        if dial is not None and channel_width is not None:
            options[dial] = channel_width
        return SystemConfig(
            system=architecture.system, problem=shape.problem, width=width, options=options
        )
    check_depth(architecture, shape.depth)
    overrides = dict(architecture.model)
    of_model = {
        key: overrides.pop(key) for key in list(overrides) if key in ModelConfig.model_fields
    }
    channel_mixer = overrides.get("channel_mixer", "mlp")
    if channel_width is None:
        channel_width = round(CHANNEL_RATIO[channel_mixer] * width)
    stack: dict[str, Any] = {
        "width": width,
        "channel_width": channel_width,
        "layers": _layers(architecture, shape.depth),
        **overrides,
    }
    return ModelConfig(
        stack=StackConfig(**stack),
        **_sizes_of(shape.problem, learned=of_model.get("positions") == "learned"),
        **of_model,
    )


def _sizes_of(problem: Problem, *, learned: bool) -> dict[str, Any]:
    """The fields of a stack's ModelConfig that follow from the task alone."""
    apart = problem.form == "pairs" and not problem.shared_vocabulary
    return {
        "form": problem.form,
        "targets": problem.targets,
        "vocab_size": problem.vocab_size + (problem.source_vocab_size if apart else 0),
        "source_offset": problem.vocab_size if apart else 0,
        "num_outputs": None
        if problem.num_outputs == problem.vocab_size and not apart
        else problem.num_outputs,
        "features": problem.features,
        "categories": problem.categories,
        "num_characters": problem.num_characters,
        "num_segments": problem.num_segments if problem.num_segments == 2 else 0,
        "max_length": problem.max_length + problem.max_source_length if learned else 0,
    }


def solve(architecture: Architecture, shape: Shape, params: int) -> AnyConfig:
    """The model within 1 % of `params` whose channel mixer is nearest its published ratio.

    Raises UserError with the nearest possible size when there is none.
    """
    if architecture.system is not None:
        return _solve_system(architecture, shape, params)
    check_depth(architecture, shape.depth)
    sizes = _Sizes(architecture, shape)
    fits = [sizes.fit(width, params) for width in sizes.candidates(params)]
    good = [fit for fit in fits if abs(fit.total - params) <= TOLERANCE * params]
    if not good:
        nearest = min((fit.total for fit in fits), key=lambda total: abs(total - params))
        raise UserError(
            f"{architecture.name} cannot have {params:,} parameters with {shape.depth} layers and "
            f"{shape.problem.vocab_size:,} symbols: the nearest possible is {nearest:,}"
        )
    best = min(good, key=lambda fit: fit.strangeness + (0.0 if fit.width % _STEP == 0 else 0.2))
    return configure(architecture, shape, best.width, best.channel_width)


def _solve_system(architecture: Architecture, shape: Shape, params: int) -> AnyConfig:
    """Bisects the width; where that is too coarse, the system's dial takes up the rest."""

    def total(width: int, dial: int | None = None) -> int:
        return count_parameters(configure(architecture, shape, width, dial))

    def valid(width: int) -> int:
        """The width, or the next one that the system can have (its heads divide it, say)."""
        for candidate in range(width, width + 128):
            with suppress(UserError):
                total(candidate)
                return candidate
        return total(width)  # raises the system's own words

    def largest_below(count: Callable[[int], int]) -> int:
        low, high = 1, 2
        while high < _LARGEST_WIDTH and count(high) <= params:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) <= params else (low, middle)
        return low

    width = largest_below(lambda width: total(valid(width)))
    widths = {valid(width), valid(width + 1)}
    found = [configure(architecture, shape, w) for w in widths]
    assert architecture.system is not None
    if load_system(architecture.system).dial is not None:
        for w in {valid(width - width % _STEP or width), *widths}:
            dial = largest_below(lambda units, w=w: total(w, units))
            found += [configure(architecture, shape, w, units) for units in (dial, dial + 1)]
    best = min(found, key=lambda config: abs(count_parameters(config) - params))
    reached = count_parameters(best)
    if abs(reached - params) > TOLERANCE * params:
        raise UserError(
            f"{architecture.name} cannot have {params:,} parameters for this task: the nearest "
            f"possible is {reached:,}"
        )
    return best


class _Fit(NamedTuple):
    """A width, the channel width that comes nearest the target with it, and what that gives."""

    width: int
    channel_width: int
    total: int
    strangeness: float  # distance of the channel mixer from its published ratio, in logarithms


class _Sizes:
    """Parameter counts of one architecture by width; each is counted once."""

    def __init__(self, architecture: Architecture, shape: Shape) -> None:
        self.architecture = architecture
        self.shape = shape
        self.ratio = CHANNEL_RATIO[architecture.model.get("channel_mixer", "mlp")]
        self._counts: dict[int, tuple[int, int] | None] = {}

    def count(self, width: int) -> tuple[int, int] | None:
        """Parameters without hidden channels and for each of them; None for an invalid width.

        They are affine in the channel width, so two counts say it all.
        """
        if width not in self._counts:
            try:
                one, two = (
                    count_parameters(configure(self.architecture, self.shape, width, channels))
                    for channels in (1, 2)
                )
                self._counts[width] = (2 * one - two, two - one)
            except UserError:
                self._counts[width] = None
        return self._counts[width]

    def fit(self, width: int, params: int) -> _Fit:
        base, each = self._known(width)
        if not self.ratio:
            return _Fit(width, 0, base, 0.0)
        channels = max(1, round((params - base) / each))
        strangeness = abs(math.log(channels / (self.ratio * width)))
        return _Fit(width, channels, base + channels * each, strangeness)

    def candidates(self, params: int) -> list[int]:
        """Valid widths around the one where the published channel ratio meets the target."""
        low, high = 0, self._next_valid(1)
        while high < _LARGEST_WIDTH and self._published_total(high) < params:
            low, high = high, self._next_valid(2 * high)
        while (middle := self._next_valid((low + high) // 2 + 1)) < high:
            below = self._published_total(middle) < params
            low, high = (middle, high) if below else (low, middle)
        steps = range(high - high % _STEP - 2 * _STEP, high + 2 * _STEP, _STEP)
        around = {*steps, *range(high - 3, high + 3), high, low}
        return sorted(width for width in around if width > 0 and self.count(width))

    def _published_total(self, width: int) -> int:
        base, each = self._known(width)
        return base + round(self.ratio * width) * each

    def _next_valid(self, width: int) -> int:
        for candidate in range(width, width + 128):
            if self.count(candidate):
                return candidate
        # raises the mixer's own words about the first of them
        count_parameters(configure(self.architecture, self.shape, width))
        raise UserError(f"{self.architecture.name} accepts no width near {width}")

    def _known(self, width: int) -> tuple[int, int]:
        counted = self.count(width)
        assert counted is not None
        return counted


def _layers(architecture: Architecture, depth: int) -> tuple[LayerConfig, ...]:
    cycle = [
        LayerConfig(mixer=mixer, options=options)
        if mixer.startswith("seqarena.")
        else user_layer(mixer, options)
        for mixer, options in architecture.cycle
    ]
    return tuple(cycle[index % len(cycle)] for index in range(depth))
