"""A transcript while the recording goes on: a causal model hears it piece by piece.

    live = LiveTranscript("runs/NAME/trials/HASH/checkpoint")
    for samples_N in pieces:               # of any length, at the rate of training
        print(live.hear(samples_N))        # the text so far
    print(live.end())

Memory stays constant, and the text is that of the whole recording: a position is read as soon as
its last sample is there, and the model's state goes from piece to piece (models/states/session.py).

    N  samples    T  positions
"""

from pathlib import Path

import numpy as np
from torch import Tensor

from seqarena.core.errors import UserError
from seqarena.data.signals.mel import frame_sizes
from seqarena.models.states.session import Session
from seqarena.ops.ctc import BLANK
from seqarena.tasks.registry import load_codec, parse_task
from seqarena.tasks.signals.transcription_codec import TranscriptionCodec
from seqarena.use.loading import load_model


class LiveTranscript:
    """One recording, spelled by the best path."""

    def __init__(self, directory: str | Path) -> None:
        """Raises UserError for a checkpoint of another task, for a model that sees the future, and
        for one whose recordings are each normalised as a whole."""
        checkpoint, model = load_model(Path(directory))
        config = parse_task(checkpoint.about["task"])
        codec = load_codec(config, checkpoint.about["artifacts"])
        if not isinstance(codec, TranscriptionCodec):
            raise UserError(f"a model of task {config.kind} transcribes nothing")
        if codec.config.normalise == "recording":
            raise UserError(
                "the model normalises each recording as a whole, so that it must have ended: "
                "train with --set normalise=global"
            )
        self._session = Session(model)
        self._listener, self._symbols = codec.listener, codec.symbols
        self.sample_rate = codec.listener.frontend.sample_rate  # Hz, of what it hears
        self._waiting_N = np.zeros(0, dtype=np.float32)  # from the next position's first sample on
        self._heard = 0  # samples in all
        self._written: list[int] = []
        self._last = BLANK  # the symbol of the path at the last position

    @property
    def text(self) -> str:
        """What is written so far."""
        return self._symbols.decode(self._written)

    def hear(self, samples_N: np.ndarray) -> str:
        """More of the recording: mono, -1 to 1. Returns the text so far."""
        self._waiting_N = np.concatenate((self._waiting_N, np.asarray(samples_N, np.float32)))
        self._heard += len(samples_N)
        window, hop = frame_sizes(self.sample_rate)
        frames = max(0, (len(self._waiting_N) - window) // hop + 1)
        whole = frames // self._listener.config.stack * self._listener.config.stack
        if whole:
            self._read(self._waiting_N[: (whole - 1) * hop + window])
            self._waiting_N = self._waiting_N[whole * hop :]
        return self.text

    def end(self) -> str:
        """The recording has ended: reads what fills no position. Returns its text."""
        window, _ = frame_sizes(self.sample_rate)
        if len(self._waiting_N) >= window or 0 < self._heard == len(self._waiting_N):
            self._read(self._waiting_N)
        self._waiting_N = self._waiting_N[:0]
        return self.text

    def _read(self, samples_N: np.ndarray) -> None:
        x_TF = self._listener.features(self._listener.frontend.raw(samples_N))
        self._spell(self._session.read(x_TF)[0])

    def _spell(self, logits_TV: Tensor) -> None:
        for symbol in logits_TV.argmax(-1).tolist():
            if symbol not in (BLANK, self._last):
                self._written.append(symbol)
            self._last = symbol
