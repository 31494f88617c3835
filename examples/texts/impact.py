"""Eight published figures, each pair of which differs in more than it says.

The longest text, "Impact Assessment". It ends with a KeyError before it draws, because a row has

    'Pre-Transformer (LSTM)': 78.4,  # Perplexity (lower is better)

and is asked for 'Pre-Transformer'. Mended, it draws perplexity as 100 less itself, beside BLEU,
F1 and accuracy, and writes a percentage over each. What the figures really compare stands on the
page of `seqarena claims`, with sources; two architectures on the same data at equal size are one
call.

    python examples/texts/impact.py
"""

import math
from typing import Any, NamedTuple

import seqarena as sa
from seqarena.claims.citations import CITATIONS

LSTM, TRANSFORMER = 78.4, 35.8  # the perplexities of the program


class Finding(NamedTuple):
    key_error: bool
    drawn_150: float  # what a perplexity of 150 is drawn as
    printed: float  # the improvement that it prints for perplexity, a share
    fewer_bits: float  # the same two as bits a word: how many fewer, a share
    citations: dict[str, str]  # what is quoted -> its sources
    measured: dict[str, tuple[float, float, float]]  # architecture -> mean, low, high


def column(row: dict[str, float]) -> float:
    """The program's choice of a column."""
    return row["Pre-Transformer (RNN)" if "RNN" in str(row) else "Pre-Transformer"]


def fails() -> bool:
    try:
        column({"Pre-Transformer (LSTM)": LSTM, "Transformer": TRANSFORMER})
    except KeyError:
        return True
    return False


def drawn(perplexity: float) -> float:
    return 100 - perplexity


def compared(**settings: Any) -> dict[str, tuple[float, float, float]]:
    """Bits a byte of an LSTM and of a Transformer: one text, one size, one budget."""
    run = sa.compare(
        models="lstm,attention",
        params="20k",
        rates=(1e-2,),
        measure=False,
        verbose=False,
        **settings,
    )
    return {row.architecture: (row.mean, row.low, row.high) for row in run.rows}


def main(**settings: Any) -> Finding:
    chosen = {"tokens": "20k", "seeds": 3, **settings}
    found = Finding(
        fails(),
        drawn(150),
        1 - TRANSFORMER / LSTM,
        1 - math.log2(TRANSFORMER) / math.log2(LSTM),
        {citation.quoted: citation.source for citation in CITATIONS},
        compared(**chosen),
    )
    print(f"its table can be read: {'no, a KeyError' if found.key_error else 'yes'}")
    print(f"a perplexity of 150 is drawn as {found.drawn_150:.0f}")
    print(f"78.4 to 35.8: printed as {found.printed:.1%} better; {found.fewer_bits:.1%} fewer bits")
    for quoted, source in found.citations.items():
        print(f"{quoted}: {source}")
    for name, (mean, low, high) in found.measured.items():
        print(f"measured: {name}, bits a byte: {mean:.2f} ({low:.2f} to {high:.2f})")
    return found


if __name__ == "__main__":
    main()
