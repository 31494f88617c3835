"""Who multiplies float32 matrices: oneDNN only where it is as exact as the BLAS and faster."""

from typing import Any

import pytest
import torch

from seqarena.core import products
from seqarena.core.batch import random_batch
from seqarena.core.errors import UserError
from seqarena.core.products import library, multiplying, resolve_products, small_products
from seqarena.measure.subject import problem_for
from seqarena.models.build import build
from seqarena.models.catalog import CATALOG
from seqarena.ops import recurrent
from seqarena.ops.attention import attention
from seqarena.tasks.transcript_loss import criterion_of

LARGE, FEW = (512, 384, 384), (8, 300, 64)  # rows, inputs, outputs


def operands(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    rows, inputs, outputs = shape
    x = torch.randn(rows, inputs, generator=generator)
    return x, torch.randn(inputs, outputs, generator=generator)


@pytest.fixture
def onednn() -> None:
    if not products.is_exact("onednn"):
        pytest.skip("oneDNN would round here, or is not there")
    x, weight = operands(FEW)
    with multiplying("onednn"):
        if torch.equal(x @ weight, operands_by_blas()):
            pytest.skip("both libraries round alike here: they cannot be told apart")


def operands_by_blas() -> torch.Tensor:
    x, weight = operands(FEW)
    with multiplying("blas"):
        return x @ weight


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("shape", [LARGE, (96, 65, 700), (2048, 128, 33), (40, 1500, 96)])
def test_products_have_the_error_of_float32_and_repeat_bit_for_bit(
    shape: tuple[int, int, int],
) -> None:
    x, weight = operands(shape)
    gradient = torch.randn(shape[0], shape[2], generator=torch.Generator().manual_seed(2))
    for left, right in ((x, weight), (gradient, weight.t()), (x.t(), gradient)):
        truth = left.double() @ right.double()
        error: dict[str, float] = {}
        for name in ("blas", "onednn"):
            with multiplying(name):
                found = left @ right
                assert torch.equal(found, left @ right)
            error[name] = float((found - truth).norm() / truth.norm())
        assert error["onednn"] <= products.MOST_ERROR * error["blas"]


@pytest.mark.usefixtures("onednn")
def test_few_numbers_go_to_the_blas() -> None:
    x, weight = operands(FEW)
    with multiplying("onednn"):
        assert not torch.equal(x @ weight, operands_by_blas())
        with small_products(len(x) * weight.numel()):
            with small_products(1):
                pass
            assert torch.equal(x @ weight, operands_by_blas())
        with small_products(products.SMALL):
            assert not torch.equal(x @ weight, operands_by_blas())
        out = torch.zeros(len(x), weight.shape[1])
        recurrent.add_product(out, x, weight)
        assert torch.equal(out, operands_by_blas())
        with pytest.raises(ZeroDivisionError), small_products(1):
            raise ZeroDivisionError
        assert library() == "onednn"
    assert library() == "blas"


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("options", ["causal", "lengths", "starts", "slopes", "bias"])
@pytest.mark.parametrize("length", [40, 300])
def test_attention_over_small_tiles_is_that_of_the_blas(length: int, options: str) -> None:
    generator = torch.Generator().manual_seed(length)
    inputs = [torch.randn(2, 3, length, 8, generator=generator) for _ in range(4)]
    q, k, v, weighting = (x.requires_grad_() for x in inputs)
    extra: dict[str, Any] = {
        "causal": {},
        "lengths": {"causal": False, "lengths_B": torch.tensor([length, length - 9])},
        "starts": {"starts_B": torch.tensor([0, -3])},
        "slopes": {"slopes_H": torch.tensor([0.5, 0.25, 0.0])},
        "bias": {"bias_BHC": torch.randn(2, 3, length, generator=generator)},
    }[options]
    found = []
    for name in ("blas", "onednn"):
        with multiplying(name):
            y = attention(q, k, v, "fused", **extra)
            found.append([y, *torch.autograd.grad(y, (q, k, v), weighting)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        assert options != "causal" or torch.equal(ours, theirs)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("name", CATALOG)
def test_every_architecture_has_the_same_loss_by_either(name: str) -> None:
    """In float32, as a comparison trains it."""
    problem = problem_for(CATALOG[name], 16, 32)
    model = build(name, problem=problem, width=32, seed=0).train()
    length = problem.max_length if problem.image else 32  # a picture is whole
    batch = random_batch(problem, 4, length=length, seed=0)
    losses = []
    for library_name in ("blas", "onednn"):
        torch.manual_seed(0)
        with multiplying(library_name):
            loss = model.loss(batch, criterion_of(problem))
            loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_no_choice_of_onednn_where_it_would_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    found = resolve_products("auto", "cpu")
    assert found.name == "blas"
    assert "AMX" in found.reason
    with pytest.raises(UserError, match=r"AMX.*use auto or blas"):
        resolve_products("onednn", "cpu")
    assert not products.is_exact("onednn")


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize(
    ("factor", "name"), [(3.9, "onednn"), (4.1, "blas"), (float("nan"), "blas")]
)
def test_a_larger_error_bars_it(factor: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"blas": 1e-7, "onednn": factor * 1e-7}
    monkeypatch.setattr(products, "_error", lambda shape, name: errors[name])
    monkeypatch.setattr(products, "_times_faster", lambda: 2.0)
    assert resolve_products("auto", "cpu").name == name


@pytest.mark.usefixtures("onednn")
def test_it_has_to_be_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_times_faster", lambda: 1.1)
    assert resolve_products("auto", "cpu") == (
        "blas",
        "oneDNN is 1.1 times as fast here: too little",
    )
    assert resolve_products("onednn", "cpu") == ("onednn", "asked for")


def test_what_is_asked_for() -> None:
    assert resolve_products("blas", "cpu") == ("blas", "asked for")
    assert resolve_products("auto", "cuda").name == "blas"
    with pytest.raises(UserError, match="auto, blas or onednn"):
        resolve_products("mkl", "cpu")
