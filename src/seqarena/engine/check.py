"""`check`: the whole contract suite on one mixer, a user's own or one of the catalog."""

from collections.abc import Iterator
from typing import NamedTuple

from seqarena.mixers.contract import run_checks
from seqarena.models.checking import mixers_to_check


class MixerCheck(NamedTuple):
    """One check of one layer of what was named; `failure` None: it holds."""

    mixer: str  # what is checked, and where
    algorithms: tuple[str, ...]
    name: str
    failure: str | None
    seconds: float


def check(mixer: str, *, device: str = "cpu", dtype: str = "float64") -> Iterator[MixerCheck]:
    """Runs every check on every different layer of `my_file.py:MyMixer` or a catalog name.

    Raises UserError for a mixer, a device or a dtype that is not there.
    """
    for layer in mixers_to_check(mixer, device=device, dtype=dtype):
        label = f"{mixer}: {layer.mixer_class.__name__} on {device} in {dtype}"
        algorithms = tuple(layer.algorithms())
        for result in run_checks(layer):
            yield MixerCheck(label, algorithms, result.name, result.failure, result.seconds)
