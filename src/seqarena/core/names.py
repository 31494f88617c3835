"""Names of folders that are the same on every system and stay inside of their parent."""

import re

from seqarena.core.errors import UserError

NUMBERS_DEPEND_ON_THIS = False  # see jobs/sources.py
_LONGEST = 200  # bytes in UTF-8; file systems take 255, and files beside it add an ending
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\u2028\u2029\x85\ud800-\udfff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # by Windows


def check_folder_name(name: str, what: str) -> None:
    """Raises UserError for a text that cannot be the name of one folder; `what` says whose."""
    shown = ascii(name if len(name) <= 40 else name[:40] + "...")
    if name.strip(" .") == "" or name != name.rstrip(" .") or name != name.lstrip(" "):
        why = "it is empty, only dots, or has blanks or dots at its ends"
    elif found := _FORBIDDEN.search(name):
        why = f"it has {found[0]!a} in it"
    elif _RESERVED.fullmatch(name):
        why = "Windows reserves it"
    elif len(name.encode()) > _LONGEST:
        why = f"it is longer than {_LONGEST} bytes"
    else:
        return
    raise UserError(
        f"{what} {shown}: {why}; give the name of a folder inside of runs, of letters, digits, - "
        "and _"
    )


def folder_name(text: str, longest: int = 120) -> str:
    """The text as such a name: other characters become dashes, and its end is cut off.

    >>> folder_name("gru-../my text: 2.")
    'gru-..-my text- 2'
    """
    cut = _FORBIDDEN.sub("-", text).encode()[:longest].decode(errors="ignore")
    cut = cut.lstrip(" ").rstrip(" .")
    return f"_{cut}" if not cut.strip(".") or _RESERVED.fullmatch(cut) else cut
