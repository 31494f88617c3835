"""Every class states what it costs; here the statements meet what is executed.

Operations: products, convolutions and fused kernels as torch's counter sees them. Chains: the
longest line of dependent operations, followed through every tensor as it is computed; what stands
in line inside one operation (an FFT, a cumulative sum over chunks) is not seen. State: the bytes of
a real one.
"""

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from seqarena.core.shapes import measured_state_bytes
from seqarena.measure.costs.bench import Bench
from seqarena.measure.subject import subject
from seqarena.models.catalog import CATALOG, architecture
from seqarena.models.stacks.stack import load_mixer
from seqarena.ops import registry
from seqarena.ops.measured import fastest

aten = torch.ops.aten
WIDTH, DEPTH = 32, 2
# One hybrid stands for all: what they add up is tested layer by layer. So are the parts of Mamba as
# an encoder-decoder, as `mamba` and as `transformer_modern`.
MIXED = {name for name, row in CATALOG.items() if row.family == "hybrid"} - {"hybrid"}
MIXED.add("mamba_encoder_decoder")
ONCE = [name for name in CATALOG if name not in MIXED]
LSTM_STEPS = 7  # product, sum, sigmoid, multiply, sum, tanh, multiply: inside torch's own kernel


def slow_truth(name: str) -> str | None:
    """The algorithm that runs as the definition reads; None where there is no choice."""
    row = architecture(name)
    classes = {load_mixer(place): options for place, options in row.cycle}
    if row.system or len(classes) > 1:
        return None
    ((mixer_class, options),) = classes.items()
    return mixer_class.operation_of(mixer_class.Config(**options)).names[0]


