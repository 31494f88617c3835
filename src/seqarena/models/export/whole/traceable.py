"""A copy of a model whose graph is one for rows of any length: what walks along time in Python
walks by `over_time` instead (loops.py), and no number is read from a tensor.

A causal mixer walks by its own step, which its contract says is exact; so does an operation on one
position.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqarena.core.batch import Batch
from seqarena.core.errors import UserError
from seqarena.mixers.base import Mixer
from seqarena.mixers.convolution.hyena import Hyena
from seqarena.models.encoder_decoders.bridges import GRULayer, LSTMLayer, Ordered
from seqarena.models.encoder_decoders.convs2s import Words
from seqarena.models.encoder_decoders.transformer import Transformer
from seqarena.models.export.step import prepared_copy, why_no_step
from seqarena.models.export.whole.loops import Body, over_time, read, where_rows
from seqarena.models.language.bytenet import ByteNet
from seqarena.models.memory.active_memory import ActiveMemory
from seqarena.models.memory.extended_neural_gpu import ExtendedNeuralGPU, Tape
from seqarena.models.memory.memory_network import MemoryNetwork
from seqarena.models.memory.neural_gpu import NeuralGPU
from seqarena.models.model import Model
from seqarena.models.stacks.language_model import TokenModel
from seqarena.models.taggers.tagger import BiLSTM, BiLSTMCRF
from seqarena.ops.crf import CRFWeights
from seqarena.ops.padding import restore, reverse
from seqarena.ops.positions import sinusoidal_positions
from seqarena.ops.recurrent.gru import GRUWeights, gru_reset_before
from seqarena.ops.recurrent.lstm import LSTMState, LSTMWeights, lstm

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_TRUTH = "loop"  # of the recurrent operations


def traceable(model: Model, keep: list[Body]) -> Model:
    """The copy; the bodies of its loops are added to `keep` while it is traced.

    Raises UserError for a model whose graph depends on how long its inputs are.
    """
    if isinstance(model, ByteNet):
        raise UserError("how far it unfolds a source is counted from that source's own length")
    if any(isinstance(mixer, Hyena) for mixer in model.mixers):
        raise UserError(f"{type(model).__name__} has no step: {why_no_step(model)}")
    own = prepared_copy(model)
    for module in own.modules():
        if isinstance(module, Mixer) and _walks(module):
            _override(module, "mix", _looped_mix(module, keep))
        for kind, name, made in _PARTS:
            if isinstance(module, kind):
                _override(module, name, made(module, keep))
    if isinstance(own, MemoryNetwork):
        linear = bool(own._buffers.pop("linear"))
        _override(own, "linear", linear)
    return own


def _override(module: nn.Module, name: str, value: Any) -> None:
    """In this one object, in front of what its class has."""
    object.__setattr__(module, name, value)


def _walks(mixer: Mixer) -> bool:
    """Whether it takes position after position, with a state of constant size."""
    steady = mixer.causal and mixer.state_bytes(1) == mixer.state_bytes(2)
    return steady and mixer.serial_steps(40) != mixer.serial_steps(41)


def _is_one(x_BTD: Tensor) -> bool:
    length = x_BTD.shape[1]
    return isinstance(length, int) and length == 1


def _looped_mix(mixer: Mixer, keep: list[Body]) -> Any:
    own = mixer.mix

    def mix(x_BTD: Tensor, state: Any, lengths_B: Tensor | None) -> tuple[Tensor, Any]:
        if _is_one(x_BTD):
            return own(x_BTD, state, lengths_B)
        start = mixer.initial_state(x_BTD.shape[0]) if state is None else state
        return read(lambda x, s: own(x, s, None), x_BTD, start, lengths_B, keep=keep)

    return mix


def _looped_lstm(layer: LSTMLayer, keep: list[Body]) -> Any:
    weights = LSTMWeights(layer.input_FD, layer.recurrent_FE, layer.bias_F)

    def forward(
        x_BTD: Tensor, start: LSTMState | None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        def one(x_B1D: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
            return lstm(x_B1D, state, weights, algorithm=_TRUTH)

        zeros_BE = x_BTD.new_zeros(x_BTD.shape[0], layer.width)
        state = start or LSTMState(zeros_BE, zeros_BE)
        if _is_one(x_BTD):
            return one(x_BTD, state)
        return read(one, x_BTD, state, lengths_B, keep=keep)

    return forward


def _looped_gru(layer: GRULayer, keep: list[Body]) -> Any:
    weights = GRUWeights(layer.input_FD, layer.recurrent_FE, layer.bias_F, None)

    def forward(x_BTD: Tensor, lengths_B: Tensor | None) -> tuple[Tensor, Tensor]:
        def one(x_B1D: Tensor, h_BE: Tensor) -> tuple[Tensor, Tensor]:
            return gru_reset_before(x_B1D, h_BE, weights, algorithm=_TRUTH)

        start_BE = x_BTD.new_zeros(x_BTD.shape[0], layer.width)
        return read(one, x_BTD, start_BE, lengths_B, keep=keep)

    return forward


def _looped_direction(layer: BiLSTM, keep: list[Body]) -> Any:
    def run(x_BTD: Tensor, weights: nn.ParameterList) -> Tensor:
        def one(x_B1D: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
            return lstm(x_B1D, state, LSTMWeights(*weights), algorithm=_TRUTH)

        zeros_BE = x_BTD.new_zeros(x_BTD.shape[0], layer.hidden)
        return read(one, x_BTD, LSTMState(zeros_BE, zeros_BE), None, keep=keep)[0]

    return run


def _placed(words: Words, _: list[Body]) -> Any:
    """Without the check for positions beyond the last, which would read the numbers; `first` is one
    number, or [B]."""

    def place(x_BTD: Tensor, first: Any, lengths_B: Tensor | None) -> Tensor:
        index = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        index = index + (first[:, None] if isinstance(first, Tensor) else first)
        return x_BTD + words.positions(index.clamp(max=words.positions.num_embeddings - 1))

    return place


def _placed_by_counter(model: Transformer, _: list[Body]) -> Any:
    """`start` is one number, or [B]."""
    own = model._place

    def place(x_BTD: Tensor, start: Any) -> Tensor:
        if not isinstance(start, Tensor):
            return own(x_BTD, start)
        x_BTD = x_BTD * math.sqrt(model.width)
        if model.options.positions != "sinusoidal":
            return x_BTD
        index_BT = start[:, None] + torch.arange(x_BTD.shape[1])
        return x_BTD + sinusoidal_positions(index_BT, model.width, dtype=x_BTD.dtype)

    return place


def _tagged(model: BiLSTMCRF, keep: list[Body]) -> Any:
    def answer(batch: Batch) -> Tensor:
        scores_BTK, aligned = model.emissions(batch)
        lengths_B = None if aligned is None else aligned.lengths_B
        found_BTK = _max_marginals(scores_BTK, model.chain, lengths_B, keep)
        return found_BTK if aligned is None else restore(found_BTK, aligned)

    return answer


def _max_marginals(
    emissions_BTK: Tensor, weights: CRFWeights, lengths_B: Tensor | None, keep: list[Body]
) -> Tensor:
    """`ops.crf.max_marginals`: the best prefix that ends in each tag and the best suffix behind it.
    Its argmax at each position is the Viterbi sequence."""
    B, T, _ = emissions_BTK.shape
    first_BT = (torch.arange(T) == 0).expand(B, T)

    def prefix(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
        longer_BK = (carried[0][:, :, None] + weights.transitions_JK).amax(1)
        found_BK = timed[0] + torch.where(timed[1][:, None], weights.start_K, longer_BK)
        return [found_BK], [found_BK.clone()]

    def suffix(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
        longer_BK = (weights.transitions_JK + carried[0][:, None]).amax(2)
        found_BK = torch.where(timed[1][:, None], weights.end_K, longer_BK)
        return [timed[0] + found_BK], [found_BK]

    start = [torch.zeros_like(emissions_BTK[:, 0])]
    back_BTK = reverse(emissions_BTK, lengths_B)
    _, (prefix_BTK,) = over_time(prefix, start, [emissions_BTK, first_BT], keep=keep)
    _, (suffix_BTK,) = over_time(suffix, start, [back_BTK, first_BT], keep=keep)
    return prefix_BTK + reverse(suffix_BTK, lengths_B)


def _looped_steps(model: ActiveMemory, keep: list[Body]) -> Any:
    """As many steps as a row has positions; all rows go along, and what has ended stays."""
    if isinstance(model, NeuralGPU) and model.options.relaxation > 1:
        if not model.tied:
            raise UserError("its weights are not tied yet: they differ from step to step")
        means = [
            tuple(p[:, n].mean(0) for p in model._shared()) for n in range(model.options.layers)
        ]
        _override(model, "_weights", lambda step, layer: means[layer])

    def steps(memory: Tensor, real_BT: Tensor | None, lengths_B: Tensor | None) -> Tensor:
        assert real_BT is not None

        def step(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
            (real_BT,), (old,) = fixed, carried
            new = _blank(model.advance(old, real_BT, 0), real_BT)
            return [where_rows(timed[0], new, old)], []

        start = _blank(memory, real_BT)
        return over_time(step, [start], [real_BT], [real_BT], keep=keep)[0][0]

    return steps


def _looped_encoding(model: ExtendedNeuralGPU, keep: list[Body]) -> Any:
    def encode(source: Ordered, max_length: int | None) -> Tape:
        real_BS = ~source.padding & (source.lengths_B > 0)[:, None]
        x_BSM = model.source_tokens(source.tokens_BT) * real_BS[..., None]
        room_BNM = x_BSM.new_zeros(x_BSM.shape[0], model.positions, x_BSM.shape[2])
        x_BNM = torch.cat((x_BSM, room_BNM), 1)[:, : model.positions]
        memory = F.pad(x_BNM[:, :, None], (0, 0, 0, model.options.columns - 1))

        def step(carried: list[Tensor], timed: list[Tensor], fixed: list[Tensor]) -> Any:
            new = model._through(model.encoder, carried[0], None)
            return [where_rows(timed[0], new, carried[0])], []

        (memory,), _ = over_time(step, [memory], [real_BS], keep=keep)
        return Tape(memory, torch.zeros_like(memory[:, :, 0]), 0)

    return encode


def _with_counter(model: ExtendedNeuralGPU, _: list[Body]) -> Any:
    """Each row's own position [B] in the place of one number; no word stands before the first."""

    def advance(token_B: Tensor, state: Tape) -> tuple[Tensor, Tape]:
        memory, written_BNM, position = state
        t_B = torch.zeros_like(token_B) + position
        here_BN = torch.arange(model.positions) == t_B[:, None] - 1
        vector_B1M = model.target_tokens(token_B)[:, None]
        written_BNM = torch.where(here_BN[..., None], vector_B1M, written_BNM)
        memory = model._through(model.decoder, memory, written_BNM[:, :, None].expand_as(memory))
        index_B11 = t_B[:, None, None].expand(-1, 1, memory.shape[-1])
        read_BM = memory[:, :, 0].gather(1, index_B11)[:, 0]
        return read_BM, Tape(memory, written_BNM, position + 1)

    return advance


