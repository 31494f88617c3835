"""The configuration of every task. No torch in here: a plan is read and checked without it."""

import codecs
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from seqarena.core.config import Config
from seqarena.core.errors import UserError, unknown_name
from seqarena.data.splits import check_fractions, parse_range
from seqarena.data.tokenizers import parse_tokenizer_name


class TaskConfig(Config):
    """Base of every task's configuration; `kind` names the task in the registry."""

    kind: str


class LanguageConfig(TaskConfig):
    """Predict the next token of a text. `data` is a path; None is the embedded text."""

    kind: Literal["language"] = "language"
    data: str | None = None
    text_field: str = "text"  # of JSON lines and Parquet
    tokenizer: str = "byte"  # byte, char or bpe:N
    sequence_length: int = Field(64, ge=1)
    validation_fraction: float = 0.05
    test_fraction: float | Literal["validation"] = 0.05  # "validation": test on the same text
    carry_state: bool = False  # training windows follow one another and so do states

    @model_validator(mode="after")
    def _check(self) -> "LanguageConfig":
        parse_tokenizer_name(self.tokenizer)
        check_fractions(self.validation_fraction, self.test_fraction)
        return self


class MaskedLanguageConfig(TaskConfig):
    """Guess the tokens that were hidden in a text. `data` is a path; None is the embedded text."""

    kind: Literal["masked_language"] = "masked_language"
    data: str | None = None
    text_field: str = "text"  # of JSON lines and Parquet
    tokenizer: str = "bpe:1000"  # byte, char or bpe:N
    sequence_length: int = Field(64, ge=2)
    masked: float = Field(0.15, gt=0, lt=1)  # share of the tokens that are asked for
    validation_fraction: float = 0.05
    test_fraction: float = 0.05


class CopyingConfig(TaskConfig):
    """Repeat `num_symbols` symbols of an alphabet after a blank stretch of variable length."""

    kind: Literal["copying"] = "copying"
    num_symbols: int = Field(10, ge=1)
    alphabet: int = Field(8, ge=2)
    min_distance: int = Field(1, ge=0)  # in blanks
    max_distance: int = Field(100, ge=0)
    all_positions: bool = False  # ask for a blank wherever no symbol is asked for: copy memory
    evaluation_examples: int = Field(1000, ge=1)  # of each split

    @model_validator(mode="after")
    def _check(self) -> "CopyingConfig":
        if self.max_distance < self.min_distance:
            raise UserError(
                f"copying: max_distance {self.max_distance} is below "
                f"min_distance {self.min_distance}"
            )
        return self


class MQARConfig(TaskConfig):
    """Multi-query associative recall. Zoology's own setting has a vocabulary of 8192."""

    kind: Literal["mqar"] = "mqar"
    vocab_size: int = Field(1024, ge=4)
    grid: tuple[tuple[int, int], ...] = ((64, 4), (64, 8), (64, 16))  # (sequence length, pairs)
    power_a: float = Field(0.01, gt=0)  # 1: every gap equally likely; small: mostly short gaps
    random_non_queries: bool = True  # fill the free positions with random tokens, not with 0
    evaluation_examples: int = Field(1000, ge=1)  # of each cell of the grid and each split

    @model_validator(mode="after")
    def _check(self) -> "MQARConfig":
        if not self.grid:
            raise UserError("mqar: the grid is empty: give at least one (sequence length, pairs)")
        if len(set(self.grid)) != len(self.grid):
            raise UserError("mqar: the grid names a (sequence length, pairs) twice")
        most_pairs = self.vocab_size // 2 - 1  # keys are 1 .. vocab_size // 2 - 1
        for length, pairs in self.grid:
            if pairs < 1:
                raise UserError(f"mqar: {pairs} pairs in the grid: at least 1 is needed")
            if length % 2 or length < 4 * pairs:
                raise UserError(
                    f"mqar: {pairs} pairs do not fit into a length of {length}: "
                    f"it must be even and at least {4 * pairs}"
                )
            if pairs > most_pairs:
                raise UserError(
                    f"mqar: a vocabulary of {self.vocab_size} has {most_pairs} keys, "
                    f"too few for {pairs} pairs"
                )
        return self


