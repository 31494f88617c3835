"""What is special about the forms that numba compiles: their functions, products, threads and
strides, and the folder where machine code is kept. That they equal the loop is tested with each
operation."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from recurrent_cells import assert_same, problem, run

from seqarena.mixers.minimal.mingru import MinGRU
from seqarena.mixers.recurrent.gru import GRU
from seqarena.mixers.state_space.mamba import Mamba
from seqarena.ops.diagonal import linear_recurrence
from seqarena.ops.kernels import sharing
from seqarena.ops.minimal import minimal_recurrence
from seqarena.ops.selective_scan import selective_scan
from seqarena.ops.short_convolution import short_convolution

np = pytest.importorskip("numpy")
numba = pytest.importorskip("numba")
CELLS = ("elman_tanh", "elman_relu", "gru_after", "slstm")


def inputs_of(name: str, batch: int = 3, length: int = 40, dtype: torch.dtype = torch.float32):
    """Leaves and the operation as a function of them: wide enough for two blocks of every kernel
    and a rest."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    if name == "selective_scan":
        wide, states = (batch, length, 150), (batch, length, 3)
        leaves = (
            *(normal(*wide), normal(*wide).abs() * 0.3, -normal(3, 150).exp()),
            *(normal(*states), normal(*states), normal(batch, 3, 150)),
        )
        return leaves, lambda *x, algorithm: selective_scan(*x, algorithm=algorithm)
    wide = (batch, length, 600)
    if name == "short_convolution":
        leaves = normal(*wide), normal(600, 4), normal(1, 600)
        return leaves, lambda x, weight, bias, algorithm: (
            short_convolution(x, weight, bias[0], "silu", algorithm),
        )
    start = normal(batch, 600)
    if name == "minimal":
        return (normal(*wide), normal(*wide), start), lambda *x, algorithm: (
            minimal_recurrence(*x, candidate="positive", algorithm=algorithm),
        )
    leaves = (normal(*wide).sigmoid(), normal(*wide), start)
    if name == "complex":
        leaves = tuple(torch.complex(x, x.flip(-1)) * 0.7 for x in leaves)
    return leaves, lambda *x, algorithm: (linear_recurrence(*x, algorithm=algorithm),)


OPERATIONS = ("diagonal", "complex", "minimal", "selective_scan", "short_convolution")


def results(leaves, function, algorithm: str):
    """Outputs, and the gradients of the leaves that need one."""
    outputs = function(*leaves, algorithm=algorithm)
    needed = [x for x in leaves if x.requires_grad]
    if not needed:
        return outputs
    total = sum((y * torch.cos(torch.arange(y.numel())).view(y.shape)).sum() for y in outputs)
    total = total.real if total.is_complex() else total
    return *(y.detach() for y in outputs), *torch.autograd.grad(total, needed)


def near(found, expected) -> None:
    for x, y in zip(found, expected, strict=True):
        scale = max(1.0, float(y.abs().max()) if y.numel() else 1.0)
        torch.testing.assert_close(x, y, rtol=0, atol=3e-5 * scale)


@pytest.fixture
def _denormals() -> Iterator[None]:
    """Tests before may have had them flushed: a last place of the smallest numbers is one."""
    flushed = float(torch.tensor(1e-40) * 1.0) == 0.0
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(flushed)


