"""Checkpoints: safetensors and JSON under a manifest of SHA-256 sums, replaced in one rename.

    checkpoint/model.safetensors      every parameter and buffer (tied weights once)
    checkpoint/optimizer.safetensors  the two moments of AdamW and its step, by parameter name
    checkpoint/adapters.safetensors   of a LoRA training (lora.py): both factors of each update; the
                                      updates are part of the weights in model.safetensors
    checkpoint/about.json             configurations, progress, and what the task needs to be used
    checkpoint/manifest.json          file -> SHA-256

A checkpoint is written beside the old one, synced, and renamed into its place. Killed at any
moment, either the old or the new one is there whole; where it cannot be written, the old one is.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.core.config import canonical_json
from seqarena.core.errors import UserError, naming
from seqarena.core.shapes import fill_state, state_leaves
from seqarena.models.any import AnyConfig, build_model, parse_config
from seqarena.models.lora import adapter_tensors, load_adapters, merged, own_name, updates
from seqarena.models.model import Model
from seqarena.train.loop import Trainer, TrainingProgress

FORMAT = 1
_CARRIED = "carried state"  # its leaves stand beside the optimizer's
_FILES = ("model.safetensors", "optimizer.safetensors", "about.json")


class Checkpoint(NamedTuple):
    """A checkpoint as read: `about` holds model, task, architecture, training and progress."""

    path: Path
    about: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def weights_sha256(self) -> str:
        """Of the file of the weights."""
        return _sha256(self.path / "model.safetensors")

    def config(self) -> AnyConfig:
        """The model's configuration. Raises UserError where it is none."""
        try:
            return parse_config(self.about["model"])
        except ValidationError as error:
            what = error.errors()[0]
            raise UserError(
                f"{self.path / 'about.json'} describes no model of this version of seqarena: "
                f"{'.'.join(map(str, what['loc']))}: {what['msg']}"
            ) from error

    def model(self) -> Model:
        """The model with its weights, in evaluation mode. Raises UserError where they misfit."""
        model = build_model(self.config())
        load_weights(model, self.tensors, self.path)
        return model.eval()


def save(directory: Path, trainer: Trainer, about: dict[str, Any]) -> None:
    """Writes the trainer's whole state to `directory`, replacing what is there.

    Raises OSError that names `directory` where it cannot be written; nothing is then left of it.
    """
    fresh, old = directory.with_name("checkpoint.new"), directory.with_name("checkpoint.old")
    with _writing(fresh, directory):
        _write(fresh, trainer, about)
        shutil.rmtree(old, ignore_errors=True)
        if directory.exists():
            directory.rename(old)
        fresh.rename(directory)
        _sync(directory.parent)
    shutil.rmtree(old, ignore_errors=True)


def _write(fresh: Path, trainer: Trainer, about: dict[str, Any]) -> None:
    tensors = merged(trainer.model, model_tensors(trainer.model))
    save_file(tensors, fresh / "model.safetensors")
    if adapters := adapter_tensors(trainer.model):
        save_file(adapters, fresh / "adapters.safetensors")
    save_file(_optimizer_tensors(trainer), fresh / "optimizer.safetensors")
    about = {
        "format": FORMAT,
        "model": trainer.model.config.model_dump(mode="json"),
        "training": trainer.config.model_dump(mode="json"),
        "progress": asdict(trainer.progress),
        **about,
    }
    (fresh / "about.json").write_text(canonical_json(about), encoding="utf-8")
    manifest = {file.name: _sha256(file) for file in sorted(fresh.iterdir())}
    (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for file in fresh.iterdir():
        _sync(file)
    _sync(fresh)


@contextmanager
def _writing(fresh: Path, directory: Path) -> Iterator[None]:
    """An empty folder `fresh`, which is removed when the block ends badly. An error of the block
    names `directory`; safetensors has one of its own for those of the system."""
    try:
        with naming(directory):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            yield
    except SafetensorError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(directory)) from error
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def find(directory: Path) -> Path | None:
    """The newest whole checkpoint at `directory`, also after a kill between two renames."""
    for place in (directory, directory.with_name("checkpoint.old")):
        if (place / "manifest.json").exists():
            return place
    return None


def load(directory: Path) -> Checkpoint:
    """Reads and verifies a checkpoint. Raises UserError for a missing or damaged one."""
    place = find(directory)
    if place is None:
        raise UserError(f"no checkpoint at {directory}")
    _verify(place)
    about = json.loads((place / "about.json").read_text(encoding="utf-8"))
    if not isinstance(about, dict) or not {"format", "model", "progress"} <= set(about):
        raise UserError(f"{place / 'about.json'} is damaged: it does not describe a checkpoint")
    if about["format"] != FORMAT:
        raise UserError(
            f"{place} has checkpoint format {about['format']}, this version reads {FORMAT}: "
            "use the version of seqarena that wrote it"
        )
    return Checkpoint(place, _About(place, about), _read_tensors(place / "model.safetensors"))


