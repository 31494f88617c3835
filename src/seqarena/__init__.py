"""seqarena: which sequence architecture to use, settled by measurement.

>>> import seqarena as sa
>>> run = sa.compare("my_text.txt", models=["gru", "mamba"], params="100k")  # doctest: +SKIP
>>> model = sa.build("mamba", vocab_size=256, params=1_000_000)  # doctest: +SKIP

`seqarena.api` says what there is. Torch is imported when the first of these is asked for.
"""

from typing import TYPE_CHECKING, Any

from seqarena.core.version import __version__

__all__ = [
    "CATALOG", "Mixer", "MixerConfig", "Problem", "Run", "TrainedModel", "UserError", "__version__",
    "build", "check", "claims", "compare", "evaluate", "generate", "load", "measure", "models",
    "open_run", "predict", "recipe", "report", "tasks", "train",
]  # fmt: skip

if TYPE_CHECKING:
    from seqarena.api import (
        CATALOG as CATALOG,
    )
    from seqarena.api import (
        Mixer as Mixer,
    )
    from seqarena.api import (
        MixerConfig as MixerConfig,
    )
    from seqarena.api import (
        Problem as Problem,
    )
    from seqarena.api import (
        Run as Run,
    )
    from seqarena.api import (
        TrainedModel as TrainedModel,
    )
    from seqarena.api import (
        UserError as UserError,
    )
    from seqarena.api import (
        build as build,
    )
    from seqarena.api import (
        check as check,
    )
    from seqarena.api import (
        claims as claims,
    )
    from seqarena.api import (
        compare as compare,
    )
    from seqarena.api import (
        evaluate as evaluate,
    )
    from seqarena.api import (
        generate as generate,
    )
    from seqarena.api import (
        load as load,
    )
    from seqarena.api import (
        measure as measure,
    )
    from seqarena.api import (
        models as models,
    )
    from seqarena.api import (
        open_run as open_run,
    )
    from seqarena.api import (
        predict as predict,
    )
    from seqarena.api import (
        recipe as recipe,
    )
    from seqarena.api import (
        report as report,
    )
    from seqarena.api import (
        tasks as tasks,
    )
    from seqarena.api import (
        train as train,
    )


def __getattr__(name: str) -> Any:
    """The front door is opened when it is asked for, so that importing seqarena costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'seqarena' has no attribute {name!r}")
    from seqarena import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
