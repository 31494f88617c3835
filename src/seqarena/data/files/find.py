"""Which files are training, validation and test.

`data` is a folder, one file, or a pattern with * in it. In a folder a file belongs to the split
that the nearest folder above it says, or else to the split that its name says, by whole words:
train; val, valid, dev or trial; test, t10k or eval. Files that say no split are training data where
no file says train, and are passed over where one does. Hidden files and folders, files that
describe the data (a README, a licence), caches, and files of unknown kind beside known ones are
passed over. One file that is named itself is training data, whatever its name says.
"""

import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import NamedTuple

from seqarena.core.errors import UserError
from seqarena.data.files.opening import plain_suffix
from seqarena.data.files.reading import Reading
from seqarena.data.files.tables import TABLE_FORMATS

SPLITS = ("train", "validation", "test")
_ENDING = r"(?:set|data|file|split)?s?"
_WORDS = {
    "train": re.compile(rf"(?:train|training|trn){_ENDING}"),
    "validation": re.compile(
        rf"(?:valid|validation|val|(?:news)?dev|devel|development|trial){_ENDING}"
    ),
    "test": re.compile(rf"(?:(?:news)?test|testing|tst|eval|evaluation){_ENDING}"),
}
_DESCRIBES = re.compile(
    r"(^|[_.-])(readme|licen[cs]e|copying|changelog|contributing)([_.-]|$)"
    r"|^(citation|notice|authors)(\.(md|txt|rst|cff))?$"
    r"|^(sha|md5|b2)\d*sums?(\.txt)?$"
    r"|^(dataset_infos?|dataset_dict|state|croissant)\.json$"
    r"|^(data|dataset)[_-]?(card|sheet)s?(\.(md|txt|rst))?$"
    r"|^requirements\.txt$|^code_of_conduct\.md$",
    re.IGNORECASE,
)
_KINDS = {
    "table": tuple(TABLE_FORMATS),
    "text": (".txt", ".text", ".md", ".markdown", ".rst"),
    "file of tagged words": (".conll", ".conllu", ".conllx", ".conllup", ".bio", ".iob", ".iob2"),
    "file of sequences": (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn"),
    "file of reads": (".fastq", ".fq", ".sam", ".bam", ".vcf"),
    "picture": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".npy"),
    "sound": (".wav", ".flac", ".mp3", ".ogg", ".m4a"),
    "document": (".pdf", ".doc", ".docx", ".odt", ".rtf", ".ppt", ".pptx"),
    "spreadsheet": (".xls", ".xlsx", ".ods"),
    "page": (".html", ".htm", ".xml"),
    "program or setting": (".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".cfg", ".ini"),
    "archive": (".zip", ".tar", ".tgz", ".rar", ".7z"),
    "store of objects": (".pkl", ".pickle", ".pt", ".bin", ".safetensors", ".npz", ".h5", ".db"),
    "system file": (".ds_store", ".lock", ".log", ".md5", ".sha256", ".pyc"),
}
_INSTEAD = {  # of files that no task reads as text, what to do with one that is named itself
    "picture": "", "sound": "",
    "file of sequences": ": write a table with a column for each field",
    "file of reads": ": save its sequences as FASTA",
    "document": ": save its text as .txt",
    "spreadsheet": ": save it as CSV",
    "archive": ": unpack it and name the folder",
    "store of objects": ": save its rows as CSV, JSON lines or Parquet",
}  # fmt: skip


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
    return split_files(data, list_files(data, kinds, reading, keep), reading)


def list_files(
    data: str | Path,
    kinds: tuple[str | None, ...],
    reading: Reading,
    keep: Callable[[Path], bool] = lambda _: True,
) -> list[Path]:
    """The files that `data` names and a caller can read, in the order of their paths. Raises
    UserError as `find_files`."""
    path = _as_path(data)
    if path.is_file():
        kind = kind_of(path)
        if kind in _INSTEAD and kind not in kinds:
            raise UserError(f"{path}: {_one(kind)}, which this task does not read{_INSTEAD[kind]}")
        return [path]
    asked_for = kind_of(path)
    if asked_for not in _INSTEAD:  # *.py names what a folder would pass over
        kinds = (*kinds, asked_for)
    files = [file for file in _visible(path, reading) if _readable(file, kinds, reading)]
    files = [file for file in files if keep(file)]
    if not files:
        raise UserError(f"{data}: nothing that can be read there{_listed(reading)}")
    return files


def _as_path(data: str | Path) -> Path:
    """Raises UserError for what can be no path, and for one that may not be looked at."""
    if not str(data).strip():
        raise UserError("data: an empty path: name a file or a folder")
    try:
        path = Path(data).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{str(data)[:80]}: cannot be read: {reason}") from error
    return path


def root_of(data: str | Path) -> Path:
    """The folder below which `data` lies: what is not part of any class or split."""
    path = Path(data).expanduser()
    if path.is_dir():
        return path
    return path.parent if path.is_file() else _pattern_root(path)[0]


def split_files(
    data: str | Path, files: list[Path], reading: Reading, *, by_names: bool = True
) -> SplitFiles:
    """Those files by split. `by_names` False: folders alone say splits. Raises UserError where
    none is for training."""
    path = Path(data).expanduser()
    if path.is_file():
        reading.how = "one file"
        return SplitFiles((path,))
    root = root_of(path)
    found: dict[str | None, list[Path]] = {split: [] for split in (*SPLITS, None)}
    in_folders = False
    for file in files:
        folders = [split_of(PurePath(p)) for p in reversed(file.relative_to(root).parent.parts)]
        folder = next((split for split in folders if split), None)
        in_folders = in_folders or folder is not None
        found[folder or (split_of(PurePath(file.name)) if by_names else None)].append(file)
    found = {split: _of_known_kind(part, reading) for split, part in found.items()}
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
            else ("one file" if len(unnamed) == 1 else "no name says a split: all are for training")
        )
    elif not reading.to_score:
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
    hidden_places: dict[Path, None] = {}  # a folder is said once
    for file in sorted(files, key=lambda file: file.relative_to(root).as_posix()):
        inside = file.relative_to(root)
        places = [inside, *inside.parents]  # the folders above it, the root last
        hidden = [p for p in places if p.name.startswith(".") or p.name == "__MACOSX"]
        if hidden:
            hidden_places.setdefault(root / hidden[-1])
        else:
            kept.append(file)
    for place in hidden_places:
        reading.pass_over(place, "hidden")
    return kept


