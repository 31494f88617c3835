"""Your own task: at every bracket, how deep is it? Then three architectures are asked.

    python examples/own_task.py
    seqarena compare --task examples/own_task.py:BracketDepth --models gru,attention --set length=48

A task is a configuration and a class. `ProbeTask` does the rest for generated ones: batches that
are functions of (seed, index), fixed validation and test examples, accuracy by slices.
"""

import numpy as np

import seqarena as sa
from seqarena.core.options import knob
from seqarena.tasks.base import Batch, TaskConfig
from seqarena.tasks.probe import ProbeTask

OPEN, CLOSE = 0, 1


class BracketDepthConfig(TaskConfig):
    """Strings of brackets that never close more than is open."""

    length: int = knob(32, "Brackets in a string.", ge=2)
    max_depth: int = knob(7, "Deepest nesting.", ge=1)


class BracketDepth(ProbeTask[int]):
    """Say how deep each bracket is nested; accuracy, higher is better."""

    Config = BracketDepthConfig
    name = "bracket_depth"
    causal = True

    def __init__(self, config: BracketDepthConfig) -> None:
        self.config = config
        self.cells = (config.length,)
        self.evaluation_examples = 200
        self.sequence_length = config.length
        self.vocab_size = max(2, config.max_depth + 1)  # of inputs, and of answers

    def generate(
        self, generator: np.random.Generator, cell: int, num_examples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Brackets, and the number that are open after each: int64 [num_examples, cell] each."""
        depth_B = np.zeros(num_examples, dtype=np.int64)
        brackets_BT = np.empty((num_examples, cell), dtype=np.int64)
        depths_BT = np.empty_like(brackets_BT)
        for position in range(cell):
            opens_B = generator.random(num_examples) < 0.5
            opens_B = (opens_B | (depth_B == 0)) & (depth_B < self.config.max_depth)
            depth_B += np.where(opens_B, 1, -1)
            brackets_BT[:, position] = np.where(opens_B, OPEN, CLOSE)
            depths_BT[:, position] = depth_B
        return brackets_BT, depths_BT

    def conditions(self, batch: Batch) -> list[str]:
        """By the deepest nesting of the string."""
        return [f"deepest {depth}" for depth in batch.targets_BT.amax(1).tolist()]

    def baseline(self) -> dict[str, float]:
        """Who always says one depth is right as often as the likeliest one occurs."""
        _, depths_BT = self.generate(np.random.default_rng(0), self.sequence_length, 2000)
        share = np.bincount(depths_BT.ravel()).max() / depths_BT.size
        return {"accuracy": float(share), "loss_nats": float(-np.log(share))}


def main(steps: int = 150) -> sa.Run:
    """Ranks three architectures on it, and prints which nestings the best gets right."""
    run = sa.compare(
        task=f"{__file__}:BracketDepth",
        models=["gru", "conv", "attention"],
        params="20k",
        steps=steps,
        rates=(1e-2,),
        seeds=2,
        repeats=0,
        measure=False,
        name="example-brackets",
    )
    print(run)
    for name, share in run.best.evaluate().scores.slices.items():
        print(f"{name}: {share:.0%} right")
    return run


if __name__ == "__main__":
    main()
