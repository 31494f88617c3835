"""What is measured: an architecture of the catalog as it begins, or a trained checkpoint.

Measuring needs a model at many lengths, and no data: each architecture is asked in the first form
of task that it can do (predict the next token; tag; label tokens, pixels or numbers; write one
sequence from another; find a span), and the form is part of the record.

    T  length of the inputs; of pairs, of the source and of the target alike
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from seqarena.core.architecture import Architecture, with_options
from seqarena.core.batch import Problem
from seqarena.core.errors import UserError
from seqarena.models.any import AnyConfig, build_model, parse_config
from seqarena.models.build import model_config
from seqarena.models.catalog import architecture, is_known, why_not, yours
from seqarena.models.combinations import whole_depth
from seqarena.models.model import Model
from seqarena.models.stacks.plain_modules import with_measured
from seqarena.train.checkpoint import load

VOCABULARY = 256
_SENTENCES = 4  # in the inputs of what reads stories
_IMAGE = 32


class Subject(NamedTuple):
    """One thing to measure. Build it at every length that is asked of it."""

    row: Architecture
    variant: str = ""  # what tells it from other subjects of its architecture
    width: int | None = None
    params: int | None = None
    depth: int | None = None
    checkpoint: Path | None = None  # trained weights; sizes then come from it
    vocab_size: int = VOCABULARY

    def problem(self, length: int) -> Problem:
        """What the model is told; of a checkpoint, what it was trained for."""
        if self.checkpoint is not None:
            return self.config(length).problem
        return problem_for(self.row, self.vocab_size, length)

    def config(self, length: int) -> AnyConfig:
        """The model's configuration at that length."""
        if self.checkpoint is not None:
            return parse_config(load(self.checkpoint).about["model"])
        return model_config(
            self.row,
            self.problem(length),
            params=self.params,
            width=None if self.params else self.width or 64,
            depth=self.depth,
        )

    def build(self, length: int, *, seed: int = 0) -> Model:
        """The model, in evaluation mode: fresh from `seed`, or with the checkpoint's weights."""
        if self.checkpoint is not None:
            return load(self.checkpoint).model().eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_model(self.config(length)).eval()

    def settings(self, length: int) -> dict[str, Any]:
        """What the record says of it."""
        config = self.config(length)
        return {
            "width": config.width,
            "depth": self.depth,
            "form": self.problem(length).form,
            "weights": "initial" if self.checkpoint is None else str(self.checkpoint),
        }


def subject(
    name: str,
    *,
    variant: str = "",
    checkpoint: str | Path | None = None,
    options: dict[str, Any] | None = None,
    **size: Any,
) -> Subject:
    """The architecture of that name, as it begins: `subject("lstm", width=64, depth=2)`.

    A name with a colon is a user's own mixer, `[label=]my_file.py:MyMixer`. `options` go to every
    layer, or to the system (core.architecture.with_options). A hybrid has at least one whole
    pattern of layers, whatever the `depth`. A `checkpoint` is measured instead, under the name of
    its architecture: its sizes and options are its own.
    """
    if checkpoint is not None:
        found = trained(name, Path(checkpoint))
        return found._replace(variant=variant) if variant else found
    row = _row(name)
    if size.get("depth"):
        size["depth"] = max(size["depth"], whole_depth(row, 1))
    return Subject(with_options(row, options), variant, **size)


def trained(name: str, checkpoint: Path) -> Subject:
    """The model in a checkpoint folder, under the name of its architecture; a name that is not of
    the catalog labels a user's own mixer, whose file the checkpoint knows."""
    row = architecture(name) if is_known(name) else yours(name, "of the checkpoint")
    return Subject(row, "trained", checkpoint=checkpoint)


def problem_for(row: Architecture, vocab_size: int, length: int) -> Problem:
    """The first problem of this size that the architecture can enter. Raises UserError for none."""
    problems = (
        Problem(num_outputs=vocab_size, vocab_size=vocab_size, causal=True, max_length=length),
        Problem(
            num_outputs=vocab_size, vocab_size=vocab_size, num_characters=vocab_size,
            max_length=length,
        ),
        Problem(
            form="label", num_outputs=10, vocab_size=vocab_size, num_segments=_SENTENCES,
            max_length=length,
        ),
        Problem(
            form="pairs", num_outputs=vocab_size, vocab_size=vocab_size, causal=True,
            source_vocab_size=vocab_size, max_length=length, max_source_length=length,
        ),
        Problem(
            form="span", num_outputs=2, vocab_size=vocab_size, num_segments=2, max_length=length
        ),
        Problem(form="label", num_outputs=10, features=1, image=(_IMAGE, _IMAGE),
                max_length=_IMAGE * _IMAGE),
        Problem(form="label", num_outputs=10, features=1, max_length=length),
    )  # fmt: skip
    for problem in problems:
        if why_not(row, problem) is None:
            return problem
    raise UserError(f"{row.name} can do no form of task that measuring knows")


def _row(name: str) -> Architecture:
    if ":" not in name or is_known(name):
        return architecture(name)
    label, equals, place = name.rpartition("=")
    return with_measured(yours(label if equals else place.rpartition(":")[2].lower(), place))
