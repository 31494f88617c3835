"""Baselines of text: n-grams and a compressor, scored in the task's own unit."""

import lzma
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from seqarena.tasks.base import Batch, Ratios, Scores, Split, Task
from seqarena.tasks.baselines.baseline import BaselineResult
from seqarena.tasks.baselines.kneser_ney import KneserNey
from seqarena.tasks.text.language import LanguageTask
from seqarena.tasks.text.masked_language import MaskedLanguageTask

_MOST_TOKENS = 2_000_000  # of training: half a GB and some seconds
_MOST_BYTES = 16_000_000  # that a compressor reads of training
_CHOOSING = 100_000  # validation targets that choose the order
_HIGHEST = 10  # order
_ROWS = 256  # of a batch

Sides = Callable[[Batch], tuple[np.ndarray, np.ndarray]]


def ngram(task: LanguageTask) -> BaselineResult:
    """Bits per byte of n-grams that see what a model sees: the window up to the target."""
    return _ngram(task, task, task.vocab_size, _next_tokens)


def masked_ngram(task: MaskedLanguageTask) -> BaselineResult:
    """Bits per hidden byte of n-grams that see what stands before the hidden token."""
    mask = task.mask_token

    def sides(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        before_BT = torch.nn.functional.pad(batch.inputs_BT[:, :-1], (1, 0), value=mask)
        targets_BT = batch.targets_BT.clamp(min=0)
        return before_BT.numpy(), targets_BT.numpy()

    return _ngram(task, task.language, task.vocab_size, sides)


def compressor(task: LanguageTask) -> BaselineResult:
    """Bits per byte that LZMA needs for the test text when it has read the training text. It goes
    on reading the test text, without the cuts between windows, so that it knows more than a model.
    """
    train, test = (_bytes(task, split) for split in ("train", "test"))
    detail = ""
    if len(train) > _MOST_BYTES:
        detail = f"the last {_MOST_BYTES:,} bytes of training"
        train = train[-_MOST_BYTES:]
    added = _packed(train + test) - _packed(train)
    value = 8 * added / len(test)
    return BaselineResult(
        Scores(value=value, chunk_values=(), slices={}, num_scored=len(test)), None, detail
    )


def _next_tokens(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    return batch.inputs_BT.numpy(), batch.targets_BT.numpy()


def _ngram(
    task: LanguageTask | MaskedLanguageTask, text: LanguageTask, vocab_size: int, sides: Sides
) -> BaselineResult:
    tokens_N = text.split_tokens("train")
    model = KneserNey(tokens_N[-_MOST_TOKENS:], vocab_size)
    choose_order(model, *_chosen(task, sides))
    detail = f"order {model.order}"
    if len(tokens_N) > _MOST_TOKENS:
        detail += f", of the last {_MOST_TOKENS:,} tokens of training"

    def ratios(batch: Batch) -> Ratios:
        return task.ratios_of_nats(torch.from_numpy(model.nats(*sides(batch))), batch)

    def scores(split: Split) -> Scores:
        return task.score(ratios, split, _ROWS)

    return BaselineResult(scores("test"), scores("validation").value, detail)


def choose_order(model: KneserNey, inputs_BT: np.ndarray, targets_BT: np.ndarray) -> None:
    """Raises the order of a model of order 1 as long as that helps on these targets, of which
    those below 0 do not count."""
    walk, asked_BT = model.walk(inputs_BT, np.maximum(targets_BT, 0)), targets_BT >= 0
    best = math.inf
    for _ in range(_HIGHEST):
        walk.step()
        nats = float(-np.log(walk.probabilities_BT[asked_BT]).mean())
        if nats >= best:
            model.lower_order()
            return
        best = nats
        if model.order == _HIGHEST or not model.raise_order():
            return


def _chosen(task: Task, sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of validation windows, spread over the split; -1: not asked."""
    most = max(1, _CHOOSING // task.sequence_length // _ROWS)
    pairs = [
        (inputs_BT, np.where(batch.targets_BT.numpy() < 0, -1, targets_BT))
        for batch in task.evaluation_batches("validation", _ROWS, most)
        for inputs_BT, targets_BT in [sides(batch)]
    ]
    return np.concatenate([one for one, _ in pairs]), np.concatenate([two for _, two in pairs])


def _bytes(task: LanguageTask, split: Split | str) -> bytes:
    """The text of a split; of the test what is scored."""
    tokens_N = task.split_tokens(split)
    if split != "train":
        scored = task.num_evaluation_examples("test") * task.sequence_length
        tokens_N = tokens_N[1 : scored + 1]
    return b"".join(_spelled(task, tokens_N))


def _spelled(task: LanguageTask, tokens_N: np.ndarray) -> Iterator[bytes]:
    if task.tokenizer.name == "byte":
        yield tokens_N.astype(np.uint8).tobytes()
        return
    spelled = [task.tokenizer.bytes_of(token) for token in range(task.vocab_size)]
    for token in tokens_N.tolist():
        yield spelled[token]


def _packed(content: bytes) -> int:
    window = 1 << max(16, (len(content) - 1).bit_length())
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}]
    return len(lzma.compress(content, format=lzma.FORMAT_RAW, filters=filters))
