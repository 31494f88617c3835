"""seqarena: which sequence architecture to use, settled by measurement.

>>> import seqarena as sa
>>> run = sa.compare("my_text.txt", models=["gru", "mamba"], params="100k")  # doctest: +SKIP
>>> model = sa.build("mamba", vocab_size=256, params=1_000_000)  # doctest: +SKIP

`seqarena.api` says what there is. Torch is imported when the first of these is asked for.
"""

from typing import TYPE_CHECKING, Any

from seqarena.core.version import __version__

__all__ = [
    "CATALOG", "Mixer", "MixerConfig", "Problem", "Run", "Session", "TrainedModel", "UserError",
    "__version__", "build", "check", "claims", "compare", "embed", "evaluate", "export",
    "forecast", "forecast_from", "generate", "load", "load_published", "measure", "models",
    "open_run", "predict", "recipe", "report", "save_published", "serve", "tasks", "train",
]  # fmt: skip

if TYPE_CHECKING:
    from seqarena.api import (
        CATALOG,
        Mixer,
        MixerConfig,
        Problem,
        Run,
        Session,
        TrainedModel,
        UserError,
        build,
        check,
        claims,
        compare,
        embed,
        evaluate,
        export,
        forecast,
        forecast_from,
        generate,
        load,
        load_published,
        measure,
        models,
        open_run,
        predict,
        recipe,
        report,
        save_published,
        serve,
        tasks,
        train,
    )


def __getattr__(name: str) -> Any:
    """The front door is opened when it is asked for, so that importing seqarena costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'seqarena' has no attribute {name!r}")
    from seqarena import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
