"""Which files are training, validation and test.

`data` is a folder, one file, or a pattern with * in it. In a folder a file belongs to the split
that the nearest folder above it says, or else to the split that its name says, by whole words:
train; val, valid, dev or trial; test, t10k or eval. Files that say no split are training data where
no file says train, and are passed over where one does. Hidden files and folders, and files that
describe the data (a README, a licence), are passed over. One file that is named itself is training
data, whatever its name says.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.opening import plain_suffix
from seqarena.data.files.reading import Reading

SPLITS = ("train", "validation", "test")
_ENDING = r"(?:set|data|file|split)?s?"
_WORDS = {
    "train": re.compile(rf"(?:train|training|trn){_ENDING}"),
    "validation": re.compile(rf"(?:valid|validation|val|dev|devel|development|trial){_ENDING}"),
    "test": re.compile(rf"(?:test|testing|tst|eval|evaluation){_ENDING}"),
}
_DESCRIBES = re.compile(
    r"(^|[_.-])(readme|licen[cs]e|copying|changelog|contributing)([_.-]|$)"
    r"|^(citation|notice|authors)(\.(md|txt|rst|cff))?$"
    r"|^(sha|md5|b2)\d*sums?(\.txt)?$"
    r"|^(dataset_infos?|dataset_dict|state)\.json$",
    re.IGNORECASE,
)
_KINDS = {
    "table": (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".arrow"),
    "text": (".txt", ".text", ".md", ".markdown", ".rst"),
    "picture": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".npy"),
    "sound": (".wav", ".flac", ".mp3", ".ogg", ".m4a"),
    "document": (".pdf", ".doc", ".docx", ".odt", ".html", ".htm", ".xls", ".xlsx"),
    "program or setting": (".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini"),
    "archive": (".zip", ".tar", ".tgz", ".rar", ".7z"),
    "system file": (".ds_store", ".lock", ".log", ".md5", ".sha256", ".pyc"),
}


class SplitFiles(NamedTuple):
    """The files of each split; an empty tuple where the data have none."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...] = ()
    test: tuple[Path, ...] = ()


def kind_of(file: Path) -> str | None:
    """table, text, picture, sound, document ... by the suffix; None where it says nothing."""
    suffix = plain_suffix(file)
    return next((kind for kind, suffixes in _KINDS.items() if suffix in suffixes), None)


def split_of(file: PurePath) -> str | None:
    """The split that a name says by whole words, or None.

    Raises UserError for a name that says two.

    >>> split_of(Path("en_ewt-ud-dev.conllu.gz")), split_of(Path("untrained_test.csv"))
    ('validation', 'test')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", file.name)
    words = re.findall(r"[^\W\d_]+", apart.lower())
    found = {split for word in words for split, name in _WORDS.items() if name.fullmatch(word)}
    if "t10k" in file.name.lower():
        found.add("test")
    if len(found) > 1:
        raise UserError(f"{file}: its name says {' and '.join(sorted(found))}: rename it")
    return next(iter(found), None)


def find_files(
    data: str | Path,
    kinds: tuple[str | None, ...] = ("table", "text", None),
    reading: Reading | None = None,
    keep: Callable[[Path], bool] = lambda _: True,
) -> SplitFiles:
    """The files that `data` names, by split, each in the order of its path.

    `kinds` are those of `kind_of` that the caller reads; `keep` narrows them further. Raises
    UserError when nothing is there, or nothing that can be read.
    """
    reading = Reading() if reading is None else reading
    path = Path(data).expanduser()
    if path.is_file():
        reading.how = "one file"
        return SplitFiles((path,))
    files = [file for file in _visible(path, reading) if _readable(file, kinds, reading)]
    files = [file for file in files if keep(file)]
    if not files:
        raise UserError(f"{data}: nothing that can be read there{_listed(reading)}")
    return _by_split(path, files, reading)


def _by_split(path: Path, files: list[Path], reading: Reading) -> SplitFiles:
    root = path if path.is_dir() else path.parent
    found: dict[str | None, list[Path]] = {split: [] for split in (*SPLITS, None)}
    in_folders = False
    for file in files:
        inside = file.relative_to(root) if file.is_relative_to(root) else file
        folders = [split_of(PurePath(part)) for part in reversed(inside.parent.parts)]
        folder = next((split for split in folders if split), None)
        in_folders = in_folders or folder is not None
        found[folder or split_of(PurePath(file.name))].append(file)
    unnamed = found.pop(None)
    if found["train"]:
        for file in unnamed:
            reading.pass_over(file, "its name says no split, and others' names do")
        reading.how = "by the folders' names" if in_folders else "by the files' names"
    elif unnamed:
        found["train"] = unnamed
        said = found["validation"] or found["test"]
        reading.how = (
            "files that name no split are for training"
            if said
            else (
                "one file" if len(unnamed) == 1 else "no file names a split: all are for training"
            )
        )
    else:
        listed = ", ".join(file.name for file in files[:5])
        raise UserError(f"{path}: no file is for training (found: {listed})")
    return SplitFiles(*(tuple(found[split]) for split in SPLITS))


def _visible(path: Path, reading: Reading) -> list[Path]:
    """The files at `path` in the order of their paths, without hidden ones."""
    if path.is_dir():
        root, files = path, [file for file in path.rglob("*") if file.is_file()]
    elif any(mark in str(path) for mark in "*?["):
        root, files = _pattern_root(path)
    else:
        raise UserError(f"{path}: no such file or folder")
    if not files:
        raise UserError(f"{path}: no file there")
    kept = []
    for file in sorted(files, key=lambda file: file.relative_to(root).as_posix()):
        hidden = [p for p in file.relative_to(root).parts if p.startswith(".") or p == "__MACOSX"]
        if hidden:
            reading.pass_over(file, "hidden")
        else:
            kept.append(file)
    return kept


def _pattern_root(path: Path) -> tuple[Path, list[Path]]:
    parts = path.parts
    first = next(k for k, part in enumerate(parts) if any(mark in part for mark in "*?["))
    root = Path(*parts[:first]) if first else Path()
    return root, [file for file in root.glob("/".join(parts[first:])) if file.is_file()]


def _readable(file: Path, kinds: tuple[str | None, ...], reading: Reading) -> bool:
    if _DESCRIBES.search(file.name) and split_of(PurePath(file.name)) is None:
        reading.pass_over(file, "it describes the data")
        return False
    kind = kind_of(file)
    if kind not in kinds:
        reading.pass_over(file, f"a {kind}: not what this task reads" if kind else "unknown kind")
        return False
    return True


def _listed(reading: Reading) -> str:
    shown = [f"{Path(each.file).name} ({each.why})" for each in reading.passed_over[:3]]
    return f": passed over {', '.join(shown)}" if shown else ""
