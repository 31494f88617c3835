"""A window in a file -> its label or number."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from seqarena.core.batch import IGNORE, Batch
from seqarena.core.errors import UserError
from seqarena.data.buckets import pad
from seqarena.data.files.find import list_files
from seqarena.data.files.reading import Reading
from seqarena.data.series.windows.reading import read_window_file
from seqarena.data.series.windows.window import SensorWindow
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.text.label import likeliest
from seqarena.tasks.windows.configs import WindowsConfig
from seqarena.tasks.windows.scale import ChannelScale, NumberScale
from seqarena.tasks.windows.task import columns_of

_KINDS = ("table", "picture", "store of objects", None)


class WindowsCodec(Codec):
    """`FILE` that holds one window, or `FILE:NAME`, one of the windows in it."""

    takes_paths = True
    prompt = "a table that is one window, or FILE:NAME of one window of a table, .ts or array file"

    def __init__(
        self,
        config: WindowsConfig,
        scale: ChannelScale,
        classes: Sequence[str],
        number: NumberScale | None,
    ) -> None:
        self.config = config
        self.scale = scale
        self.classes = tuple(classes)
        self.number = number
        self._files: dict[str, dict[str, SensorWindow]] = {}  # by window

    @classmethod
    def from_artifacts(cls, config: WindowsConfig, artifacts: Mapping[str, str]) -> "WindowsCodec":
        number = artifacts.get("number")
        return cls(
            config,
            ChannelScale.from_json(artifacts["channels"]),
            json.loads(artifacts.get("classes", "[]")),
            None if number is None else NumberScale.from_json(number),
        )

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for a window that is not there, has other channels, or is too long."""
        rows = [self.scale.features(self._window(item.strip()).values_TC) for item in items]
        inputs_BTF, mask_BT = pad(rows)
        targets_B1 = (
            torch.full((len(items), 1), IGNORE)
            if self.number is None
            else torch.full((len(items), 1), torch.nan)
        )
        return Batch(torch.from_numpy(inputs_BTF), targets_B1, torch.from_numpy(mask_BT))

    def inputs(self, config: WindowsConfig, file: Path) -> Iterator[str]:
        """Every window of a file in its order; of a folder each file, which is one window."""
        if file.is_dir():
            return (str(each) for each in list_files(file, _KINDS, Reading()))
        self.config = config
        return (f"{file}:{name}" for name in self._read(str(file)))

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        if self.number is None:
            return likeliest(outputs, self.classes)
        return [Answer(f"{self.number.restored(x):.6g}") for x in outputs[:, 0, 0].tolist()]

    def _window(self, item: str) -> SensorWindow:
        if Path(item).expanduser().is_file():
            windows = self._read(item)
            if len(windows) > 1:
                names = ", ".join(list(windows)[:5])
                raise UserError(
                    f"{item}: {len(windows):,} windows ({names} ...): name one of them, "
                    f"{item}:{next(iter(windows))}"
                )
            found = next(iter(windows.values()))
        else:
            file, colon, name = item.rpartition(":")
            if not colon or not Path(file).expanduser().is_file():
                raise UserError(f"{item[:80]!r}: no such file: give {self.prompt}")
            if name not in self._read(file):
                raise UserError(f"{file}: no window {name!r} in it")
            found = self._read(file)[name]
        most = self.config.max_length
        if len(found.values_TC) > most:
            raise UserError(
                f"{item}: {len(found.values_TC):,} steps, and the model was trained on at most "
                f"{most:,}: cut it"
            )
        return found

    def _read(self, name: str) -> dict[str, SensorWindow]:
        """A file is read once, and not for each of its windows."""
        if name not in self._files:
            columns = columns_of(self.config, labelled=False)
            columns = columns._replace(channels=self.scale.names)
            found = read_window_file(Path(name).expanduser(), columns, Reading())
            self.scale.check(found.channels, name)
            self._files[name] = {window.name: window for window in found.windows}
        return self._files[name]
