"""Words as text again: where a blank belongs between two words, and where none does.

split_words (../vocabulary.py) forgets the blanks. They follow from what the signs are in Unicode:

    . , ; : ! ? । 。 ، % ) ]      no blank before
    ( [ ¿ ¡ # @, a currency        no blank behind
    - / between words              no blank on either side; so for a colon between digits
    " ' “ „ « `                    none within the quotation, which the next sign of the kind ends
    Chinese, Japanese, Thai ...    none between their words; none around full-width signs

What a writer does otherwise (`5 $`, a dash without blanks, the blanks of a Thai sentence) is lost.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import regex

# Scripts without blanks; the full-width ones have none before other scripts and numbers either.
_FULL_WIDTH = (
    r"[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Bopomofo}\p{scx=Yi}\uff00-\uffef]\p{M}*"
)
_OTHER = r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]\p{M}*"
_STARTS_FULL_WIDTH = regex.compile(_FULL_WIDTH, regex.VERSION1)
_ENDS_FULL_WIDTH = regex.compile(_FULL_WIDTH + "$", regex.VERSION1)
_STARTS_OTHER = regex.compile(_OTHER, regex.VERSION1)
_ENDS_OTHER = regex.compile(_OTHER + "$", regex.VERSION1)

_LETTER = regex.compile(r"[\p{L}\p{N}_]")
_CLOSING = regex.compile(r"[\p{Terminal_Punctuation}\p{Pe}%‰…]")
_OPENING = regex.compile(r"[\p{Ps}¿¡#@]")
_CURRENCY = regex.compile(r"\p{Sc}")
_WITHIN = ("-", "‐", "/", "־")
# What ends the quotation that a sign begins; languages differ.
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "“": "”",
    "”": "”",
    "„": "“”",
    "‘": "’",
    "’": "’",
    "‚": "‘’",
    "«": "»",
    "»": "«»",
    "‹": "›",
    "›": "‹›",
}
_BEGINS_ALONE = "“„‘‚«‹"  # what these are without a partner; the others end something

Sides = tuple[bool, bool]  # whether a unit has no blank before it, and none behind it


def join_words(words: Sequence[str]) -> str:
    """The text of the words and signs that `split_words` gives.

    >>> join_words(["don't", "say", '"', "no", '"', "(", "yet", ")", "."])
    'don\\'t say "no" (yet).'
    """
    units = _units(words)
    parts = []
    before, no_blank = "", True
    for unit, (none_before, none_behind) in zip(units, _sides(units)):
        if not (no_blank or none_before or _without_blank(before, unit)):
            parts.append(" ")
        parts.append(unit)
        before, no_blank = unit, none_behind
    return "".join(parts)


def _units(words: Sequence[str]) -> list[str]:
    """Runs of one sign are one unit: an ellipsis, or two grave accents."""
    units: list[str] = []
    for word, run in groupby(words):
        repeated = list(run)
        units += repeated if _LETTER.search(word) else ["".join(repeated)]
    return units


def _sides(units: Sequence[str]) -> list[Sides]:
    left = Counter(unit[0] for unit in units)
    unended: list[str] = []
    found = []
    for place, unit in enumerate(units):
        left[unit[0]] -= 1
        before = units[place - 1] if place else ""
        behind = units[place + 1] if place + 1 < len(units) else ""
        if unit[0] in _QUOTES:
            found.append(_sides_of_quote(unit[0], unended, left))
        else:
            found.append(_sides_of(unit, before, behind))
    return found


def _sides_of_quote(sign: str, unended: list[str], left: Counter[str]) -> Sides:
    """`unended` are the signs of the quotations around this one, `left` those still to come."""
    if unended and sign in _QUOTES[unended[-1]]:
        unended.pop()
        return True, False
    if any(left[end] for end in _QUOTES[sign]):
        unended.append(sign)
        return False, True
    return (False, True) if sign in _BEGINS_ALONE else (True, False)


def _sides_of(unit: str, before: str, behind: str) -> Sides:
    if _LETTER.search(unit):
        return False, False
    if unit in _WITHIN and _LETTER.search(before) and _LETTER.match(behind):
        return True, True
    if unit == ":" and before[-1:].isdecimal() and behind.isdecimal() and len(behind) == 2:
        return True, True
    if _CLOSING.match(unit):
        return True, False
    return False, bool(_OPENING.match(unit) or (_CURRENCY.match(unit) and behind[:1].isdecimal()))


def _without_blank(before: str, unit: str) -> bool:
    """Whether the scripts of two neighbours have no blank between words."""
    if _ENDS_FULL_WIDTH.search(before) or _STARTS_FULL_WIDTH.match(unit):
        return True
    return bool(_ENDS_OTHER.search(before) and _STARTS_OTHER.match(unit))
