"""A map of attention that no attention made.

The longest text, "Attention Visualization". Its weights are random numbers that fade with
distance, and the one that is to show how a pronoun is resolved is typed in; its recurrent network
is a formula:

    attention_weights[it_idx, cat_idx] = 0.6
    rnn_states[t, :t] = np.exp(-np.arange(t, 0, -1) / 2)

So the words do not matter, which the same map for nonsense shows. The map of a model that was
trained is one call; how a recurrent network uses its past is measured by its gradients.

    python examples/texts/attention_map.py
"""

from typing import NamedTuple

import numpy as np

import seqarena as sa

SENTENCE = "The cat sat on the mat because it was comfortable"  # of the program
NONSENSE = "dax cat wug on blick fep toma it zup gorp"


class Finding(NamedTuple):
    same_for_nonsense: bool
    typed: float  # the weight of `it` on `cat` as it is written into the matrix
    drawn: float  # the same once the row has been made to sum to one, which is what is drawn
    formula_reads_back: float  # positions that the drawn RNN reads back from the last word, mean
    measured_heads: list[float]  # the weight of `it` on `cat`, a head each, after training
    measured_lstm: float  # positions that a trained LSTM reads back from the last word, mean


def drawn_attention(sentence: str) -> np.ndarray:
    """The program's matrix: it needs the number of words and two places."""
    words = sentence.split()
    draw = np.random.RandomState(42)
    places = np.arange(len(words))
    weights = draw.rand(len(words), len(words)) * np.exp(-abs(places[:, None] - places) / 3)
    weights /= weights.sum(1, keepdims=True)
    row = weights[words.index("it")]
    row[words.index("cat")] = 0.6
    row /= row.sum()
    return weights


def drawn_recurrence(sentence: str) -> np.ndarray:
    """Its second matrix: no word reads itself, and the first reads nothing."""
    places = np.arange(len(sentence.split()))
    back = places[:, None] - places
    flow = np.where(back > 0, np.exp(-back / 2), 0.0)
    return flow / np.maximum(flow.sum(1, keepdims=True), np.finfo(float).tiny)


def reads_back(row: np.ndarray) -> float:
    """How many positions back the last word reads, weighted."""
    return float((row * np.arange(len(row))[::-1]).sum())


def measured(runs: str, steps: int) -> tuple[list[float], float]:
    found = sa.measure(
        "maps", models="attention,lstm", text=SENTENCE, steps=steps, runs=runs, verbose=False
    ).measurements
    words = SENTENCE.split()
    it, cat = words.index("it"), words.index("cat")
    trained = [one for one in found if one.variant == "trained"]
    heads = [one.weights[it][cat] for one in trained if one.measurement == "attention"]
    (lstm,) = (one for one in trained if one.architecture == "lstm")
    return heads, reads_back(np.array(lstm.weights[-1]))


def main(runs: str = "runs", steps: int = 100) -> Finding:
    attention = drawn_attention(SENTENCE)
    words = SENTENCE.split()
    found = Finding(
        bool((attention == drawn_attention(NONSENSE)).all()),
        0.6,
        float(attention[words.index("it"), words.index("cat")]),
        reads_back(drawn_recurrence(SENTENCE)[-1]),
        *measured(runs, steps),
    )
    same = "the same" if found.same_for_nonsense else "another"
    print(f'drawn for "{SENTENCE}", and for "{NONSENSE}": {same} map')
    print(f"`it` on `cat`: typed in {found.typed:.2f}, drawn {found.drawn:.2f}")
    print(f"the last word reads back, RNN as drawn: {found.formula_reads_back:.1f} positions")
    print(f"measured: `it` on `cat`, heads of attention after {steps} steps: "
          f"{', '.join(f'{weight:.2f}' for weight in found.measured_heads)}")  # fmt: skip
    print(f"measured: the last word reads back, LSTM: {found.measured_lstm:.1f} positions")
    return found


if __name__ == "__main__":
    main()
