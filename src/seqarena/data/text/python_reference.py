"""Labelled sentences without any download: which chapter of the Python reference is this from?

The chapters are groups of help topics that ship inside Python (pydoc_data). A sentence that stands
in two chapters is left out. The wording differs a little between versions of Python, hence the
version in `origin()`.
"""

import platform
import re
from collections import defaultdict
from collections.abc import Iterator

from seqarena.core.errors import UserError

_CHAPTERS = {
    "special methods": ("specialnames",),
    "compound statements": ("compound",),
    "types": ("types",),
    "debugger": ("debugger",),
    "strings": ("string-methods", "formatstrings"),
    "containers": ("typesseq", "typesmapping"),
    "simple statements": (
        "assert", "assignment", "augassign", "break", "continue", "del", "global", "import",
        "nonlocal", "pass", "raise", "return",
    ),
    "expressions": (
        "attribute-references", "await", "binary", "bitwise", "booleans", "calls", "comparisons",
        "lambda", "lists", "naming", "power", "shifting", "slicings", "subscriptions", "unary",
    ),
}  # fmt: skip
_WORDS = range(5, 81)  # of a sentence; longer ones are lists that lost their line ends


def labelled_sentences() -> list[tuple[str, str]]:
    """(sentence, chapter), about 1,700 of them in 8 chapters.

    Raises UserError for a Python that comes without its help topics.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UserError(
            "this Python comes without pydoc_data, the default data: name a file instead"
        ) from error
    chapters: dict[str, set[str]] = defaultdict(set)
    for chapter, names in _CHAPTERS.items():
        for name in names:
            for sentence in _sentences(topics.get(name, "")):
                chapters[sentence].add(chapter)
    return [
        (sentence, next(iter(found))) for sentence, found in chapters.items() if len(found) == 1
    ]


def origin() -> str:
    """Where the sentences come from."""
    return f"pydoc_data.topics of Python {platform.python_version()}"


def _sentences(text: str) -> Iterator[str]:
    """What reads as prose: no headings, no programs, no tables."""
    for paragraph in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.!?:]) +(?=[A-Z])", " ".join(paragraph.split())):
            prose = sentence[:1].isupper() and sentence[-1] in ".!?" and "|" not in sentence
            if prose and len(sentence.split()) in _WORDS:
                yield sentence
