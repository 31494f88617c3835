"""`python -m benchmarks.doubt`: what the ranking's intervals, ties and winners hold, by simulation.

Planted truths go through the statistics that a ranking uses (arena/statistics.py). The table gives

    coverage    of 95 % intervals of means and of gaps, in %
    told apart  comparisons of identical architectures in which any pair is told apart, in %
    winner      identical architectures: comparisons with a (false) winner, in %
    power       comparisons that name the architecture that leads by so many seed deviations, in %
    looks       the same when more seeds of those that tie are run and looked at again: three seeds
                and five (the default), or --until-decided
    search      what it does that the learning rate is chosen with a seed that is ranked as well

Scores of one comparison are seed + chunk + architecture's chunk + noise. Chunks of a text are a
first-order autoregression whose neighbours correlate by `correlation` (real chunk scores: .7 to
.8); test examples without an order have 0.

Axes: K architectures, S seeds, C test chunks.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from seqarena.arena.doubt.looks import seed_counts, share_spent
from seqarena.arena.doubt.parting import TiedPair, within_reach
from seqarena.arena.requests import SearchRequest
from seqarena.arena.statistics import (
    Sample,
    SeedNoise,
    TestedEstimate,
    gap_estimate,
    mean_estimate,
    seed_noise,
)

Draw = Callable[[np.random.Generator, int, int], np.ndarray]  # -> [K, S], true mean 0, deviation 1


class Truth(NamedTuple):
    """What a comparison is made of; deviations in those of one run's seed."""

    seeds: str = "normal"  # a row of SEEDS
    common_chunks: float = 3.0  # deviation of the chunks that all architectures share
    own_chunks: float = 1.5  # of what an architecture makes of a chunk, with every seed
    noise: float = 0.3  # of a single run on a chunk
    correlation: float = 0.8  # of neighbouring chunks
    num_chunks: int = 100


def _student(draw: np.random.Generator, num: int, seeds: int) -> np.ndarray:
    return draw.standard_t(3, (num, seeds)) / np.sqrt(3)


def _failing(draw: np.random.Generator, num: int, seeds: int) -> np.ndarray:
    """One run in five is worse by 2.5 deviations of all, the others are nearly alike."""
    fails_KS = draw.random((num, seeds)) < 0.2
    return 0.2 * draw.standard_normal((num, seeds)) + 2.45 * (fails_KS - 0.2)


def _unequal(draw: np.random.Generator, num: int, seeds: int) -> np.ndarray:
    """Seed deviations from 1/18 to 1, as a GRU's and an LSTM's were measured."""
    return draw.standard_normal((num, seeds)) * np.geomspace(0.055, 1, num)[:, None]


SEEDS: dict[str, Draw] = {
    "normal": lambda draw, num, seeds: draw.standard_normal((num, seeds)),
    "t3": _student,
    "one in five fails": _failing,
    "unequal deviations": _unequal,
}


def comparison(draw: np.random.Generator, truth: Truth, num: int, seeds: int) -> list[Sample]:
    """The samples of so many architectures, all of true mean 0."""
    seed_KS1 = SEEDS[truth.seeds](draw, num, seeds)[:, :, None]
    chunks_C = truth.common_chunks * neighbours(draw, truth, ())
    own_K1C = truth.own_chunks * neighbours(draw, truth, (num, 1))
    noise_KSC = truth.noise * draw.standard_normal((num, seeds, truth.num_chunks))
    scores_KSC = seed_KS1 + chunks_C + own_K1C + noise_KSC
    return [
        Sample(seeds=tuple(range(seeds)), values_S=one_SC.mean(axis=1), chunks_SC=one_SC)
        for one_SC in scores_KSC
    ]


def neighbours(draw: np.random.Generator, truth: Truth, shape: tuple[int, ...]) -> np.ndarray:
    """Chunks of deviation 1 whose neighbours correlate."""
    values = draw.standard_normal((*shape, truth.num_chunks))
    fresh = np.sqrt(1 - truth.correlation**2)
    for c in range(1, truth.num_chunks):
        values[..., c] = truth.correlation * values[..., c - 1] + fresh * values[..., c]
    return values


def coverage(truth: Truth, num: int, seeds: int, simulations: int) -> tuple[float, float]:
    """Shares of means and of gaps between neighbours whose interval holds the truth."""
    draw = np.random.default_rng(seeds)
    means, gaps = [], []
    for _ in range(simulations):
        samples = comparison(draw, truth, num, seeds)
        noise = seed_noise(samples)
        assert noise is not None
        for sample, spread in zip(samples, noise.of_each):
            found = mean_estimate(sample, spread, confidence=0.95)
            means.append(found.low <= 0 <= found.high)
        for one in range(0, num - 1, 2):
            found = _gap(samples, noise, one, one + 1)
            gaps.append(found.low <= 0 <= found.high)
    return float(np.mean(means)), float(np.mean(gaps))


