"""BLEU and ROUGE-L by hand; their packages are asked for before anything else is done."""

import builtins

import pytest

from seqarena.core.errors import UserError
from seqarena.tasks import build_task, parse_task
from seqarena.tasks.text.pairs_metrics import Bleu, RougeL


def test_bleu_by_hand():
    """Precisions 5/6, 3/5, 1/4, and 1/3 smoothed to 1/6 as no 4-gram is right; equal lengths."""
    written, reference = "the cat sat on a mat", "the cat sat in a mat"
    expected = 100 * (5 / 6 * 3 / 5 * 1 / 4 * (1 / 2) / 3) ** 0.25
    assert Bleu().score([written], [reference]) == pytest.approx(expected)


def test_rouge_by_hand():
    """Longest common subsequence: police the gunman, 3 of 4 and of 5 words."""
    recall, precision = 3 / 4, 3 / 5
    expected = 100 * 2 * recall * precision / (recall + precision)
    found = RougeL().score(["police ended the gunman now"], ["police killed the gunman"])
    assert found == pytest.approx(expected)
    assert RougeL().score(["a b", ""], ["a b", "c"]) == 50.0


@pytest.mark.parametrize(
    ("package", "kind"), [("sacrebleu", "translation"), ("rouge_score", "summarising")]
)
def test_a_missing_package_is_named_before_any_training(monkeypatch, package, kind):
    original = builtins.__import__

    def without(name: str, *rest, **more):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=rf"pip install 'seqarena\[{kind}\]'"):
        build_task(parse_task({"kind": kind, "data": "not read yet"}))
