"""The ledger's judges: verdicts and figures follow the records, and nothing else."""

import pytest
from claim_records import (
    LIMITED,
    NULLS,
    PLANTED,
    heads,
    ladder,
    parity,
    quadratic_memory,
    reaching,
    series,
    trained,
)

from seqarena.claims.contents import CLAIMS
from seqarena.claims.enough import is_timing
from seqarena.claims.parts import jobs_of
from seqarena.core.errors import UserError
from seqarena.core.results.estimates import Estimate
from seqarena.core.results.measurement import Series
from seqarena.jobs.executor import seconds_of

BY_NAME = {claim.name: claim for claim in CLAIMS}


def test_every_claim_is_planted_and_named_once() -> None:
    assert list(PLANTED) == [claim.name for claim in CLAIMS]


@pytest.mark.parametrize("name", PLANTED)
def test_records_make_a_claim_hold_or_not(name: str) -> None:
    holds, fails = (BY_NAME[name].judged(records) for records in PLANTED[name])
    assert (holds.verdict, fails.verdict) == ("holds", "does not hold")
    assert holds.figure != fails.figure
    for found in (holds, fails):  # a part of a sentence, which follows "Yes:"
        assert found.answer
        assert not found.answer.endswith(".")
        assert found.answer != found.figure


@pytest.mark.parametrize("name", LIMITED)
def test_a_weaker_form_holds_within_limits(name: str) -> None:
    assert BY_NAME[name].judged(LIMITED[name]).verdict == "holds within limits"


# What is counted or follows from the weights alone: once is enough.
EXACT = {
    "dependent_operations", "reach_positions", "state_bytes", "peak_training_bytes",
    "mixer_parameters", "mixer_flops", "forward_flops", "serial_steps",
}  # fmt: skip
REPEATED = [
    (name, quantity)
    for name in PLANTED
    for quantity in sorted({found.quantity for found in PLANTED[name][0]} - EXACT)  # pyright: ignore
    if (name, quantity) != ("gru-lstm", "mixer_seconds")  # of which only the parameters are read
]


def of_quantity(name: str, quantity: str) -> list[Series]:
    return [found for found in PLANTED[name][0] if found.quantity == quantity]  # pyright: ignore


def cut(found: Series, number: int) -> Series:
    """With so many repeats at each point."""
    points = tuple(p.model_copy(update={"repeats": p.repeats[:number]}) for p in found.points)
    return found.model_copy(update={"points": points})


@pytest.mark.parametrize(("name", "quantity"), REPEATED)
def test_one_seed_never_holds(name: str, quantity: str) -> None:
    least = BY_NAME[name].repeats[quantity]
    assert least >= 3
    for number in (1, 2):
        records = [
            cut(one, number) if one.quantity == quantity else one  # pyright: ignore
            for one in PLANTED[name][0]
        ]
        found = BY_NAME[name].judged(records)
        assert found.verdict == "not measured yet"
        assert f"has {number} " in found.figure
        assert f"needs {least}" in found.figure


@pytest.mark.parametrize(("name", "quantity"), REPEATED)
def test_unequal_seeds_never_hold(name: str, quantity: str) -> None:
    for place in of_quantity(name, quantity):
        more = place.model_copy(
            update={
                "points": tuple(
                    p.model_copy(update={"repeats": (*p.repeats, p.repeats[0])}) if i == 0 else p
                    for i, p in enumerate(place.points)
                )
            }
        )
        records = [more if one is place else one for one in PLANTED[name][0]]
        found = BY_NAME[name].judged(records)
        assert found.verdict == "not measured yet"
        assert "equally many" in found.figure


@pytest.mark.parametrize(("name", "quantity"), [pair for pair in REPEATED if is_timing(pair[1])])
def test_timings_of_a_busy_machine_decide_nothing(name: str, quantity: str) -> None:
    first = of_quantity(name, quantity)[0]
    point = first.points[0]
    slow = (*point.repeats[:-1], 1.6 * point.repeats[-1])
    busy = first.model_copy(
        update={"points": (point.model_copy(update={"repeats": slow}), *first.points[1:])}
    )
    found = BY_NAME[name].judged([busy if one is first else one for one in PLANTED[name][0]])
    assert found.verdict == "not measured yet"
    assert "the machine was busy" in found.figure


def test_other_seeds_are_not_compared() -> None:
    records = [
        one.model_copy(update={"settings": {"seeds": [0, 1, i]}})
        for i, one in enumerate(PLANTED["norm-position"][0])
    ]
    found = BY_NAME["norm-position"].judged(records)
    assert found.verdict == "not measured yet"
    assert "[0, 1, 0]" in found.figure


