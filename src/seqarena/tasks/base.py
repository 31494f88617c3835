"""The contract of a task: batches that are pure functions of their index, and one honest metric.

Every metric here is a ratio of sums over all that was asked (bits over bytes, right answers over
questions), so that its value does not depend on the batch size. The same ratio over contiguous
groups of evaluation examples gives `chunk_values`, which pair one model with another.

    B  examples      T  sequence length      V  vocabulary
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from seqarena.core.batch import IGNORE, Batch, Problem, asked
from seqarena.core.config import Config
from seqarena.core.errors import UserError
from seqarena.data.files.opening import read_lines
from seqarena.tasks.configs import TaskConfig
from seqarena.tasks.survey import Survey

if TYPE_CHECKING:
    from seqarena.data.files.reading import Reading
    from seqarena.tasks.baselines.baseline import Baseline

NUM_CHUNKS = 100  # of an evaluation; fewer when there are fewer examples

Split = Literal["validation", "test"]
Record = Config  # one line of a trial's records


class Scores(Config):
    """The result of one evaluation."""

    value: float
    chunk_values: tuple[float, ...]
    slices: dict[str, float]
    num_scored: int  # targets


class Ratios(NamedTuple):
    """The metric of one batch as numerators and denominators, per example and per slice."""

    numerators_B: np.ndarray
    denominators_B: np.ndarray
    slices: dict[str, tuple[float, float]]


class Answer(NamedTuple):
    """A model's answer to one input, for people."""

    text: str
    confidence: float | None = None  # probability of the whole answer, where the model gives one


