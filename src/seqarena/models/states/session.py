"""A session: what a causal model has read, kept as its state between calls.

    session = Session(model, rollback=8)
    logits_BTV = session.read(tokens)        goes on from where it stopped
    session.rollback(3)                      as if the last 3 had never been read
    other = session.fork()                   two futures of one past
    session.save("chat.safetensors")         Session.load("chat.safetensors", model)
    for logits_1TV in session.stream(tokens): ...

A rollback is exact, bit for bit: the session is then one whose last call was cut short. Layers
whose state only grows (attention) cut it off; of the others a copy is kept at the start of each
call, and what of the call remains is read again from there.
"""

import copy
import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from seqarena.core.config import digest
from seqarena.core.errors import UserError, naming
from seqarena.core.shapes import fill_state, map_state, state_leaves, state_tensors
from seqarena.core.words import plural

if TYPE_CHECKING:
    from seqarena.models.model import Model, StatefulModel

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_FORMAT = "seqarena session 1"
_PIECE = 1024  # positions that are read at a time
_MOST_ROLLBACK = 1 << 20


class _Mark(NamedTuple):
    """Where a call began, and what is needed to come back there."""

    position: int
    kept: Any


class Session:
    """The state of a model over one batch of sequences of the same length, without padding."""

    def __init__(self, model: "Model", *, rollback: int = 0) -> None:
        """`rollback` is how many positions can be taken back; each call of `read` among them costs
        one copy of the state. The model is put into evaluation mode.

        Raises UserError for a model that does not continue its own inputs.
        """
        continuing = _continuing(model)
        if not 0 <= rollback <= _MOST_ROLLBACK:
            raise UserError(
                f"rollback {rollback}: give a whole number from 0 to {_MOST_ROLLBACK:,}"
            )
        self.model = continuing.eval()
        self.state: Any = None  # of the model; None before the first position
        self.position = 0  # how many have been read
        self.batch_size: int | None = None  # sequences; None before the first position
        self._limit = rollback
        self._marks: deque[_Mark] = deque()
        self._recent_BT: Tensor | None = None  # what was read since the first mark

    def read(self, inputs: Any) -> Tensor:
        """Reads tokens, a list, [T] or [B, T], or numbers [T, F] or [B, T, F], from where the
        session stopped. Returns the logits after each, [B, T, V].

        Raises UserError for another number of sequences than before, none at all, and tokens that
        the model does not know.
        """
        inputs_BT = self._as_batch(inputs)
        return torch.cat([self._read(piece) for piece in inputs_BT.split(_PIECE, dim=1)], dim=1)

    def stream(self, inputs: Iterable[Any], *, piece: int = _PIECE) -> Iterator[Tensor]:
        """Reads one sequence of any length, tokens or rows of numbers, `piece` positions at a time
        in constant memory: the inputs may be an iterator. Yields each piece's logits [1, T, V].

        Raises UserError at once for a model whose state grows or whose positions end.
        """
        _check_endless(self.model)
        if piece < 1:
            raise UserError(f"piece {piece}: read at least one position at a time")
        return (self.read(some) for some in _pieces(inputs, piece))

    @property
    def most_rollback(self) -> int:
        """How many positions can be taken back now."""
        return min(self._limit, self.position - self._first)

    def rollback(self, count: int) -> None:
        """Takes back the last `count` positions. Raises UserError for more than `most_rollback`."""
        if not 0 <= count <= self.most_rollback:
            raise UserError(
                f"rollback of {count}: this session can take back {self.most_rollback}; "
                "Session(model, rollback=N) keeps what N need, from when it is made"
            )
        target = self.position - count
        if not count:
            return
        while self._marks[-1].position > target:
            self._marks.pop()
        mark, first = self._marks[-1], self._first
        self._marks.pop()
        assert self._recent_BT is not None
        again_BT = self._recent_BT[:, mark.position - first : target - first]
        self._recent_BT = self._recent_BT[:, : mark.position - first]
        self.state = self.model.rewound(self.state, mark.kept, self.position - mark.position)
        self.position = mark.position
        if again_BT.shape[1]:
            self._read(again_BT)

    def fork(self) -> Self:
        """Another session with the same past; reading in one changes nothing in the other."""
        other = copy.copy(self)
        other.state = map_state(torch.clone, self.state)
        other._marks = deque(self._marks)
        return other

    def save(self, path: str | Path) -> None:
        """Writes the state to a safetensors file. What can be taken back is not in it."""
        path = Path(path)
        state = self.model.initial_state(1) if self.state is None else self.state
        leaves = {
            f"{number:06}": leaf.detach().cpu().contiguous()
            for number, leaf in enumerate(state_leaves(state))
        }
        place = {"position": str(self.position), "batch_size": str(self.batch_size or 1)}
        content = save(leaves, {**_identity(self.model), **place})
        fresh = path.with_name(f"{path.name}.new")
        with naming(path):
            fresh.write_bytes(content)
            os.replace(fresh, path)

    @classmethod
    def load(cls, path: str | Path, model: "Model", *, rollback: int = 0) -> Self:
        """The session that was saved to `path`, of this very model. Raises UserError for a file
        that is none, or is of a model with another configuration or other weights."""
        session = cls(model, rollback=rollback)
        facts, leaves = _read_file(Path(path))
        for what, own in _identity(model).items():
            if facts.get(what) != own:
                raise UserError(f"{path} does not fit this model: {_MISFITS[what]}")
        session.batch_size, session.position = int(facts["batch_size"]), int(facts["position"])
        session.state = _filled(session.model, session.batch_size, leaves, Path(path))
        return session

    def _read(self, inputs_BT: Tensor) -> Tensor:
        with torch.no_grad():
            if self.state is None:
                self.batch_size = len(inputs_BT)
                self.state = self.model.initial_state(self.batch_size)
            mark = _Mark(self.position, self.model.keep(self.state) if self._limit else None)
            logits_BTV, self.state = self.model(inputs_BT, self.state)
        if self._limit:
            self._marks.append(mark)
            old_BT = self._recent_BT
            self._recent_BT = inputs_BT if old_BT is None else torch.cat((old_BT, inputs_BT), 1)
        self.position += inputs_BT.shape[1]
        self._forget()
        return logits_BTV

    def _forget(self) -> None:
        """Drops the marks that no rollback needs any more."""
        first = self._first
        while len(self._marks) > 1 and self._marks[1].position <= self.position - self._limit:
            self._marks.popleft()
        if self._recent_BT is not None and self._first > first:
            self._recent_BT = self._recent_BT[:, self._first - first :].clone()

    @property
    def _first(self) -> int:
        return self._marks[0].position if self._marks else self.position

    def _as_batch(self, inputs: Any) -> Tensor:
        features = self.model.problem.features
        device = next(self.model.parameters()).device
        like = next(self.model.parameters()).dtype if features else torch.int64
        inputs_BT = torch.as_tensor(inputs).to(device, like)
        axes = 3 if features else 2
        if inputs_BT.dim() == axes - 1:
            inputs_BT = inputs_BT[None]
        if inputs_BT.dim() != axes or not inputs_BT.numel():
            shape = "numbers [B, T, F] or [T, F]" if features else "tokens [B, T] or [T]"
            raise UserError(f"inputs of shape {tuple(inputs_BT.shape)}: give {shape}, at least one")
        if self.batch_size not in (None, len(inputs_BT)):
            raise UserError(
                f"{plural(len(inputs_BT), 'sequence')}, and this session reads {self.batch_size}"
            )
        if not features:
            least, most = int(inputs_BT.min()), int(inputs_BT.max())
            if least < 0 or most >= self.model.problem.vocab_size:
                raise UserError(
                    f"token {least if least < 0 else most}: the model knows 0 to "
                    f"{self.model.problem.vocab_size - 1}"
                )
        return inputs_BT


