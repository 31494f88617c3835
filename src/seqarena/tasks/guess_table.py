"""Which task a table is for, by the names of its columns and by what they hold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqarena.core.errors import UserError
from seqarena.data.files.columns import TRANSCRIPTS, USUAL
from seqarena.data.files.find import kind_of
from seqarena.data.series.numbers import is_number
from seqarena.data.series.tables import TIMES, number_of
from seqarena.data.series.times import parse_stamp
from seqarena.data.text.passages.squad import is_squad

NUMBERS_DEPEND_ON_THIS = False  # advice (jobs/sources.py)

# ISO 639-1: what columns and suffixes of parallel texts are named by
LANGUAGES = frozenset({
    "af", "am", "ar", "az", "be", "bg", "bn", "bs", "ca", "cs", "cy", "da", "de", "el", "en",
    "eo", "es", "et", "eu", "fa", "fi", "fr", "ga", "gl", "gu", "he", "hi", "hr", "hu", "hy",
    "id", "is", "it", "ja", "ka", "kk", "km", "kn", "ko", "ky", "lo", "lt", "lv", "mk", "ml",
    "mn", "mr", "ms", "my", "nb", "ne", "nl", "nn", "no", "pa", "pl", "ps", "pt", "ro", "ru",
    "si", "sk", "sl", "so", "sq", "sr", "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur",
    "uz", "vi", "yi", "zh", "zu",
})  # fmt: skip
_TEXT = re.compile(
    r"text|sentence|review|comment|content|body|message|tweet|question|title|document|passage|"
    r"utterance|query|headline|post|premise|hypothesis|description|abstract|article"
)
_LABEL = re.compile(
    r"label|class|category|sentiment|target|tag|topic|intent|emotion|polarity|stars|rating|"
    r"judg(e)?ment|genre|^y$"
)
_SUMMARY = re.compile(r"summary|summaries|highlights|tldr|abstract")
_SECOND = re.compile(r"(?:[_ -]?(?:2|b|two|pair))$|hypothesis")
_LANGUAGE_NAMES = frozenset({
    "arabic", "chinese", "czech", "danish", "dutch", "english", "finnish", "french", "german",
    "greek", "hindi", "hungarian", "italian", "japanese", "korean", "norwegian", "polish",
    "portuguese", "romanian", "russian", "spanish", "swedish", "thai", "turkish", "ukrainian",
    "vietnamese",
})  # fmt: skip
_PAIRS = (
    ("source", "target"), ("src", "tgt"), ("input", "output"), ("instruction", "output"),
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"),
)  # fmt: skip
_WORDS = ("word", "words", "token", "tokens", "form")
_FEWEST_PIXELS = 10  # columns: three by three, and the label
_LONGEST_NAME = 6  # words: a column with a longer name has no header
_STORIES = ("story", "context", "passage", "paragraph")
_LONGEST_LABEL = 60  # characters
_MOST_CLASSES = 200

Found = tuple[str, str, dict[str, Any]]  # task, what it looks like, settings


class Columns:
    """The first rows of a table by column."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        self.values = {
            name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in names
        }
        self.values = {name: values for name, values in self.values.items() if values}

    @property
    def lacks_header(self) -> bool:
        """Whether the names of the columns are an example: they come again, or are sentences."""
        return any(
            (name in values and not name.isdecimal()) or len(name.split()) > _LONGEST_NAME
            for name, values in self.values.items()
        )

    def first(self, name: str) -> Any:
        """Its first value that is not missing."""
        return self.values[name][0]

    def is_text(self, name: str) -> bool:
        """Whether it holds sentences: words with blanks or long, that seldom repeat."""
        values = self.values[name]
        if not all(isinstance(value, str) for value in values):
            return False
        wide = sum(" " in value.strip() or len(value) > 20 for value in values)
        return wide >= len(values) / 2 and 2 * len(set(values)) > len(values)

    def is_class(self, name: str) -> bool:
        """Whether it holds names of classes: short, and fewer than rows."""
        values = [value for value in self.values[name] if isinstance(value, str | int | bool)]
        if len(values) < len(self.values[name]):
            return False
        different = set(map(str, values))
        few = len(different) <= min(_MOST_CLASSES, max(2, len(values) / 2))
        return few and max(map(len, different)) <= _LONGEST_LABEL

    def suffix_kind(self, name: str) -> str | None:
        """What the files are that it names: sound, picture ..."""
        value = self.first(name)
        return kind_of(Path(value)) if isinstance(value, str) and len(value) < 300 else None


