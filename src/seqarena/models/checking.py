"""The mixers that a name means, ready for the contract suite (`mixers/contract.py`)."""

import torch

from seqarena.core.config import parse_options
from seqarena.core.errors import UserError
from seqarena.core.user_code import allow
from seqarena.mixers.checked import CheckedMixer, subject
from seqarena.models.catalog import architecture
from seqarena.models.stacks.stack import load_mixer

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


def mixers_to_check(
    name: str, *, device: str = "cpu", dtype: str = "float64"
) -> list[CheckedMixer]:
    """Each different layer of a stack of the catalog, or the class `file.py:Class` names.

    Raises UserError for an unknown name, a system that is no stack of mixers, another dtype, and a
    device that is not there.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r}: use one of {', '.join(DTYPES)}")
    own = ":" in name
    if own:
        allow(name)
    layers = [(name, {})] if own else list(architecture(name).cycle)
    if not layers:
        raise UserError(
            f"{name} is a system of its own, not a stack of mixers: the contract is for mixers"
        )
    found: list[CheckedMixer] = []
    for place, options in layers:
        mixer_class = load_mixer(place)
        config = parse_options(mixer_class.__name__, mixer_class.Config, options)
        mixer = subject(mixer_class, config, device=device, dtype=DTYPES[dtype])
        if mixer not in found:
            found.append(mixer)
    return found
