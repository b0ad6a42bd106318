"""Small private files: replaced as a whole, locked, and the one that holds the client id.

Rules kept here:
- a file has mode 0600 from its first byte, and is never there half written;
- a client id is made once; one that is there is never replaced, since the cloud counts each as a new client.
"""

import contextlib
import fcntl
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from nemod import durable
from nemod.failure import Failure, Kind, NemodError

#: The documents allow any stable string up to this length.
CLIENT_ID_MOST = 64
#: What may stand in a header as one word.
WORD = re.compile(r"[\x21-\x7e]+")


class AccountError(NemodError):
    """The account's files cannot be used, or what they or the environment say cannot."""


def client_word(text: str, where: str) -> str:
    """A client id as it may be sent; AccountError when the text is none."""
    if WORD.fullmatch(text) and len(text) <= CLIENT_ID_MOST:
        return text
    detail = f"{where} holds no client id: that is one word of at most {CLIENT_ID_MOST} characters."
    hint = "Put the right one back; removing it makes nemod choose a new one, which the cloud counts as a new client."
    raise AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint))


def read_client_id(file: Path) -> str:
    """The id in a file; "" when there is none, or nothing in it."""
    try:
        text = file.read_bytes()[:4096].decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
    except OSError as error:
        raise unusable(file, f"cannot be read ({error.strerror})") from error
    return client_word(text, str(file)) if text else ""


def new_client_id(file: Path) -> str:
    """Write a new id; when another process was faster, its id."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = str(uuid.uuid4())
    write(file, f"{made}\n".encode(), over=False)
    return read_client_id(file)


def write(file: Path, content: bytes, *, over: bool = True) -> None:
    """Put a file in place as a whole, for its owner's eyes only from the first byte on.

    Without `over`, a file that has something in it stays.
    """
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # opened with mode 0600
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        if over or not _linked(part, file):
            part.replace(file)
        durable.sync_way(file.parent)
    finally:
        part.unlink(missing_ok=True)


def _linked(part: Path, file: Path) -> bool:
    """Whether the file is in place, or another one with something in it; not so where there are no hard links."""
    try:
        os.link(part, file)
    except FileExistsError:
        return bool(file.read_bytes().strip())
    except OSError:
        return False
    return True


@contextlib.contextmanager
def locked(file: Path, *, wait: bool) -> Iterator[None]:
    """Hold an flock; on a file system without locks, go on without."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # whoever can open it could hold it for ever
            os.fchmod(handle, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            pass
        yield
    finally:
        os.close(handle)


def unusable(file: Path, why: str) -> AccountError:
    """A file that a person must look at."""
    detail = f"The file {file} {why}."
    hint = "Put it right, or move it away; nothing in it was changed."
    return AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint))
