"""What measuring finds: curves and maps, one record a line of `measurements.jsonl`.

A number is stored as it was found, each repeat by itself; exponents, reaches and verdicts are
computed from the records when they are read (core/results/estimates.py, claims), never stored
with them, so that a changed record changes everything that is said of it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from seqarena.core.config import Config
from seqarena.core.results.lines import append_lines, read_lines
from seqarena.core.version import __version__

NUMBERS_DEPEND_ON_THIS = False  # records say what was found (jobs/sources.py)


class Machine(Config):
    """On what, and by which code."""

    processor: str
    device: str
    dtype: str
    threads: int
    denormals: str = "kept"  # or flushed to zero (core/runtime.py)
    products: str = "blas"  # who multiplied float32 matrices on the CPU (core/products.py)
    torch_version: str
    seqarena_version: str
    code_digest: str
    measured_at: str  # ISO 8601, UTC


class Point(Config):
    """One place on a curve."""

    x: float
    repeats: tuple[float, ...]  # one a repeat of a timing, or a seed of a training


class Series(Config):
    """One curve: a quantity against an axis, of one architecture in one variant."""

    kind: Literal["series"] = "series"
    measurement: str  # the verb or experiment that found it: "speed", "recall", ...
    quantity: str  # what y is, its unit in the name: "training_step_seconds", "accuracy"
    axis: str  # what x is: "length", "distance", "depth", "parameters", ...
    architecture: str  # of the catalog, or a user's own name
    variant: str = ""  # what tells it from others of its architecture: algorithm, option, weights
    points: tuple[Point, ...]
    # known without measuring, one value a point: "memoryless guesser", "formula", "lambda^k"
    baselines: dict[str, tuple[float, ...]] = {}
    settings: dict[str, Any] = {}  # width, parameters, batch, steps, seeds: all it depends on
    machine: Machine

    @property
    def label(self) -> str:
        """The curve's name in a legend."""
        return f"{self.architecture}, {self.variant}" if self.variant else self.architecture


class Map(Config):
    """Who looks at whom: row i is the position that reads, column j the one that is read."""

    kind: Literal["map"] = "map"
    measurement: Literal["attention", "influence"]
    architecture: str
    variant: str = ""
    words: tuple[str, ...]  # the tokens, as people read them
    columns: tuple[str, ...] = ()  # what is read, where it is another text: the source of pairs
    weights: tuple[tuple[float, ...], ...]  # one row a word, one column a word; rows sum to one
    layer: int | None = None  # of attention: the layer of the weights
    head: int | None = None
    settings: dict[str, Any] = {}
    machine: Machine

    @property
    def label(self) -> str:
        """The map's name in a list."""
        place = (
            "" if self.layer is None else f", layer {self.layer + 1} head {(self.head or 0) + 1}"
        )
        variant = f", {self.variant}" if self.variant else ""
        return f"{self.architecture}{variant}{place}"


Measurement = Series | Map
_MEASUREMENT: TypeAdapter[Any] = TypeAdapter(Annotated[Series | Map, Field(discriminator="kind")])


def this_machine(device: str = "cpu", dtype: str = "float32") -> Machine:
    """The record of where numbers come to be."""
    import torch  # here, so that what only reads records does not wait for it

    from seqarena.core.products import library
    from seqarena.core.runtime import code_digest, denormals, now, processor_name

    return Machine(
        processor=processor_name(device),
        device=device,
        dtype=dtype,
        threads=torch.get_num_threads(),
        denormals=denormals(),
        products=library(),
        torch_version=torch.__version__,
        seqarena_version=__version__,
        code_digest=code_digest(),
        measured_at=now(),
    )


def append_measurements(path: Path, measurements: Iterable[Measurement]) -> None:
    """Adds lines to the file; its folder is made where it is missing."""
    append_lines(path, (measurement.model_dump_json() for measurement in measurements))


def read_measurements(path: Path) -> Iterator[Measurement]:
    """The records of a file, none where there is no file. A torn last line is left out.

    Raises UserError when another line is damaged or not a record.
    """
    return read_lines(path, _MEASUREMENT.validate_json)


def latest(measurements: Iterable[Measurement]) -> list[Measurement]:
    """The last measurement of each curve and map, in the order of first appearance."""
    return list({_place(found): found for found in measurements}.values())


def _place(found: Measurement) -> tuple[Any, ...]:
    own = (found.kind, found.measurement, found.architecture, found.variant)
    if isinstance(found, Series):
        return (*own, found.quantity, found.axis)
    return (*own, found.words, found.columns, found.layer, found.head)