_MISFITS = {
    "format": "it is no session of this version of seqarena",
    "model": "it was saved by a model of another configuration",
    "weights": "it was saved by the same architecture with other weights",
}


def _continuing(model: "Model") -> "StatefulModel":
    if not (model.writes and model.problem.at_every_position):
        raise UserError(
            f"{type(model).__name__} keeps no session: that is for causal models which continue "
            "their own inputs"
        )
    return cast("StatefulModel", model)


def _check_endless(model: "StatefulModel") -> None:
    if model.most_positions is not None:
        raise UserError(f"the model has {model.most_positions:,} positions: a stream has no end")
    if not model.carries:
        more = model.state_bytes(2) - model.state_bytes(1)
        raise UserError(
            f"the model's state grows by {more:,} bytes a position: read() a text that has an end, "
            "or stream through a model whose state keeps its size, such as gru, mamba or "
            "sliding_window"
        )


def _pieces(inputs: Iterable[Any], piece: int) -> Iterator[Any]:
    """So many positions at a time; arrays are sliced, so that a mapped file is read as it goes."""
    if hasattr(inputs, "shape"):
        array: Any = inputs
        yield from (array[start : start + piece] for start in range(0, len(array), piece))
        return
    rest = iter(inputs)
    while some := list(itertools.islice(rest, piece)):
        yield some


def _identity(model: "Model") -> dict[str, str]:
    """What a file must agree on: the model's configuration and every number of its weights."""
    found = sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return {"format": _FORMAT, "model": digest(model.config), "weights": found.hexdigest()}


def _read_file(path: Path) -> tuple[dict[str, str], list[Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, [file.get_tensor(name) for name in sorted(file.keys())]
    except FileNotFoundError as error:
        raise UserError(f"file {str(path)!r} does not exist") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no session, or is damaged: {error}") from error


def _filled(model: "StatefulModel", batch_size: int, leaves: list[Tensor], path: Path) -> Any:
    """The model's state with these numbers."""
    like = model.initial_state(batch_size)
    try:
        state = fill_state(like, leaves)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: it holds another number of states") from error
    for found, expected in zip(state_tensors(state), state_tensors(like)):
        same = found.dtype == expected.dtype and found.dim() == expected.dim()
        if not same or len(found) != batch_size:
            raise UserError(f"{path} is damaged: a state has another shape or type")
    return state
