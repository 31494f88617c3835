"""Baselines of tasks with one label: the majority, naive Bayes over words, the nearest example."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from seqarena.core.batch import UNKNOWN
from seqarena.data.batches import spread
from seqarena.tasks.base import Batch
from seqarena.tasks.baselines.baseline import BaselineResult, result_of
from seqarena.tasks.examples import ExampleTask
from seqarena.tasks.text.classification import ClassificationTask
from seqarena.tasks.text.label import LabelTask

_ROWS = 256  # examples of a batch
_MOST_NEIGHBOURS = 10_000  # training examples that the nearest is looked for among
_SMOOTHING = 1.0  # of naive Bayes: Laplace's


def majority(task: LabelTask) -> BaselineResult:
    """Always the most frequent class of training; of equals the first by name."""
    counts_V = np.bincount(task.labels("train"), minlength=len(task.classes))
    logits_V = torch.nn.functional.one_hot(torch.tensor(counts_V.argmax()), len(counts_V)).float()
    return label_result(
        task,
        lambda batch: logits_V.expand(len(batch.targets_BT), -1),
        task.classes[int(counts_V.argmax())],
    )


def naive_bayes(task: ClassificationTask) -> BaselineResult:
    """Multinomial naive Bayes over whether words and pairs of neighbours occur, with Laplace's
    smoothing (Wang & Manning 2012, "Baselines and Bigrams", section 2.1). Of two sentences the
    words of each count by themselves."""
    classes = len(task.classes)
    kinds, labels = [], []
    for batch in training_batches(task):
        examples_K, keys_K = _word_keys(batch, task.vocab_size)
        kinds.append(keys_K)
        labels.append(batch.targets_BT[:, 0].numpy()[examples_K])
    known_F, place_K = np.unique(np.concatenate(kinds), return_inverse=True)
    counts_FV = np.full((len(known_F), classes), _SMOOTHING)
    np.add.at(counts_FV, (place_K, np.concatenate(labels)), 1.0)
    weights_FV = np.log(counts_FV / counts_FV.sum(axis=0))
    examples_V = np.bincount(task.labels("train"), minlength=classes)
    prior_V = np.log(np.maximum(examples_V, 1e-9) / examples_V.sum())

    def logits(batch: Batch) -> torch.Tensor:
        examples_K, keys_K = _word_keys(batch, task.vocab_size)
        place_K = np.minimum(np.searchsorted(known_F, keys_K), len(known_F) - 1)
        met_K = known_F[place_K] == keys_K
        logits_BV = np.tile(prior_V, (len(batch.targets_BT), 1))
        np.add.at(logits_BV, examples_K[met_K], weights_FV[place_K[met_K]])
        return torch.from_numpy(logits_BV)

    return label_result(task, logits, f"{len(known_F):,} features")


def nearest(task: LabelTask) -> BaselineResult:
    """The class of the nearest training example, by Euclidean distance: of what has one length
    position by position, else of the mean and the spread of its features over time."""
    size = task.sizes["train"]
    chosen = spread(size, _MOST_NEIGHBOURS)
    train = [task.batch("train", part) for part in np.array_split(chosen, -(-len(chosen) // _ROWS))]
    one_length = len({batch.inputs_BT.shape[1] for batch in train}) == 1
    points_NF = torch.cat([_points(batch, one_length) for batch in train])
    labels_N = torch.cat([batch.targets_BT[:, 0] for batch in train])
    mean_F, spread_F = points_NF.mean(0), torch.ones(1)
    if not one_length:
        spread_F = points_NF.std(0).clamp(min=1e-6)
    points_NF = (points_NF - mean_F) / spread_F
    half_squares_N = points_NF.square().sum(1) / 2

    def logits(batch: Batch) -> torch.Tensor:
        points_BF = (_points(batch, one_length) - mean_F) / spread_F
        best_B = (points_BF @ points_NF.T - half_squares_N).argmax(1)
        return torch.nn.functional.one_hot(labels_N[best_B], len(task.classes)).float()

    detail = "" if len(chosen) == size else f"among {len(chosen):,} of {size:,} training examples"
    return label_result(task, logits, detail)


def label_result(
    task: ExampleTask, logits: Callable[[Batch], torch.Tensor], detail: str = ""
) -> BaselineResult:
    """The scores of a function that gives the logits [B, V] of a batch."""
    return scored(task, lambda batch: logits(batch)[:, None], detail)


def scored(
    task: ExampleTask, predict: Callable[[Batch], torch.Tensor], detail: str = ""
) -> BaselineResult:
    """The scores of a function that gives what a model would, [B, T, V]."""
    return result_of(lambda split: task.evaluate(predict, split, _ROWS), detail)


def training_batches(task: ExampleTask, rows: int = _ROWS) -> Iterator[Batch]:
    """Every training example once, in order, `rows` in a batch."""
    for first in range(0, task.sizes["train"], rows):
        yield task.batch("train", np.arange(first, min(first + rows, task.sizes["train"])))


def _points(batch: Batch, one_length: bool) -> torch.Tensor:
    """One vector an example: float32 [B, F]."""
    inputs_BTF = batch.inputs_BT.float()
    if one_length:
        return inputs_BTF.flatten(1)
    mask_BT = batch.mask_BT
    shown_BT1 = torch.ones_like(inputs_BTF[..., :1]) if mask_BT is None else mask_BT[..., None]
    count_B1 = shown_BT1.sum(1).clamp(min=1)
    mean_BF = (inputs_BTF * shown_BT1).sum(1) / count_B1
    square_BF = (inputs_BTF.square() * shown_BT1).sum(1) / count_B1
    return torch.cat([mean_BF, (square_BF - mean_BF.square()).clamp(min=0).sqrt()], dim=1)


def _word_keys(batch: Batch, vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """The words and pairs of neighbours in a batch, each once an example: the numbers of the
    examples, and a key for each. Unknown words are no words, and no pair goes over them."""
    tokens_BT = batch.inputs_BT.numpy().astype(np.int64)
    mask_BT = np.ones_like(tokens_BT, dtype=bool)
    if batch.mask_BT is not None:
        mask_BT = batch.mask_BT.numpy()
    segment_BT = np.zeros_like(tokens_BT)
    if batch.segments_BT is not None:
        segment_BT = batch.segments_BT.numpy().astype(np.int64)
    is_word_BT = mask_BT & (tokens_BT != UNKNOWN)
    base = 2 * vocab_size
    word_BT = tokens_BT + segment_BT * vocab_size
    is_pair_BT = is_word_BT[:, 1:] & is_word_BT[:, :-1] & (segment_BT[:, 1:] == segment_BT[:, :-1])
    pair_BT = (word_BT[:, :-1] + 1) * base + word_BT[:, 1:]
    found = [
        np.stack([examples_K, keys_BT[examples_K, places_K]])
        for is_one_BT, keys_BT in ((is_word_BT, word_BT), (is_pair_BT, pair_BT))
        for examples_K, places_K in [np.nonzero(is_one_BT)]
    ]
    examples_K, keys_K = np.unique(np.concatenate(found, axis=1), axis=1)
    return examples_K, keys_K
