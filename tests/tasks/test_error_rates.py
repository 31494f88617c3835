"""Word and character error rates as jiwer has them, on what is hard about them."""

import jiwer
import numpy as np
import pytest

from seqarena.tasks.signals.error_rates import characters_of, edit_distance, words_of

PAIRS = [
    ("a b", ""), ("a  b ", "a b"), ("a b", "b a c"), ("A", "a"), ("a\tb", "a b"), ("a\t\tb", "a b"),
    ("a\nb", " a b "), ("é", "e\u0301"), ("don't", "don t"), ("ab", "b"), ("b", "ab"),
    ("the cat sat", "cat the sat"), ("x", "a b c d"), ("zwölf  Boxkämpfer", "zwölf boxkämpfer"),
]  # fmt: skip


@pytest.mark.parametrize(("reference", "hypothesis"), PAIRS)
def test_one_text(reference: str, hypothesis: str) -> None:
    for of, theirs in ((words_of, jiwer.wer), (characters_of, jiwer.cer)):
        edits = edit_distance(of(reference), of(hypothesis))
        assert edits / len(of(reference)) == pytest.approx(theirs(reference, hypothesis), abs=1e-12)


def test_a_corpus_is_a_ratio_of_sums() -> None:
    references, hypotheses = [a for a, _ in PAIRS], [b for _, b in PAIRS]
    for of, theirs in ((words_of, jiwer.wer), (characters_of, jiwer.cer)):
        edits = sum(edit_distance(of(a), of(b)) for a, b in PAIRS)
        value = edits / sum(len(of(a)) for a in references)
        assert value == pytest.approx(theirs(references, hypotheses), abs=1e-12)


def test_nothing_said() -> None:
    assert edit_distance([], []) == 0
    assert edit_distance([], ["a", "b"]) == 2
    assert words_of(" ") == [] == characters_of(" ")


def slow(a: str, b: str) -> int:
    """Levenshtein's distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return slow(a[1:], b[1:])
    return 1 + min(slow(a[1:], b), slow(a, b[1:]), slow(a[1:], b[1:]))


def test_the_distance_is_the_fewest_edits() -> None:
    draw = np.random.default_rng(0)
    for _ in range(200):
        a, b = ("".join(draw.choice(list("abc"), size=draw.integers(6))) for _ in range(2))
        assert edit_distance(a, b) == slow(a, b), (a, b)