class ClassificationConfig(TaskConfig):
    """The class of a sentence or of two. `data`: see data/labelled.py; None: embedded sentences."""

    kind: Literal["classification"] = "classification"
    data: str | None = None
    format: Literal["auto", "label_first", "tsv", "csv", "jsonl"] = "auto"
    text: str = "text"  # fields of tables and JSON lines
    text_pair: str | None = None  # the second sentence, where there are two
    label: str = "label"
    label_part: Literal["whole", "coarse"] = "whole"  # coarse: what stands before a colon
    encoding: str = "utf-8"
    tokenizer: Literal["word", "char"] = "word"
    lowercase: bool = True
    min_count: int = Field(2, ge=1)  # rarer words of the training texts are unknown
    max_length: int = Field(256, ge=1)  # tokens of a sentence; what is longer is cut
    reads_like: str | None = None  # a checkpoint whose tokenizer is used (train --start-from)

    @model_validator(mode="after")
    def _check(self) -> "ClassificationConfig":
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise UserError(
                f"classification: unknown encoding {self.encoding!r}: utf-8 or iso-8859-1, say"
            ) from error
        if len({self.text, self.text_pair, self.label}) < 3:
            raise UserError("classification: text, text_pair and label name different fields")
        return self


class QuestionAnsweringConfig(TaskConfig):
    """One answer to a question about a story. `data`: files in the form of bAbI (data/stories.py),
    several are learnt jointly; None: generated stories."""

    kind: Literal["question_answering"] = "question_answering"
    data: str | None = None
    memory_size: int = Field(50, ge=1)  # the newest statements of a story; older ones are left out


class AlgorithmsConfig(TaskConfig):
    """An algorithm on binary numbers of at most `max_bits` bits, tested on longer ones."""

    kind: Literal["algorithms"] = "algorithms"
    problem: Literal["addition", "multiplication", "sorting", "reversal", "copying"] = "addition"
    # two numbers one behind the other, or digit by digit one above the other
    operands: Literal["in_row", "aligned"] = "in_row"
    max_bits: int = Field(20, ge=1)  # of training
    growing: int = Field(800, ge=0)  # training batches until the longest numbers have max_bits
    test_bits: tuple[int, ...] = (20, 50, 100, 200)
    evaluation_examples: int = Field(32, ge=1)  # of each length

    @model_validator(mode="after")
    def _check(self) -> "AlgorithmsConfig":
        if not self.test_bits or min(self.test_bits) < 1:
            raise UserError(f"algorithms: test_bits {self.test_bits}: lengths of at least 1 bit")
        if len(set(self.test_bits)) != len(self.test_bits):
            raise UserError(f"algorithms: test_bits {self.test_bits} names a length twice")
        return self


class RunningAdditionConfig(TaskConfig):
    """The sum so far, modulo `modulo`, of digits that come one at a time."""

    kind: Literal["running_addition"] = "running_addition"
    modulo: int = Field(10, ge=2)
    train_lengths: tuple[int, ...] = (4, 16, 64)  # numbers of an example, in turn by batch
    test_lengths: tuple[int, ...] = (4, 1000)
    evaluation_examples: int = Field(100, ge=1)  # of each length

    @model_validator(mode="after")
    def _check(self) -> "RunningAdditionConfig":
        for field in ("train_lengths", "test_lengths"):
            lengths = getattr(self, field)
            if not lengths or min(lengths) < 1 or len(set(lengths)) != len(lengths):
                raise UserError(
                    f"running_addition: {field} {lengths}: different lengths of at least 1"
                )
        return self


