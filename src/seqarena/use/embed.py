"""Embeddings: a vector for a text from a trained model, and a file of them.

    own    what the model's own head reads of a text (a label's): its maximum, attention or state
    mean   of the vectors of all positions        max    the greatest of each number
    last   the vector of the last position
    auto   own; where there is none, last of a causal model and mean of any other

Positions are those of the model's last layer, before its head; of an encoder-decoder those of the
source. Padding never counts.

    N  texts    B  texts at once    T  positions    E  numbers of a vector
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from seqarena.core.batch import Batch, check_tokens, map_batch
from seqarena.core.errors import UserError, missing_extra, naming, unknown_name
from seqarena.core.runtime import resolve_device
from seqarena.data.files.columns import Wanted
from seqarena.data.files.tables import table_format
from seqarena.data.text.tokenizers import tokenizer_from_json
from seqarena.models.model import PositionVectors
from seqarena.tasks.configs import check_encoding
from seqarena.tasks.inputs import names_columns, read_inputs
from seqarena.tasks.registry import load_codec, parse_task, task_row
from seqarena.tasks.text.masked_language import tokens_as_batch, whole_text
from seqarena.use.loading import check_text, load_model

Pooling = Literal["auto", "own", "mean", "last", "max"]
AT_ONCE = 32  # texts
SUFFIXES = (".npy", ".csv", ".parquet")


class Embedder:
    """A trained model of texts that gives vectors. `pooling` is the one that it uses."""

    def __init__(
        self, directory: str | Path, *, pooling: str = "auto", device: str = "cpu"
    ) -> None:
        """Raises UserError for a damaged checkpoint, a model that reads no texts or has no vectors,
        and a pooling that it cannot do."""
        checkpoint, model = load_model(Path(directory))
        self.architecture = str(checkpoint.about["architecture"])
        self.weights_sha256 = checkpoint.weights_sha256
        self._read = _reader(checkpoint.about)
        if not model.problem.vocab_size:
            kind = checkpoint.about["task"]["kind"]
            raise UserError(f"a model of task {kind} reads numbers and no texts: nothing to embed")
        self.device = resolve_device(device).name
        self.model = model.to(self.device)
        self.pooling = self._pooling(pooling)
        self.size = self._vectors(self._probe()).shape[1]

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [N, E]. Raises UserError, with the number of the text, for one that is empty,
        is longer than the model can read, or has nothing that it knows how to read."""
        return np.concatenate([np.empty((0, self.size), np.float32), *self.stream(texts)])

    def stream(self, texts: Sequence[str]) -> Iterator[np.ndarray]:
        """The same as they come, AT_ONCE texts together."""
        for first in range(0, len(texts), AT_ONCE):
            yield self._embedded(texts[first : first + AT_ONCE], first)

    def facts(self) -> dict[str, Any]:
        """What made the vectors, for the record."""
        return {
            "architecture": self.architecture,
            "weights_sha256": self.weights_sha256,
            "pooling": self.pooling,
            "numbers": self.size,
        }

    def _embedded(self, texts: Sequence[str], first: int) -> np.ndarray:
        try:
            batch = self._batch(texts)
        except UserError as error:
            for number, text in enumerate(texts, start=first + 1):
                try:
                    self._batch([text])
                except UserError as own:
                    raise UserError(f"text {number}: {own}") from error
            raise
        return self._vectors(batch).float().cpu().numpy()

    def _batch(self, texts: Sequence[str]) -> Batch:
        for text in texts:
            if not text.strip():
                raise UserError("it is empty: leave it out")
            check_text(text, "it")
        batch = self._read(texts)
        check_tokens(batch._replace(targets_BT=batch.targets_BT[:, :0]), self.model.problem)
        positions = (batch.inputs_BT if batch.source_BS is None else batch.source_BS).shape[1]
        most = self.model.most_positions
        if most is not None and positions > most:
            raise UserError(
                f"it has {positions:,} tokens and the model {most:,} learned positions: shorten it"
            )
        return map_batch(lambda x: x.to(self.device), batch)

    def _vectors(self, batch: Batch) -> Tensor:
        with torch.inference_mode():
            if self.pooling == "own":
                summary_BE = self.model.summary_vector(batch)
                assert summary_BE is not None
                return summary_BE
            positions = self.model.position_vectors(batch)
            assert positions is not None
            return pooled(positions, self.pooling)

    def _pooling(self, asked: str) -> str:
        """The pooling that `asked` stands for. Raises UserError where the model has none."""
        if asked not in get_args(Pooling):
            raise unknown_name("pooling", asked, get_args(Pooling))
        probe = self._probe()
        with torch.inference_mode():
            own = self.model.summary_vector(probe) is not None
            positions = self.model.position_vectors(probe)
        if not own and positions is None:
            raise UserError(
                f"{self.architecture} has no vectors of what it reads: embed with a stack of mixers"
                ", bert, text_cnn, self_attention_encoder, a tagger, rnnsearch or luong"
            )
        if asked == "auto":
            causal = positions is not None and positions.causal
            return "own" if own else "last" if causal else "mean"
        if asked == "own" and not own:
            raise UserError(
                f"{self.architecture} of this task has no pooling of its own: choose mean, last or "
                "max"
            )
        if asked != "own" and positions is None:
            raise UserError(f"{self.architecture} has no vectors of positions: choose pooling own")
        return asked

    def _probe(self) -> Batch:
        """Two tokens, which every vocabulary has."""
        problem = self.model.problem
        tokens_12 = torch.zeros(1, 2, dtype=torch.int64, device=self.device)
        pairs = problem.form == "pairs"
        return Batch(
            tokens_12,
            tokens_12[:, :0],
            torch.ones_like(tokens_12, dtype=torch.bool),
            source_BS=tokens_12 if pairs else None,
            segments_BT=tokens_12 if problem.num_segments else None,
            characters_BTC=tokens_12[..., None] if problem.num_characters else None,
        )


