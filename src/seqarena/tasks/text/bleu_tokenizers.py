"""Which of sacrebleu's tokenizers splits the texts that BLEU compares.

    zh         Chinese: each character is a word
    ja-mecab   Japanese, by a dictionary (extra `japanese`)
    ko-mecab   Korean, by a dictionary (extra `korean`)
    char       Thai, Lao, Khmer, Burmese, Tibetan: written without blanks, and sacrebleu has no
               words for them
    13a        everything else

The first three and the last are sacrebleu's own choice for these languages. The script of the
references says which language it is: the name of a column may be anything. Where the script leaves
Chinese and Japanese open, a name such as `ja` decides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import regex

from seqarena.core.errors import UserError, missing_extra

_ENOUGH = 1000  # references that are looked at
_LETTER = regex.compile(r"\p{L}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HAN = regex.compile(r"\p{Han}")
_HANGUL = regex.compile(r"\p{Hangul}")
_WITHOUT_BLANKS = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]")
_MOST = 0.3  # of the letters: names and numbers in other scripts are frequent
_SOME_KANA = 0.05  # of the letters; Chinese has next to none, Japanese half
_JAPANESE = ("ja", "jpn", "jp", "japanese")
_EXTRAS = {"ja-mecab": ("japanese", "mecab-python3"), "ko-mecab": ("korean", "mecab-ko")}


class BleuTokenizer(NamedTuple):
    """A tokenizer of sacrebleu and the reason for it."""

    name: str
    reason: str


DEFAULT = BleuTokenizer("13a", "sacrebleu's default")


def choose_tokenizer(asked: str, target: str, references: Sequence[str]) -> BleuTokenizer:
    """The tokenizer that was asked for; of `auto`, the one for the language of the references.

    `target` is the name of the target side. Raises UserError where the packages of the
    tokenizer are missing.
    """
    found = BleuTokenizer(asked, "as set") if asked != "auto" else _by_script(target, references)
    if found.name in _EXTRAS:
        _check_packages(found)
    return found


def _by_script(target: str, references: Sequence[str]) -> BleuTokenizer:
    text = "".join(references[:_ENOUGH])
    letters = max(1, len(_LETTER.findall(text)))

    def share(pattern: regex.Pattern[str]) -> float:
        return len(pattern.findall(text)) / letters

    kana, han = share(_KANA), share(_HAN)
    if kana + han > _MOST:
        named = regex.split(r"[-_.]", target.lower())[0] in _JAPANESE
        if named or kana > _SOME_KANA:
            return BleuTokenizer("ja-mecab", "the references are Japanese")
        return BleuTokenizer("zh", "the references are Chinese")
    if share(_HANGUL) > _MOST:
        return BleuTokenizer("ko-mecab", "the references are Korean")
    if share(_WITHOUT_BLANKS) > _MOST:
        return BleuTokenizer("char", "the references are in a script without blanks")
    return DEFAULT


def _check_packages(chosen: BleuTokenizer) -> None:
    from sacrebleu.metrics.bleu import BLEU

    try:
        BLEU(tokenize=chosen.name)
    except (ImportError, RuntimeError) as error:
        extra, package = _EXTRAS[chosen.name]
        needed = missing_extra(package, extra, f"BLEU with {chosen.name} ({chosen.reason})")
        raise UserError(f"{needed}, or --set bleu_tokenizer=char") from error
