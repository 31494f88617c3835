"""The path of a sound file -> what is said in it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from seqarena.core.batch import Batch
from seqarena.data.signals.audio import check_rate, read_sound
from seqarena.data.signals.spoken.utterances import resampled
from seqarena.tasks.base import Answer, Codec
from seqarena.tasks.signals.configs import TranscriptionConfig
from seqarena.tasks.signals.listening import Listener
from seqarena.tasks.signals.speech import SpeechCodec
from seqarena.tasks.signals.symbols import Symbols
from seqarena.tasks.signals.transcription import as_batch, spell


class TranscriptionCodec(Codec):
    """Reads a recording of any length; writes its text and the probability of that."""

    takes_paths = True
    inputs = SpeechCodec.inputs  # the same files
    prompt = "the path of a wav or flac file"

    def __init__(self, config: TranscriptionConfig, listener: Listener, symbols: Symbols) -> None:
        self.config = config
        self.listener = listener
        self.symbols = symbols
        self.beam_width = config.beam

    @classmethod
    def from_artifacts(
        cls, config: TranscriptionConfig, artifacts: Mapping[str, str]
    ) -> "TranscriptionCodec":
        listener = Listener.from_json(config, artifacts["frontend"])
        return cls(config, listener, Symbols.from_json(artifacts["symbols"]))

    def encode(self, items: Sequence[str]) -> Batch:
        """Raises UserError for a file that cannot be read or has another rate than training."""
        return as_batch([self._positions(item.strip()) for item in items])

    def decode(self, outputs: Tensor, batch: Batch) -> list[Answer]:
        assert self.beam_width is not None
        return [
            Answer(self.symbols.decode(found.symbols), math.exp(found.log_p))
            for found in spell(outputs, batch, self.beam_width)
        ]

    def _positions(self, name: str) -> np.ndarray:
        rate, samples_N, _ = read_sound(Path(name).expanduser(), name)
        wanted = self.listener.frontend.sample_rate
        if self.config.resample and rate != wanted:
            samples_N = resampled(samples_N, rate, wanted)
        else:
            check_rate(rate, wanted, name)
        return self.listener.features(self.listener.frontend.raw(samples_N))
