"""Which architecture for my text? Three of them at equal size and cost, and how sure that is.

python examples/compare_text.py my_text.txt     # without a file: the embedded text
"""

import sys

import seqarena as sa


def main(text: str | None = None, tokens: str = "20k", seeds: int = 2) -> sa.Run:
    """Compares, prints the answer, and lets the winner write a line."""
    run = sa.compare(
        text,
        models=["gru", "mamba", "attention"],
        params="30k",
        tokens=tokens,
        rates=(6e-3, 2e-2),
        seeds=seeds,
        name="example-comparison",
    )
    print(run)
    print(run.ranking.verdict)
    print("The " + run.best.generate("The ", count=60))
    print(f"everything that was measured: {run.page()}")
    return run


if __name__ == "__main__":
    main(*sys.argv[1:2])
