"""Which token is used, where it comes from, and the one file that keeps it.

Rules kept here:
- a token that a person gave (NEMO_TOKEN, a service's credential, `nemod account set-token`; the first of them counts) is never
  replaced by one that nobody asked for;
- entries belong to the origin of an API address: a token never goes to another server;
- an anonymous token lives 7 days and there is one per client and week, so it is written down and used until it ends; the client
  id that it is asked for with is made once and kept, and a refusal is remembered;
- the file has mode 0600 from its first byte and is replaced as a whole; one that cannot be understood is never overwritten;
- no secret is in any message or representation.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, TypeAdapter, ValidationError

from nemod.engines.nemo.keep import WORD, AccountError, client_word, locked, new_client_id, read_client_id, unusable, write
from nemod.engines.nemo.wire import Grant
from nemod.failure import Failure, Kind

__all__ = ["LIFE_S", "Account", "AccountError", "Credentials", "Origin"]

#: How long an anonymous token lives when the cloud does not say.
LIFE_S = 7 * 86400.0
#: What a service manager calls the token, in the folder that CREDENTIALS_DIRECTORY names (systemd.exec(5), LoadCredential=).
CREDENTIAL = "nemo_token"
#: More than any token has.
_MOST_BYTES = 64 * 1024


class Origin(StrEnum):
    """Where a token comes from."""

    ENVIRONMENT = "environment"  # NEMO_TOKEN
    CREDENTIAL = "credential"  # handed over by the service manager
    STORED = "stored"  # nemod account set-token
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A token and what is known of its account; `expires_at` is in epoch seconds, `proven` says that it has rendered once."""

    token: SecretStr
    origin: Origin
    user: str = ""  # the bind id of an anonymous account
    expires_at: float | None = None
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    token: str = field(repr=False)
    since: float
    user: str = ""
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    user: str = ""
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    given: _Kept | None = None
    anonymous: _Kept | None = None
    facts: dict[str, _Facts] = field(default_factory=dict)  # by a hash of the token
    refused_until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    version: Literal[1] = 1
    origins: dict[str, _Entry] = field(default_factory=dict)


_BOOK = TypeAdapter(_Book)