def mean_loss(outputs_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """A scalar over the targets that are asked: of classes the mean cross-entropy in nats, of
    numbers the mean squared error. Raises UserError for label smoothing of numbers."""
    targets_BT = batch.targets_BT.to(outputs_BTV.device)
    if targets_BT.is_floating_point():
        if label_smoothing:
            raise UserError("this task asks for numbers: leave label smoothing at 0")
        targets_BTV = targets_BT.view_as(outputs_BTV)
        asked_BTV = asked(targets_BTV)
        return (outputs_BTV[asked_BTV] - targets_BTV[asked_BTV]).square().mean()
    return F.cross_entropy(
        outputs_BTV.flatten(0, 1),
        targets_BT.flatten(),
        ignore_index=IGNORE,
        label_smoothing=label_smoothing,
    )


WORD_END = "\x1f"  # the unit separator of ASCII, which no text has


class Codec(ABC):
    """From what a user gives to a batch and from a model's outputs to words, without the data.

    A task carries what its codec needs in `artifacts()`, so that a checkpoint alone can predict.
    An input is one text. Two sentences have a tab between them; words that are apart already have
    WORD_END behind each.
    """

    generates: bool = False  # as the task's
    takes_words: bool = False  # a text is split into words, unless they are apart already
    takes_paths: bool = False  # a text is the path of a file
    max_length: int = 0  # of what a model writes, where it writes
    beam_width: int | None = None  # of a search over a model's logits; None: there is none
    prompt: str = "a line of text"  # what an input is, for --help and for errors
    # columns of the rows of CSV that an answer is, two of text and numbers; (): it is a text
    table: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def from_artifacts(cls, config: Any, artifacts: Mapping[str, str]) -> "Codec":
        """From the task's configuration and what its checkpoint carries."""

    @abstractmethod
    def encode(self, items: Sequence[str]) -> Batch:
        """Inputs as a batch (targets all IGNORE). Raises UserError for one that cannot be read."""

    def texts(self, texts: Sequence[str]) -> Batch:
        """Texts that a model is to read and not to answer (use/embed.py). Raises UserError as
        `encode`, and where a model of this task reads no single texts."""
        return self.encode(texts)

    def inputs(self, config: Any, file: Path) -> Iterator[str]:
        """What a file asks, in its order, in a form that training reads by `config`; answers in it
        are left aside. Here: a line of text each. Raises UserError with file and line."""
        return (line for _, line in read_lines(file))

    def read_words(self, batch: Batch) -> list[str] | None:
        """Each position of the first example as a word, for maps; None: they are the text's own
        words, or have none."""
        return None

    def run(self, answer: Callable[[Batch], Tensor], batch: Batch) -> Tensor:
        """What is decoded, by a model's `answer` to batches; here: its logits for this one."""
        return answer(batch)

    @abstractmethod
    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        """One answer an input, from logits [B, T, V] or from written tokens [B, L]."""


class Task(ABC):
    """One task. Models, mixers and training loops know it through this class only.

    A user's own task is a subclass in a file of its own, named as `my_file.py:MyTask`; its `Config`
    holds its settings, and it is built from one.
    """

    Config: ClassVar[type[TaskConfig]] = TaskConfig
    name: str
    metric: str
    lower_is_better: bool
    causal: bool  # True: a model that sees the future may not enter
    vocab_size: int
    sequence_length: int  # of the longest example
    generates: bool = False  # True: what is scored is what the model writes, not its logits
    reading_settings: ClassVar[tuple[str, ...]] = ()  # of its configuration: how files are read
    reading: "Reading | None" = None  # the files that were read; None: no files

    def __init__(self, config: Any) -> None:
        """`config` is of the class's `Config`. Raises UserError when its data do not fit it."""
        raise NotImplementedError

    @abstractmethod
    def training_batch(self, index: int, batch_size: int, *, seed: int) -> Batch:
        """Batch number `index` of the training that `seed` names: a pure function."""

    @abstractmethod
    def num_evaluation_examples(self, split: Split) -> int:
        """How many examples the split holds."""

    @abstractmethod
    def evaluation_batches(
        self, split: Split, batch_size: int, max_batches: int | None = None
    ) -> Iterator[Batch]:
        """The split in its fixed order, the same for every model; the last batch may be smaller.

        With `max_batches` the examples are max_batches * batch_size, evenly spread over the split.
        """

    @abstractmethod
    def ratios(self, logits_BTV: Tensor, batch: Batch) -> Ratios:
        """The metric's sums over one batch."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts for the record, fit for JSON."""

    @abstractmethod
    def digest(self) -> str:
        """Of everything that determines the task's numbers: settings, data, tokenizer."""

    def save_prepared(self, folder: Path) -> bool:
        """Writes what `load_prepared` reads instead of the data. False: it writes nothing, and
        every process builds the task again."""
        return False

    @classmethod
    def load_prepared(cls, config: Any, folder: Path) -> "Task":
        """The task from what `save_prepared` wrote, with equal numbers. Raises UserError where
        that is damaged."""
        raise NotImplementedError(f"{cls.__name__} writes no prepared data")

    @classmethod
    def evaluation_of(cls, config: Any, artifacts: Mapping[str, str], data: str) -> "Task":
        """A task whose test split is `data`: its test split, or all of it where it has none. It
        reads as the checkpoint with these artifacts does and learns nothing from the data; what
        it chose is in the notes of its `reading`.

        Raises UserError for data that cannot be read, and for answers that the model cannot give.
        """
        raise UserError(
            f"task {config.kind} takes no other data: leave the file out, and the model is scored "
            "on its own test split"
        )

    @property
    def problem(self) -> Problem:
        """What a model is told of this task."""
        return Problem(
            num_outputs=self.vocab_size,
            vocab_size=self.vocab_size,
            causal=self.causal,
            max_length=self.sequence_length,
        )

    @property
    def mean_length(self) -> float:
        """Positions of an average training example: what a batch's size is counted in."""
        return self.sequence_length

    @property
    def mean_tokens(self) -> float:
        """What a training example adds to a budget in tokens; of pairs, source and target."""
        return self.mean_length

    def steps_per_epoch(self, batch_size: int) -> int | None:
        """Batches that show every training example once; None where examples never end."""
        return None

    def continues(self, index: int, batch_size: int) -> bool:
        """Whether training batch `index` goes on where the one before it stopped, row by row, so
        that a state may be carried over (truncated back-propagation through time)."""
        return False

    def survey(self) -> Survey | None:
        """What was read, for people (tasks/summary.py); None where examples are drawn."""
        return None

    def baselines(self) -> "tuple[Baseline, ...]":
        """What a model has to beat on this task, before its training means anything."""
        from seqarena.tasks.baselines.catalog import baselines_of

        return baselines_of(self.name)

    def baselines_left_out(self) -> str:
        """One sentence on baselines that cannot be computed here, and what would be needed."""
        return ""

    def artifacts(self) -> dict[str, str]:
        """Texts that a checkpoint carries so that its model can be used without the data."""
        return {}

    def loss(self, logits_BTV: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """What training minimises, over the targets that are asked: see `mean_loss`. float32."""
        return mean_loss(logits_BTV.float(), batch, label_smoothing)

    def evaluate(
        self,
        predict: Callable[[Batch], Tensor],
        split: Split,
        batch_size: int,
        max_batches: int | None = None,
    ) -> Scores:
        """The metric over a split, without gradients. `predict` gives logits [B, T, V], or where
        the task `generates`, the tokens that the model writes, END and what follows it included.

        Chunk `c` of C holds the examples `i` of n with i * C // n == c, whatever the batch size.
        """

        def ratios(batch: Batch) -> Ratios:
            return self.ratios(predict(batch), batch)

        return self.score(ratios, split, batch_size, max_batches)

    def score(
        self,
        ratios: Callable[[Batch], Ratios],
        split: Split,
        batch_size: int,
        max_batches: int | None = None,
    ) -> Scores:
        """The same of anything that gives the metric's sums for a batch."""
        total = self._num_selected(split, batch_size, max_batches)
        num_chunks = min(NUM_CHUNKS, total)
        chunks = np.zeros((2, num_chunks))
        slices: dict[str, np.ndarray] = {}
        seen = num_scored = 0
        with torch.no_grad():
            for batch in self.evaluation_batches(split, batch_size, max_batches):
                found = ratios(batch)
                size = len(found.numerators_B)
                chunk_B = np.arange(seen, seen + size) * num_chunks // total
                np.add.at(chunks[0], chunk_B, found.numerators_B)
                np.add.at(chunks[1], chunk_B, found.denominators_B)
                for name, sums in found.slices.items():
                    slices[name] = slices.get(name, np.zeros(2)) + np.array(sums)
                seen += size
                num_scored += self.num_scored(batch)
        assert seen == total
        value = float(chunks[0].sum() / chunks[1].sum()) if chunks[1].any() else 0.0
        # a chunk in which nothing is to be found and nothing was says nothing: the value of all
        values = np.divide(chunks[0], chunks[1], np.full(num_chunks, value), where=chunks[1] > 0)
        return Scores(
            value=value,
            chunk_values=tuple(values.tolist()),
            slices={name: float(sums[0] / sums[1]) for name, sums in slices.items()},
            num_scored=num_scored,
        )

    def num_scored(self, batch: Batch) -> int:
        """What `Scores.num_scored` counts of a batch: its targets that are asked."""
        return int(asked(batch.targets_BT).sum())

    def shown(self, predict: Callable[[Batch], Tensor]) -> Sequence[Record]:
        """Records of a few answers to the test split, for a page to draw; `predict` is that of
        `evaluate`. Most tasks have none."""
        return ()

    def _num_selected(self, split: Split, batch_size: int, max_batches: int | None) -> int:
        if batch_size < 1 or (max_batches is not None and max_batches < 1):
            raise UserError(
                f"batch_size {batch_size} and max_batches {max_batches} must be at least 1"
            )
        total = self.num_evaluation_examples(split)
        return total if max_batches is None else min(total, max_batches * batch_size)
