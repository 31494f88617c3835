"""Induction heads: what followed the special symbol when it was last seen.

Olsson et al. 2022 find circuits in attention that complete [A][B] .. [A] -> [B]; the synthetic form
is that of Fu et al. 2023 ("Hungry Hungry Hippos") and of Gu & Dao 2023, section 4.1, where
training on short sequences is asked for at great lengths. It follows length_probe.py:

    inputs    x x x special y x x .. x    special
    targets   -                           y

The special symbol stands once among the n, anywhere but last; y and all x are uniform over the
alphabet, so that nothing but its place tells y from the others.

    n  length
"""

import numpy as np

from seqarena.tasks.probes.configs import InductionConfig
from seqarena.tasks.probes.length_probe import LengthProbeTask


class InductionTask(LengthProbeTask):
    """Tokens: the alphabet, then the special symbol, which is the question as well."""

    name = "induction"
    shortest = 2

    def __init__(self, config: InductionConfig) -> None:
        super().__init__(config)
        self.num_outputs, self.vocab_size = config.alphabet, config.alphabet + 1

    def examples(
        self, generator: np.random.Generator, length: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        special = self.num_outputs
        tokens_BT = generator.integers(special, size=(num_examples, length + 1))
        places_B1 = generator.integers(length - 1, size=(num_examples, 1))
        np.put_along_axis(tokens_BT, places_B1, special, axis=1)
        tokens_BT[:, -1] = special
        return tokens_BT, np.take_along_axis(tokens_BT, places_B1 + 1, axis=1)[:, 0]

    def answer_probabilities(self, length: int) -> np.ndarray:
        """All symbols are equally likely."""
        return np.full(self.num_outputs, 1 / self.num_outputs)
