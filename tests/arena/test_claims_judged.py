"""The ledger's judges: verdicts and figures follow the records, and nothing else."""

import pytest
from claim_records import PLANTED, quadratic_memory, series

from seqarena.claims.contents import CLAIMS
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
    holds, fails = (BY_NAME[name].judge(records) for records in PLANTED[name])
    assert (holds.verdict, fails.verdict) == ("holds", "does not hold")
    assert holds.figure != fails.figure


@pytest.mark.parametrize("name", PLANTED)
def test_a_missing_record_is_named(name: str) -> None:
    with pytest.raises(UserError, match="have no"):
        BY_NAME[name].judge([])


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
    noisy[0] = series("exact_match", "rnnsearch", {100: (0.2, 1.0)})
    judge = BY_NAME["attention-on-rnn"].judge
    assert judge(steady).verdict == "holds"
    found = judge(noisy)
    assert found.verdict == "holds within limits"
    assert "do not exclude" in found.remark


def test_the_form_that_is_fused_limits_quadratic_memory() -> None:
    found = BY_NAME["attention-memory"].judge(quadratic_memory(2, 1, 1))
    assert found.verdict == "holds within limits"
    assert "fused kernel" in found.remark


def test_a_reach_at_the_last_point_is_a_lower_bound() -> None:
    records = [
        series("accuracy", name, {5: y, 80: y}) for name, y in (("lstm", 1.0), ("elman", 0.2))
    ]
    found = BY_NAME["lstm-context"].judge(records)
    assert found.verdict == "holds within limits"
    assert "at least 80" in found.figure
    assert "Nothing farther" in found.remark
    assert found.estimate == Estimate(value=80, low=80, high=80)


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
                part.function.endswith((":speed", ":utilisation", ":layers"))
                and part.arguments.get("repeats") != 1
            )


@pytest.mark.parametrize("name", ["state-bottleneck", "cheap-attention"])
def test_a_task_that_attention_has_not_learnt_decides_nothing(name: str) -> None:
    records = [
        found.model_copy(update={"points": tuple(p.model_copy(update={"repeats": (0.3,)})
                                                 for p in found.points)})
        if isinstance(found, Series) and found.quantity == "accuracy" else found
        for found in PLANTED[name][0]
    ]  # fmt: skip
    found = BY_NAME[name].judge(records)
    assert found.verdict == "not measured yet"
    assert "not decided" in found.figure
