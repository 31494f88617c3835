"""The configuration of the probes of memory and of length. No torch in here."""

from typing import Literal, Self

from pydantic import model_validator

from seqarena.core.errors import UserError
from seqarena.core.options import knob
from seqarena.tasks.configs import TaskConfig


class SelectiveCopyingConfig(TaskConfig):
    """Repeat, in order, the `num_symbols` symbols that lie scattered in a stretch of blanks."""

    kind: Literal["selective_copying"] = "selective_copying"
    num_symbols: int = knob(8, "Symbols to repeat.", ge=1)
    alphabet: int = knob(8, "Different symbols.", ge=2)
    distances: tuple[int, ...] = knob((16, 32, 64), "Lengths of the stretch, in turn by batch.")
    evaluation_examples: int = knob(500, "Examples of each distance and each split.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "distances", self.distances, self.num_symbols)
        return self


class AddingConfig(TaskConfig):
    """The sum of the two marked numbers of a sequence of them."""

    kind: Literal["adding"] = "adding"
    lengths: tuple[int, ...] = knob((50,), "Numbers of an example, in turn by batch.")
    tolerance: float = knob(0.04, "An answer this near to the sum counts as solved.", gt=0)
    evaluation_examples: int = knob(1000, "Examples of each length and each split.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "lengths", self.lengths, 2)
        return self


class LengthProbeConfig(TaskConfig):
    """What the tasks share that are trained on short examples and asked about longer ones."""

    train_length: int = knob(40, "The longest of training, where any up to it is as likely.", ge=2)
    test_lengths: tuple[int, ...] = knob((40, 64, 128, 256), "Lengths that are tested.")
    evaluation_examples: int = knob(500, "Examples of each length and each split.", ge=1)

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
    modulo: int = knob(5, "Sums are taken modulo this.", ge=2)


class InductionConfig(LengthProbeConfig):
    """What followed a special symbol when it was last seen."""

    kind: Literal["induction"] = "induction"
    alphabet: int = knob(16, "Different symbols.", ge=2)


class WordProblemConfig(LengthProbeConfig):
    """The product so far of a sequence of permutations."""

    kind: Literal["word_problem"] = "word_problem"
    group: Literal["s3", "a4", "s4", "a5", "s5"] = knob("s3", "All (s) or even (a) permutations.")
    train_length: int = knob(128, "The longest of training, where any up to it is as likely.", ge=2)
    test_lengths: tuple[int, ...] = knob((128, 256, 512), "Lengths that are tested.")


class StringCopyingConfig(LengthProbeConfig):
    """Repeat a string, longer than any that was trained on."""

    kind: Literal["string_copying"] = "string_copying"
    alphabet: int = knob(26, "Different symbols.", ge=2)


class ReverseStringConfig(LengthProbeConfig):
    """Write a string backwards."""

    kind: Literal["reverse_string"] = "reverse_string"
    alphabet: int = knob(2, "Different symbols.", ge=2)


class StackManipulationConfig(LengthProbeConfig):
    """What is on a stack of bits after instructions to push and to pop."""

    kind: Literal["stack_manipulation"] = "stack_manipulation"


class BucketSortConfig(LengthProbeConfig):
    """Write the symbols of a string in their order."""

    kind: Literal["bucket_sort"] = "bucket_sort"
    alphabet: int = knob(5, "Different symbols.", ge=2)


class TextCopyConfig(TaskConfig):
    """Repeat the first `copy_len` symbols after noise of the same alphabet and a delimiter."""

    kind: Literal["text_copy"] = "text_copy"
    copy_len: int = knob(5, "Symbols to repeat.", ge=1)
    vocab_size: int = knob(10, "0 asks for nothing, the symbols are 1 .. vocab_size - 1.", ge=3)
    seq_lens: tuple[int, ...] = knob((20,), "Lengths of whole sequences, in turn by batch.")
    evaluation_examples: int = knob(500, "Examples of each length and each split.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_different(self.kind, "seq_lens", self.seq_lens, 2 * self.copy_len + 1)
        return self


MADSkill = Literal[
    "recall", "noisy_recall", "fuzzy_recall", "selective_copying", "compression", "memorization"
]  # fmt: skip
# vocabulary, length and training examples of each, as published
_MAD: dict[MADSkill, tuple[int, int, int]] = {
    "recall": (16, 128, 12_800),
    "noisy_recall": (32, 128, 12_800),
    "fuzzy_recall": (16, 128, 12_800),
    "selective_copying": (16, 256, 12_800),
    "compression": (16, 32, 12_800),
    "memorization": (256, 32, 256),
}


class MADConfig(TaskConfig):
    """One of the six tasks of mechanistic architecture design; 0 is the published setting."""

    kind: Literal["mad"] = "mad"
    skill: MADSkill = knob("recall", "What is asked of the model.")
    vocab_size: int = knob(0, "Different tokens, special ones included.", ge=0)
    length: int = knob(0, "Tokens of an example.", ge=0)
    training_examples: int = knob(0, "Examples that training sees again in every epoch.", ge=0)
    evaluation_examples: int = knob(1280, "Examples of each split.", ge=1)
    noise: float = knob(0.2, "Of noisy_recall: the share of pairs that are noise.", ge=0, lt=1)
    num_symbols: int = knob(16, "Of selective_copying: symbols to repeat.", ge=1)

    def filled(self) -> "MADConfig":
        """With the published numbers in the place of zeros."""
        vocab_size, length, examples = _MAD[self.skill]
        return self.model_copy(
            update={
                "vocab_size": self.vocab_size or vocab_size,
                "length": self.length or length,
                "training_examples": self.training_examples or examples,
            }
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        filled = self.filled()
        least = {"selective_copying": 2 * self.num_symbols + 2, "fuzzy_recall": 32}
        if filled.length < least.get(self.skill, 4) or filled.length % 2:
            raise UserError(
                f"mad: length {filled.length} for {self.skill}: an even number of at least "
                f"{least.get(self.skill, 4)}"
            )
        if filled.vocab_size < 8:
            raise UserError(f"mad: vocab_size {filled.vocab_size}: at least 8")
        return self


def check_different(kind: str, field: str, lengths: tuple[int, ...], least: int) -> None:
    """Raises UserError unless `lengths` are different numbers of at least `least`, one or more."""
    if not lengths or min(lengths) < least or len(set(lengths)) != len(lengths):
        raise UserError(f"{kind}: {field} {lengths}: different lengths of at least {least}")
