"""GPT-2, BERT, Llama, Mamba and Mamba-2 to and from the layout that `transformers` reads:
config.json and model.safetensors (docs/exchange.md).

    model = load("folder")      a model whose logits are those of `transformers`
    save(model, "folder")       a folder that `from_pretrained` reads

A family is a table of settings and of tensors, so that reading is writing backwards. What a folder
holds and the model has no place for is refused by its name; no code of a folder is ever run.
"""

import json
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from seqarena.core.errors import UserError
from seqarena.mixers.state_space.mamba import Mamba
from seqarena.mixers.state_space.mamba2 import Mamba2
from seqarena.mixers.state_space.rg_lru import RGLRU
from seqarena.models.any import build_model
from seqarena.models.exchange.bert import BERT
from seqarena.models.exchange.family import Published, PublishedFamily
from seqarena.models.exchange.files import CONFIG, WEIGHTS, open_weights, read_json
from seqarena.models.exchange.filling import fill, match
from seqarena.models.exchange.gpt2 import GPT2
from seqarena.models.exchange.llama import LLAMA
from seqarena.models.exchange.mamba import AUTHORS_MAMBA, MAMBA, is_authors
from seqarena.models.exchange.mamba2 import MAMBA2
from seqarena.models.exchange.settings import Settings
from seqarena.models.language.bert import Bert
from seqarena.models.stacks.language_model import LanguageModel

FAMILIES = {"gpt2": GPT2, "bert": BERT, "llama": LLAMA, "mamba": MAMBA, "mamba2": MAMBA2}
# Layouts of what we have too, and that compute otherwise: what differs.
OTHERWISE = {
    "recurrent_gemma": "it leaves out the factor sqrt(1 - a^2) at the first position of a text, "
    "multiplies embeddings by sqrt(width), rotates half of each head's features and bounds its "
    "logits by a tanh, which our RG-LRU and Griffin do not"
}


def save(model: nn.Module, directory: str | Path) -> None:
    """Writes a GPT-2, a BERT, a Llama or a published Mamba or Mamba-2 so that
    `from_pretrained(directory)` reads it.

    Raises UserError for a model that the layouts have no place for, with what differs, and for a
    folder that cannot be written.
    """
    family = _family_of(model)
    parameters = dict(model.named_parameters())
    parts: dict[str, list[Tensor]] = {}
    for place in family.places(model):  # several of ours in one of theirs: in the order of its rows
        part = place.oriented(parameters[place.ours][place.first : place.end]).detach()
        parts.setdefault(place.theirs, []).append(part)
    tensors = {name: torch.cat(each).contiguous().clone() for name, each in parts.items()}
    _write(tensors, family.write(model), Path(directory))


def _write(tensors: dict[str, Tensor], config: dict[str, Any], directory: Path) -> None:
    """Both files, or none: they get their names when all is on the disk."""
    weights, settings = directory / f"{WEIGHTS}.new", directory / f"{CONFIG}.new"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        save_file(tensors, weights, metadata={"format": "pt"})
        settings.write_text(json.dumps(config, indent=1), encoding="utf-8")
        weights.replace(directory / WEIGHTS)
        settings.replace(directory / CONFIG)
    except (OSError, SafetensorError) as error:
        for unfinished in (weights, settings):
            with suppress(OSError):
                unfinished.unlink()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{directory} cannot be written: {reason}") from error


def load(
    directory: str | Path,
    *,
    ignore: Collection[str] = (),
    say: Callable[[str], None] | None = None,
) -> Published:
    """The model that a folder in their layout holds, in float32 and in evaluation mode.

    `ignore` are settings of config.json to be passed over. `say` is given a sentence for each
    choice that was made on the way (tensors passed over, types turned into float32, settings that
    config.json lacks); by default they go to standard error. Raises UserError for another family,
    a setting that we do not have, a tensor that is missing, too many or of another shape, and a
    file that is missing, broken or something else than it should be.
    """
    directory = Path(directory)
    try:
        if not directory.is_dir():
            raise UserError("it is no folder in the transformers layout")
        fields = read_json(directory / CONFIG)
        family = _family_named(fields)
        with open_weights(directory) as weights:
            settings = Settings(fields, weights.shapes, ignore=ignore)
            config = family.read(settings)
            settings.finish(family.harmless, family.architectures)
            matches = match(family, config, weights)
            with torch.random.fork_rng(devices=[]):  # weights that are drawn and then replaced
                model = build_model(config)
            fill(model, matches, weights)
    except UserError as error:
        raise UserError(f"{directory}: {error}") from error
    except OSError as error:
        raise UserError(f"{directory}: {error.strerror or error}") from error
    assert isinstance(model, LanguageModel | Bert)
    for note in (*settings.notes, *weights.notes):
        (say or _say)(f"{directory}: {note}")
    return model.eval()


def _say(note: str) -> None:
    print(note, file=sys.stderr)


def _family_named(fields: dict[str, Any]) -> PublishedFamily:
    """By the model type, which the authors of Mamba leave out."""
    if is_authors(fields):
        return AUTHORS_MAMBA
    name = fields.get("model_type")
    if isinstance(name, str) and name in OTHERWISE:
        raise UserError(f"model_type is {name!r}, which computes otherwise: {OTHERWISE[name]}")
    if not isinstance(name, str) or name not in FAMILIES:
        said = f"is {json.dumps(name)}" if "model_type" in fields else "is missing"
        raise UserError(f"model_type {said[:80]}: {', '.join(FAMILIES)} can be read")
    return FAMILIES[name]


def _family_of(model: nn.Module) -> PublishedFamily:
    """The family of a model of ours. Raises UserError for one that has none."""
    if isinstance(model, Bert):
        family = BERT
    elif not isinstance(model, LanguageModel):
        raise UserError(f"{type(model).__name__} has no place in the transformers layout")
    elif any(type(mixer) is Mamba for mixer in model.stack.mixers):
        family = MAMBA
    elif any(type(mixer) is Mamba2 for mixer in model.stack.mixers):
        family = MAMBA2
    elif any(type(mixer) is RGLRU for mixer in model.stack.mixers):
        raise UserError(
            f"the layout of RecurrentGemma computes otherwise: {OTHERWISE['recurrent_gemma']}"
        )
    else:
        family = LLAMA if model.config.stack.norm == "rms" else GPT2
    for misfit in family.misfits(model):
        raise UserError(
            "only models wired as the catalog's gpt2, llama or bert, or as a published Mamba or "
            f"Mamba-2, can be written: as {family.title}, {misfit}"
        )
    return family
