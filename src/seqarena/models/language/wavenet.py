"""WaveNet (van den Oord et al. 2016): gated causal convolutions whose dilation doubles.

    x_0     = causal convolution of the inputs
    z_k     = tanh(W_f,k * x_k) . sigmoid(W_g,k * x_k)        equation 2
    x_(k+1) = x_k + residual_k(z_k),  s = sum_k skip_k(z_k)   section 2.4, figure 4
    logits  = 1 x 1 (relu(1 x 1 (relu(s))))

The answers are a softmax over tokens or over mu-law levels of samples (ops/mu_law.py). One label
for the whole follows section 3.4: the skip sum is averaged over frames, a few convolutions that
are not causal read the frames, and (here) their mean decides. Decoding keeps, for each layer, only
the inputs in its reach: a step costs one column of the network.

    B batch   T time   D width   S skip channels   F features   V answers
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity
from seqarena.models.language.causal_system import (
    CausalSystem,
    PastState,
    layer_pasts,
    real_positions,
)
from seqarena.models.model import SystemOptions
from seqarena.ops.history import extend, windows
from seqarena.ops.padding import left_align

RAW_FRAME = 160  # samples: 10 ms at 16 kHz, section 3.4
FRAME_TAPS = 3  # of the convolutions over frames


class WaveNetOptions(SystemOptions):
    """Dilations 1, 2, 4 ... over `layers_per_cycle` layers, `cycles` times (the paper: 10 layers,
    up to 512)."""

    kernel: int = 2
    layers_per_cycle: int = 8
    cycles: int = 1
    skip: int | None = None  # channels of the skip connections; None: the width
    frame: int | None = None  # of labels; None: 160 where an input is one number, else 1


class Layer(nn.Module):
    """One gated layer: [B, T, D] -> what is added to the residual stream and to the skip sum."""

    def __init__(self, width: int, skip: int, kernel: int, dilation: int, last: bool) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.past = (kernel - 1) * dilation
        self.gates = nn.Linear(kernel * width, 2 * width)  # filter first, then gate
        self.skip = nn.Linear(width, skip)
        # nothing reads the residual stream behind the last layer
        self.residual = None if last else nn.Linear(width, width)

    def forward(
        self, x_BTD: Tensor, past_BPD: Tensor | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gives (residual stream, skip contribution, past)."""
        x_BPD, past_BPD = extend(x_BTD, past_BPD, self.past, lengths_B)
        filter_BTD, gate_BTD = self.gates(windows(x_BPD, self.kernel, self.dilation)).chunk(2, -1)
        z_BTD = filter_BTD.tanh() * gate_BTD.sigmoid()
        if self.residual is not None:
            x_BTD = x_BTD + self.residual(z_BTD)
        return x_BTD, self.skip(z_BTD), past_BPD


