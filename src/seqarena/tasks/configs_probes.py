"""The configuration of the probes of memory and of length. No torch in here."""

from typing import Literal, Self

from pydantic import Field, model_validator

from seqarena.core.errors import UserError
from seqarena.tasks.configs import TaskConfig


class SelectiveCopyingConfig(TaskConfig):
    """Repeat, in order, the `num_symbols` symbols that lie scattered in a stretch of blanks."""

    kind: Literal["selective_copying"] = "selective_copying"
    num_symbols: int = Field(8, ge=1)
    alphabet: int = Field(8, ge=2)
    distances: tuple[int, ...] = (16, 32, 64)  # lengths of the stretch, in turn by batch
    evaluation_examples: int = Field(500, ge=1)  # of each distance and each split

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "distances", self.distances, self.num_symbols)
        return self


class AddingConfig(TaskConfig):
    """The sum of the two marked numbers of a sequence of them."""

    kind: Literal["adding"] = "adding"
    lengths: tuple[int, ...] = (50,)  # numbers of an example, in turn by batch
    tolerance: float = Field(0.04, gt=0)  # an answer this near to the sum counts as solved
    evaluation_examples: int = Field(1000, ge=1)  # of each length and each split

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "lengths", self.lengths, 2)
        return self


class LengthProbeConfig(TaskConfig):
    """What the tasks share that are trained on short examples and asked about longer ones."""

    train_length: int = Field(40, ge=2)  # the longest of training, where any up to it is as likely
    test_lengths: tuple[int, ...] = (40, 64, 128, 256)
    evaluation_examples: int = Field(500, ge=1)  # of each length and each split

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "test_lengths", self.test_lengths, 2)
        return self


class ParityConfig(LengthProbeConfig):
    """Whether a string of bits holds an odd number of ones."""

    kind: Literal["parity"] = "parity"


class ModularArithmeticConfig(LengthProbeConfig):
    """The value modulo `modulo` of a sum of products, without brackets."""

    kind: Literal["modular_arithmetic"] = "modular_arithmetic"
    modulo: int = Field(5, ge=2)


class InductionConfig(LengthProbeConfig):
    """What followed a special symbol when it was last seen."""

    kind: Literal["induction"] = "induction"
    alphabet: int = Field(16, ge=2)


class TextCopyConfig(TaskConfig):
    """Repeat the first `copy_len` symbols after noise of the same alphabet and a delimiter."""

    kind: Literal["text_copy"] = "text_copy"
    copy_len: int = Field(5, ge=1)
    vocab_size: int = Field(10, ge=3)  # 0 asks for nothing, the symbols are 1 .. vocab_size - 1
    seq_lens: tuple[int, ...] = (20,)  # of whole sequences, in turn by batch
    evaluation_examples: int = Field(500, ge=1)  # of each length and each split

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "seq_lens", self.seq_lens, 2 * self.copy_len + 1)
        return self


def check_different(kind: str, field: str, lengths: tuple[int, ...], least: int) -> None:
    """Raises UserError unless `lengths` are different numbers of at least `least`, one or more."""
    if not lengths or min(lengths) < least or len(set(lengths)) != len(lengths):
        raise UserError(f"{kind}: {field} {lengths}: different lengths of at least {least}")
