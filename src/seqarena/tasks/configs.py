"""The configuration of every task. No torch in here: a plan is read and checked without it."""

from typing import Any, Literal, Self

from pydantic import model_validator

from seqarena.core.config import Config
from seqarena.core.errors import UserError, unknown_name
from seqarena.core.options import knob
from seqarena.data.splits import check_fractions, parse_range
from seqarena.data.text.tokenizers import parse_tokenizer_name


class TaskConfig(Config):
    """Base of every task's configuration; `kind` names the task in the registry."""

    kind: str


class SplitConfig(TaskConfig):
    """Base of the tasks that read examples by split."""

    drop_overlap: bool = knob(False, "Leave out of training what validation or test hold too.")


def check_encoding(kind: str, encoding: str) -> None:
    """Raises UserError for a name that is no encoding of text."""
    try:
        "text".encode(encoding).decode(encoding)
    except (LookupError, UnicodeError, ValueError) as error:
        raise UserError(
            f"{kind}: unknown encoding {encoding!r}: utf-8 or iso-8859-1, say"
        ) from error


class LanguageConfig(SplitConfig):
    """Predict the next token of a text. `data` is a path; None is the embedded text."""

    kind: Literal["language"] = "language"
    data: str | None = knob(None, "A path; none: the embedded text.")
    text_field: str = knob("text", "Field of tables and JSON lines that holds the text.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    tokenizer: str = knob("byte", "byte, char, bpe:N, or a byte-level tokenizer.json.")
    sequence_length: int = knob(64, "Tokens in a sequence.", ge=1)
    validation_fraction: float = knob(0.05, "Share of the text that validates.")
    test_fraction: float | Literal["validation"] = knob(
        0.05, '"validation": test on the same text.', finite=False
    )
    carry_state: bool = knob(False, "Training windows follow one another and so do states.")

    @model_validator(mode="after")
    def _check(self) -> "LanguageConfig":
        if not self.tokenizer.endswith(".json"):
            parse_tokenizer_name(self.tokenizer)
        check_fractions(self.validation_fraction, self.test_fraction)
        check_encoding(self.kind, self.encoding)
        return self


class MaskedLanguageConfig(SplitConfig):
    """Guess the tokens that were hidden in a text. `data` is a path; None is the embedded text."""

    kind: Literal["masked_language"] = "masked_language"
    data: str | None = knob(None, "A path; none: the embedded text.")
    text_field: str = knob("text", "Field of tables and JSON lines that holds the text.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    tokenizer: str = knob("bpe:1000", "byte, char or bpe:N.")
    sequence_length: int = knob(64, "Tokens in a sequence.", ge=2)
    masked: float = knob(0.15, "Share of the tokens that are asked for.", gt=0, lt=1)
    validation_fraction: float = knob(0.05, "Share of the text that validates.")
    test_fraction: float = knob(0.05, "Share of the text that tests.")

    @model_validator(mode="after")
    def _check(self) -> "MaskedLanguageConfig":
        parse_tokenizer_name(self.tokenizer)
        check_fractions(self.validation_fraction, self.test_fraction)
        check_encoding(self.kind, self.encoding)
        return self


class CopyingConfig(TaskConfig):
    """Repeat `num_symbols` symbols of an alphabet after a blank stretch of variable length."""

    kind: Literal["copying"] = "copying"
    num_symbols: int = knob(10, "Symbols to repeat.", ge=1)
    alphabet: int = knob(8, "Different symbols.", ge=2)
    min_distance: int = knob(1, "Shortest blank stretch.", ge=0)
    max_distance: int = knob(100, "Longest blank stretch.", ge=0)
    all_positions: bool = knob(
        False, "Ask for a blank wherever no symbol is asked for: copy memory."
    )
    evaluation_examples: int = knob(1000, "Examples of each split.", ge=1)

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
    vocab_size: int = knob(1024, "Different tokens.", ge=4)
    grid: tuple[tuple[int, int], ...] = knob(
        ((64, 4), (64, 8), (64, 16)), "Cells of (sequence length, pairs)."
    )
    power_a: float = knob(0.01, "1: every gap equally likely; small: mostly short gaps.", gt=0)
    random_non_queries: bool = knob(True, "Fill the free positions with random tokens, not with 0.")
    evaluation_examples: int = knob(1000, "Examples of each cell of the grid and each split.", ge=1)

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


class ClassificationConfig(SplitConfig):
    """The class of a sentence or of two. `data`: see data/text/labelled.py; None: the embedded
    sentences."""

    kind: Literal["classification"] = "classification"
    data: str | None = knob(None, "A path; none: the embedded sentences.")
    format: Literal[
        "auto", "label_first", "tsv", "csv", "jsonl", "json", "parquet", "arrow", "class_folders"
    ] = knob("auto", "How the files are written; auto: by their names.")
    text: str = knob("text", "Field of tables and JSON lines that holds the text.")
    text_pair: str | None = knob(None, "Field that holds the second sentence, where there are two.")
    label: str = knob("label", "Field of tables and JSON lines that holds the label.")
    label_part: Literal["whole", "coarse"] = knob("whole", "coarse: what stands before a colon.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    tokenizer: Literal["word", "char"] = knob("word", "word or char.")
    lowercase: bool = knob(True, "Make letters small.")
    min_count: int = knob(2, "Rarer words of the training texts are unknown.", ge=1)
    max_length: int = knob(256, "Tokens of a sentence; what is longer is cut.", ge=1)
    reads_like: str | None = knob(
        None, "A checkpoint whose tokenizer is used (train --start-from)."
    )

    @model_validator(mode="after")
    def _check(self) -> "ClassificationConfig":
        check_encoding(self.kind, self.encoding)
        if len({self.text, self.text_pair, self.label}) < 3:
            raise UserError("classification: text, text_pair and label name different fields")
        return self


class QuestionAnsweringConfig(SplitConfig):
    """One answer to a question about a story. `data`: files in the form of bAbI
    (data/text/stories.py), several are learnt jointly, or tables (data/text/story_tables.py);
    None: generated stories."""

    kind: Literal["question_answering"] = "question_answering"
    data: str | None = knob(None, "A path; none: generated stories.")
    story: str = knob("story", "Field of tables that holds the story, a text or a list.")
    question: str = knob("question", "Field of tables that holds the question.")
    answer: str = knob("answer", "Field of tables that holds the answer.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    memory_size: int = knob(50, "The newest statements of a story; older ones are left out.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> "QuestionAnsweringConfig":
        check_encoding(self.kind, self.encoding)
        if len({self.story, self.question, self.answer}) < 3:
            raise UserError("question_answering: story, question and answer name different fields")
        return self


class AlgorithmsConfig(TaskConfig):
    """An algorithm on binary numbers of at most `max_bits` bits, tested on longer ones."""

    kind: Literal["algorithms"] = "algorithms"
    problem: Literal["addition", "multiplication", "sorting", "reversal", "copying"] = knob(
        "addition", "What is asked."
    )
    operands: Literal["in_row", "aligned"] = knob(
        "in_row", "Two numbers one behind the other, or digit by digit one above the other."
    )
    max_bits: int = knob(20, "Longest numbers of training.", ge=1)
    growing: int = knob(800, "Training batches until the longest numbers have max_bits.", ge=0)
    test_bits: tuple[int, ...] = knob((20, 50, 100, 200), "Lengths that are tested.")
    evaluation_examples: int = knob(32, "Examples of each length.", ge=1)

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
    modulo: int = knob(10, "Sums are taken modulo this.", ge=2)
    train_lengths: tuple[int, ...] = knob((4, 16, 64), "Numbers of an example, in turn by batch.")
    test_lengths: tuple[int, ...] = knob((4, 1000), "Lengths that are tested.")
    evaluation_examples: int = knob(100, "Examples of each length.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> "RunningAdditionConfig":
        for field in ("train_lengths", "test_lengths"):
            lengths = getattr(self, field)
            if not lengths or min(lengths) < 1 or len(set(lengths)) != len(lengths):
                raise UserError(
                    f"running_addition: {field} {lengths}: different lengths of at least 1"
                )
        return self


class SpeechConfig(SplitConfig):
    """The class of a recording. `data`: a folder or archive of sound files, or a table of them
    (data/signals/audio.py); None: touch tones in noise."""

    kind: Literal["speech"] = "speech"
    data: str | None = knob(
        None, "A folder or archive of wav files, or a table of them; none: touch tones in noise."
    )
    label: str = knob("label", "Field of tables that holds the class.")
    encoding: str = knob("utf-8", "Of tables: utf-8 or iso-8859-1, say.")
    test_index: str | int | None = knob(
        None, "0-4: recordings whose names end in 0 to 4 are the test."
    )
    validation_index: str | int | None = knob(
        None, "Recordings that validate, by the number that their names end in."
    )
    sample_rate: int | None = knob(None, "In Hz, of all recordings; None: of the first.", ge=1)
    max_seconds: float = knob(10.0, "What is longer is cut.", gt=0)
    features: Literal["log_mel", "waveform", "mu_law"] = knob(
        "log_mel", "What a recording becomes."
    )
    bands: int = knob(40, "Bands of log_mel.", ge=1)
    decimate: int = knob(1, "Keep every n-th sample, filtered.", ge=1)
    normalise: Literal["recording", "global", "none"] = knob(
        "global", "Over one recording, or over all for training."
    )

    @model_validator(mode="after")
    def _check(self) -> "SpeechConfig":
        for text in (self.test_index, self.validation_index):
            if text is not None:
                parse_range(str(text))
        check_encoding(self.kind, self.encoding)
        return self


class PixelsConfig(SplitConfig):
    """The class of a picture that is read pixel by pixel. `data`: idx files as MNIST is published,
    class folders, a table or arrays (data/signals/images.py); None: digits drawn from a font."""

    kind: Literal["pixels"] = "pixels"
    data: str | None = knob(
        None, "Idx files, class folders of pictures or a table; none: digits drawn from a font."
    )
    label: str = knob("label", "Field of tables that holds the class.")
    encoding: str = knob("utf-8", "Of tables: utf-8 or iso-8859-1, say.")
    pool: int = knob(2, "Squares of so many pixels a side become their mean; 1: as it is.", ge=1)
    permuted: bool = knob(False, "One fixed order of the pixels instead of row by row.")
    train_examples: int | None = knob(None, "The first so many; None: all.", ge=1)

    @model_validator(mode="after")
    def _check(self) -> "PixelsConfig":
        check_encoding(self.kind, self.encoding)
        return self


class PairsConfig(SplitConfig):
    """What the tasks of pairs share. `data`: files of pairs in the forms of data/text/pairs.py."""

    data: str | None = knob(None, "A path; none: the embedded pairs.")
    source: str = knob("source", "Suffix of the files, or column or field, that holds the sources.")
    target: str = knob("target", "Suffix, column or field that holds the targets.")
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    tokenizer: str = knob("word", "word, char or bpe:N.")
    shared_vocabulary: bool = knob(False, "One vocabulary for source and target.")
    lowercase: bool = knob(True, "Make letters small.")
    min_count: int = knob(2, "Rarer words or characters of the training pairs are unknown.", ge=1)
    max_length: int = knob(100, "Tokens of either side.", ge=1)
    reverse_source: bool = knob(False, "Last word first (Sutskever et al. 2014).")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.tokenizer not in ("word", "char"):
            if not self.tokenizer.startswith("bpe"):
                raise unknown_name("tokenizer", self.tokenizer, ["word", "char", "bpe:1024"])
            parse_tokenizer_name(self.tokenizer)
        check_encoding(self.kind, self.encoding)
        if self.source == self.target:
            raise UserError(f"{self.kind}: source and target are both {self.source!r}")
        return self


class TranslationConfig(PairsConfig):
    """Write a sentence in another language. `data` None: dates of ten languages as ISO dates, by
    characters and scored by exact matches unless told otherwise."""

    kind: Literal["translation"] = "translation"
    source: str = knob("de", "Suffix of the files, or column or field, that holds the sources.")
    target: str = knob("en", "Suffix, column or field that holds the targets.")
    metric: Literal["bleu", "chrf", "exact"] = knob(
        "bleu", "exact: share of targets written exactly."
    )
    bleu_tokenizer: Literal["auto", "13a", "zh", "char", "intl", "none", "ja-mecab", "ko-mecab"] = (
        knob("auto", "sacrebleu's; auto: by the language of the references.")
    )

    @model_validator(mode="before")
    @classmethod
    def _of_dates(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("data") is None:
            return {"tokenizer": "char", "metric": "exact", **fields}
        return fields


class SummarisingConfig(PairsConfig):
    """Write the one line that sums a text up. `data` None: docstrings of the standard library."""

    kind: Literal["summarising"] = "summarising"
    source: str = knob("text", "Suffix of the files, or column or field, that holds the texts.")
    target: str = knob("summary", "Suffix, column or field that holds the summaries.")


class TaggingConfig(SplitConfig):
    """A tag for every word of a sentence. `data` None: roles of names in Python's own library."""

    kind: Literal["tagging"] = "tagging"
    data: str | None = knob(None, "A path; none: roles of names in Python's own library.")
    format: Literal["auto", "conllu", "bio"] = knob(
        "auto", "conllu: ten columns; bio: columns of any kind; auto: by what is in the file."
    )
    column: str | int | None = knob(
        None, "The tags: upos, xpos, deprel ... [upos]; a number [the last]; of tables a name."
    )
    word_column: str | int | None = knob(
        None, "The words: a number [the first that does not count]; of tables a name."
    )
    encoding: str = knob("utf-8", "Of the files: utf-8 or iso-8859-1, say.")
    min_count: int = knob(2, "Words that training has less often share one vector.", ge=1)
    spelling: bool = knob(
        True, "The letters of each word; the words themselves are then lower case."
    )
    max_length: int = knob(
        512, "Words of a sentence; longer training sentences are left out.", ge=1
    )

    @model_validator(mode="after")
    def _check(self) -> "TaggingConfig":
        check_encoding(self.kind, self.encoding)
        return self
