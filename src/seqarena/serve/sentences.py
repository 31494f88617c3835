"""The maps of one typed sentence by the models of a folder, within bounds."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch.overrides import TorchFunctionMode

from seqarena.core.errors import UserError, one_line
from seqarena.core.results.measurement import Map
from seqarena.engine.pages import kind_of, maps_of
from seqarena.engine.trained import NO_CODE, OwnCode, trained_models

LONGEST_TEXT = 200  # bytes: a map has a row for each of its tokens, which are at most so many
_ASK_SECONDS = 0.2


class MappedModel(NamedTuple):
    """One model that maps a typed sentence. Without a checkpoint it has its initial weights."""

    architecture: str
    checkpoint: Path | None


class WorkEnded(Exception):  # noqa: N818 (not an error: a bound was reached)
    """Work on a sentence was ended; the message says why."""


class BoundedWork(TorchFunctionMode):
    """Asks `why_end` between operations of this thread, a few times a second, and raises WorkEnded
    with its answer unless that is None."""

    def __init__(self, why_end: Callable[[], str | None]) -> None:
        super().__init__()
        self._why_end = why_end
        self._asked_at = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if time.monotonic() - self._asked_at > _ASK_SECONDS:
            self._asked_at = time.monotonic()
            if (why := self._why_end()) is not None:
                raise WorkEnded(why)
        return func(*args, **(kwargs or {}))


def what_is_wrong(text: str) -> str | None:
    """Why a sentence cannot be mapped, as words for the page; None: it can."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "The sentence has half a character in it: type it again."
    if not text.strip() or size > LONGEST_TEXT:
        return (
            f"Type a sentence of 1 to {LONGEST_TEXT} bytes: a letter of English takes one, others "
            "up to four."
        )
    return None


def typed_maps(
    folder: Path,
    text: str,
    *,
    code: OwnCode = NO_CODE,
    why_end: Callable[[], str | None] = lambda: None,
) -> dict[str, Any]:
    """The maps of one sentence by the folder's models, and sentences about what has no map.

    `code` is what the models may run of a user's own. When `why_end` answers, the maps that are
    there are returned with its answer. Raises WorkEnded where there are none, and UserError for
    records that cannot be read.
    """
    from seqarena.measure.flow import maps as measuring
    from seqarena.report.measured.explorer import map_data

    if (wrong := what_is_wrong(text)) is not None:
        return {"words": wrong, "maps": []}
    found: list[Map] = []
    remarks: list[str] = []
    calls = [
        (measure, one)
        for one in models_to_map(folder)
        for measure in (measuring.attention_maps, measuring.influence_maps)
    ]
    try:
        with BoundedWork(why_end):
            for measure, one in calls:
                try:
                    found += _measured(measure, one, text, code)
                except UserError as error:
                    remarks.append(f"{str(error).rstrip('.')}.")
    except WorkEnded as ended:
        if not found:
            raise
        remarks.append(f"More maps are missing: {ended}.")
    words = f"{len(found)} maps of “{text}”." if found else "Nothing here can map a sentence."
    return {
        "words": " ".join(dict.fromkeys([words, *remarks])),
        "maps": [map_data(one) for one in found],
    }


def _measured(
    measure: Callable[..., list[Map]], one: MappedModel, text: str, code: OwnCode
) -> list[Map]:
    """Raises UserError with the model's name where it fails for any reason: its checkpoint may be
    damaged, and the other models can still answer."""
    try:
        if one.checkpoint is None:
            return measure(one.architecture, text=text, variant="initial weights")
        code.allow(one.checkpoint)
        return measure(one.architecture, text=text, checkpoint=str(one.checkpoint))
    except (UserError, WorkEnded):
        raise
    except Exception as error:
        raise UserError(f"{one.architecture} cannot map it: {one_line(error)}") from error


def models_to_map(folder: Path) -> list[MappedModel]:
    """The trained models of a comparison.

    Without a comparison, the architectures of the folder's maps, with the checkpoints that exist.
    """
    if kind_of(folder) == "comparison":
        return [MappedModel(name, place) for name, place in trained_models(folder).items()]
    found = []
    for one in maps_of(folder):
        weights = str(one.settings.get("weights") or "initial")
        place = Path(weights) if weights != "initial" and Path(weights).exists() else None
        found.append(MappedModel(one.architecture, place))
    return list(dict.fromkeys(found))