def findings(
    truth: Truth, num: int, seeds: int, simulations: int, lead: float = 0.0
) -> tuple[float, float]:
    """Shares of comparisons in which any pair of architectures 1 .. K - 1 is told apart, and in
    which one is named the winner: any (lead 0), or number 0, which leads by `lead`."""
    draw = np.random.default_rng(seeds)
    told_apart = named = 0
    for _ in range(simulations):
        samples = comparison(draw, truth, num, seeds)
        samples[0] = moved(samples[0], -lead)
        noise = seed_noise(samples)
        assert noise is not None
        best = min(range(num), key=lambda k: samples[k].mean)
        apart = {
            (one, other): _told_apart(samples, noise, one, other)
            for one in range(num)
            for other in range(one)
        }
        wins = all(apart[max(best, k), min(best, k)] for k in range(num) if k != best)
        named += wins and (best == 0 or lead == 0)
        told_apart += any(told for pair, told in apart.items() if lead == 0 or 0 not in pair)
    return told_apart / simulations, named / simulations


class Looks(NamedTuple):
    """What repeated looking ends in, as shares of comparisons, and what it costs."""

    named: float  # a winner is named
    wrong: float  # one that does not lead in truth
    seeds: float  # of the leader at the end, the mean


def looking(
    truth: Truth, num: int, search: SearchRequest, simulations: int, lead: float = 0.0
) -> Looks:
    """Comparisons that run seeds as `arena/run.py` does; number 0 leads by `lead`, or none does."""
    draw = np.random.default_rng(num)
    found = [_look(draw, truth, num, search, lead) for _ in range(simulations)]
    named = [best for best, _ in found if best is not None]
    wrong = [best for best in named if lead == 0 or best != 0]
    seeds = float(np.mean([count for _, count in found]))
    return Looks(len(named) / simulations, len(wrong) / simulations, seeds)


def _look(
    draw: np.random.Generator, truth: Truth, num: int, search: SearchRequest, lead: float
) -> tuple[int | None, int]:
    """The winner of one comparison, None without one, and how many seeds it took."""
    counts = seed_counts(search)
    whole = comparison(draw, truth, num, counts[-1])
    whole[0] = moved(whole[0], -lead)
    ran = [counts[0]] * num
    for count, following in zip(counts, (*counts[1:], None)):
        samples = [first_seeds(sample, seeds) for sample, seeds in zip(whole, ran)]
        noise = seed_noise(samples)
        assert noise is not None
        best = min(range(num), key=lambda k: samples[k].mean)
        level = 0.05 * share_spent(counts, count, endless=search.until_decided)
        others = [k for k in range(num) if k != best]
        tied = [k for k in others if _gap(samples, noise, k, best, num).p_value >= level]
        pairs = [
            TiedPair(
                sample=samples[k],
                leader=samples[best],
                runs=(noise.of_each[k], noise.of_each[best]),
                degrees=noise.common.degrees,
                among=num,
                level=level,
            )
            for k in tied
        ]
        in_vain = search.until_decided and not all(within_reach(pair) for pair in pairs)
        if not tied or following is None or in_vain:
            return (None if tied else best), count
        for k in (best, *tied):
            ran[k] = following
    raise AssertionError("the last look returns")


def first_seeds(sample: Sample, num: int) -> Sample:
    """The sample as it was after so many seeds."""
    return Sample(
        seeds=sample.seeds[:num], values_S=sample.values_S[:num], chunks_SC=sample.chunks_SC[:num]
    )


class SearchBias(NamedTuple):
    """What it does that one of the ranked seeds has chosen the learning rate."""

    bias: float  # of the means of those that chose, in deviations of one seed
    coverage: float  # of the gaps between one that chose and one that did not
    told_apart: float  # comparisons in which any pair is


def search_bias(num: int, seeds: int, rates: int, simulations: int) -> SearchBias:
    """The worst case: the first half of the architectures chose among so many rates that are alike
    and vary independently, on a validation that says all of the test value; the others' best rate
    is plain."""
    draw = np.random.default_rng(seeds)
    half = num // 2
    means, held, told_apart = [], [], 0
    for _ in range(simulations):
        values_KS = draw.standard_normal((num, seeds))
        values_KS[:half, 0] = draw.standard_normal((half, rates)).min(axis=1)
        samples = [
            Sample(seeds=tuple(range(seeds)), values_S=one_S, chunks_SC=np.empty((seeds, 0)))
            for one_S in values_KS
        ]
        noise = seed_noise(samples)
        assert noise is not None
        means += [sample.mean for sample in samples[:half]]
        gaps = [_gap(samples, noise, k, half + k) for k in range(half)]
        held += [gap.low <= 0 <= gap.high for gap in gaps]
        pairs = [(one, other) for one in range(num) for other in range(one)]
        told_apart += any(_told_apart(samples, noise, *pair) for pair in pairs)
    return SearchBias(float(np.mean(means)), float(np.mean(held)), told_apart / simulations)