@pytest.mark.usefixtures("_denormals")
@pytest.mark.parametrize(
    ("name", "truth", "low", "high", "most_ulp"),
    [
        ("exp", np.exp, -87.0, 88.7, 2.0),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), -87.0, 100.0, 3.0),
        ("tanh", np.tanh, -20.0, 20.0, 6.0),
        ("log_sigmoid", lambda x: -np.log1p(np.exp(-x)), -100.0, 87.0, 4.0),
    ],
)
def test_functions_are_near_the_truth(name, truth, low, high, most_ulp) -> None:
    """In units of the last place of the true value, over a million numbers and small ones."""
    from seqarena.ops.kernels import functions

    function = getattr(functions, f"{name}32")

    @numba.njit
    def over(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    small = np.geomspace(1e-30, 1.0, 10_000)
    x = np.concatenate([np.linspace(low, high, 1_000_001), small, -small]).astype(np.float32)
    found = np.empty_like(x)
    over(x, found)
    expected = truth(x.astype(np.float64))
    ulp = np.spacing(np.abs(expected.astype(np.float32))).astype(np.float64)
    assert np.max(np.abs(found - expected) / ulp) <= most_ulp


def test_functions_pass_on_infinities_and_nan() -> None:
    from seqarena.ops.kernels import functions as f

    infinity, nan = np.float32(np.inf), np.float32(np.nan)
    assert (f.exp32(infinity), f.exp32(-infinity), f.exp32(np.float32(0))) == (infinity, 0, 1)
    assert (f.sigmoid32(infinity), f.sigmoid32(-infinity)) == (1, 0)  # exactly: padding is passed
    assert f.tanh32(infinity) == -f.tanh32(-infinity) == pytest.approx(1, abs=3e-7)
    assert (f.log_sigmoid32(infinity), f.log_sigmoid32(-infinity)) == (0, -infinity)
    assert all(np.isnan(g(nan)) for g in (f.exp32, f.sigmoid32, f.tanh32, f.log_sigmoid32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (8, 32, 33), (9, 4, 64), (15, 60, 100)])
def test_products_are_those_of_the_library(shape, dtype) -> None:
    from seqarena.ops.kernels import products

    rows, inner, columns = shape
    random = np.random.default_rng(0)
    a = random.normal(size=(rows, inner + 2)).astype(dtype)  # rows apart from one another
    weight = random.normal(size=(inner, columns)).astype(dtype)
    panel = products.PANEL_BYTES // a.itemsize
    width = products.panels(columns, a.itemsize) * panel
    w, c = np.zeros(width * inner, dtype), np.full((rows, width), np.nan, dtype)
    products.lay_out(weight.ravel(), columns, w)
    products.multiply(
        a.ravel(), 1, inner + 2, rows, inner, w, 0, columns, c.ravel(), 0, width
    )  # fmt: skip
    expected = a[:, 1 : inner + 1].astype(np.float64) @ weight.astype(np.float64)
    tolerance = 4 * inner * np.finfo(dtype).eps
    np.testing.assert_allclose(c[:, :columns], expected, rtol=0, atol=tolerance)
    assert (c[:, columns:] == 0).all()


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_block_and_its_rest_equal_the_loop(name) -> None:
    leaves, function = inputs_of(name)
    for x in leaves:
        x.requires_grad_()
    near(results(leaves, function, "compiled"), results(leaves, function, "loop"))


@pytest.mark.parametrize("name", [*OPERATIONS, *CELLS])
def test_threads_change_no_number(name, monkeypatch) -> None:
    monkeypatch.setattr(sharing, "SMALL", 1)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        if name in CELLS:
            found.append(run(name, problem(name, 21, torch.float32), None, "compiled").values())
            continue
        leaves, function = inputs_of(name)
        found.append(results([x.requires_grad_() for x in leaves], function, "compiled"))
    for other in found[1:]:
        assert all(torch.equal(x, y) for x, y in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", OPERATIONS)
def test_memory_may_lie_in_any_order(name) -> None:
    """Time before batch, features that are not neighbours, and one number for all positions."""
    leaves, function = inputs_of(name)
    orders = [
        [x.transpose(0, 1).contiguous().transpose(0, 1) for x in leaves],
        [torch.stack((x, x + 9), -1)[..., 0] for x in leaves],
        [torch.cat((x, x), -1)[..., : x.shape[-1]] for x in leaves],
        [x[:1].expand_as(x) for x in leaves],
    ]
    for order in orders:
        for x in order:
            x.requires_grad_()
        near(results(order, function, "compiled"), results(order, function, "loop"))


@pytest.mark.parametrize("cell", CELLS)
def test_cells_take_memory_in_any_order(cell) -> None:
    plain = problem(cell, 9, torch.float64)
    turned = {
        name: x.detach().mT.contiguous().mT.requires_grad_() if x.dim() > 1 else x
        for name, x in plain.items()
    }
    assert_same(run(cell, turned, None, "compiled"), run(cell, plain, None, "loop"), 1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_leaf_may_be_the_only_one_with_a_gradient(name) -> None:
    leaves, function = inputs_of(name, length=5)
    for index in range(len(leaves)):
        chosen = [x.detach().requires_grad_(i == index) for i, x in enumerate(leaves)]
        near(results(chosen, function, "compiled"), results(chosen, function, "loop"))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", OPERATIONS)
def test_without_gradients(name, mode) -> None:
    leaves, function = inputs_of(name)
    expected = function(*leaves, algorithm="loop")
    with mode():
        near(function(*[x + 0 for x in leaves], algorithm="compiled"), expected)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_batch_of_none(name) -> None:
    leaves, function = inputs_of(name, batch=0, length=3)
    for x in leaves:
        x.requires_grad_()
    near(results(leaves, function, "compiled"), results(leaves, function, "loop"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_of_second_order_are_refused(name) -> None:
    leaves, function = inputs_of(name, length=3)
    for x in leaves:
        x.requires_grad_()
    y = function(*leaves, algorithm="compiled")[0]
    (g,) = torch.autograd.grad(y.abs().square().sum(), leaves[1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.abs().sum().backward()


@pytest.mark.parametrize("name", ["diagonal", "minimal"])
def test_on_the_meta_device_nothing_is_computed(name) -> None:
    leaves, function = inputs_of(name, length=3)
    assert function(*[x.to("meta") for x in leaves], algorithm="compiled")[0].is_meta


@pytest.mark.parametrize("mixer_class", [MinGRU, GRU, Mamba])
def test_an_exported_graph_holds_the_operations_of_another_form(mixer_class) -> None:
    class OutputOnly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = mixer_class(8, mixer_class.Config(algorithm="compiled"))

        def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
            return self.mixer(x_BTD)[0]

    model, x_BTD = OutputOnly(), torch.randn(2, 5, 8)
    with torch.no_grad():
        exported = torch.export.export(model, (x_BTD,), strict=False).module()
        torch.testing.assert_close(exported(x_BTD), model(x_BTD), rtol=1e-5, atol=1e-5)


def in_a_process(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def test_an_import_does_not_bring_numba_in() -> None:
    in_a_process(
        "import sys, seqarena.ops.selective_scan, seqarena.ops.recurrent.gru\n"
        "from seqarena.ops.minimal import minimal_recurrence as m\n"
        "import torch\n"
        "assert m.resolve('auto', 'cpu', torch.float32) == 'compiled'\n"
        "assert 'numba' not in sys.modules and 'llvmlite' not in sys.modules"
    )


ONE_CALL = (
    "import torch\n"
    "from seqarena.ops.kernels import compiling\n"
    "compiling.SILENT_SECONDS = 0.0\n"
    "from seqarena.ops.diagonal import linear_recurrence as f\n"
    "x = torch.ones(1, 2, 3)\n"
    "assert f(x, x, algorithm='compiled')[0, 1, 0] == 2"
)


def test_a_kernel_is_compiled_once_and_it_is_said(tmp_path: Path) -> None:
    first = in_a_process(ONE_CALL, NUMBA_CACHE_DIR=str(tmp_path)).stderr
    assert first.startswith("compiled diagonal.forward in ")
    assert f" s, kept in {tmp_path}" in first
    assert in_a_process(ONE_CALL, NUMBA_CACHE_DIR=str(tmp_path)).stderr == ""


def test_where_nothing_can_be_kept_a_process_compiles_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        said = in_a_process(ONE_CALL, NUMBA_CACHE_DIR=str(tmp_path / "file")).stderr
        assert said.rstrip().endswith("s, for this process: no folder to keep it")


def test_a_change_of_a_kernel_is_another_folder(tmp_path: Path, monkeypatch) -> None:
    """Numba itself would not see a change in a function that a kernel calls."""
    from seqarena.ops.kernels import compiling

    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / "one.py").write_text("a = 1")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(compiling, "__file__", str(folder / "compiling.py"))
    before = compiling.cache_folder.__wrapped__()
    (folder / "one.py").write_text("a = 2")
    after = compiling.cache_folder.__wrapped__()
    assert before is not None
    assert after is not None
    assert before != after


def test_all_threads_flush_denormals() -> None:
    """A state that fades becomes zero in every thread of a process that flushes them."""
    in_a_process(
        "import torch\n"
        "from seqarena.core.runtime import flush_denormals\n"
        "from seqarena.ops.kernels import sharing\n"
        "from seqarena.ops.diagonal import linear_recurrence as f\n"
        "torch.set_num_threads(2)\n"
        "sharing.SMALL = 1\n"
        "if flush_denormals().name == 'flushed':\n"
        "    a = torch.full((2, 500, 8), 0.5)\n"
        "    h = f(a, torch.zeros_like(a), torch.ones(2, 8), algorithm='compiled')\n"
        "    assert (h[:, 100] > 0).all() and (h[:, -1] == 0).all()\n"
        "    assert (h[h > 0] >= torch.finfo(torch.float32).tiny).all()\n"
    )
