"""The nearest of many texts by the cosine of their TF-IDF vectors.

    (1 + ln count) (1 + ln((N + 1) / (texts that have the word + 1)))

is the weight of a word (Salton & Buckley 1988). Of equal cosines the first text is taken.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

_AT_ONCE = 256  # texts that are compared with all others


class NearestText:
    """Texts to look among, as lists of words."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._number: dict[str, int] = {}
        for text in texts:
            for word in text:
                self._number.setdefault(word, len(self._number))
        counts_NW = self._counts(texts)
        having_W = np.bincount(counts_NW.indices, minlength=max(1, len(self._number)))
        self._weights_W = np.log((len(texts) + 1) / (having_W + 1)) + 1
        self._vectors_WN = self._vectors(counts_NW).T.tocsr()

    def find(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """The number of the nearest text for each of these: int64."""
        found = [np.empty(0, dtype=np.int64)]
        for first in range(0, len(texts), _AT_ONCE):
            asked = self._vectors(self._counts(texts[first : first + _AT_ONCE]))
            cosine_BN = (asked @ self._vectors_WN).toarray()
            found.append(cosine_BN.argmax(axis=1))
        return np.concatenate(found)

    def _counts(self, texts: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """How often each text has each word that is known."""
        rows, columns = [], []
        for row, text in enumerate(texts):
            known = [self._number[word] for word in text if word in self._number]
            rows += [row] * len(known)
            columns += known
        shape = (len(texts), max(1, len(self._number)))
        counts = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
        counts.sum_duplicates()
        return counts

    def _vectors(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Of length one."""
        vectors = counts.copy()
        vectors.data = (1 + np.log(vectors.data)) * self._weights_W[vectors.indices]
        lengths = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        return sparse.diags(1 / np.maximum(lengths, 1e-12)) @ vectors
