"""The baselines of every task, by name. No torch in here: a table of tasks names them."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seqarena.tasks.baselines.baseline import Baseline

NUMBERS_DEPEND_ON_THIS = False  # no trial's number does (jobs/sources.py)


class BaselineEntry(NamedTuple):
    """The name of a baseline, what it does, and the function that scores it."""

    name: str
    idea: str
    place: str  # package.module:function


_HERE = "seqarena.tasks.baselines"
_MAJORITY = BaselineEntry(
    "majority", "always the most frequent class of training", f"{_HERE}.labels:majority"
)
_NEAREST = "the class of the nearest training example"
_CHANCE = BaselineEntry(
    "chance", "the best answer that remembers nothing, computed exactly", f"{_HERE}.probes:chance"
)
_POSITION = BaselineEntry(
    "position", "the most frequent answer at each position of such a length",
    f"{_HERE}.probes:position",
)  # fmt: skip
_PROBES = (_CHANCE, _POSITION)
_COPY = BaselineEntry("copy", "the source as it is", f"{_HERE}.pairs:copy")
_LOOK_UP = BaselineEntry(
    "look-up", "what training has for the very same source", f"{_HERE}.pairs:look_up"
)
_NEAREST_PAIR = BaselineEntry(
    "nearest", "the target of the training source with the nearest words (TF-IDF)",
    f"{_HERE}.pairs:nearest",
)  # fmt: skip
_LEAD = BaselineEntry("lead", "the first sentence of the text", f"{_HERE}.pairs:lead")

_ROWS: dict[str, tuple[BaselineEntry, ...]] = {
    "language": (
        BaselineEntry(
            "n-gram", "interpolated modified Kneser-Ney, its order chosen on validation",
            f"{_HERE}.language:ngram",
        ),
        BaselineEntry(
            "compressor", "LZMA: the bytes that the test text adds to the training text",
            f"{_HERE}.language:compressor",
        ),
    ),
    "masked_language": (
        BaselineEntry(
            "n-gram", "interpolated modified Kneser-Ney of the tokens before, its order chosen on "
            "validation", f"{_HERE}.language:masked_ngram",
        ),
    ),
    "classification": (
        _MAJORITY,
        BaselineEntry(
            "naive Bayes", "of words and pairs of neighbours (Wang & Manning 2012)",
            f"{_HERE}.labels:naive_bayes",
        ),
    ),
    "tagging": (
        BaselineEntry(
            "look-up", "the most frequent tag of each word; of unknown ones that of rare words",
            f"{_HERE}.tagging:look_up",
        ),
    ),
    "question_answering": (
        _MAJORITY._replace(
            idea="always the most frequent answer of training", place=f"{_HERE}.questions:majority"
        ),
        BaselineEntry(
            "kind of question", "the most frequent answer to training questions that begin alike",
            f"{_HERE}.questions:kind",
        ),
        BaselineEntry(
            "nearest", "the answer to the training question with the nearest words (TF-IDF)",
            f"{_HERE}.questions:nearest",
        ),
    ),
    "reading": (
        _MAJORITY._replace(
            idea="always the most frequent answer of training", place=f"{_HERE}.reading:majority"
        ),
        BaselineEntry(
            "position", "the words at the most frequent place of training",
            f"{_HERE}.reading:position",
        ),
        BaselineEntry(
            "first entity", "the first part of the passage that was an answer in training",
            f"{_HERE}.reading:first_entity",
        ),
        BaselineEntry(
            "last entity", "the last part of the passage that was an answer in training",
            f"{_HERE}.reading:last_entity",
        ),
        BaselineEntry(
            "sliding window", "the part whose neighbours share most words with the question "
            "(Richardson et al. 2013)", f"{_HERE}.reading:sliding_window",
        ),
    ),
    "speech": (
        _MAJORITY,
        BaselineEntry(
            "nearest", f"{_NEAREST}, by mean and spread of its features", f"{_HERE}.labels:nearest"
        ),
    ),
    "transcription": (
        BaselineEntry(
            "silence", "nothing is written: every word is an error", f"{_HERE}.transcripts:silence"
        ),
        BaselineEntry(
            "nearest", "the text of the training recording with the nearest mean and spread of its "
            "features, and length", f"{_HERE}.transcripts:nearest",
        ),
    ),
    "pixels": (
        _MAJORITY,
        BaselineEntry("nearest", f"{_NEAREST}, pixel by pixel", f"{_HERE}.labels:nearest"),
    ),
    "events": (
        _MAJORITY,
        BaselineEntry(
            "most frequent", "how often each event comes in training, and the usual gap",
            f"{_HERE}.events:most_frequent",
        ),
        BaselineEntry(
            "last event", "how often each event follows the last one, and the usual gap behind it "
            "(Markov renewal of order one)", f"{_HERE}.events:last_event",
        ),
    ),
    "windows": (
        _MAJORITY,
        BaselineEntry("mean", "always the mean of training", f"{_HERE}.windows:mean"),
        BaselineEntry(
            "nearest", "the answer of the nearest training window, step by step",
            f"{_HERE}.windows:nearest",
        ),
        BaselineEntry(
            "nearest, warped", "the same by dynamic time warping within a tenth of the length "
            "(Sakoe & Chiba 1978)", f"{_HERE}.windows:warped",
        ),
        BaselineEntry(
            "ROCKET", "ridge regression on 1,000 random convolutions (Dempster et al. 2020)",
            f"{_HERE}.windows:rocket",
        ),
    ),
    "forecasting": (
        BaselineEntry("naive", "the last value", f"{_HERE}.forecasts:naive"),
        BaselineEntry(
            "seasonal naive", "the value one season before", f"{_HERE}.forecasts:seasonal_naive"
        ),
        BaselineEntry(
            "drift", "the line from the first value through the last", f"{_HERE}.forecasts:drift"
        ),
        BaselineEntry(
            "ETS", "exponential smoothing with a damped trend, fitted anew at every origin",
            f"{_HERE}.forecasts:ets",
        ),
        BaselineEntry(
            "Theta", "the Theta method, fitted anew at every origin", f"{_HERE}.forecasts:theta"
        ),
    ),
    "translation": (_COPY, _LOOK_UP, _NEAREST_PAIR),
    "summarising": (_LEAD, _NEAREST_PAIR),
    "adding": (_CHANCE,),
    **dict.fromkeys(
        (
            "copying", "mqar", "selective_copying", "parity", "modular_arithmetic", "induction",
            "text_copy", "algorithms", "running_addition", "word_problem", "string_copying", "mad",
            "reverse_string", "stack_manipulation", "bucket_sort",
        ),
        _PROBES,
    ),
}  # fmt: skip


def baseline_rows(kind: str) -> tuple[BaselineEntry, ...]:
    """Of a task of the registry; none of another."""
    return _ROWS.get(kind, ())


def baselines_of(kind: str) -> "tuple[Baseline, ...]":
    """The same, ready to be scored."""
    from seqarena.tasks.baselines.baseline import Baseline

    return tuple(Baseline(*row) for row in baseline_rows(kind))
