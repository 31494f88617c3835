"""What passes between a task and a model: examples as tensors, and in words what they are.

A task is asked in one of five forms, and a model needs to know no more of it than its `Problem`:

    tokens      one answer at every position of the inputs     (language, tagging, probes)
    label       one answer for the whole of the inputs         (classification, speech, pixels)
    pairs       a target sequence for a source sequence        (translation, summarising)
    span        a part of the inputs: its first and last position            (reading)
    transcript  a sequence of symbols, in the order of the inputs and no longer than they are, and
                not said where each lies; a model gives logits at every position, of which symbol 0
                is the blank (ops/ctc)                         (transcription)

An answer is one of several classes, or some real numbers (a regression, a forecast). Of a span the
classes are the positions of the inputs' second sentence, and the logits are [B, 2, T].

    B  examples    T  positions    S  source positions    F  features    U  symbols of a transcript
    C  letters of a word, or categorical fields of a position
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from pydantic import model_validator
from torch import Tensor

from seqarena.core.config import Config
from seqarena.core.errors import UserError

IGNORE = -100  # a target where nothing is asked; torch's own ignore_index
PAD, START, END, UNKNOWN = 0, 1, 2, 3  # the first tokens of every vocabulary of words or pieces

Form = Literal["tokens", "label", "pairs", "span", "transcript"]
Targets = Literal["classes", "numbers"]


class Batch(NamedTuple):
    """What a model sees and what it is asked."""

    # tokens [B, T], or features [B, T, F]; of pairs: START and the target but for its last token
    inputs_BT: Tensor
    # Classes: int64, IGNORE where nothing is asked. Numbers: floats, NaN where nothing is asked,
    # [B, T] where a position has one and [B, T, V] where it has V. T is 1 where there is one label,
    # and 2 where the answer is a span: its first and its last position. Transcripts: [B, U],
    # symbols from 1 on, and IGNORE behind the last.
    targets_BT: Tensor
    mask_BT: Tensor | None = None  # True at real positions; None: all are real
    source_BS: Tensor | None = None  # pairs: what is to be transformed
    source_mask_BS: Tensor | None = None
    segments_BT: Tensor | None = None  # number of the sentence that a position belongs to, from 0
    characters_BTC: Tensor | None = None  # the letters of each word, 0 behind its last
    # beside features: the category of each categorical field, int64, 0 where it is missing or new
    categories_BTC: Tensor | None = None


class Problem(Config):
    """The form of a task and its sizes: all that a model is told about it."""

    form: Form = "tokens"
    targets: Targets = "classes"
    # different classes (of transcripts with the blank), or numbers of one answer; of spans 2: first
    # and last
    num_outputs: int
    vocab_size: int = 0  # of the inputs; of pairs: of the target; 0: the inputs are features
    source_vocab_size: int = 0  # of pairs
    shared_vocabulary: bool = False  # pairs: source and target use the same tokens
    features: int = 0  # numbers at each position, where the inputs are not tokens
    categories: tuple[int, ...] = ()  # beside features: sizes of the categorical fields, 0 included
    image: tuple[int, int] | None = None  # (height, width) where the positions are pixels
    num_segments: int = 0  # most sentences in one example; 0: not told apart
    num_characters: int = 0  # letters in spellings; 0: words come without
    causal: bool = False  # a model that sees later positions would see the answer
    max_length: int = 1  # longest input, in positions
    max_source_length: int = 0

    @model_validator(mode="after")
    def _check(self) -> "Problem":
        assert not self.categories or (self.features and self.form != "pairs"), (
            "categorical fields stand beside features"
        )
        return self

    @property
    def at_every_position(self) -> bool:
        """Whether a model gives outputs at every position of the inputs."""
        return self.form in ("tokens", "transcript")


def own_inputs(vocab_size: int, max_length: int = 1024) -> Problem:
    """The problem of predicting one's own next token."""
    return Problem(num_outputs=vocab_size, vocab_size=vocab_size, max_length=max_length)


def map_batch(function: Callable[[Tensor], Tensor], batch: Batch) -> Batch:
    """The batch with `function` applied to each of its tensors."""
    return Batch(*(None if x is None else function(x) for x in batch))  # pyright: ignore


def asked(targets: Tensor) -> Tensor:
    """True where something is asked, in the shape of the targets."""
    return ~targets.isnan() if targets.is_floating_point() else targets != IGNORE


def nothing_asked(targets: Tensor) -> Tensor:
    """Targets of the same kind and shape that ask nothing."""
    return torch.full_like(targets, torch.nan if targets.is_floating_point() else IGNORE)


