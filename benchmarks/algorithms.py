"""Which algorithm of an operation is the fastest: the numbers behind `seqarena.ops.measured`.

    python -m benchmarks.algorithms [DEVICE] [LENGTH ...] [ROW ...] [--bfloat16] [--threads N]
                                    cpu, 64 and 1024, all rows, float32, one thread by default

A training step (forward and backward) of one mixer by each algorithm, in turn, so that a change of
the machine's load meets all of them; the shortest of the repeats counts. Width 128 or --width, 8
sequences, memory and products as in training. One thread on a CPU is timed by the seconds that the
processor spent on it, so that other processes count less. Prints the time of each as a multiple of
the fastest.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from seqarena.core.malloc import keep_freed_memory
from seqarena.core.products import multiplying, resolve_products
from seqarena.core.runtime import flush_denormals
from seqarena.mixers.base import Mixer
from seqarena.models.catalog import CATALOG
from seqarena.models.stacks.stack import layer_operation, load_mixer

ROWS = (
    *("elman", "gru", "gru_before", "lstm", "lstm_peephole", "slstm", "mingru", "mamba", "s4d"),
    *("s4", "stack_rnn", "linear_attention", "gated_delta", "attention", "latent_attention"),
    *("forgetting_attention", "sliding_window", "longformer", "attention_sinks"),
    *("sparse_attention", "bigbird", "conv", "feed_forward", "hyena", "sru"),
)
BATCH_SIZE, SECONDS = 8, 3.0


def measure(name: str, length: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds of a training step of the row's first layer, by algorithm."""
    place, options = CATALOG[name].cycle[0]
    mixer_class, device, width = load_mixer(place), arguments.device, arguments.width
    x_BTD = torch.randn(BATCH_SIZE, length, width, device=device)
    offered = layer_operation(place, options).available(device, torch.float32)
    # Newton's method is for narrow layers and has a benchmark of its own (benchmarks/newton.py)
    names = [algorithm for algorithm in offered if not algorithm.endswith("newton")]
    mixers = {
        algorithm: mixer_class(width, mixer_class.Config(**options, algorithm=algorithm)).to(device)
        for algorithm in names
    }
    alone = device == "cpu" and arguments.threads == 1
    clock = time.process_time if alone else time.perf_counter
    half = arguments.bfloat16
    best = {name: _step(mixer, x_BTD, half, clock) for name, mixer in mixers.items()}  # a warm-up
    best = dict.fromkeys(best, float("inf"))
    start, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - start < SECONDS:
        for algorithm, mixer in mixers.items():
            best[algorithm] = min(best[algorithm], _step(mixer, x_BTD, half, clock))
        rounds += 1
    return best


def _step(mixer: Mixer, x_BTD: Tensor, half: bool, clock: Callable[[], float]) -> float:
    _wait(x_BTD)
    start = clock()
    with torch.autocast(x_BTD.device.type, torch.bfloat16, enabled=half):
        y_BTD = mixer(x_BTD)[0]
    y_BTD.sum().backward()
    _wait(x_BTD)
    return clock() - start


def _wait(x_BTD: Tensor) -> None:
    if x_BTD.is_cuda:
        torch.cuda.synchronize(x_BTD.device)


def main() -> None:
    """Prints a line for each row and length."""
    parser = argparse.ArgumentParser()
    parser.add_argument("device", nargs="?", default="cpu")
    parser.add_argument("what", nargs="*", help="lengths and rows")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    flush_denormals()
    keep_freed_memory()
    lengths = [int(word) for word in arguments.what if word.isdigit()] or [64, 1024]
    rows = [word for word in arguments.what if not word.isdigit()] or ROWS
    with multiplying(resolve_products("auto", arguments.device).name):
        for name in rows:
            for length in lengths:
                seconds = measure(name, length, arguments)
                fastest = min(seconds.values())
                ratios = ", ".join(f"{a} {s / fastest:.2f}" for a, s in seconds.items())
                print(f"{name:<20} T {length:<5} {fastest * 1e3:8.2f} ms   {ratios}", flush=True)


if __name__ == "__main__":
    main()