class Account:
    """The account at one API address: what the environment, the file and the client id's file say of it."""

    def __init__(self, file: Path, *, api_url: str, env: Mapping[str, str], home: Path) -> None:
        """Remember where things lie; nothing is read yet."""
        self._file = file
        self._origin = _origin(api_url)
        self._token = env.get("NEMO_TOKEN", "").strip()
        self._token_file = env.get("NEMO_TOKEN_FILE", "").strip()
        self._credentials = env.get("CREDENTIALS_DIRECTORY", "")
        self._named_client = env.get("NEMO_CLIENT_ID", "").strip()
        # The second place is for services whose home cannot be written to.
        self._client_files = (home / ".config" / "nemovideo" / "client_id", file.parent / "client_id")

    def current(self, *, now: float, anonymous: bool) -> Credentials | None:
        """What to use: NEMO_TOKEN or its file, else a credential, a stored token, or a valid anonymous one, if allowed.

        Raises:
            AccountError: NEMO_TOKEN, its file, the credential or the account's file cannot be used.
        """
        entry = self._entry()
        if given := self._given():
            return _credentials(_word(given, "NEMO_TOKEN"), Origin.ENVIRONMENT, entry)
        if handed := self._handed():
            return _credentials(_word(handed, f"The credential {CREDENTIAL}"), Origin.CREDENTIAL, entry)
        if entry.given is not None:
            return _credentials(entry.given.token, Origin.STORED, entry, kept=entry.given)
        kept = entry.anonymous
        if anonymous and kept is not None and (kept.expires_at is None or kept.expires_at > now):
            return _credentials(kept.token, Origin.ANONYMOUS, entry, kept=kept)
        return None

    def keep_given(self, token: str, *, now: float) -> None:
        """Store a token that a person gave; AccountError when it cannot be one, or cannot be stored."""
        word = _word(token.strip(), "The token")
        self._change(lambda entry: replace(entry, given=_Kept(token=word, since=now)))

    def keep_anonymous(self, grant: Grant, *, now: float) -> None:
        """Store what the cloud granted. Without an end, or with one that is over already, it is taken to live 7 days."""
        ends = grant.expires_at
        if ends is None or ends <= now:
            ends = now + LIFE_S
        kept = _Kept(token=_word(grant.token, "The token that the cloud gave"), since=now, user=grant.user, expires_at=ends)

        def changed(entry: _Entry) -> _Entry:
            facts = _without(entry, entry.anonymous)
            if grant.user and entry.anonymous is not None:
                # The same account under a new token: what was learned of it still holds.
                old = entry.facts.get(_hash(entry.anonymous.token), _Facts())
                if grant.user in {old.user, entry.anonymous.user}:
                    facts[_hash(kept.token)] = replace(old, user=grant.user)
            return replace(entry, anonymous=kept, facts=facts, refused_until=None)

        self._change(changed)

    def learn(self, *, user: str = "", proven: bool = False) -> None:
        """Write down facts on the token in use; one from the environment is known by a hash only.

        What cannot be written down is learned again: it is no reason to stop a job that was paid for.
        """
        with contextlib.suppress(AccountError):
            self._learn(user=user, proven=proven)

    def _learn(self, *, user: str, proven: bool) -> None:
        entry = self._entry()
        kept = entry.given or entry.anonymous
        token = self._given() or self._handed() or (kept.token if kept is not None else "")
        key = _hash(token)
        known = entry.facts.get(key, _Facts())
        told = _Facts(user=user or known.user, proven=proven or known.proven)
        if token and told != known:
            self._change(lambda entry: replace(entry, facts={**entry.facts, key: told}))

    def reject(self, token: str) -> None:
        """Forget an anonymous token that the cloud no longer accepts; another token stays."""
        kept = self._entry().anonymous
        if kept is not None and kept.token == token:
            # Kept, but over: its user is needed to tell whether the next token is of the same account.
            self._change(lambda e: e if e.anonymous != kept else replace(e, anonymous=replace(kept, expires_at=0.0)))

    def forget(self) -> bool:
        """Remove the stored tokens of this address and what is known of them; whether there was one.

        A refusal stays, since asking again for an anonymous token would not be heard earlier.
        """
        entry = self._entry()
        if entry.given is None and entry.anonymous is None:
            return False

        def changed(entry: _Entry) -> _Entry:
            facts = {k: v for k, v in _without(entry, entry.given).items() if k in _without(entry, entry.anonymous)}
            return replace(entry, given=None, anonymous=None, facts=facts)

        self._change(changed)
        return True

    def client_id(self) -> str:
        """NEMO_CLIENT_ID, else the one on disk, else a new one that is written there first.

        Raises:
            AccountError: what is there is no client id, or a new one cannot be kept.
        """
        if self._named_client:
            return client_word(self._named_client, "NEMO_CLIENT_ID")
        for file in self._client_files:
            if found := read_client_id(file):
                return found
        refused: OSError | None = None
        for file in self._client_files:
            try:
                return new_client_id(file)
            except OSError as error:
                refused = error
        said = refused.strerror if refused is not None else ""
        hint = "Make nemod's state folder writable, or set NEMO_CLIENT_ID."
        raise AccountError(
            Failure(kind=Kind.CREDENTIALS, detail=f"A client id for the cloud cannot be kept ({said}).", hint=hint)
        )

    def has_client_id(self) -> bool:
        """Whether there is a client id already; none is made."""
        return bool(self._named_client) or any(file.is_file() for file in self._client_files)

    def refused_until(self) -> float | None:
        """Until when the cloud gives no anonymous token (epoch seconds); None when it was not refused."""
        return self._entry().refused_until

    def refuse(self, until: float) -> None:
        """Write down that no anonymous token is to be asked for before then (epoch seconds)."""
        self._change(lambda entry: replace(entry, refused_until=until))

    def prepare(self) -> None:
        """Prove that a token could be kept, before one is asked for; AccountError when not."""
        self._change(lambda entry: entry)

    @contextlib.contextmanager
    def lock(self, *, wait: bool = True) -> Iterator[None]:
        """Be the only process that asks for a token; BlockingIOError without `wait` when another one does."""
        with locked(self._file.with_name(f"{self._file.name}.asking"), wait=wait):
            yield

    def _given(self) -> str:
        """The token of the environment, itself or in the file that it names, as containers hand over secrets; "" for none."""
        if self._token or not self._token_file:
            return self._token
        why = "it is empty"
        try:
            with Path(self._token_file).open("rb") as handle:
                if token := handle.read(_MOST_BYTES).decode("utf-8", "surrogateescape").strip():
                    return token
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
        detail = f"NEMO_TOKEN_FILE names {self._token_file}, which gives no token: {why}."
        hint = "Put the token into that file, readable for the user that nemod runs as, or unset NEMO_TOKEN_FILE."
        raise AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint))

    def _handed(self) -> str:
        """The token that the service manager hands over; "" when there is none, or an empty one."""
        if not self._credentials:
            return ""
        file = Path(self._credentials, CREDENTIAL)
        try:
            with file.open("rb") as handle:
                return handle.read(_MOST_BYTES).decode("utf-8", "surrogateescape").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            detail = f"The credential {CREDENTIAL} of this service cannot be read ({error.strerror})."
            hint = "Look at the file that LoadCredential= names in the unit, then restart the service."
            raise AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint)) from error

    def _entry(self) -> _Entry:
        return self._book().origins.get(self._origin, _Entry())

    def _book(self) -> _Book:
        try:
            with self._file.open("rb") as handle:
                stat = os.fstat(handle.fileno())
                if stat.st_uid != os.geteuid():
                    raise unusable(self._file, "belongs to another user")
                if stat.st_mode & 0o077:
                    os.fchmod(handle.fileno(), 0o600)
                return _BOOK.validate_json(handle.read())
        except FileNotFoundError:
            return _Book()
        except ValidationError:
            # The error quotes what it read.
            raise unusable(self._file, "is damaged, or was written by another version of nemod") from None
        except OSError as error:
            raise unusable(self._file, f"cannot be read ({error.strerror})") from error

    def _change(self, change: Callable[[_Entry], _Entry]) -> None:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with locked(self._file.with_name(f"{self._file.name}.lock"), wait=True):
                book = self._book()
                entry = change(book.origins.get(self._origin, _Entry()))
                book = replace(book, origins={**book.origins, self._origin: entry})
                write(self._file, _BOOK.dump_json(book, indent=1))
        except OSError as error:
            detail = f"The account's file {self._file} cannot be written ({error.strerror})."
            hint = "Check the space and the permissions of nemod's state folder."
            raise AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint)) from error


def _origin(api_url: str) -> str:
    parts = urlsplit(api_url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _without(entry: _Entry, kept: _Kept | None) -> dict[str, _Facts]:
    return {key: facts for key, facts in entry.facts.items() if kept is None or key != _hash(kept.token)}


def _credentials(token: str, origin: Origin, entry: _Entry, *, kept: _Kept | None = None) -> Credentials:
    facts = entry.facts.get(_hash(token), _Facts())
    user = facts.user or (kept.user if kept is not None else "")
    ends = kept.expires_at if kept is not None else None
    return Credentials(token=SecretStr(token), origin=origin, user=user, expires_at=ends, proven=facts.proven)


def _word(token: str, what: str) -> str:
    """A token that fits into a header; the sentence of the error does not quote it."""
    if WORD.fullmatch(token):
        return token
    detail = f"{what} is no token: it is empty, or holds spaces or characters that cannot stand in a header."
    hint = "Copy it again: a token is one word of letters, digits, - and _, and begins with nmv_usr_ as a rule."
    raise AccountError(Failure(kind=Kind.CREDENTIALS, detail=detail, hint=hint))
