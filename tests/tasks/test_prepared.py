"""Data prepared once: a task from its files gives the numbers of the task from its data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.tasks import TaskConfig, build_task, parse_task
from seqarena.tasks.base import Task
from seqarena.tasks.prepared import load_prepared, save_prepared

TEXT = "Die Katze saß auf der Matte; it was warm there.\n\n" * 300


def config_of(folder: Path, kind: str, **fields: object) -> TaskConfig:
    text = folder / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    return parse_task({"kind": kind, "data": str(text), "sequence_length": 16, **fields})


def prepared(config: TaskConfig, folder: Path) -> tuple[Task, Task]:
    """The task from its data, and from what it wrote; the data are gone by then."""
    task = build_task(config)
    save_prepared(task, folder)
    Path(str(config.model_dump()["data"])).unlink()
    return task, load_prepared(config, task.digest(), folder)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("language", {"tokenizer": "byte"}),
        ("language", {"tokenizer": "char", "test_fraction": "validation"}),
        ("language", {"tokenizer": "bpe:280", "carry_state": True}),
        ("masked_language", {"tokenizer": "byte"}),
    ],
)
def test_the_numbers_are_the_same(kind: str, fields: dict[str, object], tmp_path: Path) -> None:
    task, again = prepared(config_of(tmp_path, kind, **fields), tmp_path / "prepared")
    assert type(again) is type(task)
    assert again.describe() == task.describe()
    assert again.digest() == task.digest()
    assert again.artifacts() == task.artifacts()
    for index in range(5):
        for one, other in zip(
            task.training_batch(index, 3, seed=1), again.training_batch(index, 3, seed=1)
        ):
            assert one is other or torch.equal(one, other)

    def predict(batch: object) -> torch.Tensor:
        shape = (*batch.inputs_BT.shape, task.vocab_size)  # pyright: ignore
        return torch.linspace(-1, 1, steps=int(np.prod(shape))).reshape(shape)

    for split in ("validation", "test"):
        assert again.evaluate(predict, split, 4) == task.evaluate(predict, split, 4)


def test_what_lies_there_is_not_written_again(tmp_path: Path) -> None:
    config, folder = config_of(tmp_path, "language"), tmp_path / "prepared"
    save_prepared(build_task(config), folder)
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    save_prepared(build_task(config), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == files
    assert len(files) == 6  # a folder with facts, their sums, and one array a split


def test_damage_is_an_error(tmp_path: Path) -> None:
    config, folder = config_of(tmp_path, "language"), tmp_path / "prepared"
    task = build_task(config)
    save_prepared(task, folder)
    (array,) = folder.glob("*/train.npy")
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    with pytest.raises(UserError, match="is damaged: delete"):
        load_prepared(config, task.digest(), folder)
    save_prepared(task, folder)  # who has the data writes them again
    assert load_prepared(config, task.digest(), folder).digest() == task.digest()


def test_other_data_are_an_error(tmp_path: Path) -> None:
    config, folder = config_of(tmp_path, "language"), tmp_path / "prepared"
    task = build_task(config)
    (tmp_path / "text.txt").write_text(TEXT.upper(), encoding="utf-8")
    with pytest.raises(UserError, match="the data has changed"):
        load_prepared(config, task.digest(), folder)


def test_a_task_that_writes_nothing_is_built_again(tmp_path: Path) -> None:
    config = parse_task({"kind": "copying"})
    task = build_task(config)
    save_prepared(task, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert load_prepared(config, task.digest(), tmp_path).digest() == task.digest()
    assert load_prepared(config, task.digest(), None).digest() == task.digest()


OWN = """
from pathlib import Path
from seqarena.tasks.probes.copying import CopyingTask
from seqarena.tasks.configs import CopyingConfig

class Settings(CopyingConfig):
    kind: str

class Mine(CopyingTask):
    Config = Settings

    def save_prepared(self, folder):
        (folder / "mine").write_text("prepared")
        return True

    @classmethod
    def load_prepared(cls, config, folder):
        task = cls(config)
        task.found = (folder / "mine").read_text()
        return task
"""


def test_a_users_own_task_can_prepare_its_data(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    config = parse_task({"kind": f"{tmp_path / 'mine.py'}:Mine"})
    task = build_task(config)
    save_prepared(task, tmp_path / "prepared")
    assert load_prepared(config, task.digest(), tmp_path / "prepared").found == "prepared"  # pyright: ignore
