"""Class folders: one example a file, and its class is the name of the folder that it lies in.

train/pos/0.txt, train/neg/1.txt, test/pos/2.txt      or without folders of splits
"""

from pathlib import Path, PurePath

from seqarena.core.errors import UserError
from seqarena.data.files.find import SplitFiles, kind_of, root_of, split_files, split_of
from seqarena.data.files.reading import Reading, shown

_NO_CLASS = ("unsup", "unsupervised", "unlabelled", "unlabeled")


def classes_of(data: str | Path, files: list[Path]) -> dict[Path, str]:
    """The folders that are named by a class, and that class: the nearest folder below the root that
    says no split. Folders that hold such folders are none."""
    root = root_of(data)
    folders = {file.parent for file in files}
    above = {parent for folder in folders for parent in folder.parents}
    found = {}
    for folder in folders - above:
        names = reversed(folder.relative_to(root).parts)
        name = next((name for name in names if split_of(PurePath(name)) is None), None)
        if name is not None:
            found[folder] = shown(name)
    return found


def is_of_class_folders(data: str | Path, files: list[Path]) -> bool:
    """Whether those files lie in folders of two or more classes: no table is among them, and names
    say splits nowhere but in folders."""
    if Path(data).expanduser().is_file():
        return False
    classes = classes_of(data, files)
    inside = [file for file in files if file.parent in classes]
    if any(kind_of(file) == "table" for file in inside):
        return False
    return len(set(classes.values())) > 1 and sum(map(_says_split, inside)) < len(inside) / 2


def by_class_folder(
    data: str | Path, files: list[Path], reading: Reading
) -> tuple[SplitFiles, dict[Path, list[tuple[Path, str]]]]:
    """The class folders by split, and (file, class) of what each holds.

    Raises UserError where there are no folders of classes.
    """
    classes = classes_of(data, files)
    for folder, label in list(classes.items()):
        if label.lower() in _NO_CLASS:
            reading.pass_over(folder, f"{label!r} is no class")
    texts: dict[Path, list[tuple[Path, str]]] = {}
    inside = []
    for file in files:
        label = classes.get(file.parent)
        if label is None:
            reading.pass_over(file, "it lies in no folder of a class")
        elif label.lower() not in _NO_CLASS:
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