class _About(dict[str, Any]):
    """What about.json holds. Raises UserError for a field that it lacks."""

    def __init__(self, place: Path, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.place = place

    def __missing__(self, field: str) -> Any:
        raise UserError(f"{self.place / 'about.json'} says nothing of {field!r}")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises UserError for a file that safetensors cannot read, whatever its SHA-256."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}") from error


def resume(trainer: Trainer, directory: Path) -> bool:
    """Puts the trainer where its checkpoint stood; False where there is none.

    Raises UserError when the checkpoint is damaged or belongs to another configuration.
    """
    if find(directory) is None:
        return False
    checkpoint = load(directory)
    expected = trainer.model.config.model_dump(mode="json")
    # parsed first: a field that is younger than the checkpoint then has its default
    stored = checkpoint.config().model_dump(mode="json")
    if canonical_json(stored) != canonical_json(expected):
        raise UserError(f"{directory} holds another model than the one that is trained here")
    load_weights(trainer.model, checkpoint.tensors, checkpoint.path)
    place = checkpoint.path / "optimizer.safetensors"
    try:
        _load_optimizer(trainer, _read_tensors(place))
        trainer.progress = TrainingProgress(**checkpoint.about["progress"])
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{place} does not fit its model: {error}") from error
    return True


def load_adapted(model: Model, checkpoint: Checkpoint, base: Checkpoint) -> None:
    """The weights of a LoRA training: its adapters, the matrices of its base that they are added
    to, and all else as the checkpoint has it. Raises UserError where they do not fit."""
    adapted = {name for name, _ in updates(model)}
    tensors = {
        name: base.tensors.get(name, tensor) if name in adapted else tensor
        for name, tensor in checkpoint.tensors.items()
    }
    load_weights(model, tensors, checkpoint.path)
    load_adapters(model, _read_tensors(checkpoint.path / "adapters.safetensors"))


def load_moments(trainer: Trainer, place: Path) -> None:
    """The optimizer's moments of a checkpoint, without a state that was carried from batch to
    batch. Raises UserError where they do not fit."""
    path = place / "optimizer.safetensors"
    moments = {
        name: tensor
        for name, tensor in _read_tensors(path).items()
        if not name.startswith(f"{_CARRIED}|")
    }
    try:
        _load_optimizer(trainer, moments)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} does not fit its model: {error}") from error


def load_weights(model: Model, tensors: dict[str, Tensor], path: Path) -> None:
    """Copies the tensors into the model; names and shapes must all agree."""
    expected = model_tensors(model)
    if set(expected) != set(tensors):
        odd = sorted(set(expected) ^ set(tensors))[0]
        raise UserError(f"{path} does not fit its model: tensor {odd!r} is on one side alone")
    with torch.no_grad():
        for name, target in expected.items():
            if target.shape != tensors[name].shape:
                raise UserError(f"{path} does not fit its model: {name!r} has another shape")
            target.copy_(tensors[name])


def model_tensors(model: Model) -> dict[str, Tensor]:
    """Parameters (tied ones once, by their first name) and the buffers that are saved; of an
    adapted model without its adapters."""
    saved = model.state_dict(keep_vars=True)
    adapters = {id(p) for _, update in updates(model) for p in update.parameters()}
    unique: dict[int, tuple[str, Tensor]] = {}
    for name, tensor in saved.items():
        if id(tensor) not in adapters:
            unique.setdefault(id(tensor), (own_name(name), tensor))
    return {name: tensor.detach().contiguous() for name, tensor in unique.values()}


def _optimizer_tensors(trainer: Trainer) -> dict[str, Tensor]:
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    leaves = state_leaves(trainer.carried)
    return {f"{_CARRIED}|{place}": leaf.contiguous() for place, leaf in enumerate(leaves)} | {
        f"{names[id(parameter)]}|{key}": value.detach().contiguous()
        for parameter, state in trainer.optimizer.state.items()
        for key, value in state.items()
    }


def _load_optimizer(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(trainer.model.named_parameters())
    places = [name for name in tensors if name.startswith(f"{_CARRIED}|")]
    if places:
        leaves = [tensors.pop(f"{_CARRIED}|{place}") for place in range(len(places))]
        nothing_10 = torch.zeros(1, 0, dtype=torch.int64)
        trainer.carried = fill_state(trainer.model.begin(Batch(nothing_10, nothing_10)), leaves)
    for name_and_key, value in tensors.items():
        name, key = name_and_key.split("|")
        parameter = parameters[name]
        place = value if key == "step" else value.to(parameter.device)
        trainer.optimizer.state[parameter][key] = place


def _verify(place: Path) -> None:
    """Recomputes every sum of the manifest; one flipped bit is found."""
    try:
        manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
        for name in {*_FILES, *manifest}:
            if _sha256(place / name) != manifest[name]:
                raise UserError(
                    f"{place / name} is damaged: its SHA-256 is not the one in the manifest; "
                    f"delete {place} to train it again"
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place} is damaged: {error}: delete it to train it again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Windows syncs no folder, and a file only where it may be written."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
