"""The planted faults of benchmarks/mutants.py fit the sources as they are now. That the short suite
catches them is for `python -m benchmarks.mutants` to show, in minutes."""

from pathlib import Path

import pytest

from benchmarks.mutants import MUTANTS, Mutant, catchers


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_line_of_a_mutant_occurs_once_and_tests_mention_its_subject(mutant: Mutant) -> None:
    assert mutant.place().suffix == ".py"
    assert mutant.tests()
    assert mutant.becomes != mutant.line


def test_ten_faults_have_a_name_each() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 10


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A project of one function, with a test that finds a wrong sum and no wrong product."""
    for folder in ("src", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "src" / "tiny.py").write_text("def f(x, y):\n    return x + y, x * y\n")
    (tmp_path / "tests" / "test_tiny.py").write_text(
        "from tiny import f\n\ndef test_sum(): assert f(2, 2)[0] == f(1, 3)[0] == 4\n"
    )
    return tmp_path


def test_a_caught_mutant_is_told_from_a_survivor_and_the_sources_are_put_back(tiny: Path) -> None:
    before = (tiny / "src" / "tiny.py").read_text()
    caught, survivor = Mutant("sum", "x + y", "x - y", "f("), Mutant("product", "x * y", "x", "f(")
    assert catchers(tiny, caught, []) == ["tests/test_tiny.py::test_sum"]
    assert catchers(tiny, survivor, []) == []
    assert (tiny / "src" / "tiny.py").read_text() == before


def test_a_test_that_fails_without_the_mutant_catches_nothing(tiny: Path) -> None:
    mutant = Mutant("sum", "x + y", "x - y", "f(")
    assert catchers(tiny, mutant, ["tests/test_tiny.py::test_sum"]) == []


@pytest.mark.parametrize(("line", "places"), [("return", "a.py, tiny.py"), ("yield", "no file")])
def test_a_line_must_occur_once(tiny: Path, line: str, places: str) -> None:
    (tiny / "src" / "a.py").write_text("def g():\n    return 1\n")
    with pytest.raises(ValueError, match=f"must occur once, and occurs in {places}"):
        Mutant("it", line, "", "f(").place(tiny)


def test_a_subject_must_be_tested(tiny: Path) -> None:
    with pytest.raises(ValueError, match="no test file mentions 'g\\('"):
        Mutant("it", "x + y", "", "g(").tests(tiny)
