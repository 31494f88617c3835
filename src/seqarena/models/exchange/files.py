"""The files of a folder in the layout of `transformers`: config.json, and model.safetensors, whole
or in shards with an index. Only these are read: a pickle (pytorch_model.bin) can run code when it
is opened, and safetensors cannot.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from seqarena.core.errors import UserError

CONFIG, WEIGHTS = "config.json", "model.safetensors"
INDEX = "model.safetensors.index.json"
_LARGEST_JSON = 64 << 20  # bytes: an index of 100,000 tensors has 10 MB
_DEEPEST_JSON = 20
_PICKLES = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
# How a file begins that is something else -> what it is.
_STRANGERS = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run `git lfs pull`",
    b"<": "a page of the web, not the file itself: download it again",
    b"PK\x03\x04": "what torch.save writes, a pickle, which can run code when it is opened",
    b"\x80": "a pickle, which can run code when it is opened",
    b"GGUF": "in the layout of llama.cpp",
}


class Held(NamedTuple):
    """A tensor as the header of its file announces it."""

    shape: tuple[int, ...]
    dtype: str  # as safetensors spells it: F32, BF16 ...
    file: Any  # of safetensors, open


class Weights:
    """All tensors of a folder by name; their numbers are read when one is asked for."""

    def __init__(self, held: dict[str, Held], notes: list[str]) -> None:
        self.held = held
        self.notes = notes

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: held.shape for name, held in self.held.items()}

    def read(self, name: str) -> Tensor:
        """Raises UserError where the file ends too early or is of a type that torch lacks."""
        try:
            return self.held[name].file.get_tensor(name)
        except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"tensor {name!r} cannot be read: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError for a file that is missing, broken or something else."""
    if not path.is_file():
        raise UserError(f"{path.name} is missing")
    if path.stat().st_size > _LARGEST_JSON:
        raise UserError(f"{path.name} has more than {_LARGEST_JSON:,} bytes: it is no such file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_name_once)
        deep = _depth(value) > _DEEPEST_JSON
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"not JSON: {error}") from error
    if not isinstance(value, dict) or deep:
        raise UserError(f"{path.name} must hold a JSON object of at most {_DEEPEST_JSON} levels")
    return value


@contextmanager
def open_weights(directory: Path) -> Iterator[Weights]:
    """The tensors of model.safetensors, or else of the shards that its index names. Raises
    UserError for files that are missing, broken, or disagree with the index."""
    notes: list[str] = []
    whole, index = directory / WEIGHTS, directory / INDEX
    with ExitStack() as opened:
        if whole.is_file():
            if index.is_file():
                notes.append(f"{INDEX} is passed over: {WEIGHTS} holds the weights whole")
            held = _open(whole, opened)
        elif index.is_file():
            held = _open_shards(index, opened)
        else:
            raise _no_weights(directory)
        if not held:
            raise UserError("its weights hold no tensor")
        yield Weights(held, notes)


def _open(path: Path, opened: ExitStack) -> dict[str, Held]:
    try:
        file = opened.enter_context(safe_open(path, framework="pt"))
        layout = (file.metadata() or {}).get("format", "pt")
        names = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        held = {
            name: Held(tuple(part.get_shape()), part.get_dtype(), file)
            for name, part in names.items()
        }
    except (SafetensorError, ValueError) as error:
        raise _broken(path, f"damaged, cut or no safetensors file: {error}") from error
    if layout != "pt":
        raise UserError(
            f"{path.name}: its tensors lie as {layout!r} has them, and only 'pt' is read"
        )
    return held


def _open_shards(index: Path, opened: ExitStack) -> dict[str, Held]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise UserError(
            f"{index.name} has no weight_map: which tensor is in which file is not known"
        )
    shards: dict[str, dict[str, Held]] = {}
    for file in places.values():
        if not _is_inside(file):
            raise UserError(
                f"{index.name} names {file!r}: it must name .safetensors files in the same folder"
            )
        if file not in shards:
            if not (path := index.parent / file).is_file():
                raise UserError(f"{file} is missing, and {index.name} names it")
            shards[file] = _open(path, opened)
    for name, file in places.items():
        if name not in shards[file]:
            raise UserError(f"{file} lacks {name!r}, which {index.name} puts there")
    for file, held in shards.items():
        for name in held:
            if places.get(name) != file:
                raise UserError(f"{file} holds {name!r}, and {index.name} does not")
    return {name: shards[file][name] for name, file in places.items()}


def _is_inside(file: Any) -> bool:
    """Whether a name in an index is that of a safetensors file in the folder or below it."""
    if not isinstance(file, str) or not file.isprintable() or {*"\\:"} & {*file}:
        return False
    path = PurePosixPath(file)
    return path.suffix == ".safetensors" and not path.is_absolute() and ".." not in path.parts


def _no_weights(directory: Path) -> UserError:
    """What is there instead."""
    pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
    if pickles:
        return UserError(
            f"it has {pickles[0]} and no {WEIGHTS}: only safetensors are read, since such a "
            "file can run code; where you trust it, load it with transformers and save_pretrained"
        )
    others = sorted(path.name for path in directory.glob("*.safetensors"))
    if others:
        return UserError(
            f"it has {others[0]} and neither {WEIGHTS} nor {INDEX}: rename a file that "
            "is whole, add the index of one in parts"
        )
    return UserError(f"{WEIGHTS} is missing")


def _broken(path: Path, words: str) -> UserError:
    """The error for a file that could not be read: what it is instead, where its start shows it.
    (A sound file may start with any of these bytes, so that they are looked at afterwards.)"""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return UserError(f"{path.name} is empty: download it again")
    known = (what for beginning, what in _STRANGERS.items() if start.lstrip().startswith(beginning))
    return UserError(f"{path.name} is {next(known, words)}")


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((double, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it has {double!r} twice")
    return found


def _depth(value: Any) -> int:
    """Levels of objects and lists, without recursion."""
    level, deep = [value], 0
    while level and deep <= _DEEPEST_JSON:
        deep += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deep