@pytest.mark.parametrize("name", NULLS)
def test_a_null_model_never_holds(name: str) -> None:
    for records in NULLS[name]:
        assert BY_NAME[name].judged(records).verdict == "does not hold"
    assert BY_NAME[name].judged(PLANTED[name][0]).verdict == "holds"


def test_heads_that_differ_more_than_chance_hold() -> None:
    judged = BY_NAME["heads"].judged
    assert judged(heads(0.9, 0.7)).verdict == "holds"
    assert "more alike than chance" in judged(heads(0.5, 0.9)).remark


SHORT = {  # claims that ask whether training was long enough
    "vanilla-context": reaching("elman", 10, "irnn", 20, fall=0.05),
    "lstm-context": reaching("lstm", 10, "elman", 5, fall=0.05),
    "copy-curves": [trained(found, 0.05) for found in PLANTED["copy-curves"][0]],  # pyright: ignore
    "state-bottleneck": [trained(f, 0.05) for f in PLANTED["state-bottleneck"][0]],  # pyright: ignore
    "cheap-attention": [
        trained(found, 0.05) if found.quantity == "accuracy" else found  # pyright: ignore
        for found in PLANTED["cheap-attention"][0]
    ],
    "loss-by-size": [trained(found, 0.05) for found in PLANTED["loss-by-size"][0]],  # pyright: ignore
}


@pytest.mark.parametrize("name", SHORT)
def test_a_loss_that_still_fell_decides_nothing(name: str) -> None:
    found = BY_NAME[name].judged(SHORT[name])
    assert found.verdict == "not measured yet"
    assert "fell by 5.0% in its last fifth" in found.figure


def test_a_record_without_its_losses_decides_nothing() -> None:
    for name in SHORT:
        bare = [one.model_copy(update={"settings": {}}) for one in PLANTED[name][0]]
        if name != "lstm-context":  # whose planted reach is long enough whatever the training was
            assert "does not say how" in BY_NAME[name].judged(bare).figure


def test_a_missed_distance_needs_five_times_the_steps() -> None:
    short = reaching("elman", 10, "irnn", 20, steps_taken=[[100] * 3] * 2 + [[400] * 3] * 5)
    found = BY_NAME["vanilla-context"].judged(short)
    assert found.verdict == "not measured yet"
    assert "400 steps, fewer than 5 times the 100" in found.figure
    nothing = BY_NAME["vanilla-context"].judged(reaching("elman", 2, "irnn", 20))
    assert nothing.verdict == "not measured yet"
    assert "learnt nothing" in nothing.figure


def test_attention_must_have_learnt_the_parity_of_short_sequences() -> None:
    judged = BY_NAME["attention-always"].judged
    assert judged(parity(0.52, learnt=0.8)).verdict == "not measured yet"
    assert judged(parity(0.7, lstm=0.6)).verdict == "holds within limits"


def test_a_ladder_that_crosses_cannot_be_told() -> None:
    judged = BY_NAME["at-scale"].judged
    assert judged(ladder(0.71, 0.5, 0.31, 0.21)).verdict == "not measured yet"
    assert "cannot be told" in judged(ladder(0.71, 0.5, 0.31, 0.21)).answer
    assert judged(ladder(-0.3, -0.1, -0.3, -0.1)).verdict == "holds within limits"
    assert "needs 4 sizes" in judged(ladder(-0.1, -0.2, -0.3)).figure
    same = judged(ladder(-0.1, -0.2, -0.3, -0.4, tokens=(5, 5, 5, 5)))
    assert same.verdict == "not measured yet"
    assert "tokens do not grow" in same.figure


def test_the_extrapolated_gap_is_the_line_and_its_interval() -> None:
    import numpy as np

    from seqarena.claims.book.scaling import Gap, extrapolated

    draw, inside = np.random.default_rng(0), 0
    for _ in range(400):
        noisy = 0.3 - 0.1 * np.arange(5) + 0.02 * draw.standard_normal(5)
        target = 0.3 - 0.1 * (4 + np.log2(10)) + 0.02 * draw.standard_normal()
        gaps = [Gap(1e4 * 2**i, 1.0, Estimate(value=y, low=y, high=y)) for i, y in enumerate(noisy)]
        found = extrapolated(gaps)
        inside += found.low <= target <= found.high
    assert 0.92 <= inside / 400 <= 0.98


