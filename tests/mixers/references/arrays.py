"""What a published reference gave on fixed inputs and weights: stored by the scripts beside this
file, which run where the reference is installed, and compared with a mixer in the tests.

    x, y, w              inputs, outputs, and the weights of the sum whose gradients are stored
    parameter NAME       the mixer's parameter of that name, as the reference had it
    gradient NAME        its gradient; that of the inputs is `gradient x`

All are float64.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def store(
    script: str,
    x_BTD: Tensor,
    w_BTD: Tensor,
    y_BTD: Tensor,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> None:
    """Writes NAME.safetensors beside the script NAME.py."""
    found = {"x": x_BTD, "w": w_BTD, "y": y_BTD}
    found |= {f"parameter {name}": value for name, value in parameters.items()}
    found |= {f"gradient {name}": value for name, value in gradients.items()}
    kept = {name: value.detach().double().contiguous().clone() for name, value in found.items()}
    file = Path(script).with_suffix(".safetensors")
    save_file(kept, file)
    file.chmod(0o644)


def differences(mixer: nn.Module, name: str) -> tuple[float, float]:
    """The largest difference of outputs and of gradients, each as a share of the largest number
    of its tensor (of one, where all are smaller). Loads the stored parameters into the mixer."""
    stored = load_file(Path(__file__).with_name(f"{name}.safetensors"))
    mixer.load_state_dict(
        {
            key.removeprefix("parameter "): value
            for key, value in stored.items()
            if key.startswith("parameter ")
        }
    )
    x_BTD = stored["x"].requires_grad_()
    y_BTD = mixer(x_BTD)[0]
    wanted = {"x": x_BTD, **dict(mixer.named_parameters())}
    found = torch.autograd.grad((y_BTD * stored["w"]).sum(), list(wanted.values()))
    gradients = [_difference(g, stored[f"gradient {key}"]) for key, g in zip(wanted, found)]
    return _difference(y_BTD.detach(), stored["y"]), max(gradients)


def _difference(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))
