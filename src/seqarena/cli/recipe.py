"""`seqarena recipe FILE.toml`: a published setting, run and held against what was published.

verb = "train"                      # or "compare"
about = "what it reproduces"
[options]                           # as on the command line, without the dashes
data = "$SEQARENA_DATA/..."
[expect.ARCHITECTURE]               # a metric or slice of the test split
nats_per_token = { at_most = 1.90, published = 1.88 }
accuracy = { above = "gru" }        # greater than another architecture's
"""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqarena.cli import compare, single
from seqarena.core.errors import UserError

if TYPE_CHECKING:
    from seqarena.core.records import RunView


def recipe(
    file: Annotated[Path, typer.Argument(help="A recipe, for instance recipes/mqar.toml.")],
) -> None:
    """Run a published setting and say whether the published figure is reached.

    Exit code 1 means that it ran and missed. Data are found through SEQARENA_DATA.
    """
    if not file.is_file():
        raise UserError(f"recipe {str(file)!r} does not exist")
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: {error}") from error
    verbs = {"train": single.train, "compare": compare.compare}
    if found.get("verb") not in verbs:
        raise UserError(f"{file}: verb must be train or compare, not {found.get('verb')!r}")
    chosen = {key.replace("-", "_"): _expand(v) for key, v in found.get("options", {}).items()}
    chosen.setdefault("name", f"recipe-{file.stem}")
    print(found.get("about", file.stem).strip())
    verbs[found["verb"]](**chosen)
    folder = Path(chosen.get("runs", "runs")) / chosen["name"]
    outcomes = [_holds(folder, name, wanted) for name, wanted in found.get("expect", {}).items()]
    if not all(outcomes):
        raise typer.Exit(1)


def _holds(folder: Path, architecture: str, wanted: dict[str, Any]) -> bool:
    """Prints each expectation beside what was measured: the mean over seeds at the chosen rate."""
    from seqarena.arena.folder import RunFolder
    from seqarena.arena.view import read_run

    view = read_run(RunFolder(folder))
    holds = True
    for name, bounds in wanted.items():
        mean = _mean(view, architecture, name)
        if mean is None:
            print(f"{architecture}: not measured")
            return False
        good = mean <= bounds.get("at_most", mean) and mean >= bounds.get("at_least", mean)
        if "above" in bounds:
            other = _mean(view, bounds["above"], name)
            good = good and other is not None and mean > other
        holds = holds and good
        limits = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in bounds.items())
        print(f"{architecture} {name}: {mean:.4f} ({limits}): {'holds' if good else 'MISSED'}")
    return holds


def _mean(view: "RunView", architecture: str, name: str) -> float | None:
    """Of the metric or a slice over the seeds at the chosen rate; None: not measured."""
    rows = view.ranking.rows if view.ranking else ()
    row = next((r for r in rows if r.architecture == architecture), None)
    if row is None:
        return None
    values = [
        t.test_value if name == view.metric else t.test_slices.get(name)
        for t in view.trials
        if t.architecture == architecture
        and t.learning_rate == row.learning_rate
        and t.role != "repeat"
        and t.test_value is not None
    ]
    known = [value for value in values if value is not None]
    if not known:
        raise UserError(f"recipe expects {name!r}, which {architecture} has not")
    return sum(known) / len(known)


def _expand(value: Any) -> Any:
    """$VARIABLES in texts. SEQARENA_DATA has the developers' default."""
    if not isinstance(value, str):
        return value
    os.environ.setdefault("SEQARENA_DATA", "../shared/data")
    return os.path.expandvars(value)