@pytest.mark.parametrize("name", PLANTED)
def test_a_missing_record_is_named(name: str) -> None:
    with pytest.raises(UserError, match="have no"):
        BY_NAME[name].judge([])
    assert BY_NAME[name].judged([]).verdict == "not measured yet"


@pytest.mark.parametrize("name", PLANTED)
def test_words_are_whole(name: str) -> None:
    claim = BY_NAME[name]
    for text in (claim.title, claim.words, claim.source, claim.experiment, claim.criterion):
        assert text
        assert text == text.strip()
        assert "  " not in text
    assert claim.criterion.startswith(("Holds when", "On a GPU: holds when"))
    assert "ithin limits" in claim.criterion


def test_a_gpu_is_needed_for_what_is_said_of_one() -> None:
    records = [
        series("share_of_peak", name, {64: 0.5}, "batch 8") for name in ("lstm", "attention")
    ]
    found = BY_NAME["gpu-utilisation"].judge(records)
    assert found.verdict == "not measurable here"
    assert "50%" in found.figure


def test_few_seeds_limit_a_verdict() -> None:
    steady, noisy = PLANTED["attention-on-rnn"][0], list(PLANTED["attention-on-rnn"][0])
    noisy[0] = series("exact_match", "rnnsearch", {100: (0.2, 1.0, 0.2)})
    judge = BY_NAME["attention-on-rnn"].judged
    assert judge(steady).verdict == "holds"
    found = judge(noisy)
    assert found.verdict == "holds within limits"
    assert "do not exclude" in found.remark


def test_another_function_or_one_growing_cell_keeps_the_dependency() -> None:
    judged = BY_NAME["sequential-dependency"].judged
    assert judged(PLANTED["sequential-dependency"][1]).verdict == "does not hold"
    other = [
        series("output_difference", "gru", {256: 1e-7}, "newton")
        if one.quantity == "output_difference" and one.architecture == "gru"  # pyright: ignore
        else one
        for one in PLANTED["sequential-dependency"][1]
    ]
    assert judged(other).verdict == "holds"
    (grows, *_), (_, *rest) = (PLANTED["sequential-dependency"][k] for k in (0, 1))
    found = judged([grows, *rest])
    assert found.verdict == "holds"
    assert "rounds of elman grow" in found.remark


def test_the_form_that_is_fused_limits_quadratic_memory() -> None:
    found = BY_NAME["attention-memory"].judge(quadratic_memory(2, 1, 1))
    assert found.verdict == "holds within limits"
    assert "fused kernel" in found.remark


def test_a_reach_at_the_last_point_is_a_lower_bound() -> None:
    records = [
        series("accuracy", name, {5: y, 200: y}) for name, y in (("lstm", 1.0), ("elman", 0.2))
    ]
    found = BY_NAME["lstm-context"].judged(records)
    assert found.verdict == "holds within limits"
    assert "at least 200" in found.figure
    assert "at least 200" in found.answer
    assert "Nothing farther" in found.remark
    assert found.estimate == Estimate(value=200, low=200, high=200)
    near = [cut(one.model_copy(update={"points": one.points[:1]}), 3) for one in records]
    assert BY_NAME["lstm-context"].judged([trained(one) for one in near]).verdict == (
        "not measured yet"
    )


def test_quick_fits_into_a_quarter_of_an_hour() -> None:
    jobs = jobs_of(CLAIMS, "quick")
    assert 0 < seconds_of(jobs, 2) <= 900


def test_parts_name_functions_and_json() -> None:
    import inspect
    import json
    from importlib import import_module

    for scale in ("quick", "full"):
        for part in (part for claim in CLAIMS for part in claim.parts(scale)):
            module, _, name = part.function.partition(":")
            inspect.signature(getattr(import_module(module), name)).bind(**part.arguments)
            assert json.loads(json.dumps(part.arguments)) == part.arguments
            assert part.seconds > 0
            assert part.alone == (
                part.function.endswith((":speed", ":equal_tokens", ":utilisation", ":layers"))
                and part.arguments.get("repeats") != 1
            )


@pytest.mark.parametrize("name", ["state-bottleneck", "cheap-attention"])
def test_a_task_that_attention_has_not_learnt_decides_nothing(name: str) -> None:
    records = [
        found.model_copy(update={"points": tuple(p.model_copy(update={"repeats": (0.3,) * 3})
                                                 for p in found.points)})
        if isinstance(found, Series) and found.quantity == "accuracy" else found
        for found in PLANTED[name][0]
    ]  # fmt: skip
    found = BY_NAME[name].judged(records)
    assert found.verdict == "not measured yet"
    assert "not decided" in found.figure
