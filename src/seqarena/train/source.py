"""Where weights come from: a checkpoint of a training, or a folder in the layout of `transformers`.

Of a folder the whole model is read, with its head, in float32 (docs/exchange.md). Its tokenizer is
the `tokenizer.json` in it; a vocabulary of another size than the model's is refused.
"""

import hashlib
import json
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.models.any import AnyConfig
from seqarena.models.exchange import huggingface
from seqarena.tasks.base import Task
from seqarena.train.checkpoint import Checkpoint, load, model_tensors

NUMBERS_DEPEND_ON_THIS = False  # what was read is in the plan: a configuration, weights by digest
TOKENIZER = "tokenizer.json"


class PublishedCheckpoint(Checkpoint):
    """A folder of `transformers` as a checkpoint."""

    @property
    def weights_sha256(self) -> str:
        found = hashlib.sha256()
        for path in sorted(self.path.glob("*.safetensors")):
            found.update(path.read_bytes())
        return found.hexdigest()


def is_published(place: Path) -> bool:
    """Whether a folder is in the layout of `transformers`, and no checkpoint of a training."""
    return (place / "config.json").is_file() and not (place / "manifest.json").exists()


def published_architecture(place: Path) -> str:
    """Its name in the catalog. Raises UserError for a family that is not read."""
    try:
        fields = json.loads((place / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{place / 'config.json'} cannot be read: {error}") from error
    name = fields.get("model_type") if isinstance(fields, dict) else None
    if name not in huggingface.FAMILIES:
        raise UserError(f"{place}: model_type {name!r}: {', '.join(huggingface.FAMILIES)} are read")
    return str(name)


def load_source(place: Path) -> Checkpoint:
    """The checkpoint, or the folder as one. Raises UserError for what is neither, or damaged."""
    if not is_published(place):
        return load(place)
    model = huggingface.load(place, say=lambda note: None)
    about = {
        "architecture": published_architecture(place),
        "model": model.config.model_dump(mode="json"),
        "start": None,
    }
    return PublishedCheckpoint(place, about, model_tensors(model))


def check_reads(checkpoint: Checkpoint, config: AnyConfig, task: Task) -> None:
    """Whether a task's inputs are read as the checkpoint's were. Raises UserError where not."""
    if not isinstance(checkpoint, PublishedCheckpoint):
        if checkpoint.about["artifacts"] != task.artifacts():
            raise UserError(
                f"{checkpoint.path} reads its inputs by another vocabulary than these data give: "
                "go on with the data that it was trained on"
            )
        return
    theirs, mine = config.problem, task.problem
    same_form = (theirs.form, theirs.targets) == (mine.form, mine.targets)
    if not (same_form and mine.causal and mine.num_outputs == mine.vocab_size):
        raise UserError(f"{checkpoint.path} holds a whole model: tune it on --task language")
    if theirs.vocab_size != mine.vocab_size:
        raise UserError(
            f"{checkpoint.path} knows {theirs.vocab_size:,} tokens, and this task has "
            f"{mine.vocab_size:,}: give the model's own --tokenizer, a tokenizer.json"
        )
