"""Any model: a stack of mixers or a whole system, from its configuration."""

from typing import Any

import torch
from pydantic import TypeAdapter

from seqarena.mixers.base import Mixer
from seqarena.models.model import Model, SystemConfig, build_system
from seqarena.models.stacks.language_model import ModelConfig, build_stack_model
from seqarena.ops.measured import WithPackage
from seqarena.ops.registry import AUTO

AnyConfig = ModelConfig | SystemConfig
_CONFIG: TypeAdapter[Any] = TypeAdapter(AnyConfig)


def parse_config(fields: dict[str, Any]) -> AnyConfig:
    """The configuration that a checkpoint stored."""
    return _CONFIG.validate_python(fields)


def build_model(config: AnyConfig) -> Model:
    """The model, freshly initialised."""
    if isinstance(config, SystemConfig):
        return build_system(config)
    return build_stack_model(config)


def algorithms_on(
    config: AnyConfig, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> tuple[str, ...]:
    """What each layer will run by once the model's parameters are on `device` in `dtype`, without
    allocating it. Raises UserError where an algorithm that was asked for cannot run there."""
    with torch.device("meta"):
        model = build_model(config)
    for module in model.modules():
        if isinstance(module, Mixer):
            module.resolve(device, dtype)
    return model.algorithms


def missing_packages(
    config: AnyConfig, device: str | torch.device, dtype: torch.dtype = torch.float32
) -> list[WithPackage]:
    """What packages that are not installed would make faster there, of the layers whose algorithm
    is `auto`."""
    with torch.device("meta"):
        model = build_model(config)
    mixers = [module for module in model.modules() if isinstance(module, Mixer)]
    found = (
        mixer.operation_of(mixer.config).missing_package(device, dtype)
        for mixer in mixers
        if mixer.config.algorithm == AUTO
    )
    return [faster for faster in found if faster is not None]


def count_parameters(config: AnyConfig) -> int:
    """Trainable parameters of the model, without allocating it."""
    with torch.device("meta"):
        return build_model(config).num_parameters