def moved(sample: Sample, by: float) -> Sample:
    """The sample with every score changed by the same amount."""
    return Sample(
        seeds=sample.seeds, values_S=sample.values_S + by, chunks_SC=sample.chunks_SC + by
    )


def _told_apart(samples: list[Sample], noise: SeedNoise, one: int, other: int) -> bool:
    return _gap(samples, noise, one, other, len(samples)).p_value < 0.05


def _gap(
    samples: list[Sample], noise: SeedNoise, one: int, other: int, among: int = 2
) -> TestedEstimate:
    return gap_estimate(
        samples[one],
        samples[other],
        (noise.of_each[one], noise.of_each[other]),
        degrees=noise.common.degrees,
        among=among,
        confidence=0.95,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.doubt")
    parser.add_argument("--simulations", type=int, default=1000)
    simulations = parser.parse_args().simulations
    print(
        "coverage of means and gaps in %, 8 architectures, 100 chunks, neighbours correlate by .8"
    )
    print(f"{'seeds are':20}{'chunks':>9}{'3 seeds':>14}{'5 seeds':>14}{'10 seeds':>14}")
    for name in SEEDS:
        every = Truth(seeds=name)
        seeds_only = every._replace(common_chunks=0.0, own_chunks=0.0)
        for label, truth in (("all", every), ("none", seeds_only)):
            found = [coverage(truth, 8, seeds, simulations // 4) for seeds in (3, 5, 10)]
            cells = "".join(f"{100 * m:8.1f}{100 * g:6.1f}" for m, g in found)
            print(f"{name:20}{label:>9}{cells}", flush=True)
    print("\nidentical architectures: any pair told apart, and a false winner, in %")
    still = Truth(own_chunks=0.0)
    for name in SEEDS:
        for num in (2, 4, 8, 15):
            found = [
                findings(still._replace(seeds=name), num, seeds, simulations // 2)
                for seeds in (3, 5)
            ]
            cells = "".join(f"{100 * told:8.1f}{100 * won:6.1f}" for told, won in found)
            print(f"{name:20}{num:>9}{cells}", flush=True)
    print("\npower in %: the leader of 15 is named, by its lead in seed deviations")
    for lead in (2.0, 3.0, 4.0, 6.0, 8.0):
        found = [findings(still, 15, seeds, simulations // 4, lead)[1] for seeds in (3, 5)]
        print(
            f"{lead:20.0f}{'':>9}" + "".join(f"{100 * named:14.0f}" for named in found), flush=True
        )

    _show_looks(still._replace(common_chunks=0.0, num_chunks=20), simulations)
    _show_search_bias(simulations)


def _show_looks(truth: Truth, simulations: int) -> None:
    print("\nlooking again: winners, of these wrong, in %, and the seeds of the leader at the end")
    designs = {"3 and 5": SearchRequest(), "until decided": SearchRequest(until_decided=True)}
    print(f"{'seeds are':20}{'lead':>5}{'of':>4}" + "".join(f"{name:>22}" for name in designs))
    cases = [(kind, 0.0, num) for kind in SEEDS for num in (2, 3)]
    for kind, lead, num in [*cases, ("normal", 1.0, 2), ("normal", 2.0, 15), ("normal", 4.0, 15)]:
        cells = ""
        for search in designs.values():
            fewer = simulations // (20 if num > 3 else 4)
            found = looking(truth._replace(seeds=kind), num, search, max(10, fewer), lead)
            cells += f"{100 * found.named:10.1f}{100 * found.wrong:6.1f}{found.seeds:6.0f}"
        print(f"{kind:20}{lead:5.0f}{num:4}{cells}", flush=True)


def _show_search_bias(simulations: int) -> None:
    print("\na seed that chose the rate is ranked: bias in seed deviations, coverage, told apart")
    for rates in (3, 7):
        for seeds in (3, 5, 10):
            found = search_bias(15, seeds, rates, simulations // 4)
            print(
                f"{rates} rates, {seeds} seeds: {found.bias:6.2f}{100 * found.coverage:8.1f}"
                f"{100 * found.told_apart:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
