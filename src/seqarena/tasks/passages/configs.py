"""The configuration of reading. No torch in here: a plan is read and checked without it."""

from typing import Literal

from pydantic import model_validator

from seqarena.core.errors import UserError
from seqarena.core.options import knob
from seqarena.tasks.configs import SplitConfig, check_encoding


class ReadingConfig(SplitConfig):
    """The part of a passage that answers a question. `data`: files in the form of SQuAD
    (data/text/passages/squad.py); None: generated passages."""

    kind: Literal["reading"] = "reading"
    data: str | None = knob(None, "A path; none: generated passages.")
    context: str = knob("context", "Field of tables that holds the passage.")
    question: str = knob("question", "Field of tables that holds the question.")
    answers: str = knob("answers", "Field of tables that holds the answers, with their places.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    metric: Literal["exact", "f1"] = knob("exact", "What ranks; both are told.")
    lowercase: bool = knob(True, "Make letters small.")
    min_count: int = knob(2, "Rarer words of the training texts are unknown.", ge=1)
    max_length: int = knob(
        384, "Words of question and passage; a longer passage is read in windows.", ge=16
    )
    window_step: float = knob(
        0.5, "How far a window is from the next, as a share of its passage.", gt=0, le=1
    )
    max_question: int = knob(64, "Words of a question; what is longer is cut.", ge=1)
    max_answer: int = knob(30, "Most words of an answer that is given.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> "ReadingConfig":
        check_encoding(self.kind, self.encoding)
        if len({self.context, self.question, self.answers}) < 3:
            raise UserError("reading: context, question and answers name different fields")
        if self.max_length < self.max_question + 8:
            raise UserError(
                f"reading: max_length {self.max_length} leaves no room for a passage behind "
                f"max_question {self.max_question}: at least {self.max_question + 8} is needed"
            )
        return self
