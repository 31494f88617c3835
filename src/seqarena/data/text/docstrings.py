"""Docstrings of the standard library: a body, and the one line that sums it up.

PEP 257 asks for a summary line, an empty line and the rest, which makes every Python a small set
for summarising. Whole modules go to train, validation or test. The wording differs a little between
versions of Python, hence the version in the origin and the digest in every record.
"""

import inspect
import re
import sysconfig
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from seqarena.core.errors import UserError
from seqarena.data.files.examples import Splits
from seqarena.data.streams import Stream, philox
from seqarena.data.text.pairs import Pair

_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
# behind the colon that ends `def` or `class`: a far cheaper reading than parsing the library
_DOCSTRING = re.compile(r':[ \t]*(?:#[^\n]*)?\n[ \t]*[rR]?"""(.*?)"""', re.S)
_FEWEST_BODY_WORDS, _SUMMARY_WORDS = 8, (3, 30)
_SHARE = 10  # one module in ten for validation, and for test


def standard_library_docstrings(library: Path | None = None) -> Splits:
    """Pairs (body, summary line). `library` is the folder of the modules; None: this Python's.

    Raises UserError where the library is not there as source files.
    """
    library = library or Path(sysconfig.get_paths()["stdlib"])
    modules = [
        found
        for file in sorted(library.rglob("*.py"))
        if not _LEFT_OUT.intersection(file.relative_to(library).parts)
        and (found := list(_pairs(file.read_text(encoding="utf-8", errors="replace"))))
    ]
    if len(modules) < 3:
        raise UserError(
            f"{library}: no docstrings to summarise, the library is not there as source files: "
            "name a file of pairs instead"
        )
    modules = [modules[k] for k in philox(0, Stream.TRAIN, 0).permutation(len(modules))]
    held = max(1, len(modules) // _SHARE)
    parts = (modules[2 * held :], modules[:held], modules[held : 2 * held])
    seen: set[Pair] = set()
    return Splits(*([pair for pair in chain(*part) if _is_new(pair, seen)] for part in parts))


def _pairs(text: str) -> Iterator[Pair]:
    for match in _DOCSTRING.finditer(text):
        summary, _, body = inspect.cleandoc(match[1]).partition("\n\n")
        words = len(summary.split())
        in_one_line = "\n" not in summary and _SUMMARY_WORDS[0] <= words <= _SUMMARY_WORDS[1]
        if in_one_line and len(body.split()) >= _FEWEST_BODY_WORDS:
            yield Pair(" ".join(body.split()), summary)


def _is_new(pair: Pair, seen: set[Pair]) -> bool:
    if pair in seen:
        return False
    seen.add(pair)
    return True
