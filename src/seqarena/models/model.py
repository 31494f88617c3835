"""The contract of every model: what training, measuring and using know of it.

A model is told its task as a `Problem` (core/batch.py) and answers a `Batch` with logits. Stacks of
mixers are one kind (language_model.py); a system that is wired as its own paper wires it is a whole
file of its own, a subclass of `System`.

What a model can do is a property of the object. Callers ask for it and never for a type:

    writes    begin, step    continues a sequence from a state, one position at a time
    carries   resume         that state keeps its size, and continues over a whole batch
    looks                    attention weights on a batch; none where there is no attention
    position_vectors, summary_vector   its vectors of what it has read, a position or the whole
    most_positions           how long a sequence it can read and write
    mixers, reach            its sequence mixers, and how far back the layers see
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from seqarena.core.batch import Batch, Form, Problem, Targets
from seqarena.core.config import Config, parse_options
from seqarena.core.errors import UserError
from seqarena.core.shapes import map_state
from seqarena.core.user_code import load_class
from seqarena.mixers.base import Complexity, Mixer
from seqarena.models.states.session import Session
from seqarena.models.watching import Look, watched_looks


class PositionVectors(NamedTuple):
    """What a model knows at each position that it has read, before its head."""

    x_BTD: Tensor
    real_BT: Tensor  # True where there is a position
    causal: bool  # the last one alone has seen all


class Model(nn.Module, ABC):
    """What every model has. Sizes are in positions of the inputs (of pairs: of source and target
    alike, `length` each)."""

    config: Any  # a frozen Config that builds it again
    problem: Problem  # what it was built for
    head_modules: ClassVar[tuple[str, ...]] = ()  # made for one task; (): the whole model is

    @abstractmethod
    def answer(self, batch: Batch) -> Tensor:
        """Logits for everything that the batch asks: [B, T, V], or [B, 1, V] for one label."""

    def loss(self, batch: Batch, criterion: Callable[[Tensor, Batch], Tensor]) -> Tensor:
        """What training minimises: a scalar. A model with a loss of its own says so here."""
        return criterion(self.answer(batch), batch)

    def at_progress(self, share: float) -> None:
        """Told before every step how much of the budget is spent, from 0 to 1."""

    def learn(self, batch: Batch) -> None:
        """What it learns of a batch by a rule of its own, without gradients, after each step that
        was taken. Most models learn by gradient alone."""

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
        """Bytes of one sequence's state after `length` positions; 0: it has none."""

    @abstractmethod
    def serial_steps(self, length: int) -> int:
        """The longest chain of dependent steps in training (see Mixer.serial_steps)."""

    @property
    def writes(self) -> bool:
        """Whether it continues a sequence with `begin` and `step`."""
        return False

    def begin(self, batch: Batch, max_length: int = 0) -> Any:
        """Reads what is given; the state before the first position to be written.

        Of pairs it reads the source alone, of tokens the inputs, of which there may be none
        ([B, 0]). `max_length` is how many positions follow at most: caches are preallocated for
        them. Every tensor in the state has the batch as its first axis, so that a search can
        reorder it with `select`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not write")

    def step(self, input_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One position further: tokens [B], or features [B, F] -> (logits_BV, state). The state
        passed in is consumed."""
        raise NotImplementedError(f"{type(self).__name__} does not write")

    @property
    def most_positions(self) -> int | None:
        """How many positions it can read and write in all. None: there is no end."""
        return None

    @property
    def carries(self) -> bool:
        """Whether its state keeps its size, so that it can be carried over a whole text."""
        return False

    def resume(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Answers a batch whose rows continue from `state` (None: from nothing): (logits_BTV,
        state)."""
        raise NotImplementedError(f"{type(self).__name__} carries no state")

    def looks(self, batch: Batch) -> list[Look]:
        """Every attention weight while it answers; [] where it has no attention."""
        return watched_looks(self, lambda: self.answer(batch))

    def position_vectors(self, batch: Batch) -> PositionVectors | None:
        """Its vectors of each position of the inputs, of pairs of the source; None: it has none."""
        return None

    def summary_vector(self, batch: Batch) -> Tensor | None:
        """Its one vector [B, E] of the whole, as its own head reads it; None: its head reads single
        positions. Of a model of two sentences: of the first."""
        return None

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """Its sequence mixers, layer by layer; () of a system that is wired from other parts."""
        return ()

    @property
    def unknown_costs(self) -> frozenset[str]:
        """Which costs its mixers cannot state (see Mixer.unknown_costs)."""
        return frozenset().union(*(mixer.unknown_costs for mixer in self.mixers))

    def reach(self) -> float | None:
        """How many positions back the last answer sees, as the layers state it (the last position
        not counted); math.inf: all of them. None: they state nothing."""
        if not self.mixers or "reach" in self.unknown_costs:
            return None
        return sum(mixer.reach() for mixer in self.mixers)


class StatefulModel(Model, ABC):
    """Abstract: a model of tokens whose `forward` continues from a state. Subclasses say how."""

    @abstractmethod
    def initial_state(self, batch_size: int, max_length: int = 0) -> Any:
        """Before the first position; caches are preallocated for `max_length` positions."""

    @abstractmethod
    def forward(
        self, inputs_BT: Tensor, state: Any = None, *, mask_BT: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Tokens [B, T] or features [B, T, F] -> (logits [B, T, V], state). T >= 1."""

    @property
    def writes(self) -> bool:
        return self.problem.at_every_position

    def begin(self, batch: Batch, max_length: int = 0) -> Any:
        B, T = batch.inputs_BT.shape[:2]
        state = self.initial_state(B, T + max_length)
        return self.resume(batch, state)[1] if T else state

    def step(self, input_B: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits_B1V, state = self(input_B[:, None], state)
        return logits_B1V[:, 0], state

    @property
    def carries(self) -> bool:
        if not (self.problem.at_every_position and self.writes):
            return False
        return self.state_bytes(1) == self.state_bytes(2)

    def resume(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        return self(batch.inputs_BT, state, mask_BT=batch.mask_BT)

    def keep(self, state: Any) -> Any:
        """What is needed to come back to a state after further steps: a copy, but of what the
        state itself holds (see `rewound`)."""
        return map_state(torch.clone, state)

    def rewound(self, state: Any, kept: Any, count: int) -> Any:
        """The state `count` positions ago, of which `kept` was kept; `state` is consumed."""
        return map_state(torch.clone, kept)

    def stream(self, inputs: Iterable[Any], *, piece: int = 1024) -> Iterator[Tensor]:
        """Reads one sequence of any length in constant memory: see `Session.stream`."""
        return Session(self).stream(inputs, piece=piece)


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
    takes: ClassVar[tuple[str, ...]] = ()  # "features": numbers as well as tokens; "categories"
    targets: ClassVar[tuple[Targets, ...]] = ("classes",)  # what its answers can be
    dial: ClassVar[str | None] = None
    causal: ClassVar[bool] = True  # of "tokens": no position sees a later one
    complexity: ClassVar[Complexity]
    equation: ClassVar[str]  # what it computes, as at the head of its file

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
    """The class named by `package.module:Class`. Raises UserError when it is missing or is not a
    System, and for a user's own that nothing allowed in this process (core/user_code.py)."""
    return load_class(place, System, "system")


def build_system(config: SystemConfig) -> System:
    """Freshly initialised. Raises UserError for options that the system does not have."""
    system = load_system(config.system)
    options = parse_options(system.__name__, system.Options, config.options)
    model = system(config.problem, config.width, options)
    model.config = config
    return model
