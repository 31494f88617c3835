"""The allocator's peak on graphs small enough to count by hand."""

import torch
from torch import Tensor, nn

from seqarena.measure.costs.memory import peak_bytes

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
