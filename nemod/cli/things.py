"""What a person's words name that should be put into a cloud session: paths and addresses. Looks whether a file is there."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

_UPLOAD = re.compile(r"\b(?:upload(?:ing|s)?|import)\b|上传|上傳|导入", re.IGNORECASE)
_ENDS = " ,;:!?.。，、：；！？"  # noqa: RUF001 - as people type
#: Words around the things to upload that name none of them.
_FILLERS = frozenset(
    (  # noqa: SIM905 - a list would be a wall
        "a add again also an and can file files from here in into it its me my new now original please session source the then"
        " this to too url video with you 文件 视频 请 再 把 和 到 链接"
    ).split()
)


def things(words: Sequence[str]) -> tuple[str, ...]:
    """What an upload names: paths and addresses, without the words around them.

    Args:
        words: as the shell gave them; one alone may hold them all, with quotes of its own.
    """
    found: list[str] = []
    said = False
    for word in _split(words[0]) if len(words) == 1 else words:
        rest = word
        if not said:  # only the first is the command: a file may be called so, too
            rest, said = _UPLOAD.sub("", word, count=1), _UPLOAD.search(word) is not None
        bare = rest if Path(rest).expanduser().exists() else rest.strip("\"'“”").rstrip(_ENDS)
        if bare and bare.lower() not in _FILLERS:
            found.append(bare)
    return tuple(found)


def uploads(words: Sequence[str]) -> bool:
    """Whether the words begin with the command and name a file that is there, of whatever kind: then no edit is meant."""
    found = _UPLOAD.match(" ".join(words).lstrip())
    return found is not None and any(Path(thing).expanduser().is_file() for thing in things(words))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe
        return text.split()