def pooled(positions: PositionVectors, pooling: str) -> Tensor:
    """One vector [B, E] of the real positions: their mean, max or last."""
    x_BTD, real_BT, _ = positions
    real_BT1 = real_BT[..., None]
    if pooling == "mean":
        weights_BT1 = real_BT1.to(x_BTD.dtype)
        return (x_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)
    if pooling == "max":
        return x_BTD.masked_fill(~real_BT1, -torch.inf).amax(1)
    last_B = (real_BT * torch.arange(real_BT.shape[1], device=real_BT.device)).argmax(1)
    return x_BTD[torch.arange(len(x_BTD), device=x_BTD.device), last_B]


def read_texts(file: str | Path, column: str | None = None, encoding: str = "utf-8") -> list[str]:
    """The texts of a file: a line each, or a column of a table, by default `text`.

    Raises UserError with file and line for a file that cannot be read, a column that is not there,
    lines of a table whose column nobody named, a blank text, and no text."""
    file = Path(file).expanduser()
    check_encoding("embed", encoding)
    wanted = [Wanted("column", column or "text", is_default=column is None)]
    is_table = file.is_dir() or table_format(file) or names_columns(file, wanted, encoding)
    if column is not None and (file.is_dir() or not is_table):
        raise UserError(f"{file} has no column {column!r}: leave --column out for one text a line")
    texts = list(read_inputs(file, wanted, encoding=encoding))
    if not is_table and texts and "\t" in texts[0]:
        raise UserError(f"{file}: its lines have tabs, as those of a table: name the --column")
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            raise UserError(f"{file}, text {number}: it is empty: leave it out")
    if not texts:
        raise UserError(f"{file} holds no text")
    return texts


def check_output(out: Path) -> None:
    """Raises UserError for a name that says no format, and for Parquet without its package."""
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: the name must end in {', '.join(SUFFIXES)}")
    if out.suffix == ".parquet":
        _pyarrow()


def write_vectors(
    out: Path, texts: Sequence[str], vectors_NE: np.ndarray, facts: dict[str, Any]
) -> Path:
    """Writes the vectors as the name says, and what made them beside, as NAME.json, whose path is
    returned: .npy is the array; .csv has a text and its numbers a row; .parquet the columns text
    and vector. Nothing is left half written."""
    check_output(out)
    write = {".npy": _write_npy, ".csv": _write_csv, ".parquet": _write_parquet}[out.suffix]
    beside = out.with_name(f"{out.name}.json")
    _replace(out, lambda fresh: write(fresh, texts, vectors_NE))
    record = json.dumps({**facts, "texts": len(texts)}, indent=1, ensure_ascii=False) + "\n"
    _replace(beside, lambda fresh: fresh.write_text(record, encoding="utf-8"))
    return beside


def _replace(out: Path, write: Callable[[Path], Any]) -> None:
    fresh = out.with_name(f"{out.name}.new")
    with naming(out):
        try:
            write(fresh)
            os.replace(fresh, out)
        finally:
            fresh.unlink(missing_ok=True)


def _write_npy(out: Path, texts: Sequence[str], vectors_NE: np.ndarray) -> None:
    with out.open("wb") as file:
        np.save(file, vectors_NE)


def _write_csv(out: Path, texts: Sequence[str], vectors_NE: np.ndarray) -> None:
    with out.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["text", *(f"v{number}" for number in range(vectors_NE.shape[1]))])
        rows.writerows([text, *_numbers(row_E)] for text, row_E in zip(texts, vectors_NE))


def _numbers(row_E: np.ndarray) -> Iterator[str]:
    """The shortest digits that give the same float32."""
    return (str(number) for number in row_E)


def _write_parquet(out: Path, texts: Sequence[str], vectors_NE: np.ndarray) -> None:
    pyarrow, parquet = _pyarrow()
    numbers = pyarrow.array(vectors_NE.ravel())
    vectors = pyarrow.FixedSizeListArray.from_arrays(numbers, vectors_NE.shape[1])
    parquet.write_table(pyarrow.table({"text": list(texts), "vector": vectors}), out)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "parquet", "writing Parquet") from error
    return pyarrow, parquet


def _reader(about: dict[str, Any]) -> Callable[[Sequence[str]], Batch]:
    """What turns texts into a batch, by the task that the checkpoint was trained on."""
    config, artifacts = parse_task(about["task"]), about["artifacts"]
    if task_row(config.kind).codec is None and "tokenizer" in artifacts:
        tokenizer = tokenizer_from_json(artifacts["tokenizer"])
        return lambda texts: tokens_as_batch([whole_text(text, tokenizer) for text in texts])
    try:
        codec = load_codec(config, artifacts)
    except UserError as error:
        raise UserError(f"a model of task {config.kind} reads no texts to embed") from error
    if codec.takes_paths:
        raise UserError(f"a model of task {config.kind} reads files and no texts: nothing to embed")
    return codec.texts
