"""Sentences that name architectures by their catalog names, with plain names in their place."""

import re
from collections.abc import Iterable, Mapping

from seqarena.core import words
from seqarena.report.page.parts import Phrase


def with_plain_names(
    sentence: str, titles: Mapping[str, str], known: Iterable[str] = ()
) -> list[Phrase]:
    """The sentence in pieces. Each catalog name of `titles` becomes its plain name; the first time,
    unless it is among the `known`, the catalog name follows in small type."""
    titles = {name: title for name, title in titles.items() if title != name}
    if not titles:
        return [Phrase(sentence)]
    seen = set(known)
    longest_first = sorted(titles, key=len, reverse=True)
    pattern = rf"(?<![\w.-])({'|'.join(map(re.escape, longest_first))})(?![\w-])"
    found: list[Phrase] = []
    text = ""
    for place, piece in enumerate(re.split(pattern, sentence)):
        if place % 2 == 0:
            text += piece
            continue
        begins = text.endswith(". ") or not (text or found)
        text += words.capitalised(titles[piece]) if begins else titles[piece]
        if piece not in seen:
            seen.add(piece)
            found.append(Phrase(text, piece))
            text = ""
    return [*found, Phrase(text)] if text else found
