"""What `seqarena measure` is asked to measure: names of the catalog, a user's mixers, or a run."""

from pathlib import Path

from seqarena.cli import options
from seqarena.core.errors import UserError
from seqarena.measure.calls import Target


def targets(
    models: str | None, mixers: list[str], run: Path | None, model: str | None, default: str
) -> list[Target]:
    """What is named: of the catalog and a user's own, or trained in a run.

    Raises UserError for an unknown name, or for names beside a run.
    """
    if run is not None:
        if models or mixers:
            raise UserError("--run measures what it trained: choose one of it with --model NAME")
        return _trained(run, model)
    if model:
        raise UserError("--model chooses from a --run: name architectures with --models")
    from seqarena.models.stack import load_mixer

    rows = options.architectures(models or (None if mixers else default), mixers)
    named = len(rows) - len(mixers)
    asked = [row.name for row in rows[:named]] + list(mixers)
    found = [Target(row.name, given) for row, given in zip(rows, asked, strict=True)]
    for twice in {t.name for t in found if [o.name for o in found].count(t.name) > 1}:
        raise UserError(f"{twice!r} is named twice: give a mixer another name, LABEL=FILE.py:Class")
    for mixer in mixers:
        load_mixer(mixer.rpartition("=")[2])  # a missing file or class is told before anything runs
    return found


def _trained(run: Path, model: str | None) -> list[Target]:
    from seqarena.cli.single import find_checkpoint, trained_models
    from seqarena.train.checkpoint import load

    everything = model is None and (run / "plan.json").exists()
    places = list(trained_models(run).values()) if everything else []
    places = places or [find_checkpoint(run, model)]
    architectures = [load(place).about["architecture"] for place in places]
    return [Target(name, name, p) for name, p in zip(architectures, places, strict=True)]
