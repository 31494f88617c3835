"""Exact match and F1 of answers, as the script of SQuAD 2.0 defines them (Rajpurkar et al. 2018).

Both compare what is left of two texts in small letters, without ASCII punctuation, without the
words a, an, the, and with single blanks. Exact: the same. F1: of the words that both have, each as
often as both have it. The best of the references counts. References of which nothing is left count
as none; where there is none, the right answer is the empty text, and F1 is 1 or 0.

>>> exact("The Lamp!", ["lamp"]), f1("the old lamp", ["a lamp", "a map"]), exact("", [])
(1.0, 0.6666666666666666, 1.0)
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def plain_answer(text: str) -> str:
    """What is compared."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(answer: str, references: Sequence[str]) -> float:
    """1 where the answer is one of the references, else 0."""
    return float(plain_answer(answer) in _plain(references))


def f1(answer: str, references: Sequence[str]) -> float:
    """The best F1 over words, from 0 to 1."""
    words = plain_answer(answer).split()
    return max(_f1(words, reference.split()) for reference in _plain(references))


def _plain(references: Sequence[str]) -> list[str]:
    return [plain for reference in references if (plain := plain_answer(reference))] or [""]


def _f1(words: Sequence[str], reference: Sequence[str]) -> float:
    if not words or not reference:
        return float(list(words) == list(reference))
    common = sum((Counter(words) & Counter(reference)).values())
    if not common:
        return 0.0
    precision, recall = common / len(words), common / len(reference)
    return 2 * precision * recall / (precision + recall)
