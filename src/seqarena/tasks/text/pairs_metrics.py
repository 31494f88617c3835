"""What written texts are worth: BLEU and chrF, exact matches, ROUGE-L.

Written texts are compared as a user reads them with the references as the user's files have them,
both in NFC. Values are on the scale that publications use: BLEU, chrF and ROUGE from 0 to 100,
exact matches as a share. Where a task makes letters small, all metrics ignore their case.

    bleu     corpus BLEU of sacrebleu (Papineni et al. 2002; Post 2018), its tokenizer by language
    chrf     character F-score of sacrebleu (Popovic 2015); each of the two stands beside the other
    exact    share of the targets whose words are those of the reference
    rouge_l  mean F of the longest common subsequence of words (Lin 2004), without stemming
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Protocol

import regex

from seqarena.core.errors import missing_extra
from seqarena.data.text.vocabulary import normalised, split_words
from seqarena.tasks.base import NUM_CHUNKS
from seqarena.tasks.text.bleu_tokenizers import DEFAULT, BleuTokenizer, choose_tokenizer

_NO_LETTERS = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


class Metric(Protocol):
    """One number for many texts, higher is better."""

    most_chunks: int  # that a split is cut into for paired comparison
    fewest_texts: int  # in a chunk that means anything

    def score(self, written: Sequence[str], references: Sequence[str]) -> float: ...

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Other measures of the same texts, by name."""
        ...

    def facts(self) -> dict[str, Any]:
        """What another program needs to get the same numbers."""
        ...


class Bleu:
    """BLEU, with chrF beside it. It means little over a handful of sentences: few, long chunks."""

    most_chunks = 20
    fewest_texts = 25

    def __init__(self, tokenizer: BleuTokenizer = DEFAULT, *, lowercase: bool = False) -> None:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        self._tokenizer = tokenizer
        # force: no warning that a text looks as if its words stood apart
        self._bleu = BLEU(tokenize=tokenizer.name, lowercase=lowercase, force=True)
        self._chrf = CHRF(lowercase=lowercase)

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        return self._bleu.corpus_score(written, [references]).score

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"chrf": self._chrf.corpus_score(written, [references]).score}

    def facts(self) -> dict[str, Any]:
        self.score(["a"], ["a"])  # a signature tells the number of references, once it knows
        self.beside(["a"], ["a"])
        return {
            "bleu": str(self._bleu.get_signature()),
            "chrf": str(self._chrf.get_signature()),
            "bleu_tokenizer": f"{self._tokenizer.name} ({self._tokenizer.reason})",
        }


class Chrf:
    """chrF, with BLEU beside it."""

    most_chunks = Bleu.most_chunks
    fewest_texts = Bleu.fewest_texts

    def __init__(self, bleu: Bleu) -> None:
        self._bleu = bleu

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        return self._bleu.beside(written, references)["chrf"]

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {"bleu": self._bleu.score(written, references)}

    def facts(self) -> dict[str, Any]:
        return self._bleu.facts()


class Exact:
    """Right or wrong, by words: how they are spaced does not count."""

    most_chunks = NUM_CHUNKS
    fewest_texts = 1

    def __init__(self, *, lowercase: bool = False) -> None:
        self._lowercase = lowercase

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        pairs = zip(written, references, strict=True)
        return fmean(self._words(one) == self._words(other) for one, other in pairs)

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {"exact": "words by Unicode word boundaries (UAX 29)"}

    def _words(self, text: str) -> list[str]:
        return split_words(normalised(text), lowercase=self._lowercase)


class RougeL:
    """ROUGE-L F over words of letters and numbers in any script.

    rouge-score's own tokenizer knows a-z and 0-9 only. Ours gives the same for such text: signs
    part words, and letters are small.
    """

    most_chunks = NUM_CHUNKS
    fewest_texts = 1

    def __init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self._scorer = RougeScorer(["rougeL"], use_stemmer=False, tokenizer=self)

    def tokenize(self, text: str) -> list[str]:
        """What rouge-score calls.

        >>> RougeL().tokenize("Don't: größe 3.14")
        ['don', 't', 'größe', '3', '14']
        """
        return split_words(_NO_LETTERS.sub(" ", normalised(text)))

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        return 100.0 * fmean(
            self._scorer.score(reference, text)["rougeL"].fmeasure
            for text, reference in zip(written, references, strict=True)
        )

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {"rouge_l": "rouge-score, F, no stemmer, words by Unicode word boundaries (UAX 29)"}


def check_packages(metric: str) -> None:
    """Raises UserError where the package of a metric is not installed."""
    if metric in ("bleu", "chrf"):
        try:
            import sacrebleu  # noqa: F401
        except ImportError as error:
            raise missing_extra("sacrebleu", "translation", "BLEU") from error
    if metric == "rouge_l":
        try:
            import rouge_score  # noqa: F401
        except ImportError as error:
            raise missing_extra("rouge-score", "summarising", "ROUGE") from error


def make_metric(
    name: str,
    *,
    lowercase: bool,
    bleu_tokenizer: str,
    target: str,
    references: Sequence[str],
) -> Metric:
    """The metric of that name; for BLEU's tokenizer see `choose_tokenizer`, which may raise."""
    if name == "exact":
        return Exact(lowercase=lowercase)
    if name == "rouge_l":
        return RougeL()
    bleu = Bleu(choose_tokenizer(bleu_tokenizer, target, references), lowercase=lowercase)
    return bleu if name == "bleu" else Chrf(bleu)
