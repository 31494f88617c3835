"""The recurrence over a matrix: the loop against the equation, the fast forms against the loop."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.ops.matrix_recurrence import matrix_recurrence

SHAPE = (2, 3)  # sequences and heads
K, V = 4, 5
DECAYS, ERASING = ("none", "head", "key"), ("none", "key", "another")
# float64: 1e-16 a step and up to 1,000 steps. float32: 6e-8 a step, and without decay sums over all
# of them. Both relative to the largest number of the tensor.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}
Inputs = dict[str, Tensor | None]


def inputs_of(length: int, decay: str, erase: str, dtype: torch.dtype) -> Inputs:
    """Random inputs of that kind: keys of about unit length, as erasing needs them."""
    torch.manual_seed(length)

    def unit() -> Tensor:
        return torch.nn.functional.normalize(torch.randn(*SHAPE, length, K, dtype=dtype), dim=-1)

    features = {"none": 0, "head": 1, "key": K}[decay]
    return {
        "q_BHTK": torch.randn(*SHAPE, length, K, dtype=dtype),
        "k_BHTK": unit(),
        "v_BHTV": torch.randn(*SHAPE, length, V, dtype=dtype),
        "s_BHKV": torch.randn(*SHAPE, K, V, dtype=dtype),
        "log_decay": -3 * torch.rand(*SHAPE, length, features, dtype=dtype) if features else None,
        "erase_BHTK": unit() if erase != "none" else None,
        "direction_BHTK": -0.7 * unit() if erase == "another" else None,
    }


def run(given: Inputs, algorithm: str = "chunked", chunk_size: int = 16) -> dict[str, Tensor]:
    """Outputs, last matrices, and the gradients of a fixed weighting of both."""
    leaves = {n: None if x is None else x.detach().requires_grad_() for n, x in given.items()}
    y, s = matrix_recurrence(**leaves, algorithm=algorithm, chunk_size=chunk_size)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(x.shape, generator=generator, dtype=torch.float64) for x in (y, s)]
    ((y * weights[0]).sum() + (s * weights[1]).sum()).backward()
    grads = {f"d {name}": x.grad for name, x in leaves.items() if x is not None}
    return {"y": y.detach(), "s": s.detach()} | {n: g for n, g in grads.items() if g is not None}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, x in found.items():
        assert x.isfinite().all(), name
        scale = float(expected[name].abs().max())
        torch.testing.assert_close(
            x.double(), expected[name].double(), rtol=0, atol=tolerance * scale,
            msg=lambda text, name=name: f"{name}: {text}",
        )  # fmt: skip


def doubled(given: Inputs) -> Inputs:
    return {name: None if x is None else x.double() for name, x in given.items()}


@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_the_loop_equals_the_equation(decay: str, erase: str) -> None:
    given = inputs_of(7, decay, erase, torch.float64)
    y, s = matrix_recurrence(**given, algorithm="loop")
    arrays = {name: None if x is None else x[1, 2].numpy() for name, x in given.items()}
    state = arrays["s_BHKV"]
    for t in range(7):
        q, k, v = (arrays[name][t] for name in ("q_BHTK", "k_BHTK", "v_BHTV"))
        forget = np.eye(K)
        if decay != "none":
            forget = forget * np.exp(arrays["log_decay"][t])
        if erase != "none":
            direction = -k if erase == "key" else arrays["direction_BHTK"][t]
            forget = (np.eye(K) + np.outer(direction, arrays["erase_BHTK"][t])) @ forget
        state = forget @ state + np.outer(k, v)
        np.testing.assert_allclose(y[1, 2, t].numpy(), state.T @ q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(s[1, 2].numpy(), state, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", [1, 2, 63, 257])
@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_chunked_equals_the_loop(decay: str, erase: str, length: int, dtype: torch.dtype) -> None:
    given = inputs_of(length, decay, erase, dtype)
    assert_equal(run(given), run(given, "loop"), TOLERANCE[dtype])


@pytest.mark.parametrize("chunk_size", [1, 2, 13, 128])
@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_any_chunk_size_gives_the_same(decay: str, erase: str, chunk_size: int) -> None:
    given = inputs_of(70, decay, erase, torch.float64)
    assert_equal(run(given, chunk_size=chunk_size), run(given, "loop"), TOLERANCE[torch.float64])


@pytest.mark.parametrize(
    ("decay", "erase"), [("none", "key"), ("head", "none"), ("key", "another")]
)
def test_a_thousand_positions(decay: str, erase: str) -> None:
    given = inputs_of(1000, decay, erase, torch.float64)
    expected = run(given, "loop")
    assert_equal(run(given, chunk_size=32), expected, TOLERANCE[torch.float64])


@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_many_pieces_at_once_and_one_at_a_time(
    decay: str, erase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the work is divided: a sequence and a chunk at a time, or some of each."""
    given = inputs_of(45, decay, erase, torch.float64)
    expected = run(given, "loop")
    for numbers in (1, 8 * 8 * 3 * 2, 8 * 8 * 3 * 4):
        monkeypatch.setattr("seqarena.ops.matrix_recurrence.chunked.NUMBERS_AT_ONCE", numbers)
        assert_equal(run(given, chunk_size=8), expected, TOLERANCE[torch.float64])


