"""One position of a causal model as a function of plain tensors.

    logits_BV, *state = step(input_B, *state)       tokens [B], or features [B, F]

A mixer's contract says that T = 1 with a state continues exactly, so that this one function is the
whole model: a loop over it reads a text of any length. The nested state becomes a flat list of
named tensors. Where a cache grows with the text, a step writes into one that has room (`grows`):
its size is the caller's choice, and each row counts its own positions.

Every mixer runs by its slow truth, whose single step is its equations. The model itself is not
changed: a copy is.
"""

import copy
import re
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.mixers.convolution.hyena import Hyena
from seqarena.models.model import Model, StatefulModel
from seqarena.models.stacks.embedding import TokenEmbedding
from seqarena.models.stacks.experts import Experts
from seqarena.models.stacks.language_model import ModelState, PrefixModel, TokenModel
from seqarena.ops.padding import real_positions

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
ROOM = 8  # positions that caches have room for while a step is traced


class StateTensor(NamedTuple):
    """One tensor of the state: [B, *shape]. `grows` is the axis that holds positions, if any."""

    name: str
    like: Tensor  # of two rows, before the first position
    grows: int | None

    def initial(self, rows: int, room: int = 0) -> Tensor:
        """The state before the first position, with room for so many. Places of a cache that are
        free hold zeros."""
        if self.grows is None:
            return self.like[:1].expand(rows, *self.like.shape[1:]).clone()
        return self.unfilled(rows, room).zero_()

    def unfilled(self, rows: int, room: int = 0) -> Tensor:
        """A tensor of that size, whose numbers mean nothing: it takes memory once they are set."""
        shape = [rows, *self.like.shape[1:]]
        if self.grows is not None:
            shape[self.grows] = room
        return self.like.new_empty(shape)


