"""ConvS2S (Gehring et al. 2017): convolutions with gated linear units on both sides, and attention
in every layer of the decoder.

    e_j    = word_j + position_j                                        source and target alike
    layer:   y = GLU(W * x + b),  x <- (y + x) sqrt(.5)                 section 3.2, 3.5
    d_i    = (W_d y_i + b_d + g_i) sqrt(.5)                             equation 1; g: target word
    a_ij   = softmax_j (d_i . z_j)                                      z: the encoder's output
    c_i    = sqrt(m) sum_j a_ij (z_j + e_j) sqrt(.5)                    equation 2; m: source length
    y_i   <- (W_c c_i + b_c + y_i) sqrt(.5)

Every weight is normalised, W = g v / |v| by output (Salimans and Kingma 2016), and drawn so that
variances are kept (section 3.5.1, appendix A). Gradients into the encoder's layers are divided by
twice the number of attention layers; those into the source words are not (section 3.5). The factors
sqrt(.5) in d and c and the maps in and out of attention are those of the authors' program
(fairseq's fconv), where the paper is silent. Decoding keeps the last K - 1 inputs of each layer.

    B batch   S source   T target   D width (words)   C channels of the convolutions   V answers

    paper       here                           paper       here
    z_j         keys_BSD                       z_j + e_j   values_BSD
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch, Problem
from seqarena.core.errors import UserError
from seqarena.mixers.base import Complexity, Watched
from seqarena.models.language.causal_system import real_positions
from seqarena.models.model import System, SystemOptions
from seqarena.ops.history import extend, over_real_positions, windows
from seqarena.ops.padding import left_align

HALF = math.sqrt(0.5)  # keeps the variance of a sum of two
WORD_STD = 0.1


class ConvS2SOptions(SystemOptions):
    """The defaults are fairseq's small setting for translation (there with 256 channels and
    dropout .2); the paper has 15 to 20 layers a side with 512 channels and more."""

    encoder_layers: int = 4
    decoder_layers: int = 3
    kernel: int = 3
    channels: int | None = None  # None: the width


class Source(NamedTuple):
    """What the decoder reads of a source."""

    keys_BSD: Tensor
    values_BSD: Tensor
    mask_BS: Tensor | None  # None: all positions are real


class ConvS2SState(NamedTuple):
    """Where a target stands."""

    source: Source
    layers: tuple[Tensor, ...]  # the last K - 1 inputs of each, [B, P, C]
    position: int  # of the next target token


class NormalisedLinear(nn.Module):
    """A linear map whose rows are a direction and a length apiece: W_f = gain_f v_f / |v_f|."""

    def __init__(self, inputs: int, outputs: int, std: float) -> None:
        """The weight is drawn from N(0, std^2), the bias is zero."""
        super().__init__()
        self.direction_FI = nn.Parameter(torch.randn(outputs, inputs) * std)
        self.gain_F = nn.Parameter(self.direction_FI.detach().norm(dim=1))
        self.bias_F = nn.Parameter(torch.zeros(outputs))

    def weight(self) -> Tensor:
        """The effective weight, [F, I]."""
        scale_F = self.gain_F / self.direction_FI.norm(dim=1)
        return self.direction_FI * scale_F[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., F]."""
        return F.linear(x, self.weight(), self.bias_F)