@pytest.fixture
def _without_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no choice of an algorithm runs in PyTorch, whose operations are counted here."""
    monkeypatch.setattr(registry, "fastest", lambda *place: fastest(*place[:4]))


def bench(name: str, algorithm: str | None, width: int = WIDTH, depth: int = DEPTH) -> Bench:
    options = {"algorithm": algorithm} if algorithm else None
    return Bench(subject(name, width=width, depth=depth, options=options))


def executed(found: Bench, length: int, mode: Any) -> Any:
    model, batch = found.model(length), found.batch(length)
    with torch.no_grad(), mode:
        model.answer(batch)
    return model


# Operations.


def attention_kernel(q: Any, k: Any, v: Any, *more: Any, out_val: Any = None, **_: Any) -> int:
    (B, H, T, E), S = q.shape, k.shape[2]
    causal = len(more) > 1 and more[1]
    return 4 * B * H * E * (T * (T + 1) // 2 if causal else T * S)


def lstm_kernel(x_TBI: Any, input_FI: Any, recurrent_FE: Any, *_: Any, **__: Any) -> int:
    positions = x_TBI.shape[0] * x_TBI.shape[1]
    cells = 4 * recurrent_FE.shape[1]  # f c + i g, o tanh(c)
    return positions * (2 * (input_FI.numel() + recurrent_FE.numel()) + cells)


def product_in_place(_: Any, a_NI: Any, b_IM: Any, **__: Any) -> int:
    return 2 * a_NI.numel() * b_IM.shape[1]


for _function in (attention_kernel, lstm_kernel, product_in_place):
    _function._get_raw = True  # the counter then passes tensors and not their shapes
KERNELS: dict[Any, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: attention_kernel,
    aten.mkldnn_rnn_layer: lstm_kernel,
    aten.addmm_: product_in_place,
}


def hidden_pairs(T: int) -> int:
    """Of the square of pairs, those that causal attention must not see."""
    return T * (T - 1) // 2


def strided_pairs(T: int, stride: int = 16) -> int:
    return sum(i - j < stride or (i - j) % stride == 0 for i in range(T) for j in range(i + 1))


D, PAIR = WIDTH, 4 * WIDTH  # scoring and averaging one pair of positions
MAMBA = 2 * 2 * D * (4 + 4 * 16 + 1)  # multiply-adds of 2 D channels: convolution, scan, step
MATRIX = 2 * D * D // 4  # numbers in the states of two layers, 4 heads, keys as wide as values
CONVOLVED = 2 * 2 * 4 * D  # multiply-adds of two short convolutions over D channels
HELD = 2 * 2 * 4 * D  # of two layers: an LSTM's input more, which holds a row at its end
# Sparse patterns, whose slow truth has the whole square of pairs.
SQUARES = ("sliding_window", "sparse_attention", "longformer", "attention_sinks", "bigbird")
# What a formula counts and torch's counter does not see, or what an algorithm spends beyond the
# definition (negative): operations of all layers over T positions.
REST: dict[str, Callable[[int], int]] = {
    "lstm": lambda T: 2 * T * 4 * D,  # f c + i g, o tanh(c)
    "lstm_plain": lambda T: 2 * T * 4 * D,
    "lstm_chrono": lambda T: 2 * T * 4 * D,
    "lstm_experts": lambda T: 2 * T * 4 * D,
    "lstm_peephole": lambda T: 2 * T * 10 * D,  # and three looks at the cell
    "slstm": lambda T: T * (2 * 7 * D + CONVOLVED),  # cell, normaliser, their quotient
    "bi_lstm": lambda T: 4 * T * 4 * D,
    "gru": lambda T: 2 * T * 5 * D,  # r (U h + b), the mixture, their sum
    "gru_before": lambda T: 2 * T * 4 * D,
    "bi_gru": lambda T: 4 * T * 5 * D,
    "factored_lstm": lambda T: 2 * T * 4 * D,
    "grouped_lstm": lambda T: 2 * T * 4 * D,
    "mingru": lambda T: 2 * T * 2 * D,  # a h + b
    "qrnn": lambda T: 2 * T * 3 * D,  # and the output gate
    "sru": lambda T: 2 * T * 11 * D,  # forget gate, cell, reset gate, highway
    "minlstm": lambda T: 2 * T * 2 * D,
    "attention_alibi": lambda T: -2 * PAIR * hidden_pairs(T),
    # T + 63 slots for a window of 64
    "sliding_window": lambda T: 2 * PAIR * (T * (T + 1) // 2 - T * (T + 63)),
    "sparse_attention": lambda T: 2 * PAIR * (strided_pairs(T) - T * T),
    "longformer": lambda T: 2 * PAIR * (T * (T + 1) // 2 - T * (T + 63 + 16)),
    "attention_sinks": lambda T: 2 * PAIR * (T * (T + 1) // 2 - T * (T + 63 + 4)),
    "bigbird": lambda T: 2 * PAIR * (T * (T + 1) // 2 - T * T),  # 32 positions: two whole blocks
    "latent_attention": lambda T: -2 * 2 * 4 * 4 * T * (T + 1) // 2,  # values as long as keys
    "forgetting_attention": lambda T: -2 * 4 * 4 * T * (T + 1) // 2,  # a feature more: the gates
    "linear_attention": lambda T: 2 * T * (2 * D * D // 4 + 2 * D),  # k v^T added to 4 heads' sums
    # written, and with a decay faded; convolutions
    "deltanet": lambda T: T * (2 * MATRIX + 3 * CONVOLVED),
    "gated_delta": lambda T: T * (3 * 2 * MATRIX + 4 * CONVOLVED),
    # written twice; the loop reads after each
    "delta_product": lambda T: T * ((2 * 2 + 1 - 2) * 2 * MATRIX + 7 * CONVOLVED),
    "kimi_delta": lambda T: T * (3 * MATRIX + 3 * CONVOLVED),
    "gated_delta2": lambda T: T * (3 * MATRIX + 3 * CONVOLVED),
    "rwkv7": lambda T: T * (2 * 2 + 1) * MATRIX,
    # written and faded, in 4 heads of 8 keys and 8 values or as said
    "retnet": lambda T: 2 * T * 3 * D * 16,
    "gla": lambda T: 2 * T * 3 * D * 4,
    "hgrn2": lambda T: 2 * T * 3 * D * 8,
    "mlstm": lambda T: 2 * T * (3 * 2 * D * 17 + 2 * 2 * D * 4),  # and a convolution of 4 taps
    "based": lambda T: 2 * T * 2 * 153 * (D + 4),
    "lightning_attention": lambda T: 2 * T * 3 * D * 8,
    # a read more, of the state that came in; the bonus
    "rwkv6": lambda T: 2 * (T * (3 * D * 8 + 5 * D) - 2 * D * 8),
    "s4d": lambda T: 2 * T * D * (14 * 32 + 2),  # 32 complex states a channel
    "s5": lambda T: 2 * T * (14 * 16 + 2 * D),  # complex states, half as many as features; skip
    "lru": lambda T: 2 * T * (14 * 32 + 2 * D),  # as many complex states as features
    "s4": lambda T: 2 * T * D * (42 * 32 + 2),
    "stack_rnn": lambda T: 2 * T * 5 * 64 * 8,  # three products and two sums a number of the stack
    # the shift over 64 keys and its skip; of a product of channels 32 complex states and 4 more
    "h3": lambda T: 2 * T * D * (2 * 64 + 2 + 14 * 32 + 4),
    "mamba": lambda T: 2 * T * MAMBA,
    "mamba2": lambda T: 2 * T * (2 * 4 * 192 + 3 * 64 * 2 * D),  # convolution; k v^T and decay of S
    # k v^T and decay of S; each position's own key, read beside S
    "mamba3": lambda T: 2 * T * (3 * 64 * 2 * D + 2 * (4 * 64 + 2 * D)),
    "hawk": lambda T: 2 * T * 2 * 44 * (4 + 1),  # 44 channels: convolution, a h + b
    "hybrid": lambda T: T * (MAMBA - 2 * 2 * D * 16),  # one layer; chunks read C h by a product
    # 3 taps of 3 D channels, the window and the gates; T (T + 1) for all lags of a channel
    "hyena": lambda T: 2 * T * D * (3 * 3 * 2 + 1 + 4 + T + 1),
    "memory_network": lambda T: T * 2 * 4 * D,  # sums of words, in four tables
    # six hops multiply a square, and one of 2 T - 1 columns, for half a square
    "memory_language_model": lambda T: 6 * 4 * D * T * ((T + 1) - (2 * T - 1) - T),
    "lenet5": lambda T: -10 * 10 * 2 * 25 * (6 * 16 - 60),  # a table of 60 connections, done whole
    "bi_lstm_crf": lambda T: 2 * T * 256 * 256,  # the chain over pairs of tags
    "seq2seq_lstm": lambda T: -T * HELD,
    "seq2seq_gru": lambda T: T * (4 + 8) * D,
    "rnnsearch": lambda T: T * ((2 * 4 + 10) * D + 3 * T * D),  # 3 D: a score
    "luong_dot": lambda T: T * (2 * 4 * D - HELD),  # the decoder's cells
    "luong_general": lambda T: T * (2 * 4 * D - HELD),
    "luong_concat": lambda T: T * (2 * 4 * D - HELD + 3 * T * D),
}


PICTURES = ("lenet5", "neocognitron")  # of one size each


def lengths_of(name: str) -> tuple[int, ...]:
    return (1024,) if name in PICTURES else (16, 32)


@pytest.mark.usefixtures("_without_compiled")
@pytest.mark.parametrize("name", [*ONCE, "encoder_decoder:elman+algorithm=loop"])
def test_flops_are_those_that_are_executed(name: str) -> None:
    algorithm = slow_truth(name)
    if algorithm == "explicit" and name not in SQUARES:
        algorithm = "fused"  # leaves out the pairs that are hidden
    for length in lengths_of(name):
        counter = FlopCounterMode(display=False, custom_mapping=KERNELS)
        model = executed(bench(name, algorithm), length, counter)
        rest = REST[name](length) if name in REST else 0
        assert model.flops(length) == counter.get_total_flops() + rest


# Chains.


MOVES = {aten.cat, aten.stack, aten.constant_pad_nd, aten._unsafe_view, aten.clone, aten.copy_}


class Chain(TorchDispatchMode):
    """The longest line of operations that each wait for the one before; moving numbers is none.
    What is written into a tensor waits for all that was written there, so that a line may seem too
    long, never too short.
    """

    def __init__(self, inputs: list[Tensor]) -> None:
        super().__init__()
        self.longest = 0
        self._kept: list[Any] = []  # so that no storage is given out twice
        self._depth: dict[int, int] = {}
        for tensor in inputs:
            self._write(tensor, 0)

    def _write(self, tensor: Tensor, depth: int) -> None:
        storage = tensor.untyped_storage()
        self._kept.append(storage)
        self._depth[storage._cdata] = max(depth, self._depth.get(storage._cdata, 0))
        self.longest = max(self.longest, depth)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        read = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        before = [self._depth.get(x.untyped_storage()._cdata) for x in read]
        known = [depth for depth in before if depth is not None]
        if known and not func.is_view:  # what reads weights alone is ready before the first step
            steps = 0 if func.overloadpacket in MOVES else 1
            if func is aten.mkldnn_rnn_layer.default:
                steps += LSTM_STEPS * args[0].shape[0]
            for tensor in pytree.tree_leaves(made):
                if isinstance(tensor, Tensor):
                    self._write(tensor, max(known) + steps)
        return made


def chain_and_formula(found: Bench, length: int) -> tuple[int, int]:
    model, batch = found.model(length), found.batch(length)
    mode = Chain([tensor for tensor in batch if tensor is not None])
    with torch.no_grad(), mode:
        model.answer(batch)
    return mode.longest, model.serial_steps(length)


# Operations on the chain for each that the formula counts; one for all others.
PER_STEP = {
    # a multiply-add is one step, and written out it is two operations
    "mingru": Fraction(2),
    "qrnn": Fraction(2),
    "sru": Fraction(6),
    "minlstm": Fraction(2),
    # what is erased is found and made a matrix, and added to what is written and to the state
    "deltanet": Fraction(4),
    **dict.fromkeys(
        ("gated_delta", "delta_product", "kimi_delta", "gated_delta2", "rwkv7"), Fraction(5)
    ),
    **dict.fromkeys(
        ("retnet", "gla", "hgrn2", "mlstm", "lightning_attention", "rwkv6"), Fraction(2)
    ),
    "s4d": Fraction(2),
    "s5": Fraction(2),
    "lru": Fraction(2),
    "s4": Fraction(12),  # a step of the bilinear rule, solved in two projections
    "h3": Fraction(3, 2),  # a lag of its shift is one operation
    "mamba": Fraction(2),
    "mamba2": Fraction(2),
    "mamba3": Fraction(2),
    "hawk": Fraction(2),
    "hybrid": Fraction(2),
    # the encoder's recurrent products are added in place, its mixture is one operation
    "seq2seq_gru": Fraction(5, 6),
    "rnnsearch": Fraction(12, 13),
    # hard gates and saturation are several operations each
    "neural_gpu": Fraction(11, 6),
    "extended_neural_gpu": Fraction(15, 8),
    "diagonal_neural_gpu": Fraction(5, 3),
}


@pytest.mark.usefixtures("_without_compiled")
@pytest.mark.parametrize("name", [name for name in ONCE if name not in PICTURES])
def test_chains_grow_with_the_length_as_serial_steps_do(name: str) -> None:
    found = bench(name, slow_truth(name), width=16, depth=1)
    places = [chain_and_formula(found, length) for length in (8, 16, 32)]
    for (chain, steps), (longer, more) in itertools.pairwise(places):
        assert longer - chain == PER_STEP.get(name, 1) * (more - steps)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("mingru", "scan"),
        ("mingru", "chunked"),
        ("mingru", "fused"),
        ("minlstm", "scan"),
        ("mamba", "scan"),
        ("lstm", "fused"),
    ],
)
def test_the_chain_is_that_of_the_algorithm(name: str, algorithm: str) -> None:
    places = [chain_and_formula(bench(name, algorithm, 16, 1), length) for length in (32, 64, 128)]
    for (chain, steps), (longer, more) in itertools.pairwise(places):
        assert longer - chain == more - steps


# State.


def decodes(name: str) -> bool:
    return bench(name, None).why_no_decoding(lengths_of(name)[0]) is None


@pytest.mark.parametrize("name", CATALOG)
def test_state_bytes_are_those_of_a_real_state(name: str) -> None:
    for length in lengths_of(name):
        found = bench(name, None)
        model = found.model(length)
        if not decodes(name):
            assert model.state_bytes(length) == 0
            continue
        decoder = found.decoder(model, length)
        _, state = decoder.step(decoder.copied_state())
        assert measured_state_bytes(state) == model.state_bytes(length)
