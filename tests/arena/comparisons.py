"""Invented comparisons with a known truth, for the tests of ranking and recommending."""

import numpy as np

from seqarena.core.results.measurement import Machine, Point, Series
from seqarena.core.results.quantities import COSTS, CostTable
from seqarena.core.results.records import RankRow, TrialSummary

MACHINE = Machine(
    processor="planted",
    device="cpu",
    dtype="float32",
    threads=1,
    torch_version="2",
    seqarena_version="0",
    code_digest="0",
    measured_at="2026-01-01T00:00:00Z",
)


def trial(architecture: str, *, chunks: np.ndarray | None = None, **fields: object) -> TrialSummary:
    """A finished trial; `chunks` gives its test chunk values and, as their mean, its test value."""
    facts: dict[str, object] = {
        "architecture": architecture,
        "role": "seed",
        "learning_rate": 0.01,
        "seed": 0,
        "status": "finished",
        "parameters": 1000,
        "width": 8,
        "tokens": 10_000,
        "training_seconds": 1.0,
        "training_flops": 1e6,
        "state_bytes": 64,
    }
    if chunks is not None:
        facts |= {
            "test_chunk_values": tuple(chunks.tolist()),
            "test_value": float(chunks.mean()),
            "validation_value": float(chunks.mean()),
        }
    facts |= fields
    facts.setdefault("trial", "-".join(str(facts[k]) for k in ("architecture", "role", "seed")))
    facts["trial"] = f"{facts['trial']}-{facts['learning_rate']}"
    return TrialSummary.model_validate(facts)


def comparison(
    truth: dict[str, tuple[float, float]],
    *,
    generator: np.random.Generator,
    seeds: int = 3,
    chunks: int = 12,
    chunk_deviation: float = 0.3,
) -> list[TrialSummary]:
    """Trials of architectures with a true mean and a seed deviation, on the same chunks."""
    shared_C = generator.normal(scale=chunk_deviation, size=chunks)
    shared_C -= shared_C.mean()
    trials = []
    for architecture, (mean, deviation) in truth.items():
        for seed in range(seeds):
            own_C = mean + deviation * generator.normal() + shared_C
            own_C = own_C + generator.normal(scale=0.002, size=chunks)
            role = "seed" if seed else "search"
            trials.append(trial(architecture, chunks=own_C, seed=seed, role=role))
    return trials


def row(architecture: str, gap: float, *, place: int = 1, **fields: object) -> RankRow:
    """A row of a ranking whose leader scores 2, as the Pareto front and the words need it."""
    facts: dict[str, object] = {
        "place": place,
        "architecture": architecture,
        "mean": 2 + gap,
        "low": 1.99 + gap,
        "high": 2.01 + gap,
        "seed_values": (2 + gap,) * 3,
        "seeds": (0, 1, 2),
        "learning_rate": 0.01,
        "learning_rate_at_edge": False,
        "parameters": 1000,
        "gap_to_leader": gap,
        "gap_low": gap - 0.005,
        "gap_high": gap + 0.005,
        "p_value": None,
        "ties_leader": gap <= 0.01,
        "on_front": False,
    }
    return RankRow.model_validate(facts | fields)


def cost(architecture: str, key: str, *repeats: float) -> Series:
    """A cost with its repeats, at length 64."""
    return Series(
        measurement=COSTS,
        quantity=key,
        axis="length",
        architecture=architecture,
        points=(Point(x=64, repeats=repeats),),
        machine=MACHINE,
    )


def costs(
    architecture: str,
    decode: float | None,
    training: float | None,
    memory: float | None,
    state: float | None,
) -> list[Series]:
    """The costs that are not None."""
    found = {
        "decode_seconds_per_token": decode,
        "training_tokens_per_second": training,
        "peak_training_bytes": memory,
        "state_bytes": state,
    }
    return [cost(architecture, key, value) for key, value in found.items() if value is not None]


def table(measured: list[list[Series]]) -> CostTable:
    """The costs of several architectures, each as `costs` gives them."""
    return CostTable(one for own in measured for one in own)
