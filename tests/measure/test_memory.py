"""The allocator's peak on graphs small enough to count by hand."""

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqarena.measure.costs.bench import Bench
from seqarena.measure.costs.memory import PAGE_BYTES, peak_bytes, workspaces
from seqarena.measure.subject import subject

KILO = 1000 * 4  # bytes of a thousand float32 numbers


def test_peak_of_a_known_sequence_of_allocations() -> None:
    def step(kept: Tensor) -> None:
        a = torch.empty(1000)
        b = torch.empty(3000)  # kept, a and b stand: the peak
        del a
        c = torch.empty(500)
        del b
        d = torch.empty(2000)
        del c, d

    assert peak_bytes(lambda: torch.empty(2000), step) == (2 + 1 + 3) * KILO


def test_tensors_from_before_are_not_counted_and_the_first_step_is_left_out() -> None:
    outside = torch.empty(100_000)
    sizes = iter([50_000, 1000])

    def step(_: object) -> Tensor:
        return torch.empty(next(sizes))

    assert peak_bytes(lambda: None, step) == KILO
    assert outside.numel() == 100_000


def test_what_a_step_keeps_is_held_in_the_next() -> None:
    kept: list[Tensor] = []
    assert peak_bytes(lambda: None, lambda _: kept.append(torch.empty(1000))) == 2 * KILO


def test_activations_that_backward_needs_are_held_until_it_has_run() -> None:
    x = torch.ones(1000, requires_grad=True)

    def step(_: object) -> None:
        x.grad = None
        y = x
        for _ in range(10):
            y = y.exp()  # saves its output for the backward pass
        y.sum().backward()

    # ten outputs, the sum and its gradient (4 bytes each), and one gradient with its successor;
    # the last output is let go only when the step ends
    peak = peak_bytes(lambda: None, step)
    assert 11 * KILO < peak <= 12 * KILO + 8


def test_training_holds_parameters_gradients_and_moments() -> None:
    def make() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Linear(100, 100, bias=False)
        return model, torch.optim.AdamW(model.parameters(), fused=True)

    def step(made: tuple[nn.Module, torch.optim.Optimizer]) -> None:
        model, optimizer = made
        optimizer.zero_grad(set_to_none=True)
        model.weight.grad = torch.ones_like(model.weight)  # pyright: ignore
        optimizer.step()

    peak = peak_bytes(make, step)
    four = 4 * 100 * 100 * 4
    scalars = 64  # AdamW's count of steps, and what its fused kernel makes of its settings
    assert four < peak <= four + scalars


def test_what_a_kernel_asks_for_and_never_writes_is_not_held() -> None:
    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            workspace = torch.empty(100 * PAGE_BYTES, dtype=torch.uint8)
            workspace[: 30 * PAGE_BYTES] = 1
            ctx.save_for_backward(workspace)
            return x * 2

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Tensor:
            (workspace,) = ctx.saved_tensors
            workspace[: 50 * PAGE_BYTES] = 2
            return gradients[0] * 2

    x = torch.ones(3, requires_grad=True)
    (found,) = workspaces(lambda: Kernel.apply(x).sum().backward())
    assert found == (100 * PAGE_BYTES, 70 * PAGE_BYTES, 50 * PAGE_BYTES)


RESIDENT = """
import ctypes, json, sys
ctypes.CDLL(None).mallopt(-3, 65_536)  # M_MMAP_THRESHOLD: a large block is given back when freed
import torch
torch.set_num_threads(1)
from seqarena.measure.costs.bench import Bench
from seqarena.measure.subject import subject

def status():
    lines = [line.split() for line in open("/proc/self/status")]
    return {words[0]: 1024 * int(words[1]) for words in lines if words[0].startswith(("Vm", "Rss"))}

def trained(bench, length):
    trainer = bench.trainer(bench.model(length), length)
    next(trainer.steps())
    return trainer

name, length = sys.argv[1], int(sys.argv[2])
trained(Bench(subject(name, width=16, depth=1)), 8)  # the libraries are loaded
before = status()["RssAnon:"]
trainer = trained(Bench(subject(name, width=128, depth=2), 16), length)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts again
next(trainer.steps())
after = status()
print(json.dumps(after["VmHWM:"] - after["RssFile:"] - before))
"""
SLOW = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for resident memory")
@pytest.mark.parametrize(
    "name",
    ["lstm", *(pytest.param(name, marks=SLOW) for name in ("gru", "elman", "attention", "mamba",
     "linear_attention", "s4d", "conv", "bi_lstm"))],
)  # fmt: skip
def test_what_is_said_is_what_a_fresh_process_holds(name: str) -> None:
    """Its resident memory adds about 2 MB to that of the tensors: thread stacks, Python's objects,
    what malloc keeps. Before the LSTM's workspace was looked into it was said 46 % too high."""
    length = 256
    bench = Bench(subject(name, width=128, depth=2), 16)
    said = peak_bytes(
        lambda: bench.trainer(bench.model(length), length), lambda made: next(made.steps())
    )
    command = [sys.executable, "-c", RESIDENT, name, str(length)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert -0.01 * said < json.loads(done.stdout) - said < 0.03 * said + 3e6
