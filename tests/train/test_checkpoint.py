"""Checkpoints: whole or not at all; one flipped bit is found."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
import torch

from seqarena.core.errors import UserError
from seqarena.train import checkpoint
from seqarena.train.loop import Trainer

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def saved(make_trainer: MakeTrainer, tmp_path: Path) -> Path:
    trainer = make_trainer()
    list(islice(trainer.steps(), 2))
    checkpoint.save(tmp_path / "checkpoint", trainer, {"artifacts": {}})
    return tmp_path / "checkpoint"


def test_the_model_comes_back(saved: Path, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    list(islice(trainer.steps(), 2))
    model = checkpoint.load(saved).model()
    tokens_BT = torch.arange(12).reshape(2, 6)
    trainer.model.eval()
    assert torch.equal(model(tokens_BT)[0], trainer.model(tokens_BT)[0])
    assert model.head.weight is model.embedding.tokens.weight


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "about.json"])
def test_one_flipped_bit_is_found(saved: Path, name: str) -> None:
    content = bytearray((saved / name).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        checkpoint.load(saved)


def test_a_missing_file_is_found(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.load(saved)


def test_no_checkpoint(tmp_path: Path, make_trainer: MakeTrainer) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "checkpoint")
    assert not checkpoint.resume(make_trainer(), tmp_path / "checkpoint")


def test_killed_between_the_renames_the_old_one_stands(
    saved: Path, make_trainer: MakeTrainer
) -> None:
    saved.rename(saved.with_name("checkpoint.old"))
    trainer = make_trainer()
    assert checkpoint.resume(trainer, saved)
    assert trainer.progress.step == 2


def test_an_unfinished_new_one_is_never_read(saved: Path, make_trainer: MakeTrainer) -> None:
    unfinished = saved.with_name("checkpoint.new")
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"half")
    assert checkpoint.load(saved).about["progress"]["step"] == 2
    checkpoint.save(saved, make_trainer(), {})
    assert checkpoint.load(saved).about["progress"]["step"] == 0


def test_another_model_is_refused(saved: Path, make_trainer: MakeTrainer) -> None:
    with pytest.raises(UserError, match="another model"):
        checkpoint.resume(make_trainer("lstm"), saved)


def test_another_format_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(UserError, match="has checkpoint format 1, this version reads 2"):
        checkpoint.load(saved)