@pytest.mark.parametrize("decay", ["none", "head"])
@pytest.mark.parametrize("erase", ERASING)
def test_without_gradients_the_numbers_are_the_same(decay: str, erase: str) -> None:
    given = inputs_of(50, decay, erase, torch.float64)
    expected = run(given)
    with torch.no_grad():
        y, s = matrix_recurrence(**given, algorithm="chunked", chunk_size=16)
    assert torch.equal(y, expected["y"])
    assert torch.equal(s, expected["s"])


@pytest.mark.parametrize("strength", [-20.0, -1e4, float("-inf")])
@pytest.mark.parametrize("where", ["everywhere", "here and there"])
@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", ["head", "key"])
def test_strong_decay_neither_overflows_nor_loses_digits(
    decay: str, erase: str, where: str, strength: float
) -> None:
    """float32 against the loop in float64, each gradient at its own scale."""
    given = inputs_of(150, decay, erase, torch.float32)
    logarithm = given["log_decay"]
    assert logarithm is not None
    chance = 1.0 if where == "everywhere" else 0.1
    given["log_decay"] = (logarithm / 100).masked_fill(
        torch.rand(logarithm.shape) < chance, strength
    )
    expected = run(doubled(given), "loop")
    if strength < -20 and where == "everywhere":  # exp is 0 in both: nothing is left to compare
        assert not expected.pop("d log_decay").any()
        found = run(given, chunk_size=32)
        assert not found.pop("d log_decay").any()
        assert not found.pop("d s_BHKV").any()
        assert not expected.pop("d s_BHKV").any()
        assert_equal(found, expected, 2e-5)
        return
    found = run(given, chunk_size=32)
    if where == "everywhere":  # of the first matrix e^-3000 is left in float64, 0 in float32
        assert not found.pop("d s_BHKV")[..., 0, 0].isnan().any()
        expected.pop("d s_BHKV")
    assert_equal(found, expected, 2e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("step", [1.0, 2.0, "random"])
@pytest.mark.parametrize("decay", DECAYS)
def test_erasing_with_parallel_keys_up_to_reflections(
    decay: str, step: float | str, dtype: torch.dtype
) -> None:
    """One key for all positions: steps of 2 turn the matrix over and over; powers of the inner
    products would grow as 2^64."""
    given = inputs_of(200, decay, "key", dtype)
    k_BHTK = given["k_BHTK"]
    assert k_BHTK is not None
    if given["log_decay"] is not None:
        given["log_decay"] = given["log_decay"] / 300
    key_BHTK = k_BHTK[:, :, :1].expand_as(k_BHTK)
    size_BHT1 = 2 * torch.rand(*SHAPE, 200, 1, dtype=dtype) if step == "random" else float(step)
    given |= {"k_BHTK": key_BHTK.clone(), "erase_BHTK": key_BHTK * size_BHT1}
    assert_equal(run(given, chunk_size=64), run(doubled(given), "loop"), TOLERANCE[dtype])


@pytest.mark.parametrize("algorithm", matrix_recurrence.available("cpu", torch.float64))
@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_queries_and_keys_shared_by_all_heads(decay: str, erase: str, algorithm: str) -> None:
    given = inputs_of(40, decay, erase, torch.float64)
    shared = given | {name: given[name][:, :1] for name in ("q_BHTK", "k_BHTK")}
    written_out = shared | {
        name: shared[name].expand(*SHAPE, 40, K).clone() for name in ("q_BHTK", "k_BHTK")
    }
    expected = run(written_out, "loop")
    for name in ("d q_BHTK", "d k_BHTK"):
        expected[name] = expected[name].sum(1, keepdim=True)
    assert_equal(run(shared, algorithm), expected, TOLERANCE[torch.float64])


@pytest.mark.parametrize("algorithm", matrix_recurrence.available("cpu", torch.float64))
@pytest.mark.parametrize("erase", ERASING)
@pytest.mark.parametrize("decay", DECAYS)
def test_positions_without_key_erasing_and_decay_leave_the_matrix(
    decay: str, erase: str, algorithm: str
) -> None:
    """Rows of 40, 7 and no real positions, as padding leaves them."""
    given = inputs_of(40, decay, erase, torch.float64)
    for name in ("k_BHTK", "erase_BHTK", "log_decay"):
        x = given[name]
        if x is not None:
            given[name] = x.clone()
            given[name][0, :, 7:] = 0.0
            given[name][1] = 0.0
    found = run(given, algorithm)
    short = {n: x if x is None or n == "s_BHKV" else x[:, :, :7] for n, x in given.items()}
    expected = run(short, algorithm)
    torch.testing.assert_close(found["s"][0], expected["s"][0], rtol=0, atol=1e-13)
    torch.testing.assert_close(found["y"][:, :, :7], expected["y"], rtol=0, atol=1e-13)
    assert torch.equal(found["s"][1], given["s_BHKV"][1])


@pytest.mark.parametrize("algorithm", matrix_recurrence.available("cpu", torch.float64))
def test_low_precision_inputs_recur_in_float32(algorithm: str) -> None:
    given = inputs_of(40, "key", "key", torch.float32)
    low = {n: x if x is None or n == "s_BHKV" else x.bfloat16() for n, x in given.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, s = matrix_recurrence(**low, algorithm=algorithm)
    exact = {n: None if x is None else x.float() for n, x in low.items()}
    expected = matrix_recurrence(**exact, algorithm="loop")
    assert (y.dtype, s.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close((y, s), expected, rtol=0, atol=1e-5)


def test_a_backward_pass_under_autocast_stays_in_float32() -> None:
    given = inputs_of(40, "key", "another", torch.float32)
    expected = run(given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run(given)
    assert_equal(found, expected, 1e-6)


def test_inputs_are_left_alone() -> None:
    given = inputs_of(40, "key", "another", torch.float64)
    before = {name: None if x is None else x.clone() for name, x in given.items()}
    run(given)
    assert all(x is None or torch.equal(x, before[n]) for n, x in given.items())


def test_gradients_for_some_inputs_only() -> None:
    given = inputs_of(40, "head", "key", torch.float64)
    expected = run(given)
    v = given["v_BHTV"]
    assert v is not None
    v = v.requires_grad_()
    y, _ = matrix_recurrence(**given | {"v_BHTV": v}, algorithm="chunked")
    (found,) = torch.autograd.grad(y.sum() + 0.0, v)
    assert found.shape == expected["d v_BHTV"].shape


def test_memory_is_linear_in_the_length_and_small() -> None:
    """What is kept for the way back, beside inputs: T (K V / L + 3 L + V) numbers."""
    kept: list[int] = []

    def pack(x: Tensor) -> Tensor:
        kept.append(x.nbytes)
        return x

    sizes = []
    for length in (512, 1024):
        given = inputs_of(length, "head", "key", torch.float32)
        given = {n: None if x is None else x.requires_grad_() for n, x in given.items()}
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            matrix_recurrence(**given, algorithm="chunked", chunk_size=32)
        sizes.append(sum(kept) - sum(x.nbytes for x in given.values() if x is not None))
    heads = SHAPE[0] * SHAPE[1]
    assert sizes[1] - sizes[0] == 512 * heads * (K * V / 32 + 3 * 32 + V) * 4


def test_second_order_gradients_are_refused() -> None:
    given = inputs_of(9, "none", "none", torch.float64)
    q = given["q_BHTK"]
    assert q is not None
    y, _ = matrix_recurrence(**given | {"q_BHTK": q.requires_grad_()}, algorithm="chunked")
    (g,) = torch.autograd.grad(y.square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_mistakes() -> None:
    given = inputs_of(4, "none", "none", torch.float64)
    with pytest.raises(UserError, match="chunk_size is 0: use at least 1"):
        matrix_recurrence(**given, algorithm="chunked", chunk_size=0)
    with pytest.raises(UserError, match="did you mean chunked"):
        matrix_recurrence(**given, algorithm="chunkd")


def test_serial_steps() -> None:
    names = ("loop", "chunked")
    steps = matrix_recurrence.serial_steps
    assert [steps(name, 65, chunk_size=32) for name in names] == [65, 3]
    assert [steps("chunked", 65, chunk_size=size) for size in (1, 33, 63, 64, 500)] == [
        65,
        3,
        3,
        2,
        1,
    ]
