"""The Extended Neural GPU: active memory that writes its answer a token at a time (Kaiser & Bengio
2016, "Can active memory replace attention?"; published code: tensorflow/models, research/
neural_gpu).

The Neural GPU (neural_gpu.py) answers at all positions at once, so that no word knows which words
were chosen beside it. Here a second set of CGRUs decodes. It goes on from the encoder's last memory
d_0 = s_n, and every step sees the tape p of what has been written so far. With * a convolution over
3 by 3 cells and sigma(x) = max(0, min(1, 1.2 sigmoid(x) - 0.1)),

    u       = sigma(U'' * d + W'' * p_t + B'')
    r       = sigma(U' * d + W' * p_t + B')
    d_{t+1} = u d + (1 - u) tanh(U * (r d) + W * p_t + B)       L of these one after the other
    o_t     = O d_{t+1}[first column, position t]               the logits of word t
    p_{t+1} = p_t with the vector of word t in every column of position t

In training word t is the target's, in use the one that was chosen. The memory has as many positions
as the longest side of the task, whatever the batch, so that an answer does not depend on its
neighbours; the encoder takes as many steps as a source has words. (The published code pads both
sides to a bin, and steps as often as that is long.)

    B  examples    N  positions of the memory    W  columns    M  maps    L  CGRUs of a step
    S, T  source and target positions
"""

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.encoder_decoders.bridges import EncoderDecoder, Ordered
from seqarena.models.memory.active_memory import dropped
from seqarena.models.memory.neural_gpu import GAIN, GATE_BIAS, around
from seqarena.models.model import SystemOptions


class ExtendedNeuralGPUOptions(SystemOptions):
    """Dropout falls on the memory before each step, at `dropout * min(1, 3 / sqrt(N))`."""

    columns: int = Field(4, ge=1)
    layers: int = Field(2, ge=1)


class Tape(NamedTuple):
    """Where decoding stands. The tape is the same in every column."""

    memory_BNWM: Tensor
    written_BNM: Tensor
    position: int  # of the word to be written next


