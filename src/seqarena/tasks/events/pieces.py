"""Histories as examples: cut into pieces that a model reads at once, with what each asks.

T  events    B  examples    C  categorical fields
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from seqarena.core.batch import Batch
from seqarena.data.buckets import pad
from seqarena.tasks.events.encoder import EncodedHistory


@dataclass(frozen=True)
class Piece:
    """Events in a row and what is asked. Targets are [T, 2] where it is the next event: its
    category and the steps to it, NaN where nothing is asked; [1] where it is a label."""

    categories_TC: np.ndarray
    features_TF: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.features_TF)


def next_event_pieces(history: EncodedHistory, asked_T: np.ndarray, max_length: int) -> list[Piece]:
    """Every event but the last is read, `max_length` at a time, and asked for the one behind it
    where `asked_T` is true there. Pieces that ask nothing are left out."""
    targets_T2 = np.full((len(history), 2), np.nan, dtype=np.float32)
    targets_T2[:-1, 0] = history.categories_TC[1:, 0]
    targets_T2[:-1, 1] = history.steps_T[1:]
    targets_T2[:-1][~asked_T[1:]] = np.nan
    pieces = []
    for first in range(0, len(history) - 1, max_length):
        here = slice(first, min(first + max_length, len(history) - 1))
        if not np.isnan(targets_T2[here]).all():
            read = (history.categories_TC[here], history.features_TF[here])
            pieces.append(Piece(*read, targets_T2[here]))
    return pieces


def label_piece(history: EncodedHistory, label: int, max_length: int) -> Piece:
    """The newest `max_length` events."""
    newest = slice(max(0, len(history) - max_length), None)
    read = (history.categories_TC[newest], history.features_TF[newest])
    return Piece(*read, np.array([label], dtype=np.int64))


def as_batch(pieces: Sequence[Piece]) -> Batch:
    """Padded on the right."""
    features_BTF, mask_BT = pad([piece.features_TF for piece in pieces])
    categories_BTC, _ = pad([piece.categories_TC for piece in pieces])
    unasked = np.nan if pieces[0].targets.dtype == np.float32 else 0
    targets, _ = pad([piece.targets for piece in pieces], unasked)
    return Batch(
        torch.from_numpy(features_BTF),
        torch.from_numpy(targets),
        torch.from_numpy(mask_BT),
        categories_BTC=torch.from_numpy(categories_BTC) if categories_BTC.shape[2] else None,
    )
