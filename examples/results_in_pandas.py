"""Read the results of a run into pandas: the ranking with its costs, and every trial.

python examples/results_in_pandas.py runs/example-comparison
"""

import sys

import pandas as pd

import seqarena as sa


def main(folder: str = "runs/example-comparison") -> pd.DataFrame:
    """Prints the ranking, and how the seeds of each architecture spread."""
    run = sa.open_run(folder)
    table = run.to_pandas()
    shown = [
        name for name in ("architecture", "mean", "low", "high", "learning_rate") if name in table
    ]
    print(table[shown].to_string(index=False))
    trials = pd.DataFrame(run.trials())
    finished = trials.dropna(subset=["test_value"])
    print(
        finished.groupby(["architecture", "learning_rate"]).test_value.agg(["mean", "std", "count"])
    )
    return table


if __name__ == "__main__":
    main(*sys.argv[1:2])