def of_columns(columns: Columns) -> Found | None:
    """The task of a table; None where its columns do not say it."""
    if columns.lacks_header:
        return None
    rules = (_files, _pixels, _spans, _nested, _questions, _words_by_row, _labelled,
             _events, _windows, _pairs, _plain, _series)  # fmt: skip
    return next((found for rule in rules if (found := rule(columns))), None)


def _files(columns: Columns) -> Found | None:
    kinds = {columns.suffix_kind(name) for name in columns.values}
    if "sound" in kinds:
        by_lower = {name.lower(): name for name in columns.values}
        text = next((by_lower[name] for name in ("text", *TRANSCRIPTS) if name in by_lower), None)
        if text is None or any(_LABEL.search(name) for name in by_lower):
            return "speech", "a list of recordings", {}
        return "transcription", "a list of recordings with their texts", {}
    return ("pixels", "a list of pictures", {}) if "picture" in kinds else None


def _pixels(columns: Columns) -> Found | None:
    """A row for each picture: numbers below 256, a column each, and a label."""
    if len(columns.values) < _FEWEST_PIXELS:
        return None
    numbers = [str(values[0]) for values in columns.values.values()]
    if sum(text.isdecimal() and int(text) < 256 for text in numbers) < len(numbers) - 1:
        return None
    return "pixels", "rows of pixels", {}


def _spans(columns: Columns) -> Found | None:
    """Answers with their places in a text."""
    row = {name: columns.first(name) for name in columns.values}
    return ("reading", "questions about passages (SQuAD)", {}) if is_squad(row) else None


def _nested(columns: Columns) -> Found | None:
    """Words with tags, and pairs below one field, as Hugging Face has them."""
    lists = [name for name in columns.values if isinstance(columns.first(name), list)]
    words = [name for name in lists if all(isinstance(value, str) for value in columns.first(name))]
    sizes = {name: len(columns.first(name)) for name in lists}
    tags = [name for name in lists if "tag" in name or "label" in name]
    if any(sizes[word] == sizes[tag] for word in words for tag in tags if word != tag):
        return "tagging", "sentences of words with tags", {}
    for name in columns.values:
        inner = columns.first(name)
        if isinstance(inner, dict) and len(LANGUAGES & set(inner)) == 2:
            return "translation", "a table of translations", language_sides(inner)
    return None


def _questions(columns: Columns) -> Found | None:
    by_lower = {name.lower(): name for name in columns.values}
    story = next((by_lower[name] for name in _STORIES if name in by_lower), None)
    if story is None or not {"question", "answer"} <= set(by_lower):
        return None
    settings = _changed({"story": (story, "story")})
    return "question_answering", f"a table of {story}, question and answer", settings


def _words_by_row(columns: Columns) -> Found | None:
    """A word a row, and in another column its tag."""
    word = next((name for name in columns.values if name.lower() in _WORDS), None)
    tagged = any(re.fullmatch(r"(.*[_ ])?tags?", name.lower()) for name in columns.values)
    return ("tagging", f"a table of {word} and its tag", {}) if word and tagged else None


def _labelled(columns: Columns) -> Found | None:
    texts = _texts(columns)
    labels = [
        name
        for name in columns.values
        if name not in texts and columns.is_class(name) and _LABEL.search(name.lower())
    ]
    if not labels and len(columns.values) == 2:
        labels = [name for name in columns.values if name not in texts and columns.is_class(name)]
    if not texts or not labels:
        return None
    # of several the one that says label; of equals the last, as tables have it
    label = max(labels, key=lambda name: (name.lower() == "label", "label" in name.lower()))
    second = next((name for name in texts[1:] if _SECOND.search(name.lower())), None)
    settings: dict[str, Any] = {}
    if texts[0] != "text":
        settings["text"] = texts[0]
    if second is not None:
        settings["text_pair"] = second
    if label != "label":
        settings["label"] = label
    both = texts[0] if second is None else f"{texts[0]}, {second}"
    return "classification", f"a table of {both} and {label}", settings


