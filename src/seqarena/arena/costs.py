"""The measuring phase: the costs of one architecture after another, each once per plan."""

from collections.abc import Iterator

from seqarena.arena.folder import RunFolder
from seqarena.arena.plan import Entry, Plan, model_places
from seqarena.core.batch import Problem
from seqarena.core.results.measurement import Series
from seqarena.core.runtime import available_cores
from seqarena.jobs.files import append_lines
from seqarena.jobs.job import TimingMachine, job_key
from seqarena.measure.costs.costs import measure_costs


def missing_costs(plan: Plan, folder: RunFolder) -> list[Entry]:
    """Entries whose costs have not been measured yet with this model and code."""
    have = {series.settings.get("key") for series in folder.costs()}
    return [entry for entry in plan.entries if _key(plan, entry) not in have]


def measure_missing(
    plan: Plan, folder: RunFolder, problem: Problem, sequence_length: int
) -> Iterator[tuple[Entry, list[Series]]]:
    """Measures and records one entry after the other, on all cores."""
    for entry in missing_costs(plan, folder):
        found = measure_costs(
            entry.architecture,
            entry.model,
            problem,
            batch_size=plan.training.batch_size,
            sequence_length=sequence_length,
            device=plan.device,
            dtype=plan.dtype,
            threads=available_cores(),
            optimizer=plan.training.optimizer,
        )
        key = {"key": _key(plan, entry)}
        keyed = [one.model_copy(update={"settings": one.settings | key}) for one in found]
        append_lines(folder.measurements_path, [series.model_dump_json() for series in keyed])
        yield entry, keyed


def _key(plan: Plan, entry: Entry) -> str:
    """What a cost depends on: model, batch, sources, and the machine, because costs are timings."""
    arguments = {
        "model": entry.model.model_dump(mode="json"),
        "batch_size": plan.training.batch_size,
        "dtype": plan.dtype,
        "device": plan.device,
    }
    return job_key(
        "seqarena.measure.costs.costs:measure_costs",
        arguments,
        model_places(entry.model),
        timing=TimingMachine(available_cores(), plan.device),
    )
