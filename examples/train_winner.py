"""Train the winner of a comparison larger and longer, at the learning rate that it won with.

python examples/compare_text.py my_text.txt
python examples/train_winner.py runs/example-comparison
"""

import sys

import seqarena as sa


def main(folder: str = "runs/example-comparison", params: str = "60k", tokens: str = "60k") -> None:
    """Reads the comparison, trains its first place again, and prints both scores."""
    comparison = sa.open_run(folder)
    first = comparison.ranking.rows[0]
    data = comparison.data_path
    bigger = sa.train(
        data,
        model=first.architecture,
        params=params,
        tokens=tokens,
        rate=first.learning_rate,
        name="example-winner",
    )
    metric = comparison.ranking.metric
    print(f"{first.architecture}: {metric} {first.mean:.3f} at {first.parameters:,} parameters")
    print(f"larger and longer: {metric} {bigger.ranking.rows[0].mean:.3f} -> {bigger.path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
