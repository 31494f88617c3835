"""What written texts are worth: BLEU and chrF, exact matches, ROUGE-L.

Written and reference texts are words with a blank between each (tasks/text/pairs_codec.py), so that
the metric splits nothing itself. Values are on the scale that publications use: BLEU, chrF and
ROUGE from 0 to 100, exact matches as a share.

    bleu     corpus BLEU of sacrebleu (Papineni et al. 2002; Post 2018) without its tokenizer
    chrf     character F-score beside it (Popovic 2015)
    exact    share of the targets that are written exactly
    rouge_l  mean F of the longest common subsequence (Lin 2004), without stemming
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Protocol

from seqarena.core.errors import missing_extra
from seqarena.tasks.base import NUM_CHUNKS


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

    def __init__(self) -> None:
        """Raises UserError where sacrebleu is not installed."""
        try:
            from sacrebleu.metrics.bleu import BLEU
            from sacrebleu.metrics.chrf import CHRF
        except ImportError as error:
            raise missing_extra("sacrebleu", "translation", "BLEU") from error
        self._bleu = BLEU(tokenize="none", force=True)  # force: words that stand apart are meant
        self._chrf = CHRF()

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
        }


class Exact:
    """Right or wrong."""

    most_chunks = NUM_CHUNKS
    fewest_texts = 1

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        return fmean(one == other for one, other in zip(written, references, strict=True))

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {}


class RougeL:
    """ROUGE-L F."""

    most_chunks = NUM_CHUNKS
    fewest_texts = 1

    def __init__(self) -> None:
        """Raises UserError where rouge-score is not installed."""
        try:
            from rouge_score.rouge_scorer import RougeScorer
        except ImportError as error:
            raise missing_extra("rouge-score", "summarising", "ROUGE") from error
        self._scorer = RougeScorer(["rougeL"], use_stemmer=False)

    def score(self, written: Sequence[str], references: Sequence[str]) -> float:
        return 100.0 * fmean(
            self._scorer.score(reference, text)["rougeL"].fmeasure
            for text, reference in zip(written, references, strict=True)
        )

    def beside(self, written: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {"rouge_l": "rouge-score, F, no stemmer"}


METRICS: dict[str, type[Bleu] | type[Exact] | type[RougeL]] = {
    "bleu": Bleu,
    "exact": Exact,
    "rouge_l": RougeL,
}
