"""Class folders: one example a file, and its class is the name of the folder that it lies in.

train/pos/0.txt, train/neg/1.txt, test/pos/2.txt      or without folders of splits
"""

from pathlib import Path, PurePath

from seqarena.core.errors import UserError
from seqarena.data.files.find import SplitFiles, kind_of, root_of, split_files, split_of
from seqarena.data.files.reading import Reading

_NO_CLASS = ("unsup", "unsupervised", "unlabelled", "unlabeled")


def class_of(file: Path, root: Path) -> str | None:
    """The nearest folder below `root` that says no split, or None."""
    folders = reversed(file.relative_to(root).parent.parts)
    return next((folder for folder in folders if split_of(PurePath(folder)) is None), None)


def is_of_class_folders(data: str | Path, files: list[Path]) -> bool:
    """Whether those files lie in two or more class folders: no table is among them, and names say
    splits nowhere but in folders."""
    if Path(data).expanduser().is_file():
        return False
    root = root_of(data)
    inside = [file for file in files if class_of(file, root) is not None]
    if any(kind_of(file) == "table" for file in inside):
        return False
    in_names = sum(_says_split(file) for file in inside)
    return len({class_of(file, root) for file in inside}) > 1 and in_names < len(inside) / 2


def by_class_folder(
    data: str | Path, files: list[Path], reading: Reading
) -> tuple[SplitFiles, dict[Path, list[tuple[Path, str]]]]:
    """The class folders by split, and (file, class) of what each holds.

    Raises UserError where there are no folders of classes.
    """
    root = root_of(data)
    texts: dict[Path, list[tuple[Path, str]]] = {}
    inside = []
    for file in files:
        label = class_of(file, root)
        if label is None:
            reading.pass_over(file, "it lies in no folder of a class")
        elif label.lower() in _NO_CLASS:
            reading.pass_over(file, f"{label!r} is no class")
        else:
            inside.append(file)
            texts.setdefault(file.parent, []).append((file, label))
    if not inside:
        raise UserError(f"{data}: no folders that are named by class")
    found = split_files(data, inside, reading, by_names=False)
    folders = (tuple(dict.fromkeys(file.parent for file in part)) for part in found)
    return SplitFiles(*folders), texts


def _says_split(file: Path) -> bool:
    try:
        return split_of(PurePath(file.name)) is not None
    except UserError:
        return True  # it says two
