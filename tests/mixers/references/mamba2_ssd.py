"""Stores what the listing of Dao and Gu 2024 gives on fixed inputs.

Reference: `ssd_minimal_discrete` of mamba_ssm/modules/ssd_minimal.py (the paper's listing 1) in
github.com/state-spaces/mamba at commit e9594ce1c732, with torch 2.13 and einops. The file alone is
loaded: its import of a kernel for GPUs, which the function does not use, is answered by an empty
module. The arrays are written beside this file.

    python mamba2_ssd.py PLACE/OF/ssd_minimal.py
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file


def listing(place: str) -> ModuleType:
    """The module at that place."""
    kernel = ModuleType("mamba_ssm.ops.triton.ssd_combined")
    kernel.mamba_chunk_scan_combined = None
    for name in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.triton"):
        sys.modules[name] = ModuleType(name)
    sys.modules[kernel.__name__] = kernel
    spec = importlib.util.spec_from_file_location("ssd_minimal", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(place: str) -> None:
    torch.manual_seed(0)
    batch, length, heads, states, channels = 2, 24, 3, 5, 4

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    inputs = {
        "x": normal(batch, length, heads, channels),
        "step": torch.nn.functional.softplus(normal(batch, length, heads)),
        "a": -torch.exp(normal(heads)),
        "b": normal(batch, length, states),
        "c": normal(batch, length, states),
        "start": normal(batch, heads, channels, states),
    }
    for tensor in inputs.values():
        tensor.requires_grad_()
    b_heads, c_heads = (inputs[name][:, :, None].expand(-1, -1, heads, -1) for name in ("b", "c"))
    y, state = listing(place).ssd_minimal_discrete(
        inputs["x"] * inputs["step"][..., None],
        inputs["a"] * inputs["step"],
        b_heads,
        c_heads,
        block_len=8,
        initial_states=inputs["start"][:, None],
    )
    weights = {"weights": torch.randn_like(y), "state_weights": torch.randn_like(state)}
    total = (y * weights["weights"]).sum() + (state * weights["state_weights"]).sum()
    gradients = torch.autograd.grad(total, list(inputs.values()))
    stored = inputs | weights | {"y": y, "state": state}
    stored |= {f"d_{name}": gradient for name, gradient in zip(inputs, gradients)}
    place_of_this = Path(__file__).with_suffix(".safetensors")
    save_file({name: x.detach().contiguous() for name, x in stored.items()}, place_of_this)


if __name__ == "__main__":
    main(sys.argv[1])