class WaveNet(CausalSystem):
    """A stack of gated dilated convolutions read through skip connections."""

    Options = WaveNetOptions
    forms = ("tokens", "label", "transcript")
    takes = ("features",)
    targets = ("classes", "numbers")
    dial = "skip"
    equation = """
        x_0     = causal convolution of the inputs
        z_k     = tanh(W_f,k * x_k) . sigmoid(W_g,k * x_k)
        x_(k+1) = x_k + residual_k(z_k),  s = sum_k skip_k(z_k)
        logits  = 1 x 1 (relu(1 x 1 (relu(s))))
    """
    complexity = Complexity(
        work="T K D^2", serial_steps="1", path_length="log T", state="K dilation D"
    )

    def __init__(self, problem: Problem, width: int, options: WaveNetOptions) -> None:
        super().__init__(problem, width, options)
        _check(options)
        skip, kernel = options.skip or width, options.kernel
        self.tokens = None if problem.features else nn.Embedding(problem.vocab_size, width)
        inputs = problem.features or width
        self.first = nn.Linear(kernel * inputs, width)
        self.inputs = inputs
        dilations = [2**k for k in range(options.layers_per_cycle)] * options.cycles
        self.layers = nn.ModuleList(
            Layer(width, skip, kernel, dilation, last=index == len(dilations) - 1)
            for index, dilation in enumerate(dilations)
        )
        self.frame = options.frame or (RAW_FRAME if problem.features == 1 else 1)
        self.frames = nn.ModuleList()
        if problem.form == "label":
            self.frames.extend(nn.Linear(FRAME_TAPS * skip, skip) for _ in range(2))
        self.narrow = nn.Linear(skip, skip)
        self.output = nn.Linear(skip, problem.num_outputs)
        self.dropout = nn.Dropout(options.dropout)

    @property
    def pasts(self) -> tuple[tuple[int, int], ...]:
        layers = ((layer.past, self.width) for layer in self.layers)  # pyright: ignore
        return ((self.options.kernel - 1, self.inputs), *layers)  # pyright: ignore

    def embed(self, inputs_BT: Tensor) -> Tensor:
        return inputs_BT if self.tokens is None else self.tokens(inputs_BT)

    def mix(
        self, x_BTD: Tensor, state: PastState | None, lengths_B: Tensor | None
    ) -> tuple[Tensor, PastState]:
        """The skip sum, and the past of every layer."""
        first_BPD, *pasts = layer_pasts(state, len(self.layers) + 1)
        kernel = self.options.kernel
        x_BPD, first_BPD = extend(x_BTD, first_BPD, kernel - 1, lengths_B)
        x_BTD = self.first(windows(x_BPD, kernel))
        total_BTS, kept = None, [first_BPD]
        for layer, past_BPD in zip(self.layers, pasts):
            x_BTD, skip_BTS, past_BPD = layer(x_BTD, past_BPD, lengths_B)
            total_BTS = skip_BTS if total_BTS is None else total_BTS + skip_BTS
            kept.append(past_BPD)
        assert total_BTS is not None
        return total_BTS, PastState(tuple(kept))

    def head(self, y_BTD: Tensor) -> Tensor:
        return self.output(self.narrow(self.dropout(y_BTD.relu())).relu())

    def answer(self, batch: Batch) -> Tensor:
        if self.problem.at_every_position:
            return super().answer(batch)
        x_BTD, lengths_B = self.embed(batch.inputs_BT), None
        if batch.mask_BT is not None:
            aligned = left_align(x_BTD, batch.mask_BT)
            x_BTD, lengths_B = aligned.x_BTD, aligned.lengths_B
        y_BTS, _ = self.mix(x_BTD, None, lengths_B)
        if lengths_B is None:
            lengths_B = torch.full((len(y_BTS),), y_BTS.shape[1], device=y_BTS.device)
        return self.head(self._label(y_BTS, lengths_B))

    def _label(self, y_BTS: Tensor, lengths_B: Tensor) -> Tensor:
        """The skip sum to one vector an example, [B, 1, S]. N frames; padding is in none."""
        size = self.frame
        short = -y_BTS.shape[1] % size
        real_BT1 = real_positions(lengths_B, y_BTS.shape[1])
        y_BTS = F.pad(y_BTS.masked_fill(~real_BT1, 0.0), (0, 0, 0, short))
        sums_BNS = y_BTS.unflatten(1, (-1, size)).sum(2)
        counts_BN1 = F.pad(real_BT1, (0, 0, 0, short)).unflatten(1, (-1, size)).sum(2)
        filled_BN1 = counts_BN1 > 0
        x_BNS = sums_BNS / counts_BN1.clamp(min=1)
        for convolution in self.frames:
            padded_BNS = F.pad(x_BNS, (0, 0, FRAME_TAPS // 2, FRAME_TAPS // 2))
            x_BNS = convolution(windows(padded_BNS, FRAME_TAPS)).relu()
            x_BNS = x_BNS.masked_fill(~filled_BN1, 0.0)
        return x_BNS.sum(1, keepdim=True) / filled_BN1.sum(1, keepdim=True).clamp(min=1)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("unfolded",) * len(self.layers)

    def flops(self, length: int) -> int:
        answers = 1 if self.problem.form == "label" else length
        frames = -(-length // self.frame)
        return 2 * (
            length * _weights(self.first, *self.layers)
            + frames * _weights(*self.frames)
            + answers * _weights(self.narrow, self.output)
        )

    def serial_steps(self, length: int) -> int:
        # a layer's convolution, tanh, gate, residual; then the skip sum and the head
        return 1 + 4 * len(self.layers) + 5 + 2 * len(self.frames)


def _weights(*modules: nn.Module) -> int:
    """Numbers in matrices: multiply-adds at one position."""
    return sum(p.numel() for module in modules for p in module.parameters() if p.dim() == 2)


def _check(options: WaveNetOptions) -> None:
    if options.kernel < 2:
        raise UserError(f"a kernel of {options.kernel} mixes no positions: use at least 2")
    if options.layers_per_cycle < 1 or options.cycles < 1:
        raise UserError("WaveNet needs at least one layer in a cycle, and one cycle")
    if options.frame is not None and options.frame < 1:
        raise UserError(f"a frame of {options.frame} positions holds nothing: use at least 1")