class ExtendedNeuralGPU(EncoderDecoder):
    """Encoder and decoder of convolutional gated recurrent units over one image."""

    Options = ExtendedNeuralGPUOptions
    options: ExtendedNeuralGPUOptions
    equation = """
        u       = sigma(U'' * d + W'' * p_t + B'')
        r       = sigma(U' * d + W' * p_t + B')
        d_{t+1} = u d + (1 - u) tanh(U * (r d) + W * p_t + B)
        o_t     = O d_{t+1}[first column, position t]
        p_{t+1} = p_t with the vector of word t in every column of position t
    """
    complexity = Complexity(
        work="(S + T) N D^2", serial_steps="S + T", path_length="distance", state="N D"
    )

    def __init__(self, problem: Problem, width: int, options: ExtendedNeuralGPUOptions) -> None:
        super().__init__(problem, width, options)
        if width < 1:
            raise UserError(f"ExtendedNeuralGPU needs at least 1 map, not {width}")
        self.positions = max(problem.max_length, problem.max_source_length)
        self.source_tokens = nn.Embedding(problem.source_vocab_size, width)
        self.target_tokens = nn.Embedding(problem.vocab_size, width)
        self.encoder = nn.ModuleList(CGRU(width, width) for _ in range(options.layers))
        self.decoder = nn.ModuleList(CGRU(width, 2 * width) for _ in range(options.layers))
        self.output = nn.Linear(width, problem.num_outputs)
        for matrix in (self.source_tokens, self.target_tokens, self.output):
            nn.init.xavier_uniform_(matrix.weight)
        nn.init.zeros_(self.output.bias)

    def encode(self, source: Ordered, max_length: int | None) -> Tape:
        """Raises UserError where the memory has fewer positions than are asked for."""
        longest = max(int(source.lengths_B.max()), max_length or 0)
        if longest > self.positions:
            raise UserError(
                f"this model's memory has {self.positions} positions, and {longest} are needed"
            )
        real_BS = ~source.padding & (source.lengths_B > 0)[:, None]
        x_BSM = (self.source_tokens(source.tokens_BT) * real_BS[..., None])[:, : self.positions]
        spare = self.positions - x_BSM.shape[1]
        memory = F.pad(x_BSM[:, :, None], (0, 0, 0, self.options.columns - 1, 0, spare))
        for step in range(int(source.lengths_B.max())):
            at_work_B = source.lengths_B > step
            memory = torch.where(
                at_work_B[:, None, None, None], self._through(self.encoder, memory, None), memory
            )
        return Tape(memory, torch.zeros_like(memory[:, :, 0]), 0)

    def decode(self, tokens_BT: Tensor, state: Tape) -> Tensor:
        found = []
        for token_B in tokens_BT.unbind(1):
            x_BM, state = self.advance(token_B, state)
            found.append(x_BM)
        return torch.stack(found, 1)

    def advance(self, token_B: Tensor, state: Tape) -> tuple[Tensor, Tape]:
        memory, written_BNM, t = state
        if t:  # what comes before the first word stands nowhere on the tape
            here_N = torch.arange(self.positions, device=memory.device) == t - 1
            vector_BM = self.target_tokens(token_B)
            written_BNM = torch.where(here_N[:, None], vector_BM[:, None], written_BNM)
        tape = written_BNM[:, :, None].expand_as(memory)
        memory = self._through(self.decoder, memory, tape)
        return memory[:, t, 0], Tape(memory, written_BNM, t + 1)

    def _through(self, layers: nn.ModuleList, memory: Tensor, tape: Tensor | None) -> Tensor:
        rate = self.options.dropout * min(1.0, 3.0 / self.positions**0.5)
        memory = dropped(memory, rate, self.training)
        for layer in layers:
            memory = layer(memory, tape)
        return memory

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("steps",)

    def flops(self, length: int) -> int:
        """`length` steps of the encoder and as many of the decoder, whose products see the tape
        beside the memory, over the whole memory each."""
        cells = self.positions * self.options.columns
        units = self.options.layers * cells * 2 * 9 * 3 * self.width**2
        return length * (3 * units + 2 * self.output.weight.numel())

    def state_bytes(self, length: int) -> int:
        """Memory and tape, whatever the length."""
        vectors = self.positions * (self.options.columns + 1)
        return vectors * self.width * self.output.weight.element_size()

    def serial_steps(self, length: int) -> int:
        return 2 + 2 * 6 * self.options.layers * length  # product, gate, reset, product, tanh, mix


class CGRU(nn.Module):
    """One convolutional gated recurrent unit that may see a tape beside its memory."""

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        # rows: the 9 cells around, `inputs` each: maps of the memory, then of the tape
        self.gates = nn.Parameter(torch.empty(9 * inputs, 2 * width))  # columns: r, then u
        self.candidate = nn.Parameter(torch.empty(9 * inputs, width))
        self.gate_bias = nn.Parameter(torch.full((2 * width,), GATE_BIAS))
        self.candidate_bias = nn.Parameter(torch.zeros(width))
        for matrix in (self.gates, self.candidate):
            for kernel in matrix.detach().split(width, dim=1):
                nn.init.orthogonal_(kernel, gain=GAIN)

    def forward(self, s_BNWM: Tensor, tape_BNWM: Tensor | None) -> Tensor:
        """The memory one unit further."""
        open_ = 1.2 * torch.sigmoid(_beside(s_BNWM, tape_BNWM) @ self.gates + self.gate_bias) - 0.1
        r, u = open_.clamp(0.0, 1.0).chunk(2, dim=-1)
        c = torch.tanh(_beside(r * s_BNWM, tape_BNWM) @ self.candidate + self.candidate_bias)
        return torch.lerp(c, s_BNWM, u)


def _beside(s_BNWM: Tensor, tape_BNWM: Tensor | None) -> Tensor:
    return around(s_BNWM if tape_BNWM is None else torch.cat((s_BNWM, tape_BNWM), -1))