class SpeechConfig(TaskConfig):
    """The class of a recording. `data`: a folder or archive of wav files, or a list of them
    (data/audio.py); None: touch tones in noise."""

    kind: Literal["speech"] = "speech"
    data: str | None = None
    test_index: str | int | None = None  # 0-4: recordings whose names end in 0 to 4 are the test
    validation_index: str | int | None = None
    sample_rate: int | None = Field(None, ge=1)  # in Hz, of all recordings; None: of the first
    max_seconds: float = Field(10.0, gt=0)  # what is longer is cut
    features: Literal["log_mel", "waveform", "mu_law"] = "log_mel"
    bands: int = Field(40, ge=1)  # of log_mel
    decimate: int = Field(1, ge=1)  # keep every n-th sample, filtered
    normalise: Literal["recording", "global", "none"] = "global"  # over one, or all for training

    @model_validator(mode="after")
    def _check(self) -> "SpeechConfig":
        for text in (self.test_index, self.validation_index):
            if text is not None:
                parse_range(str(text))
        return self


class PixelsConfig(TaskConfig):
    """The class of a picture that is read pixel by pixel. `data`: a folder of idx files, as MNIST
    is published (data/images.py); None: digits drawn from a font."""

    kind: Literal["pixels"] = "pixels"
    data: str | None = None
    pool: int = Field(2, ge=1)  # squares of so many pixels a side become their mean; 1: as it is
    permuted: bool = False  # one fixed order of the pixels instead of row by row
    train_examples: int | None = Field(None, ge=1)  # the first so many; None: all


class PairsConfig(TaskConfig):
    """What the tasks of pairs share. `data`: files of pairs in the forms of data/pairs.py."""

    data: str | None = None
    source: str = "source"  # suffix of the files, or column or field, that holds the sources
    target: str = "target"  # the same for the targets
    encoding: str = "utf-8"
    tokenizer: str = "word"  # word, char or bpe:N
    shared_vocabulary: bool = False  # one for source and target
    lowercase: bool = True
    min_count: int = Field(2, ge=1)  # rarer words or characters of the training pairs are unknown
    max_length: int = Field(100, ge=1)  # tokens of either side
    reverse_source: bool = False  # last word first (Sutskever et al. 2014)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tokenizer not in ("word", "char"):
            if not self.tokenizer.startswith("bpe"):
                raise unknown_name("tokenizer", self.tokenizer, ["word", "char", "bpe:1024"])
            parse_tokenizer_name(self.tokenizer)
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise UserError(
                f"{self.kind}: unknown encoding {self.encoding!r}: utf-8 or iso-8859-1, say"
            ) from error
        if self.source == self.target:
            raise UserError(f"{self.kind}: source and target are both {self.source!r}")
        return self


class TranslationConfig(PairsConfig):
    """Write a sentence in another language. `data` None: dates of ten languages as ISO dates, by
    characters and scored by exact matches unless told otherwise."""

    kind: Literal["translation"] = "translation"
    source: str = "de"  # suffix of the files, or column or field, that holds the sources
    target: str = "en"  # the same for the targets
    metric: Literal["bleu", "exact"] = "bleu"  # exact: share of targets written exactly

    @model_validator(mode="before")
    @classmethod
    def _of_dates(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("data") is None:
            return {"tokenizer": "char", "metric": "exact", **fields}
        return fields


class SummarisingConfig(PairsConfig):
    """Write the one line that sums a text up. `data` None: docstrings of the standard library."""

    kind: Literal["summarising"] = "summarising"
    source: str = "text"  # suffix of the files, or column or field, that holds the texts
    target: str = "summary"  # the same for the summaries


class TaggingConfig(TaskConfig):
    """A tag for every word of a sentence. `data` None: roles of names in Python's own library."""

    kind: Literal["tagging"] = "tagging"
    data: str | None = None
    format: Literal["auto", "conllu", "bio"] = "auto"  # bio: columns by tabs, the word first
    column: str | int | None = None  # conllu: upos, xpos, deprel ... [upos]; bio: number [the last]
    min_count: int = Field(2, ge=1)  # words that training has less often share one vector
    spelling: bool = True  # the letters of each word; the words themselves are then lower case
    max_length: int = Field(512, ge=1)  # in words; longer training sentences are left out
