"""The configuration of transcription."""

from typing import Literal

from pydantic import model_validator

from seqarena.core.errors import UserError, unknown_name
from seqarena.core.options import knob
from seqarena.data.splits import parse_range
from seqarena.data.text.tokenizers import parse_tokenizer_name
from seqarena.tasks.configs import SplitConfig, check_encoding


class TranscriptionConfig(SplitConfig):
    """What is said in a recording. `data`: recordings with their texts (data/signals/spoken), or
    with `join` recordings of one word each; None: numbers dialled in touch tones."""

    kind: Literal["transcription"] = "transcription"
    data: str | None = knob(
        None, "Recordings with their texts, a table or a folder; none: dialled numbers."
    )
    text: str = knob("text", "Field of tables that holds the text.")
    encoding: str = knob("utf-8", "Of texts and tables: utf-8 or iso-8859-1, say.")
    lowercase: bool = knob(False, "Make letters small.")
    units: str = knob("char", "Symbols that are written: char, word or bpe:N.")
    metric: Literal["wer", "cer"] = knob("wer", "Errors over words or over characters.")
    validation_speakers: str | None = knob(None, "Who is heard in validation alone: ann,bob.")
    test_speakers: str | None = knob(None, "Who is heard in the test alone: ann,bob.")
    join: str | int | None = knob(
        None, "1-5: recordings of one word each, joined into strings of 1 to 5 for training."
    )
    test_join: str | int | None = knob(
        None, "Words of the strings that are scored; none: as in training."
    )
    strings: int = knob(4000, "Strings for training; a tenth as many for each other split.", ge=10)
    validation_index: str | int | None = knob(
        None, "Joined recordings that validate, by the number that their names end in."
    )
    test_index: str | int | None = knob(
        None, "0-4: joined recordings whose names end in 0 to 4 are the test."
    )
    sample_rate: int | None = knob(None, "In Hz, of all recordings; None: of the first.", ge=1)
    resample: bool = knob(False, "Bring recordings of another rate to it.")
    max_seconds: float = knob(30.0, "Longer recordings are not trained on.", gt=0)
    bands: int = knob(40, "Bands of log-mel.", ge=1)
    stack: int = knob(3, "Frames of 10 ms that become one position.", ge=1)
    normalise: Literal["recording", "global", "none"] = knob(
        "global", "Over one recording, or over all for training."
    )
    speed: float = knob(
        0.0, "Training plays each recording up to this share faster or slower, pitch too.",
        ge=0, lt=1,
    )  # fmt: skip
    noise: float | None = knob(
        None, "Training adds noise up to so few decibels below the recording.", finite=True
    )
    mask: bool = knob(False, "Training hides stretches of time and of bands (SpecAugment).")
    beam: int = knob(1, "Transcripts that the search keeps; 1: the best path.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> "TranscriptionConfig":
        if self.units not in ("char", "word"):
            if not self.units.startswith("bpe"):
                raise unknown_name("units", self.units, ["char", "word", "bpe:512"])
            parse_tokenizer_name(self.units)
        for text in (self.join, self.test_join, self.validation_index, self.test_index):
            if text is not None:
                parse_range(str(text))
        for name in ("join", "test_join"):
            if getattr(self, name) is not None and parse_range(str(getattr(self, name)))[0] < 1:
                raise UserError(f"transcription: {name}: strings of at least one word")
        for name in ("test_join", "validation_index", "test_index"):
            if self.join is None and getattr(self, name) is not None:
                raise UserError(f"transcription: {name} is of recordings that are joined: set join")
        check_encoding(self.kind, self.encoding)
        return self