def _blank(memory: Tensor, real_BT: Tensor) -> Tensor:
    real = real_BT.reshape(*real_BT.shape, *[1] * (memory.dim() - 2))
    return memory.masked_fill(~real, 0.0)


def _summary(model: TokenModel, _: list[Body]) -> Any:
    """Of a causal stack by its index: the model's own counts the rows by a number."""
    own = model._pooled

    def pooled(x_BTD: Tensor, mask_BT: Tensor | None) -> Tensor:
        if mask_BT is None or not model.stack.causal:
            return own(x_BTD, mask_BT)
        last_B = (mask_BT * torch.arange(mask_BT.shape[1])).argmax(1)
        return x_BTD.gather(1, last_B[:, None, None].expand(-1, 1, x_BTD.shape[2]))

    return pooled


# What walks by itself, or reads a number: class, its method, and what makes the other one.
_PARTS: tuple[tuple[type[nn.Module], str, Callable[[Any, list[Body]], Any]], ...] = (
    (LSTMLayer, "forward", _looped_lstm),
    (GRULayer, "forward", _looped_gru),
    (BiLSTM, "_run", _looped_direction),
    (Words, "place", _placed),
    (Transformer, "_place", _placed_by_counter),
    (TokenModel, "_pooled", _summary),
    (BiLSTMCRF, "answer", _tagged),
    (ActiveMemory, "_steps", _looped_steps),
    (ExtendedNeuralGPU, "encode", _looped_encoding),
    (ExtendedNeuralGPU, "advance", _with_counter),
)
