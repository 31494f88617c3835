"""Mixers whose state is a matrix a head: what ops/matrix_recurrence computes, and its surroundings.

A subclass says what becomes of the input (`streams`: queries, keys, values, decay, what is erased)
and of what is read (`read_out`); the state, padding, splitting and costs are here. One that needs
more between the two writes `mix` itself, on `MatrixMixer`.

Letters: B batch, T time, D width, H heads, K features of a key, V features of a value, C channels
and I past inputs of the short convolution.
"""

import math
from abc import abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.core.shapes import lengths_to_mask
from seqarena.mixers.base import Mixer, MixerConfig
from seqarena.mixers.convolution.short import ShortConvolution, TokenShift
from seqarena.ops.matrix_recurrence import matrix_recurrence


class MatrixStateConfig(MixerConfig):
    """`chunk_size` matters only to the algorithm "chunked", and only to its speed."""

    num_heads: int = Field(default=4, ge=1)
    chunk_size: int = Field(default=32, ge=1)


class MatrixState(NamedTuple):
    """The matrices, in at least float32, and the convolution's past inputs (none without one)."""

    s_BHKV: Tensor
    inputs_BIC: Tensor


class Streams(NamedTuple):
    """What enters the recurrence; None where the mixer has no such thing. Shapes as
    ops/matrix_recurrence states them, with time before heads."""

    q_BTHK: Tensor
    k_BTHK: Tensor
    v_BTHV: Tensor
    log_decay_BTHK: Tensor | None = None  # [B, T, H, 1]: one decay a head
    erase_BTHK: Tensor | None = None
    direction_BTHK: Tensor | None = None
    aside: tuple[Tensor, ...] = ()  # what reading out needs of the same input