def _of_known_kind(files: list[Path], reading: Reading) -> list[Path]:
    """Without the files of unknown kind, where others of the split are of a known one."""
    known = [file for file in files if kind_of(file) is not None]
    if known:
        for file in files:
            if kind_of(file) is None:
                reading.pass_over(file, "of unknown kind, beside files of known kinds")
    return known or files


def _pattern_root(path: Path) -> tuple[Path, list[Path]]:
    parts = path.parts
    first = next(k for k, part in enumerate(parts) if any(mark in part for mark in "*?["))
    root = Path(*parts[:first]) if first else Path()
    try:
        return root, [file for file in root.glob("/".join(parts[first:])) if file.is_file()]
    except ValueError as error:
        raise UserError(f"{path}: no pattern: {error}") from error


def _readable(file: Path, kinds: tuple[str | None, ...], reading: Reading) -> bool:
    signal = kind_of(file) in ("picture", "sound")  # copying_ann_3.wav is a recording
    if not signal and _DESCRIBES.search(file.name) and split_of(PurePath(file.name)) is None:
        reading.pass_over(file, "it describes the data")
        return False
    if file.name.startswith("cache-") and file.suffix == ".arrow":
        reading.pass_over(file, "a cache of `datasets`")
        return False
    kind = kind_of(file)
    if kind not in kinds:
        why = f"{_one(kind)}: not what this task reads" if kind else "of unknown kind"
        reading.pass_over(file, why)
        return False
    return True


def _one(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _listed(reading: Reading) -> str:
    shown = [f"{Path(each.file).name} ({each.why})" for each in reading.passed_over[:3]]
    return f": passed over {', '.join(shown)}" if shown else ""
