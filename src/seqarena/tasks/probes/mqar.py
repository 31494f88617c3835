"""Multi-query associative recall (MQAR): Arora et al. 2023, "Zoology", section 4 and appendix.

    inputs    k_1 v_1 k_2 v_2 .. k_n v_n   .  .  k_2 .  .  .  k_1 .  ..
    targets   -                            -  -  v_2 -  -  -  v_1 -

    n        pairs of a key and a value, keys distinct, values distinct, uniform
    keys     1 .. V/2 - 1             values   V/2 .. V - 1
    slots    behind the 2 n tokens of the pairs, the even positions: m = (T - 2 n) / 2 of them
    gaps     key i is asked again in one slot; slot g (g = 0 .. m - 1) is drawn with weight
             a (g + 1)^(a - 1), successively and without replacement, by the first key first
    free     every position that holds neither a pair nor a query holds a random token of the whole
             vocabulary (or 0 when random_non_queries is off)

a = 1 makes every slot equally likely, a near 0 favours short gaps as natural text does. Free
positions may show keys; they are not asked there and they change no pair.

The grid lists (T, n); accuracy is over all queries together, slices give it for each cell. In the
published setting V = 8192 and the grid is (64, 4), (128, 8), (256, 16) and beyond.
"""

import math

import numpy as np

from seqarena.tasks.base import IGNORE, Batch
from seqarena.tasks.configs import MQARConfig
from seqarena.tasks.probes.probe import ProbeTask


class MQARTask(ProbeTask[tuple[int, int]]):
    """MQAR with slices by (sequence length, pairs)."""

    name = "mqar"

    def __init__(self, config: MQARConfig) -> None:
        self.config = config
        self.cells = config.grid
        self.vocab_size = config.vocab_size
        self.sequence_length = max(length for length, _ in config.grid)
        self.evaluation_examples = config.evaluation_examples
        self.power_a = config.power_a
        self.random_non_queries = config.random_non_queries

    def generate(
        self, generator: np.random.Generator, cell: tuple[int, int], num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        length, pairs = cell
        half = self.vocab_size // 2
        uniform_keys = np.ones(half - 1)
        uniform_values = np.ones(self.vocab_size - half)
        keys = 1 + draw_distinct(generator, uniform_keys, num_examples, pairs)
        values = half + draw_distinct(generator, uniform_values, num_examples, pairs)
        slots = np.arange(1, (length - 2 * pairs) // 2 + 1, dtype=np.float64)
        gaps = draw_distinct(generator, slots ** (self.power_a - 1), num_examples, pairs)
        queries = 2 * pairs + 2 * gaps

        shape = (num_examples, length)
        if self.random_non_queries:
            inputs = generator.integers(self.vocab_size, size=shape)
        else:
            inputs = np.zeros(shape, dtype=np.int64)
        inputs[:, 0 : 2 * pairs : 2] = keys
        inputs[:, 1 : 2 * pairs : 2] = values
        np.put_along_axis(inputs, queries, keys, axis=1)
        targets = np.full(shape, IGNORE, dtype=np.int64)
        np.put_along_axis(targets, queries, values, axis=1)
        return inputs, targets

    def conditions(self, batch: Batch) -> list[str]:
        length = batch.inputs_BT.shape[1]
        pairs_B = (batch.targets_BT != IGNORE).sum(1).tolist()
        return [f"length {length}, pairs {pairs}" for pairs in pairs_B]

    def baseline(self) -> dict[str, float]:
        num_values = self.vocab_size - self.vocab_size // 2
        return {"accuracy": 1 / num_values, "loss_nats": math.log(num_values)}


def draw_distinct(
    generator: np.random.Generator, weights: np.ndarray, num_rows: int, num_drawn: int
) -> np.ndarray:
    """Successive weighted draws without replacement, in the order of drawing: [rows, drawn].

    Exponential clocks of rate `weights[i]`: the order in which they ring is that of successive
    draws (Efraimidis & Spirakis 2006), so one sort replaces the loop over draws.
    """
    clocks = generator.exponential(size=(num_rows, len(weights))) / weights
    first = np.argpartition(clocks, num_drawn - 1, axis=1)[:, :num_drawn]
    order = np.take_along_axis(clocks, first, axis=1).argsort(axis=1)
    return np.take_along_axis(first, order, axis=1)
