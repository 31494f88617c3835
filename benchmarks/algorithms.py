"""Which algorithm of an operation is the fastest: the numbers behind `seqarena.ops.measured`.

    python -m benchmarks.algorithms [DEVICE] [LENGTH ...]        cpu, 64 and 1024 by default

A training step (forward and backward) of one mixer by each algorithm, in turn, so that a change of
the machine's load meets all of them; the shortest of the repeats counts. Width 128, 8 sequences,
one thread, float32. Prints the time of each as a multiple of the fastest.
"""

import sys
import time

import torch
from torch import Tensor

from seqarena.mixers.base import Mixer
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.stack import layer_operation, load_mixer

ROWS = (
    *("elman", "gru", "gru_before", "lstm", "lstm_peephole", "slstm", "mingru", "mamba", "s4d"),
    *("s4", "stack_rnn", "linear_attention", "gated_delta", "attention", "latent_attention"),
    *("forgetting_attention", "sliding_window", "longformer", "attention_sinks"),
    *("sparse_attention", "bigbird", "conv", "feed_forward", "hyena", "sru"),
)
WIDTH, BATCH_SIZE, SECONDS = 128, 8, 3.0


def measure(name: str, length: int, device: str) -> dict[str, float]:
    """Seconds of a training step of the row's first layer, by algorithm."""
    place, options = CATALOG[name].cycle[0]
    mixer_class = load_mixer(place)
    x_BTD = torch.randn(BATCH_SIZE, length, WIDTH, device=device)
    offered = layer_operation(place, options).available(device, torch.float32)
    # Newton's method is for narrow layers and has a benchmark of its own (benchmarks/newton.py)
    names = [algorithm for algorithm in offered if not algorithm.endswith("newton")]
    mixers = {
        algorithm: mixer_class(WIDTH, mixer_class.Config(**options, algorithm=algorithm)).to(device)
        for algorithm in names
    }
    best = {algorithm: _step(mixer, x_BTD) for algorithm, mixer in mixers.items()}  # a warm-up
    best = dict.fromkeys(best, float("inf"))
    start, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - start < SECONDS:
        for algorithm, mixer in mixers.items():
            best[algorithm] = min(best[algorithm], _step(mixer, x_BTD))
        rounds += 1
    return best


def _step(mixer: Mixer, x_BTD: Tensor) -> float:
    _wait(x_BTD)
    start = time.perf_counter()
    mixer(x_BTD)[0].sum().backward()
    _wait(x_BTD)
    return time.perf_counter() - start


def _wait(x_BTD: Tensor) -> None:
    if x_BTD.is_cuda:
        torch.cuda.synchronize(x_BTD.device)


def main() -> None:
    """Prints a line for each row and length."""
    device, *lengths = sys.argv[1:] or ["cpu"]
    torch.set_num_threads(1)
    for name in ROWS:
        for length in [int(length) for length in lengths] or [64, 1024]:
            seconds = measure(name, length, device)
            fastest = min(seconds.values())
            ratios = ", ".join(f"{a} {s / fastest:.2f}" for a, s in seconds.items())
            print(f"{name:<20} T {length:<5} {fastest * 1e3:8.2f} ms   {ratios}", flush=True)


if __name__ == "__main__":
    main()
