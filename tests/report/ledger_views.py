"""Planted measurements and a planted ledger: enough of every kind to draw every part of a page."""

from seqarena.core.results.estimates import Estimate
from seqarena.core.results.measurement import Machine, Map, Measurement, Point, Series
from seqarena.core.results.verdicts import Citation, ClaimView, Judgement, LedgerView

MACHINE = Machine(
    processor="A planted processor",
    device="cpu",
    dtype="float32",
    threads=1,
    torch_version="2.13.0",
    seqarena_version="0.0.0",
    code_digest="0" * 12,
    measured_at="2026-01-02T03:04:05+00:00",
)
CATALOG = {
    "elman": {
        "title": "Elman network", "family": "recurrent", "year": 1990, "paper": "Elman 1990",
        "idea": "A state that is read back", "work": "T D^2", "serial_steps": "T",
        "path_length": "T", "state": "D",
    },
    "lstm": {
        "title": "Long short-term memory", "family": "recurrent", "year": 1997,
        "paper": "Hochreiter and Schmidhuber 1997", "idea": "Gates round a cell",
        "work": "T D^2", "serial_steps": "T", "path_length": "T", "state": "2 D",
    },
    "attention": {
        "title": "Transformer", "family": "attention", "year": 2017,
        "paper": "Vaswani et al. 2017", "idea": "Every position from every other",
        "work": "T^2 D + T D^2", "serial_steps": "1", "path_length": "1", "state": "T D",
    },
}  # fmt: skip
LENGTHS = (64, 128, 256, 512, 1024, 2048)
WORDS = ("the", "animal", "did", "not", "cross", "the", "street", "because", "it", "was", "tired")


def series(
    architecture: str, quantity: str, axis: str, xs: tuple, ys: tuple, **more: object
) -> Series:
    """A planted curve of three repeats round each y."""
    points = tuple(Point(x=x, repeats=(y, 0.97 * y, 1.05 * y)) for x, y in zip(xs, ys))
    facts = {"measurement": "speed", "settings": {"width": 64}, **more}
    return Series(
        quantity=quantity, axis=axis, architecture=architecture, points=points,
        machine=MACHINE, **facts,
    )  # fmt: skip


def speed(architecture: str, exponent: float, serial: bool, variant: str = "") -> Series:
    steps = [7 * length if serial else 12 for length in LENGTHS]
    return series(
        architecture, "training_step_seconds", "length", LENGTHS,
        tuple(1e-5 * length**exponent for length in LENGTHS),
        variant=variant, settings={"width": 64, "depth": 2, "serial_steps": steps},
    )  # fmt: skip


def gradient(architecture: str, rate: float) -> Series:
    distances = (0, 1, 2, 5, 10, 20, 50, 100)
    return series(
        architecture, "gradient_norm", "distance", distances,
        tuple(rate**k for k in distances), measurement="gradient flow",
        baselines={"lambda^k": tuple(0.9**k for k in distances)},
    )  # fmt: skip


def recall(architecture: str, reached: int) -> Series:
    distances = (4, 8, 16, 32, 64)
    points = tuple(
        Point(x=d, repeats=(0.99, 0.97) if d <= reached else (0.2, 0.11)) for d in distances
    )
    return Series(
        measurement="recall", quantity="accuracy", axis="distance", architecture=architecture,
        points=points, baselines={"memoryless guesser": (0.125,) * 5},
        settings={"task": "copying", "steps": 400}, machine=MACHINE,
    )  # fmt: skip


def attention_map(layer: int, head: int) -> Map:
    """Head h looks h + 1 words back with most of its weight."""
    return _map("attention", "attention", 1 + head + layer, layer=layer, head=head)


def flow_map(architecture: str) -> Map:
    return _map("influence", architecture, 0)


def _map(kind: str, architecture: str, back: int, **place: int) -> Map:
    rows = []
    for i in range(len(WORDS)):
        row = [0.0] * len(WORDS)
        for j in range(i + 1):
            row[j] = 0.3 / (i + 1)
        row[max(0, i - back)] += 0.7
        rows.append(tuple(row))
    return Map(
        measurement=kind, architecture=architecture, words=WORDS, weights=tuple(rows),
        machine=MACHINE, **place,
    )  # fmt: skip


def measurements() -> list[Measurement]:
    """Two speeds of one architecture, three gradients, two recalls, four heads and two flows."""
    return [
        speed("lstm", 1.0, serial=True, variant="loop"),
        speed("lstm", 0.9, serial=True, variant="fused"),
        speed("attention", 1.6, serial=False),
        gradient("elman", 0.8),
        gradient("lstm", 0.97),
        gradient("attention", 0.999),
        recall("lstm", 32),
        recall("attention", 64),
        *(attention_map(layer, head) for layer in (0, 1) for head in (0, 1)),
        flow_map("lstm"),
        flow_map("elman"),
    ]


def claim(name: str, verdict: str, *, source: str = "A paper, 1997", **more: object) -> ClaimView:
    figure = f"p = 1.02 (0.97 to 1.07), {name}"
    judgement = Judgement(
        verdict=verdict, figure=figure, answer=f"what {name} shows",
        estimate=Estimate(value=1.02, low=0.97, high=1.07), remark=f"A remark on {name}.",
    )  # fmt: skip
    return ClaimView(
        name=name, title=f"The claim {name}", words=f"In our own words, {name}.", source=source,
        experiment="Trained and timed.", criterion="Holds when p is above 0.8.",
        amended=f"It was 0.7 before, {name}.", judgement=judgement, seconds=61.0, **more,
    )  # fmt: skip


def ledger() -> LedgerView:
    """Five claims, one of each verdict, and a citation."""
    found = measurements()
    speeds, gradients, recalls = tuple(found[:3]), tuple(found[3:6]), tuple(found[6:8])
    return LedgerView(
        name="claims-quick",
        scale="quick",
        command="seqarena claims --quick",
        claims=(
            claim("serial", "holds", series=speeds, chart="training_step_seconds"),
            claim("vanishing", "holds within limits", series=gradients),
            claim(
                "memory", "does not hold", series=recalls,
                source="A paper, 1997; introductory texts",
            ),
            claim("heads", "not measured yet", maps=tuple(found[8:])),
            claim("gpu", "not measurable here"),
        ),
        citations=(
            Citation(
                quoted="78.4 to 35.8", really="1.5 billion parameters on other data",
                source="A paper, 2019",
            ),
        ),
    )  # fmt: skip
