"""Foreign text made fit for terminals, logs and text files. Pure.

A file's name may hold any bytes but "/" and NUL, and an attacker may choose them. Rules kept here:
- what would move a cursor, break a line, turn the reading direction or fail to encode is written out visibly;
- everything else, emoji and umlauts among it, stays as it is;
- a token that somebody put into a wrong place is shown to nobody.
"""

import re
import unicodedata

REDACTED = "[redacted]"
#: What a token of the cloud looks like: a telling prefix, and more than a sentence about the prefix would say.
_TOKEN = re.compile(r"(?<![A-Za-z0-9])(?:nmv_usr_|clm_)[\w.~+/=-]{8,}")

#: Control, lone surrogate, line separator, paragraph separator.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Characters that turn the reading direction, so that "exe.4pm" can look like "mp4.exe".
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def safe(text: str) -> str:
    r"""A printable form of any text: unsafe characters and bytes that are not UTF-8 escaped as in ``\n`` or ``\xff``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _unsafe(char) else char for char in text)


def without_tokens(text: str) -> str:
    """A text with every token of the cloud blanked, its prefix too; nothing else of it changes."""
    return _TOKEN.sub(REDACTED, text)


def _unsafe(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in _UNSAFE_CATEGORIES


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, as surrogateescape carries it
        code -= 0xDC00
    return _SHORT.get(char) or (f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}")
