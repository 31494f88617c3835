"""The short suite leaves out what its rules say, says so, and the rest is what it left."""

from pathlib import Path

import pytest
import thinning

from seqarena.models.catalog import CATALOG

SOME_TESTS = f"""
import pytest

CATALOG = {list(CATALOG)!r}

@pytest.mark.parametrize("name", CATALOG)
def test_of_the_catalog(name): pass

@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("name", CATALOG)
def test_of_a_grid(name, width): pass

@pytest.mark.parametrize("name", CATALOG[:5])
def test_of_a_few(name): pass

@pytest.mark.slow
def test_that_is_slow(): pass

def test_that_is_quick(): pass
"""
KEPT = 3 * len(thinning.representatives()) + 5 + 1
LEFT = 3 * (len(CATALOG) - len(thinning.representatives())) + 1


@pytest.fixture
def some_tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(Path(thinning.__file__).parent), prepend=":")
    pytester.makeini("[pytest]\nmarkers = slow: slow\n")
    pytester.makeconftest('pytest_plugins = ["thinning"]')
    pytester.makepyfile(test_some=SOME_TESTS)
    return pytester


def test_every_family_is_represented_by_its_first_architecture() -> None:
    chosen = thinning.representatives()
    assert {CATALOG[name].family for name in chosen} == {row.family for row in CATALOG.values()}
    assert {"elman", "bi_elman", "seq2seq_lstm"} <= chosen  # one family, three kinds of model
    assert not {"lstm", "bi_lstm", "seq2seq_gru"} & chosen
    assert len(chosen) < len(CATALOG) / 2


def test_the_short_suite_says_what_it_leaves_out(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest()
    result.assert_outcomes(passed=KEPT, deselected=LEFT)
    result.stdout.fnmatch_lines([f"*{LEFT} tests are left to make check (--whole)"])


def test_the_rest_is_what_the_short_suite_left(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest("--rest")
    result.assert_outcomes(passed=LEFT, deselected=KEPT)
    result.stdout.fnmatch_lines([f"*{KEPT} tests are in the short suite"])


def test_whole_leaves_nothing_out(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest("--whole")
    result.assert_outcomes(passed=KEPT + LEFT)
    result.stdout.no_fnmatch_line("*left to make check*")


@pytest.mark.parametrize("name", ["test_of_a_grid", "test_that_is_slow"])
def test_what_is_named_runs(some_tests: pytest.Pytester, name: str) -> None:
    expected = 2 * len(CATALOG) if name == "test_of_a_grid" else 1
    some_tests.runpytest(f"test_some.py::{name}").assert_outcomes(passed=expected)


def test_a_choice_by_keyword_is_counted_alone(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest("-k", "slow or quick")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["1 test is left to make check (--whole)"])


def test_workers_hand_the_count_on(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest_subprocess("-n", "1")
    result.assert_outcomes(passed=KEPT)
    result.stdout.fnmatch_lines([f"*{LEFT} tests are left to make check (--whole)"])


def test_whole_and_rest_are_two_answers(some_tests: pytest.Pytester) -> None:
    result = some_tests.runpytest("--whole", "--rest")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*choose one of --whole and --rest*"])