def _events(columns: Columns) -> Found | None:
    """Who, when and what, a row each, of those who come again."""
    names = _usual(columns, "entity", "time", "event")
    if names is None or not _comes_again(columns, names["entity"]):
        return None
    shown = ", ".join(names.values())
    return "events", f"a table of events by {shown}", {}


def _windows(columns: Columns) -> Found | None:
    """Steps of windows that have a label, with columns of numbers."""
    names = _usual(columns, "window", "label")
    if names is None or not _comes_again(columns, names["window"]):
        return None
    others = [name for name in columns.values if name not in names.values()]
    if not any(all(map(is_number, columns.values[name])) for name in others):
        return None
    return "windows", f"a table of steps by {names['window']} with a {names['label']}", {}


def _usual(columns: Columns, *settings: str) -> dict[str, str] | None:
    """The one column of a usual name for each setting; None where one has none, or two."""
    found = {}
    for setting in settings:
        named = [name for name in columns.values if name.lower() in USUAL[setting]]
        if len(named) != 1:
            return None
        found[setting] = named[0]
    return found


def _comes_again(columns: Columns, name: str) -> bool:
    values = columns.values[name]
    return 2 * len(set(map(str, values))) <= len(values)


def _pairs(columns: Columns) -> Found | None:
    texts = [name for name in columns.values if columns.is_text(name)]
    by_lower = {name.lower(): name for name in columns.values}
    known = LANGUAGES | _LANGUAGE_NAMES
    languages = [by_lower[name] for name in by_lower if name in known]
    if len(languages) == 2:
        settings = language_sides(languages)
        return "translation", f"a table of {languages[0]} and {languages[1]}", settings
    summary = next((name for name in texts if _SUMMARY.search(name.lower())), None)
    others = [name for name in texts if name != summary]
    if summary is not None and others:
        source = max(others, key=lambda name: sum(map(len, columns.values[name])))
        settings = _changed({"source": (source, "text"), "target": (summary, "summary")})
        return "summarising", f"a table of {source} and {summary}", settings
    for source, target in _PAIRS:
        if source in by_lower and target in by_lower:
            settings = {"source": by_lower[source], "target": by_lower[target]}
            return "translation", f"a table of {source} and {target}", settings
    return None


def _plain(columns: Columns) -> Found | None:
    texts = _texts(columns)
    if not texts:
        return None
    settings = {} if texts[0] == "text" else {"text_field": texts[0]}
    return "language", f"a table with texts in {texts[0]}", settings


def _series(columns: Columns) -> Found | None:
    """A column of times and one of numbers at least."""
    time = next((name for name in columns.values if name.lower() in TIMES), None)
    if time is None:
        return None
    try:
        parse_stamp(columns.first(time), "", time)
    except UserError:
        return None
    numbers = [name for name in columns.values if name != time]
    if not any(number_of(columns.first(name)) is not None for name in numbers):
        return None
    return "forecasting", f"a table of numbers over time ({time})", {}


def _texts(columns: Columns) -> list[str]:
    """Columns of sentences; first `text`, then those whose name says so, then the longest."""
    found = [name for name in columns.values if columns.is_text(name)]
    return sorted(
        found,
        key=lambda name: (
            name != "text",
            _TEXT.search(name.lower()) is None,
            _SECOND.search(name.lower()) is not None,
            -sum(map(len, columns.values[name])),
        ),
    )


def language_sides(names: Iterable[str]) -> dict[str, Any]:
    """Source and target as settings: two languages, English the target."""
    known = [name for name in names if name.lower() in LANGUAGES | _LANGUAGE_NAMES]
    source, target = sorted(known, key=lambda name: name.lower() in ("en", "english"))
    return _changed({"source": (source, "de"), "target": (target, "en")})


def _changed(fields: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """The settings that differ from their defaults."""
    return {name: value for name, (value, default) in fields.items() if value != default}
