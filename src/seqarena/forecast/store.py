"""The files of a forecast: what it says, predictions under their hash, and how they were scored."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.core.results.forecasts import Forecast, ForecastView, Predictions, Verification
from seqarena.core.results.lines import read_signed
from seqarena.core.runtime import now
from seqarena.jobs.files import write_atomically, write_signed

_CURE = "delete it and give the command of this forecast again, which keeps what is trained"


class StoredForecast(Config):
    """forecast.json: the forecast and the command that makes it."""

    command: str
    choices: tuple[str, ...] = ()
    forecast: Forecast


class StoredPredictions(NamedTuple):
    """A file of predictions and the SHA-256 of its bytes."""

    predictions: Predictions
    sha256: str
    path: Path


def write_forecast(path: Path, found: Forecast, *, command: str, choices: list[str]) -> None:
    """Writes forecast.json. A verification of other predictions stays and is no longer shown."""
    stored = StoredForecast(command=command, choices=tuple(choices), forecast=found)
    write_signed(path / "forecast.json", stored.model_dump_json(indent=1))


def write_predictions(path: Path, found: Forecast) -> StoredPredictions:
    """Writes what will be scored under the hash of its text. The same predictions keep the file
    and the time of their first writing."""
    for old in stored_predictions(path):
        if _without_time(old.predictions) == _without_time(predictions_of(found, "")):
            return old
    made = predictions_of(found, now())
    text = made.model_dump_json(indent=1) + "\n"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    place = path / "predictions" / f"{sha256}.json"
    write_atomically(place, text)
    return StoredPredictions(made, sha256, place)


def predictions_of(found: Forecast, written_at: str) -> Predictions:
    """What of a forecast is scored."""
    return Predictions(
        written_at=written_at,
        data=found.ladder.data,
        metric=found.ladder.metric,
        lower_is_better=found.ladder.lower_is_better,
        target=found.target,
        method=found.method,
        threshold=found.threshold,
        pairs=tuple(pair.model_copy(update={"path": (), "measured": ()}) for pair in found.pairs),
    )


def stored_predictions(path: Path) -> list[StoredPredictions]:
    """Every file of predictions, the newest last.

    Raises UserError for one whose bytes do not have the hash that names it.
    """
    found = []
    for place in sorted((path / "predictions").glob("*.json")):
        content = place.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != place.stem:
            raise UserError(
                f"{place} was changed after it was written: its SHA-256 is {sha256[:12]}..., its "
                "name says another; predictions that were changed are none"
            )
        found.append(StoredPredictions(Predictions.model_validate_json(content), sha256, place))
    return sorted(found, key=lambda one: one.predictions.written_at)


def write_verification(path: Path, verification: Verification) -> None:
    """Writes verification.json."""
    write_signed(path / "verification.json", verification.model_dump_json(indent=1))


def read_forecast(path: Path) -> ForecastView:
    """Everything that the page draws. Raises UserError where the folder has no forecast."""
    if not (path / "forecast.json").exists():
        raise UserError(f"{path} holds no forecast: it has no forecast.json")
    try:
        stored = StoredForecast.model_validate_json(read_signed(path / "forecast.json", _CURE))
    except ValidationError as error:
        raise UserError(
            f"{path / 'forecast.json'} was not written by this version of seqarena: "
            f"{error.errors()[0]['msg']}"
        ) from error
    same = _without_time(predictions_of(stored.forecast, ""))
    kept = [one for one in stored_predictions(path) if _without_time(one.predictions) == same]
    view = ForecastView(
        name=path.resolve().name,
        command=stored.command,
        choices=stored.choices,
        forecast=stored.forecast,
    )
    if not kept:
        return view
    return view.model_copy(
        update={
            "sha256": kept[-1].sha256,
            "written_at": kept[-1].predictions.written_at,
            "verification": _verification(path, kept[-1].sha256),
        }
    )


def _verification(path: Path, sha256: str) -> Verification | None:
    place = path / "verification.json"
    if not place.exists():
        return None
    found = Verification.model_validate_json(read_signed(place, _CURE))
    return found if found.sha256 == sha256 else None


def _without_time(predictions: Predictions) -> object:
    return json.loads(predictions.model_copy(update={"written_at": ""}).model_dump_json())
