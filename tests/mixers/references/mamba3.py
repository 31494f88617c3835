"""Stores what the authors' Mamba-3 layer gives on fixed inputs.

Reference: class `Mamba3` (SISO) of mamba_ssm/modules/mamba3.py with `mamba3_siso_step_ref` of
tests/ops/triton/test_mamba3_siso.py in the place of the kernel for GPUs, both of
github.com/state-spaces/mamba at commit e9594ce1c732, with torch 2.13, einops and triton (which is
imported only). `mamba3_siso_fwd_ref` of the same file has to agree. What needs a GPU to import is
answered by empty modules, the norm by torch's. The code names torch.float32 and .float() where it
wants precision: while it runs, both mean float64. The arrays are written beside this file.

    python mamba3.py PLACE/OF/THE/REPOSITORY
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file

KERNELS = "mamba_ssm.ops.triton"
EMPTY = {
    f"{KERNELS}.layernorm_gated": ("RMSNorm",),
    f"{KERNELS}.mamba3.mamba3_siso_combined": ("mamba3_siso_combined",),
    f"{KERNELS}.mamba3.mamba3_siso_step": ("mamba3_siso_step",),
    f"{KERNELS}.mamba3.mamba3_mimo_rotary_step": ("apply_rotary_qk_inference_fwd",),
}


def load(name: str, place: Path) -> ModuleType:
    """The module in that file, under that name."""
    spec = importlib.util.spec_from_file_location(name, place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published(place: Path) -> tuple[ModuleType, ModuleType]:
    """The layer's module and the tests' module."""
    for name in ("mamba_ssm", "mamba_ssm.ops", KERNELS, f"{KERNELS}.mamba3"):
        sys.modules[name] = ModuleType(name)
    for name, members in EMPTY.items():
        sys.modules[name] = ModuleType(name)
        for member in members:
            setattr(sys.modules[name], member, None)
    layer = load("published_mamba3", place / "mamba_ssm/modules/mamba3.py")
    layer.RMSNormGated = torch.nn.RMSNorm
    return layer, load("published_tests", place / "tests/ops/triton/test_mamba3_siso.py")


def main(place: Path) -> None:
    torch.set_default_dtype(torch.float64)
    torch.float32, torch.Tensor.float = torch.float64, torch.Tensor.double
    module, tests = published(place)
    states = {}

    def siso(chunk_size, return_final_states, cu_seqlens, Input_States, **inputs):
        y, states["final"] = tests.mamba3_siso_step_ref(**inputs, Input_States=Input_States)
        parallel, _ = tests.mamba3_siso_fwd_ref(**inputs, dtype=torch.float64)
        assert float((y - parallel).detach().abs().max()) < 1e-10
        return y

    module.mamba3_siso_combined = siso
    torch.manual_seed(0)
    layer = module.Mamba3(d_model=6, d_state=8, expand=2, headdim=4)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.add_(
                (1.0 if name == "in_proj.weight" else 0.3) * torch.randn(parameter.shape)
            )
    x = torch.randn(2, 23, 6, requires_grad=True)
    y = layer(x)
    weights = torch.randn(y.shape)
    parameters = dict(layer.named_parameters())
    gradients = torch.autograd.grad((y * weights).sum(), [x, *parameters.values()])
    stored = parameters | {"x": x, "weights": weights, "y": y}
    stored |= {f"d_{name}": g for name, g in zip(["x", *parameters], gradients)}
    stored |= dict(zip(("angle", "state", "k", "v"), states["final"]))
    save_file(
        {name: value.detach().contiguous() for name, value in stored.items()},
        Path(__file__).with_suffix(".safetensors"),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
