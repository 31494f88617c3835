"""Sentence embeddings on SICK relatedness: python -m benchmarks.relatedness [--models a,b]

SICK (Marelli et al. 2014) has 4,500 pairs of sentences for training, 500 for validation and 4,927
for the test, each with a score of relatedness from 1 to 5 and one of three kinds of entailment. An
encoder is trained on the entailment alone, with word vectors from scratch, by the settings of
recipes/sick.toml; `seqarena embed` then gives a vector for each sentence. Two readings of them:

    cosine   of the two vectors, as it is: nothing is fitted
    head     p = softmax(W [|u - v|; u * v] + b) over the scores 1 to 5; the score is sum_k k p_k.
             Fitted to the training scores (Tai et al. 2015, section 3.2, without their hidden
             layer, as SentEval has it: Conneau and Kiela 2018), its decay chosen on validation

beside two measures that know no order and are fitted to nothing: the share of words that both have
(Jaccard), and the cosine of TF-IDF vectors. Pearson's r and Spearman's rho on the test split. Exit
code 1 where no encoder with its head, its seeds averaged, has a higher r than both measures.
"""

import argparse
import csv
import math
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

import seqarena as sa
from seqarena.data.text.vocabulary import split_words

FILES = {
    "train": "SICK_train.txt",
    "validation": "SICK_trial.txt",
    "test": "SICK_test_annotated.txt",
}
SETTINGS = ["text=sentence_A", "text_pair=sentence_B", "label=entailment_judgment"]
DECAYS = (1e-4, 1e-3, 1e-2, 1e-1)  # of the head


class Pairs(NamedTuple):
    """One split."""

    first: list[str]
    second: list[str]
    scores_N: np.ndarray  # 1 to 5


def read_pairs(folder: Path) -> dict[str, Pairs]:
    """SICK as it is published, by split."""
    found = {}
    for split, name in FILES.items():
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        scores = np.array([float(row["relatedness_score"]) for row in rows])
        first, second = ([row[name] for row in rows] for name in ("sentence_A", "sentence_B"))
        found[split] = Pairs(first, second, scores)
    return found


def pearson(a_N: np.ndarray, b_N: np.ndarray) -> float:
    return float(np.corrcoef(a_N, b_N)[0, 1])


def cosines(u_NE: np.ndarray, v_NE: np.ndarray) -> np.ndarray:
    lengths_N = np.linalg.norm(u_NE, axis=1) * np.linalg.norm(v_NE, axis=1)
    return (u_NE * v_NE).sum(1) / np.maximum(lengths_N, 1e-12)


def shared_words(pairs: Pairs) -> np.ndarray:
    """Jaccard's index of the sets of words."""
    found = []
    for first, second in zip(pairs.first, pairs.second):
        a, b = (set(split_words(text, lowercase=True)) for text in (first, second))
        found.append(len(a & b) / len(a | b))
    return np.array(found)


def tf_idf_cosines(train: Pairs, pairs: Pairs) -> np.ndarray:
    """Cosines of counts times log(N / sentences that have the word); rarer ones count as once."""
    sentences = [set(split_words(text, lowercase=True)) for text in (*train.first, *train.second)]
    having = Counter(word for words in sentences for word in words)

    def vector(text: str) -> dict[str, float]:
        counts = Counter(split_words(text, lowercase=True))
        return {w: n * math.log(len(sentences) / max(1, having[w])) for w, n in counts.items()}

    def cosine(first: str, second: str) -> float:
        a, b = vector(first), vector(second)
        lengths = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
        return sum(x * b.get(word, 0.0) for word, x in a.items()) / max(lengths, 1e-12)

    return np.array(list(map(cosine, pairs.first, pairs.second)))


def spread(scores_N: np.ndarray) -> Tensor:
    """Each score as a distribution over 1 to 5 whose mean it is (Tai et al. 2015, section 3.2)."""
    target_N5 = torch.zeros(len(scores_N), 5, dtype=torch.float64)
    for row_5, score in zip(target_N5, scores_N):
        whole = min(4, math.floor(score))
        row_5[whole - 1], row_5[whole] = whole + 1 - score, score - whole
    return target_N5


