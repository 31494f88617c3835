"""`check`: the whole contract suite on one mixer, a user's own or one of the catalog."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from seqarena.mixers.base import Mixer, MixerConfig
from seqarena.mixers.contract import CHECKS, ContractError, subject
from seqarena.models.catalog import architecture
from seqarena.models.stack import load_mixer


class CheckResult(NamedTuple):
    """One check of one layer; `error` None: it holds."""

    mixer: str
    check: str
    seconds: float
    error: str | None

    @property
    def ok(self) -> bool:
        return self.error is None


def check(mixer: str) -> Iterator[CheckResult]:
    """Runs every check on every different layer of `my_file.py:MyMixer` or a catalog name.

    Raises UserError for a mixer that cannot be found.
    """
    for name, mixer_class, config in layers(mixer):
        under_test = subject(mixer_class, config)
        for check_name, run_check in CHECKS.items():
            start = time.perf_counter()
            try:
                run_check(under_test)
                error = None
            except ContractError as broken:
                error = str(broken)
            except Exception as raised:  # the mixer's own: it is what is being checked
                error = f"{type(raised).__name__}: {raised}"
            label = f"{name}: {mixer_class.__name__}"
            yield CheckResult(label, check_name, time.perf_counter() - start, error)


def layers(mixer: str) -> list[tuple[str, type[Mixer], MixerConfig]]:
    """(name, class, configuration) of each different layer that the argument names."""
    if ":" in mixer:
        mixer_class = load_mixer(mixer)
        return [(mixer, mixer_class, mixer_class.Config())]
    cycle = architecture(mixer).cycle
    classes = [(load_mixer(place), options) for place, options in cycle]
    return [(mixer, found, found.Config(**options)) for found, options in classes]