def num_tokens(batch: Batch) -> int:
    """Positions that a batch holds, padding and source included."""
    source = 0 if batch.source_BS is None else batch.source_BS.numel()
    return batch.inputs_BT.shape[0] * batch.inputs_BT.shape[1] + source


def check_tokens(batch: Batch, problem: Problem) -> None:
    """Raises UserError for a token or an answer that a model of this problem does not know: what
    the batch was read by is another vocabulary than the model's."""
    for what, tensor, size in (
        ("token", batch.inputs_BT, problem.vocab_size),
        ("source token", batch.source_BS, problem.source_vocab_size),
        ("character", batch.characters_BTC, problem.num_characters),
        ("answer", batch.targets_BT, _num_classes(batch, problem)),
        *_fields(batch, problem),
    ):
        if tensor is None or tensor.is_floating_point() or not size or not tensor.numel():
            continue
        if (largest := int(tensor.max())) >= size:
            raise UserError(
                f"{what} {largest} is beyond the {size} that the model knows: its vocabulary is "
                "another one than the model's"
            )


def _fields(batch: Batch, problem: Problem) -> Iterator[tuple[str, Tensor, int]]:
    """What check_tokens looks at of each categorical field."""
    if batch.categories_BTC is not None:
        for number, size in enumerate(problem.categories):
            what = f"field {number + 1}: category"
            yield what, batch.categories_BTC[..., number], size


def span_logits(scores_BT2: Tensor, batch: Batch) -> Tensor:
    """A score of each position as the first and as the last of the span [B, T, 2] -> logits
    [B, 2, T]. The lowest number stands where no span can be: outside of the second sentence."""
    assert batch.segments_BT is not None
    places_BT = batch.segments_BT == 1
    if batch.mask_BT is not None:
        places_BT = places_BT & batch.mask_BT
    lowest = torch.finfo(scores_BT2.dtype).min
    return scores_BT2.transpose(1, 2).masked_fill(~places_BT[:, None], lowest)


def _num_classes(batch: Batch, problem: Problem) -> int:
    return batch.inputs_BT.shape[1] if problem.form == "span" else problem.num_outputs


def random_batch(problem: Problem, batch_size: int, *, length: int, seed: int) -> Batch:
    """An example of the problem's shape with random content, as long as it gets (at most `length`
    positions): what a model costs does not depend on what it reads."""
    draw = torch.Generator().manual_seed(seed)

    def tokens(limit: int, *shape: int, low: int = 0) -> Tensor:
        return torch.randint(min(low, limit - 1), limit, shape, generator=draw)

    length = min(length, problem.max_length)
    shape = (batch_size, length)
    inputs = (
        torch.randn(*shape, problem.features, generator=draw)
        if problem.features
        else tokens(problem.vocab_size, *shape)
    )
    batch = Batch(
        inputs_BT=inputs,
        targets_BT=_random_targets(problem, (batch_size, length), draw),
        source_BS=(
            tokens(problem.source_vocab_size, batch_size, problem.max_source_length, low=3)
            if problem.form == "pairs"
            else None
        ),
        segments_BT=(
            (torch.arange(length) * problem.num_segments // length).expand(shape).contiguous()
            if problem.num_segments
            else None
        ),
        characters_BTC=(
            tokens(problem.num_characters, *shape, 8) if problem.num_characters else None
        ),
    )
    if not problem.categories:
        return batch
    fields = [tokens(size, *shape) for size in problem.categories]
    return batch._replace(categories_BTC=torch.stack(fields, -1))


def _random_targets(problem: Problem, shape: tuple[int, int], draw: torch.Generator) -> Tensor:
    """An answer at every position, one an example, a span, or a transcript that fits."""
    if problem.form == "span":  # the second sentence is the second half
        half = min(-(-shape[1] // 2), shape[1] - 1)
        ends = torch.randint(half, shape[1], (shape[0], 2), generator=draw)
        return ends.sort(1).values
    if problem.form == "label":
        shape = (shape[0], 1)
    if problem.form == "transcript":
        size = max(1, shape[1] // 4)  # symbols that are all alike need 2 U - 1 positions
        return torch.randint(1, problem.num_outputs, (shape[0], size), generator=draw)
    if problem.targets == "classes":
        return torch.randint(problem.num_outputs, shape, generator=draw)
    several = (problem.num_outputs,) if problem.num_outputs > 1 else ()
    return torch.randn(*shape, *several, generator=draw)