class Words(nn.Module):
    """Tokens and their positions to vectors."""

    def __init__(self, vocab_size: int, max_length: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(max_length, width)
        for table in (self.words, self.positions):
            nn.init.normal_(table.weight, std=WORD_STD)

    def place(self, x_BTD: Tensor, first: int, lengths_B: Tensor | None) -> Tensor:
        """Adds positions `first` and on to word vectors whose real positions stand first."""
        length, limit = x_BTD.shape[1], self.positions.num_embeddings
        longest = first + (length if lengths_B is None else int(lengths_B.max()))
        if longest > limit:
            raise UserError(
                f"ConvS2S has vectors for {limit} positions, but position {longest} was asked "
                "for: shorten the text, or train on texts as long"
            )
        index_T = torch.arange(first, first + length, device=x_BTD.device).clamp(max=limit - 1)
        return x_BTD + self.positions(index_T)


class SourceAttention(Watched, nn.Module):
    """One step of the multi-step attention."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.inward = _linear(channels, width)
        self.outward = _linear(width, channels)

    def forward(self, y_BTC: Tensor, target_BTD: Tensor, source: Source) -> Tensor:
        """y_BTC after the gate; target_BTD the embedded target. Gives [B, T, C]."""
        summary_BTD = (self.inward(y_BTC) + target_BTD) * HALF
        scores_BTS = summary_BTD @ source.keys_BSD.transpose(1, 2)
        if source.mask_BS is None:
            scale = math.sqrt(source.keys_BSD.shape[1])
        else:
            # a row without any source reads zeros, so its weights do not matter
            lowest = torch.finfo(scores_BTS.dtype).min
            scores_BTS = scores_BTS.masked_fill(~source.mask_BS[:, None], lowest)
            scale = source.mask_BS.sum(1).to(scores_BTS.dtype).sqrt()[:, None, None]
        weights_BTS = scores_BTS.softmax(-1)
        if self.watcher is not None:
            self.watcher(weights_BTS[:, None])
        context_BTD = weights_BTS @ source.values_BSD * scale
        return (self.outward(context_BTD) + y_BTC) * HALF


class ConvS2S(System):
    """Encoder and decoder of gated convolutions with attention in every decoder layer."""

    Options = ConvS2SOptions
    forms = ("pairs",)
    dial = "channels"
    equation = """
        e_j    = word_j + position_j
        layer:   y = GLU(W * x + b),  x <- (y + x) sqrt(.5)
        d_i    = (W_d y_i + b_d + g_i) sqrt(.5)
        a_ij   = softmax_j (d_i . z_j)
        c_i    = sqrt(m) sum_j a_ij (z_j + e_j) sqrt(.5)
        y_i   <- (W_c c_i + b_c + y_i) sqrt(.5)
    """
    complexity = Complexity(
        work="T K D^2 + T S D", serial_steps="1", path_length="T / K", state="K D + S D"
    )

    def __init__(self, problem: Problem, width: int, options: ConvS2SOptions) -> None:
        super().__init__(problem, width, options)
        _check(options)
        channels, keep = options.channels or width, 1.0 - options.dropout
        self.kernel, self.channels = options.kernel, channels
        self.source = Words(problem.source_vocab_size, problem.max_source_length, width)
        self.target = Words(problem.vocab_size, problem.max_length, width)
        self.encoder_in = _linear(width, channels, keep)
        self.encoder = _convolutions(options.encoder_layers, channels, options.kernel, keep)
        self.encoder_out = _linear(channels, width)
        self.decoder_in = _linear(width, channels, keep)
        self.decoder = _convolutions(options.decoder_layers, channels, options.kernel, keep)
        self.attention = nn.ModuleList(
            SourceAttention(channels, width) for _ in range(options.decoder_layers)
        )
        self.decoder_out = _linear(channels, width)
        self.output = _linear(width, problem.num_outputs, keep)
        self.dropout = nn.Dropout(options.dropout)

    def encode(self, source_BS: Tensor, mask_BS: Tensor | None) -> Source:
        """Reads the sources. Keys and values are zero, and masked, beyond a row's length."""
        x_BSD, lengths_B, real_BS1 = self.source.words(source_BS), None, None
        if mask_BS is not None:
            aligned = left_align(x_BSD, mask_BS)
            x_BSD, lengths_B = aligned.x_BTD, aligned.lengths_B
            real_BS1 = real_positions(lengths_B, x_BSD.shape[1])
        embedded_BSD = self.dropout(self.source.place(x_BSD, 0, lengths_B))
        x_BSC, side = self.encoder_in(embedded_BSD), self.kernel // 2
        for convolution in self.encoder:
            inputs_BSC = _blank(self.dropout(x_BSC), real_BS1)
            window_BSU = windows(F.pad(inputs_BSC, (0, 0, side, side)), self.kernel)
            x_BSC = (F.glu(convolution(window_BSU)) + x_BSC) * HALF
        keys_BSD = self.encoder_out(x_BSC)
        if keys_BSD.requires_grad:
            share = 1.0 / (2.0 * len(self.attention))
            keys_BSD.register_hook(lambda gradient: gradient * share)
        values_BSD = (keys_BSD + embedded_BSD) * HALF
        return Source(
            _blank(keys_BSD, real_BS1),
            _blank(values_BSD, real_BS1),
            None if real_BS1 is None else real_BS1[..., 0],
        )

    def decode(
        self,
        x_BTD: Tensor,
        source: Source,
        layers: tuple[Tensor | None, ...],
        position: int,
        lengths_B: Tensor | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Target words from `position` on to what the output map reads [B, T, D], and the past."""
        target_BTD = self.dropout(self.target.place(x_BTD, position, lengths_B))
        x_BTC, kept = self.decoder_in(target_BTD), []
        for convolution, attention, past_BPC in zip(self.decoder, self.attention, layers):
            x_BPC, past_BPC = extend(self.dropout(x_BTC), past_BPC, self.kernel - 1, lengths_B)
            y_BTC = F.glu(convolution(windows(x_BPC, self.kernel)))
            x_BTC = (attention(y_BTC, target_BTD, source) + x_BTC) * HALF
            kept.append(past_BPC)
        return self.dropout(self.decoder_out(x_BTC)), tuple(kept)

    def answer(self, batch: Batch) -> Tensor:
        assert batch.source_BS is not None
        source = self.encode(batch.source_BS, batch.source_mask_BS)
        start = (None,) * len(self.decoder)
        y_BTD, _ = over_real_positions(
            lambda x_BTD, lengths_B: self.decode(x_BTD, source, start, 0, lengths_B),
            self.target.words(batch.inputs_BT),
            batch.mask_BT,
        )
        return self.output(y_BTD)

    @property
    def writes(self) -> bool:
        return True

    def begin(self, batch: Batch, max_length: int = 0) -> ConvS2SState:
        assert batch.source_BS is not None
        source = self.encode(batch.source_BS, batch.source_mask_BS)
        past = source.keys_BSD.new_zeros(batch.source_BS.shape[0], self.kernel - 1, self.channels)
        return ConvS2SState(source, tuple(past.clone() for _ in self.decoder), 0)

    def step(self, input_B: Tensor, state: ConvS2SState) -> tuple[Tensor, ConvS2SState]:
        source, layers, position = state
        x_B1D = self.target.words(input_B[:, None])
        y_B1D, layers = self.decode(x_B1D, source, layers, position, None)
        return self.output(y_B1D)[:, 0], ConvS2SState(source, layers, position + 1)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return ("unfolded",) * (len(self.encoder) + len(self.decoder))

    def flops(self, length: int) -> int:
        maps = sum(
            module.direction_FI.numel()
            for module in self.modules()
            if isinstance(module, NormalisedLinear)
        )
        scores = 2 * length * self.width * len(self.attention)  # and reading the values
        return 2 * length * (maps + scores)

    def state_bytes(self, length: int) -> int:
        """A source and `length` steps of its target; the mask of padded sources not counted."""
        past = len(self.decoder) * (self.kernel - 1) * self.channels
        return (2 * length * self.width + past) * self.output.bias_F.element_size()

    def serial_steps(self, length: int) -> int:
        # a convolution, gate and residual; in the decoder also in, scores, softmax, read, out and
        # two more sums; then the maps at both ends of both sides, and the output
        return 3 * len(self.encoder) + 10 * len(self.decoder) + 5


def _linear(inputs: int, outputs: int, keep: float = 1.0) -> NormalisedLinear:
    """`keep` is the share of inputs that dropout leaves."""
    return NormalisedLinear(inputs, outputs, math.sqrt(keep / inputs))


def _convolutions(count: int, channels: int, kernel: int, keep: float) -> nn.ModuleList:
    """Two outputs a channel; drawn twice as wide, since the gate halves (appendix A.3)."""
    inputs = kernel * channels
    std = math.sqrt(4.0 * keep / inputs)
    return nn.ModuleList(NormalisedLinear(inputs, 2 * channels, std) for _ in range(count))


def _blank(x_BSD: Tensor, real_BS1: Tensor | None) -> Tensor:
    return x_BSD if real_BS1 is None else x_BSD.masked_fill(~real_BS1, 0.0)


def _check(options: ConvS2SOptions) -> None:
    if options.kernel < 3 or options.kernel % 2 == 0:
        raise UserError(
            f"ConvS2S's encoder looks equally far to both sides: a kernel of {options.kernel} "
            "cannot, use 3, 5 or another odd number"
        )
    if options.encoder_layers < 1 or options.decoder_layers < 1:
        raise UserError("ConvS2S needs at least one layer on each side")
