"""Signs that writers attach to words, as words of their own: what tagged sentences have."""

from itertools import groupby

import regex

from seqarena.data.text.vocabulary import split_words

_QUOTES = r"\p{Pi}\p{Pf}\"'`"
_PIECE = regex.compile(
    rf"([\p{{Ps}}{_QUOTES}¿¡]*)(.*?)([\p{{Terminal_Punctuation}}\p{{Pe}}{_QUOTES}…]*)", regex.DOTALL
)
_WITHOUT_BLANKS = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)


def signs_apart(piece: str) -> list[str]:
    """The words of a piece of text between blanks: signs at its ends by themselves, runs of one
    closing sign together; the rest is a word, or in a script without blanks those of split_words.

    >>> signs_apart("«U.S.-made...»"), signs_apart("क्या?"), signs_apart("我在北京。")
    (['«', 'U.S.-made', '...', '»'], ['क्या', '?'], ['我', '在', '北', '京', '。'])
    """
    match = _PIECE.fullmatch(piece)
    assert match is not None
    before, core, after = match.groups()
    if _WITHOUT_BLANKS.search(core):
        words = split_words(core, lowercase=False)
    else:
        words = [core] if core else []
    return [*before, *words, *("".join(run) for _, run in groupby(after))]
