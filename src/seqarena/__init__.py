"""seqarena: which sequence architecture to use, settled by measurement.

>>> import seqarena
>>> model = seqarena.build("mamba", vocab_size=256, params=1_000_000)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from seqarena.core.version import __version__

__all__ = ["__version__", "build"]

if TYPE_CHECKING:
    from seqarena.models.build import build


def __getattr__(name: str) -> Any:
    """Torch is imported when it is needed, so that the command line starts at once."""
    if name == "build":
        from seqarena.models.build import build

        return build
    raise AttributeError(f"module 'seqarena' has no attribute {name!r}")