class MatrixMixer(Mixer):
    """Abstract: what every mixer has whose state is a matrix a head. Subclasses set `key_features`,
    `value_features` and, if they have one, `convolution`, and fill in `mix`, by way of `recur`, and
    `projection_flops`.

    `decays` and `erases` (nothing, along the key or along another direction) say which products
    the recurrence has, for the costs. A mixer that writes more than once a position sets `writes`:
    its streams have T * writes positions, and what the last query of each position reads is read
    out. Raises UserError where the heads do not divide the width.
    """

    operation = matrix_recurrence
    erases: ClassVar[Literal["nothing", "key", "another"]] = "nothing"
    decays: ClassVar[bool] = True
    config: MatrixStateConfig
    num_heads: int
    key_features: int
    value_features: int
    writes: int = 1

    def __init__(self, width: int, config: MatrixStateConfig) -> None:
        super().__init__(width, config)
        if width < 1 or width % config.num_heads:
            raise UserError(
                f"width {width} does not divide into {config.num_heads} heads: "
                "use a multiple of the heads"
            )
        self.num_heads = config.num_heads
        self.convolution: ShortConvolution | TokenShift | None = None

    def heads(self, x_BTC: Tensor, *sizes: int) -> tuple[Tensor, ...]:
        """The channels in parts of these sizes, each as [B, T, H, size / H]."""
        return tuple(
            part.unflatten(-1, (self.num_heads, -1)) for part in x_BTC.split(sizes, dim=-1)
        )

    def convolve(
        self, x_BTC: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The short convolution, where the mixer has one; else x_BTC as it is."""
        if self.convolution is None:
            return x_BTC, inputs_BIC
        return self.convolution(x_BTC, inputs_BIC, lengths_B)

    @abstractmethod
    def projection_flops(self, length: int) -> int:
        """Of the linear maps around the recurrence; convolution and recurrence are counted here."""

    def recur(
        self, streams: Streams, s_BHKV: Tensor, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The recurrence over right-padded rows: what the queries read, y_BTHV, and the matrices
        after each row's last real position."""
        q_BHTK, k_BHTK, v_BHTV = (x.transpose(1, 2) for x in streams[:3])
        log_decay, erase_BHTK, direction_BHTK = (
            None if x is None else x.transpose(1, 2) for x in streams[3:6]
        )
        if lengths_B is not None:
            # a position of zeros leaves the matrices as they are
            real_BT = lengths_to_mask(lengths_B * self.writes, k_BHTK.shape[2])
            real_B1T1 = real_BT[:, None, :, None]
            k_BHTK = k_BHTK * real_B1T1
            log_decay = None if log_decay is None else log_decay * real_B1T1
            erase_BHTK = None if erase_BHTK is None else erase_BHTK * real_B1T1
        y_BHTV, s_BHKV = matrix_recurrence(
            q_BHTK,
            k_BHTK,
            v_BHTV,
            s_BHKV,
            log_decay=log_decay,
            erase_BHTK=erase_BHTK,
            direction_BHTK=direction_BHTK,
            algorithm=self.algorithm,
            chunk_size=self.config.chunk_size,
        )
        return y_BHTV[:, :, self.writes - 1 :: self.writes].transpose(1, 2), s_BHKV

    def initial_state(self, batch_size: int, max_length: int = 0) -> MatrixState:
        like = next(self.parameters())
        dtype = torch.promote_types(like.dtype, torch.float32)
        shape = (batch_size, self.num_heads, self.key_features, self.value_features)
        return MatrixState(
            like.new_zeros(shape, dtype=dtype),
            like.new_zeros(batch_size, 0, 0)
            if self.convolution is None
            else self.convolution.initial_history(batch_size),
        )

    def flops(self, length: int) -> int:
        # a multiply-add each for writing into S and reading out of it, for finding what is erased
        # and for erasing it, where that is not one product with writing
        written = self.writes * {"nothing": 2, "key": 4, "another": 6}[self.erases]
        products = written + 2 + (1 if self.decays else 0)
        matrix = self.num_heads * self.key_features * self.value_features
        convolved = 0 if self.convolution is None else self.convolution.flops(length)
        return self.projection_flops(length) + convolved + length * products * matrix

    def state_bytes(self, length: int) -> int:
        size = max(4, next(self.parameters()).element_size())
        matrix = self.num_heads * self.key_features * self.value_features * size
        return matrix + (0 if self.convolution is None else self.convolution.history_bytes())

    def serial_steps(self, length: int) -> int:
        # projection in, read, gate or norm, projection out; a convolution; between them what the
        # algorithm does in turn
        convolved = 0 if self.convolution is None else 1
        steps = self.algorithm_steps(length * self.writes, chunk_size=self.config.chunk_size)
        return 4 + convolved + steps

    def path_length(self, distance: int) -> int:
        return distance

    def reach(self) -> float:
        return math.inf


class MatrixStateMixer(MatrixMixer):
    """Abstract: subclasses say what becomes of the input and of what is read."""

    @abstractmethod
    def streams(
        self, x_BTD: Tensor, inputs_BIC: Tensor, lengths_B: Tensor | None
    ) -> tuple[Streams, Tensor]:
        """What enters the recurrence, and the convolution's past inputs after the call."""

    @abstractmethod
    def read_out(self, y_BTHV: Tensor, x_BTD: Tensor, streams: Streams) -> Tensor:
        """y_BTD from what the queries read (in the dtype of the state), from the input and from
        what entered the recurrence."""

    def mix(
        self, x_BTD: Tensor, state: MatrixState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, MatrixState]:
        state = self.initial_state(x_BTD.shape[0]) if state is None else state
        streams, inputs_BIC = self.streams(x_BTD, state.inputs_BIC, lengths_B)
        y_BTHV, s_BHKV = self.recur(streams, state.s_BHKV, lengths_B)
        y_BTD = self.read_out(y_BTHV, x_BTD, streams)
        return y_BTD.to(x_BTD.dtype), MatrixState(s_BHKV, inputs_BIC)