class StepModule(nn.Module):
    """One position of `model`, which is changed: give a copy (`step_module`)."""

    def __init__(self, model: nn.Module, room: int) -> None:
        super().__init__()
        self.model = model
        self.features: int = cast("Any", model).problem.features
        small, large = (_empty_state(model, size) for size in (room, room + 1))
        leaves, self._structure = pytree.tree_flatten_with_path(small)
        self._leaves = [leaf for _, leaf in leaves]
        others = pytree.tree_leaves(large)
        self.states: list[StateTensor] = []
        self._places: list[int] = []
        for place, ((path, leaf), other) in enumerate(zip(leaves, others, strict=True)):
            if isinstance(leaf, Tensor) and leaf.numel():
                axes = [i for i, n in enumerate(leaf.shape) if n != other.shape[i]]
                self.states.append(StateTensor(name_of_leaf(path), leaf, axes[0] if axes else None))
                self._places.append(place)

    def forward(self, input_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        leaves = [self._empty(leaf, input_B.shape[0]) for leaf in self._leaves]
        for place, tensor in zip(self._places, state, strict=True):
            leaves[place] = tensor
        rooms = [x.shape[s.grows] for s, x in zip(self.states, state) if s.grows is not None]
        # rows count their own positions; the common bound says that there is room for one more
        leaves = [rooms[0] - 1 if isinstance(leaf, int) else leaf for leaf in leaves]
        before = pytree.tree_unflatten(leaves, self._structure)
        logits_B1V, after = cast("Any", self.model)(input_B[:, None], before)
        found = pytree.tree_leaves(after)
        return logits_B1V[:, 0], *(found[place] for place in self._places)

    def _empty(self, leaf: Any, rows: int) -> Any:
        return leaf.new_zeros(rows, *leaf.shape[1:]) if isinstance(leaf, Tensor) else leaf

    def example_input(self, *shape: int) -> Tensor:
        """Inputs of that shape, all alike; of features one axis more."""
        if self.features:
            return torch.zeros(*shape, self.features)
        return torch.zeros(*shape, dtype=torch.int64)


def step_module(model: Model, room: int = ROOM) -> StepModule:
    """The step of a copy of `model`. Raises UserError where it has none, with the reason."""
    reason = why_no_step(model)
    if reason is not None:
        raise UserError(f"{type(model).__name__} has no step: {reason}")
    return StepModule(prepared_copy(model), room)


def prepared_copy(model: Model) -> Model:
    """A copy that can be traced: each mixer runs by its slow truth, all experts everywhere."""
    own = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    for module in own.modules():
        if isinstance(module, Mixer):
            truth = module.operation_of(module.config).names[0]
            module.config = module.config.model_copy(update={"algorithm": truth})
            module.resolve("cpu", torch.float32)
    _replace_experts(own)
    for module in own.modules():
        if isinstance(module, TokenEmbedding) and module.learned is not None:
            # without the check for positions beyond the last, which would read the numbers
            module.__dict__["_position_vectors"] = _LearnedPositions(module.learned)
    return own


def why_no_step(model: Model) -> str | None:
    """Why no step continues the model, in words that follow a colon; None: one does."""
    if isinstance(model, TokenModel):
        if not model.stack.causal:
            return "it sees the whole sequence before it answers"
        problem = model.problem
        if problem.num_characters or problem.num_segments or problem.categories:
            return "its inputs come with spellings, sentences or categories, which a step lacks"
        if "state_bytes" in model.unknown_costs:
            return "it has a plain module, which declares no state to continue from"
        if any(isinstance(mixer, Hyena) for mixer in model.mixers):
            return (
                "its filter is as long as what it has read, so that the step changes with the "
                "position"
            )
        return None
    if model.problem.form == "pairs":
        return "it writes from a whole source, which a step alone does not read"
    if isinstance(model, StatefulModel):
        return None
    return "it reads its whole input before it answers"


def reads(model: Model) -> str:
    """What a file is fed, in words."""
    if isinstance(model, PrefixModel):
        offset = model.config.source_offset
        return f"source tokens, each plus {offset}, then START and the target's tokens"
    if model.problem.form == "pairs":
        return "encoder: source tokens; step: START, then the target's tokens, one at a call"
    kind = "features" if model.problem.features else "tokens"
    return kind if why_no_step(model) is None else f"{kind}, the whole input"


def _empty_state(model: nn.Module, room: int) -> Any:
    """Before the first position, with one counter a row wherever rows can differ: what a call
    leaves that was given two rows of padding."""
    given: Any = model
    if isinstance(given, StatefulModel):
        state = given.initial_state(2, room)
    else:
        state = ModelState(given.stack.initial_state(2, room), 0)
    features = given.problem.features
    shape = (2, 1, features) if features else (2, 1)
    inputs = torch.zeros(shape, dtype=torch.float32 if features else torch.int64)
    with torch.no_grad():
        _, state = given(inputs, state, mask_BT=torch.zeros(2, 1, dtype=torch.bool))
    return state


def name_of_leaf(path: Any) -> str:
    """`.layers[0].recurrent.h_BE` -> `layers_0_recurrent_h`: without the axes."""
    words = re.findall(r"\w+", pytree.keystr(path))
    return "_".join(re.sub(r"_[A-Z0-9]+$", "", word) for word in words)


class _LearnedPositions(nn.Module):
    def __init__(self, learned: nn.Embedding) -> None:
        super().__init__()
        self.learned = learned

    def forward(self, x_BTD: Tensor, start: Any, mask_BT: Tensor | None) -> Tensor:
        index = real_positions(x_BTD, mask_BT)
        return self.learned(index + (start[:, None] if isinstance(start, Tensor) else start))


class DenseExperts(nn.Module):
    """All experts for every position, those that were not chosen times zero: `Experts` gathers the
    positions of each, as many as it happens to be, which no fixed graph can."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.experts = experts.experts
        self.chosen = experts.chosen
        self.gate_XD = experts.gate_XD

    def forward(self, x_BTD: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        scores_BTX = F.linear(x_BTD, self.gate_XD)
        best_BTK, index_BTK = scores_BTX.topk(self.chosen, -1)
        gates_BTX = torch.zeros_like(scores_BTX).scatter(-1, index_BTK, best_BTK.softmax(-1))
        gates = gates_BTX.split(1, -1)
        return torch.stack([gate * part(x_BTD) for gate, part in zip(gates, self.experts)]).sum(0)


def _replace_experts(model: nn.Module) -> None:
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Experts):
                setattr(module, name, DenseExperts(child))
