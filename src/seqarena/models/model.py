"""The contract of every model: what training, measuring and using know of it.

A model is told its task as a `Problem` (core/batch.py) and answers a `Batch` with logits. Stacks of
mixers are one kind (language_model.py); a system that is wired as its own paper wires it is a whole
file of its own, a subclass of `System`. For pairs, a model also continues a target from a state, so
that greedy and beam search are written once (use/translate.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem
from seqarena.core.config import Config, load_object, parse_options
from seqarena.core.errors import UserError
from seqarena.core.shapes import map_state
from seqarena.mixers.base import Complexity


class Model(nn.Module, ABC):
    """What every model has. Sizes are in positions of the inputs (of pairs: of source and target
    alike, `length` each)."""

    config: Any  # a frozen Config that builds it again
    head_modules: ClassVar[tuple[str, ...]] = ()  # made for one task; (): the whole model is

    @abstractmethod
    def answer(self, batch: Batch) -> Tensor:
        """Logits for everything that the batch asks: [B, T, V], or [B, 1, V] for one label."""

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """What training minimises: a scalar. A model with a loss of its own says so here."""
        return criterion(self.answer(batch), batch)

    def at_progress(self, share: float) -> None:
        """Told before every step how much of the budget is spent, from 0 to 1."""

    @property
    def num_parameters(self) -> int:
        """Trainable numbers; tied weights count once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    @abstractmethod
    def algorithms(self) -> tuple[str, ...]:
        """What each layer runs by on the parameters' present device and dtype."""

    @abstractmethod
    def flops(self, length: int) -> int:
        """Forward operations over one example (see Mixer.flops)."""

    def training_flops(self, length: int) -> int:
        """Forward and backward: a product's two gradients cost as much as the product each."""
        return 3 * self.flops(length)

    @abstractmethod
    def state_bytes(self, length: int) -> int:
        """Bytes that continuing one sequence needs after `length` positions; 0: it cannot."""

    @abstractmethod
    def serial_steps(self, length: int) -> int:
        """The longest chain of dependent steps in training (see Mixer.serial_steps)."""

    # Pairs only: how a target is continued.

    def start(self, source_BS: Tensor, source_mask_BS: Tensor | None, max_length: int) -> Any:
        """Reads the sources; the state before the first target token. Every tensor in it has the
        batch as its first axis, so that a search can reorder it with `select`."""
        raise NotImplementedError(f"{type(self).__name__} does not continue a target")

    def step(self, token_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One token further: (logits_BV, state). The state passed in is consumed."""
        raise NotImplementedError(f"{type(self).__name__} does not continue a target")


def select(state: Any, index_B: Tensor) -> Any:
    """The state of those rows, in that order (a search keeps some hypotheses and drops others)."""
    return map_state(lambda tensor: tensor.index_select(0, index_B), state)


class SystemOptions(Config):
    """Base of a system's options. Every system has a place for dropout."""

    dropout: float = 0.0


class System(Model, ABC):
    """A whole system in a file of its own.

    `forms` are the tasks it can do; `needs` names fields of Problem that must be set beside them.
    `width` sizes it; where `dial` names an integer option, the size solver turns that one finely.
    """

    Options: ClassVar[type[SystemOptions]] = SystemOptions
    forms: ClassVar[tuple[Form, ...]]
    needs: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[str, ...]] = ()  # "features": reads numbers as well as tokens
    dial: ClassVar[str | None] = None
    causal: ClassVar[bool] = True  # of "tokens": no position sees a later one
    complexity: ClassVar[Complexity]

    @classmethod
    def options_for(cls, trained: "SystemConfig", problem: Problem) -> dict[str, Any]:
        """The options under which a body that was trained fits another problem (train/start.py).
        Raises UserError where none do."""
        return dict(trained.options)

    def __init__(self, problem: Problem, width: int, options: Any) -> None:
        """Raises UserError for a width or options that the system cannot have."""
        super().__init__()
        self.problem = problem
        self.width = width
        self.options = options


class SystemConfig(Config):
    """A system, whole: what a checkpoint stores in order to build it again."""

    system: str  # package.module:Class
    problem: Problem
    width: int
    options: dict[str, Any] = {}


def too_long(known: int, problem: Problem) -> UserError:
    """The error for a problem whose inputs go beyond the positions that a body has learnt."""
    return UserError(
        f"the model to start from knows {known} positions, and this task's longest input has "
        f"{problem.max_length}: shorten the inputs, --set max_length={known} say"
    )


def load_system(place: str) -> type[System]:
    """The class named by `package.module:Class`."""
    return load_object(place)


def build_system(config: SystemConfig) -> System:
    """Freshly initialised. Raises UserError for options that the system does not have."""
    system = load_system(config.system)
    options = parse_options(system.__name__, system.Options, config.options)
    model = system(config.problem, config.width, options)
    model.config = config
    return model