class Head:
    """The softmax over scores. Fitted by L-BFGS to the whole split at once."""

    def __init__(self, features_NF: Tensor, scores_N: np.ndarray, decay: float) -> None:
        self.mean_F = features_NF.mean(0)
        self.deviation_F = features_NF.std(0) + 1e-6
        self.linear = torch.nn.Linear(features_NF.shape[1], 5, dtype=torch.float64)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)
        target_N5, x_NF = spread(scores_N), self._scaled(features_NF)
        search = torch.optim.LBFGS(
            self.linear.parameters(), max_iter=200, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            search.zero_grad()
            found = -(target_N5 * self.linear(x_NF).log_softmax(1)).sum(1).mean()
            found = found + decay * self.linear.weight.square().sum()
            found.backward()
            return found

        search.step(loss)  # pyright: ignore

    def __call__(self, features_NF: Tensor) -> np.ndarray:
        with torch.no_grad():
            shares_N5 = self.linear(self._scaled(features_NF)).softmax(1)
        return (shares_N5 @ torch.arange(1.0, 6.0, dtype=torch.float64)).numpy()

    def _scaled(self, features_NF: Tensor) -> Tensor:
        return (features_NF - self.mean_F) / self.deviation_F


def by_head(
    vectors: dict[str, tuple[np.ndarray, np.ndarray]], data: dict[str, Pairs]
) -> np.ndarray:
    """The test scores of the head whose decay is best on validation."""
    features = {
        split: torch.from_numpy(np.concatenate((np.abs(u - v), u * v), 1)).double()
        for split, (u, v) in vectors.items()
    }
    heads = [Head(features["train"], data["train"].scores_N, decay) for decay in DECAYS]
    best = max(
        heads,
        key=lambda head: pearson(head(features["validation"]), data["validation"].scores_N),
    )
    return best(features["test"])


def report(name: str, how: str, found_N: np.ndarray, scores_N: np.ndarray) -> float:
    """Prints both and returns Pearson's."""
    r, rho = pearson(found_N, scores_N), spearmanr(found_N, scores_N).statistic  # pyright: ignore
    print(f"{name:<32} {how:<8} r {r:.3f}  rho {rho:.3f}", flush=True)
    return r


def embedded(
    model: "sa.TrainedModel", data: dict[str, Pairs]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    embed: Callable[[list[str]], np.ndarray] = model.embedder()
    return {split: (embed(pairs.first), embed(pairs.second)) for split, pairs in data.items()}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    options.add_argument("--models", default="text_cnn,self_attention_encoder,bi_lstm,gru")
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--epochs", default="3")
    options.add_argument("--runs", default="runs")
    asked = options.parse_args()
    folder = Path(os.environ.get("SEQARENA_DATA", "../shared/data")) / "sick"
    data = read_pairs(folder)
    test = data["test"]
    of_words = max(
        report("shared words", "as it is", shared_words(test), test.scores_N),
        report("TF-IDF", "cosine", tf_idf_cosines(data["train"], test), test.scores_N),
    )
    best = 0.0
    for name in asked.models.split(","):
        of_heads = []
        for seed in range(asked.seeds):
            run = sa.train(
                folder, model=name, task="classification", settings=SETTINGS, params="300k",
                depth=1, epochs=asked.epochs, batch=50, warmup=0.05, dropout=0.3, rate="4e-3",
                seed=seed, name=f"relatedness-{name}-{seed}", runs=asked.runs, verbose=False,
            )  # fmt: skip
            vectors = embedded(run.best, data)
            label = f"{name}, seed {seed}"
            report(label, "cosine", cosines(*vectors["test"]), test.scores_N)
            of_heads.append(report(label, "head", by_head(vectors, data), test.scores_N))
        best = max(best, fmean(of_heads))
    return 0 if best > of_words else 1


if __name__ == "__main__":
    sys.exit(main())
