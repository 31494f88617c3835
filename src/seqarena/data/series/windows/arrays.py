"""Windows in numpy's files: x_train [N, T, C] or [N, T] with y_train [N], in an .npz or as .npy.

A name says its part as those of pictures do (data/signals/numpy_files.py). Steps at the end that
are NaN in every channel are no steps: so windows of unequal length stand in one array.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from seqarena.core.errors import UserError
from seqarena.data.series.windows.window import SensorWindow, WindowFile
from seqarena.data.signals.numpy_files import part_of, read_npy_file, read_npz


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name. Raises UserError for one that cannot be read."""
    return read_npz(file) if file.suffix == ".npz" else {file.stem: read_npy_file(file)}


def windows_of_arrays(place: str, arrays: Mapping[str, np.ndarray]) -> dict[str, WindowFile]:
    """The windows by split. Raises UserError for arrays that are missing or do not fit."""
    parts: dict[tuple[str, str], str] = {}
    for name in arrays:
        part = part_of(name)
        if part is not None and part in parts:
            raise UserError(f"{place}: {parts[part]} and {name} are both of {part[1]}")
        if part is not None:
            parts[part] = name
    found = {}
    for split in ("train", "validation", "test"):
        inputs, labels = (parts.get((kind, split)) for kind in ("pictures", "labels"))
        if inputs is None:
            if labels is not None:
                raise UserError(f"{place}: {labels} without x_{split}: it has {', '.join(arrays)}")
            continue
        given = None if labels is None else arrays[labels]
        found[split] = windows_of_array(f"{place}, {inputs}", arrays[inputs], given)
    if not found:
        raise UserError(f"{place}: no x_train and y_train: it has {', '.join(arrays) or 'none'}")
    return found


def windows_of_array(place: str, values: np.ndarray, labels: np.ndarray | None) -> WindowFile:
    """The windows of one array [N, T, C] or [N, T]. Raises UserError for another shape, and for
    labels that are not one a window."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.dtype.kind not in "uifb" or 0 in values.shape:
        raise UserError(
            f"{place}: an array of {values.dtype} of {values.shape}: windows, steps and channels "
            "are wanted"
        )
    if np.isinf(values).any():
        raise UserError(f"{place}: it holds an infinite number")
    if labels is not None and (labels.size != len(values) or labels.dtype.kind not in "uifbU"):
        raise UserError(f"{place}: {len(values):,} windows and labels of {labels.shape}")
    texts = [""] * len(values) if labels is None else [str(x) for x in labels.ravel().tolist()]
    windows = [
        SensorWindow(f"{place}, number {index}", str(index), _without_padding(x_TC), text)
        for index, (x_TC, text) in enumerate(zip(values.astype(np.float32), texts))
    ]
    for window in windows:
        if not len(window.values_TC):
            raise UserError(f"{window.place}: every number of it is missing")
    channels = tuple(f"channel {number + 1}" for number in range(values.shape[2]))
    return WindowFile(windows, channels)


def _without_padding(x_TC: np.ndarray) -> np.ndarray:
    there_T = np.asarray(~np.isnan(x_TC).all(axis=1))
    return x_TC[: len(there_T) - int(there_T[::-1].argmax())] if there_T.any() else x_TC[:0]
