"""The page of a folder, whatever it holds: a comparison, a forecast, the ledger of claims, or
measurements."""

import hashlib
import math
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.core.results.live import LiveModel
from seqarena.core.results.measurement import Map, Measurement, latest, read_measurements
from seqarena.core.results.quantities import COSTS
from seqarena.core.results.records import RunView

_RECORDS = (
    "plan.json",
    "task.json",
    "forecast.json",
    "verification.json",
    "measurements.jsonl",
    "trials/*/records.jsonl",
    "parts/*",
)


LIVE_MEGABYTES = 2.0  # of models that run in a page
_LIVE_MODELS = 2  # of different families
_LIVE_TRIES = 4  # architectures that are asked whether they run


def page_of(
    folder: Path,
    *,
    served: bool = False,
    live_megabytes: float = LIVE_MEGABYTES,
    course: str = "",
) -> str:
    """The page, from the current records. `live_megabytes`: at most so many of them are models that
    run in the page; 0 leaves these out. `course`: the address of the course's lessons, for a page
    of claims or measurements that lies beside them. Raises UserError for a folder without any
    records."""
    from seqarena.measure.complexity import catalog_rows
    from seqarena.report.claims.page import render_ledger
    from seqarena.report.measured.page import render_measurements
    from seqarena.report.run.page import render_html

    kind, measurements = kind_of(folder), measurements_of(folder)
    if kind == "forecast":
        from seqarena.forecast.store import read_forecast
        from seqarena.report.forecast.page import render_forecast

        return render_forecast(read_forecast(folder), served=served)
    if kind == "comparison":
        from seqarena.arena.folder import RunFolder
        from seqarena.arena.view import read_run

        view = read_run(RunFolder(folder))
        live = live_models(folder, view, live_megabytes)
        return render_html(view, measurements, served=served, live=live)
    if kind == "ledger":
        return render_ledger(_ledger(folder), catalog_rows(), served=served, course=course)
    return render_measurements(
        folder.resolve().name, measurements, catalog_rows(), served=served, course=course
    )


def live_models(folder: Path, view: RunView, megabytes: float) -> list[LiveModel]:
    """The best language model, or why it cannot run in a page; and the best of another family, as
    far as it fits. None of any other task. Raises UserError for no finite number of megabytes."""
    from seqarena.engine.trained import trained_models
    from seqarena.use.in_page import live_model

    if not 0 <= megabytes < math.inf:
        raise UserError(f"live megabytes {megabytes:g}: give a finite number, 0 or more")
    if not megabytes or view.ranking is None or view.plan["task"]["kind"] != "language":
        return []
    found: list[LiveModel] = []
    families: set[str] = set()
    room = int(megabytes * 1e6)
    for name, checkpoint in list(trained_models(folder, view).items())[:_LIVE_TRIES]:
        family = str(view.catalog.get(name, {}).get("family", name))
        if family in families or len(families) == _LIVE_MODELS:
            continue
        one = live_model(checkpoint, name, room)
        if one.data:
            families.add(family)
            room -= len(one.data)
        if one.data or not found:
            found.append(one)
    return found


def write_page(folder: Path, *, live_megabytes: float = LIVE_MEGABYTES) -> Path:
    """Writes the folder's page into the folder and returns its path."""
    from seqarena.arena.folder import RunFolder
    from seqarena.jobs.files import write_atomically

    place = RunFolder(folder).report_path
    write_atomically(place, page_of(folder, live_megabytes=live_megabytes))
    return place


def kind_of(folder: Path) -> str:
    """ "comparison", "forecast", "ledger" or "measurements". Raises UserError for anything else."""
    for name, kind in (
        ("forecast.json", "forecast"),
        ("plan.json", "comparison"),
        ("parts", "ledger"),
        ("measurements.jsonl", "measurements"),
    ):
        if (folder / name).exists():
            return kind
    raise UserError(
        f"{folder} is not a run folder: it has no plan.json, no forecast.json, no parts and no "
        "measurements.jsonl"
    )


def measurements_of(folder: Path) -> list[Measurement]:
    """What `seqarena measure` has put into the folder, each curve and map as it is now. The costs
    of a comparison are in the same file; its page draws them by themselves."""
    found = latest(read_measurements(folder / "measurements.jsonl"))
    return [one for one in found if one.measurement != COSTS]


def maps_of(folder: Path) -> list[Map]:
    """Every map of the folder: of its measurements, or of its claims."""
    found: list[Measurement] = list(measurements_of(folder))
    if kind_of(folder) == "ledger":
        found += [one for claim in _ledger(folder).claims for one in claim.maps]
    return [one for one in latest(found) if isinstance(one, Map)]


def digest_of(folder: Path) -> str:
    """Changes when a record of the folder does."""
    found = hashlib.sha256()
    for pattern in _RECORDS:
        for path in sorted(folder.glob(pattern)):
            facts = path.stat()
            found.update(f"{path}{facts.st_mtime_ns}{facts.st_size}".encode())
    return found.hexdigest()[:16]


def _ledger(folder: Path) -> Any:
    from seqarena.claims.read import read_ledger

    return read_ledger(folder, "full" if folder.resolve().name.endswith("full") else "quick")
