"""The `[nemo]` table, and the environment, which wins over it. Pure.

Rules kept here:
- an address is http(s), names nobody and carries no query; a token never travels in clear text over the internet;
- secrets stand in no configuration, and no message quotes what stands where an address belongs: it may be a secret.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from nemod.config import shapes
from nemod.config.model import Finish, Nemo
from nemod.config.problem import Problem
from nemod.config.shapes import Table
from nemod.config.units import UnitError, parse_duration, parse_size, shown

NEMO_KEYS = (
    *("api_url", "web_url", "language", "slots", "poll_interval"),
    *("edit_timeout", "heartbeat_timeout", "render_timeout"),
    *("recheck_first", "recheck_every", "recheck_times"),
    *("upload_limit", "follow_ups", "finish", "reply", "patience", "max_credits_per_day"),
)
#: What a person may look for in the table, and where it belongs.
_ELSEWHERE: Mapping[str, str] = {
    "token": "set NEMO_TOKEN, or store it with: nemod account set-token",
    "client_id": "set NEMO_CLIENT_ID",
}
_ADDRESS_HINT = 'write it like "https://mega-api-prod.nemovideo.ai"'
_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
#: An address in brackets or a name, and a port perhaps.
_NETLOC = re.compile(rf"(?:\[(?P<ip>[^\]]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*\.?))(?::\d+)?")
#: The system reads such a last part as a number, and the whole as an address in an old spelling.
_NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")
#: Endings of names that are known in one's own network only.
_NEAR = (".local", ".lan", ".internal")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def read_nemo(table: Table, env: Mapping[str, str]) -> Nemo:
    """The table's values, and NEMO_API_URL and NEMO_WEB_URL in place of its addresses; faults go to the table's problems."""
    for key in _ELSEWHERE.keys() & table.values.keys():
        table.fault(key, "is a secret and does not stand in a config", _ELSEWHERE[key])
    replace(table, values={key: value for key, value in table.values.items() if key not in _ELSEWHERE}).only(NEMO_KEYS)
    default = Nemo()
    return Nemo(
        api_url=_from_env(table, env, "NEMO_API_URL", table.take("api_url", address, default.api_url)),
        web_url=_from_env(table, env, "NEMO_WEB_URL", table.take("web_url", address, default.web_url)),
        language=table.take("language", _language, default.language),
        slots=table.take("slots", shapes.whole(1, 64), default.slots),
        poll_interval_s=table.take("poll_interval", parse_duration, default.poll_interval_s),
        edit_timeout_s=table.take("edit_timeout", parse_duration, default.edit_timeout_s),
        heartbeat_timeout_s=table.take("heartbeat_timeout", parse_duration, default.heartbeat_timeout_s),
        render_timeout_s=table.take("render_timeout", parse_duration, default.render_timeout_s),
        recheck_first_s=table.take("recheck_first", parse_duration, default.recheck_first_s),
        recheck_every_s=table.take("recheck_every", parse_duration, default.recheck_every_s),
        recheck_times=table.take("recheck_times", shapes.whole(1, 100), default.recheck_times),
        upload_limit_bytes=table.take("upload_limit", parse_size, default.upload_limit_bytes),
        follow_ups=table.take("follow_ups", shapes.whole(0, 10), default.follow_ups),
        finish=table.take("finish", shapes.member(Finish), default.finish),
        reply=table.take("reply", _reply, default.reply),
        patience_s=table.take("patience", parse_duration, default.patience_s),
        # Nothing at all is no budget but another engine: "local".
        max_credits_per_day=table.take("max_credits_per_day", shapes.whole(1, 10**9), default.max_credits_per_day),
    )


def address(value: object) -> str:
    """A web address without a slash at its end; raises UnitError for anything that a token should not be sent to."""
    if not isinstance(value, str):
        raise UnitError(f"expected an address in quotes, found {shown(value)}", _ADDRESS_HINT)
    written = value.strip()
    if not _PRINTABLE.fullmatch(written):
        raise UnitError("is not an address: it is empty, or holds a space or a letter that no address has", _ADDRESS_HINT)
    try:
        parts = urlsplit(written)
        _ = parts.port  # raises when it is no number
    except ValueError as error:
        raise UnitError("is not an address: its host or port cannot be read", _ADDRESS_HINT) from error
    if parts.scheme not in {"http", "https"}:
        raise UnitError("does not begin with https://", _ADDRESS_HINT)
    if "@" in parts.netloc:
        raise UnitError("holds a user name or a password", "leave out all that stands before the @")
    if "?" in written or "#" in written:
        raise UnitError('holds a "?" or a "#"', "leave it out, with all that follows it")
    host = _host(parts.netloc.lower())
    if parts.scheme == "http" and not _near(host):
        raise UnitError("would send the account's token in clear text over the internet", "begin it with https://")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _host(netloc: str) -> str:
    found = _NETLOC.fullmatch(netloc)
    try:
        if found is not None:
            return found["name"] or str(ipaddress.IPv6Address(found["ip"]))
    except ValueError:
        pass  # no IPv6 address in the brackets
    raise UnitError("is not an address: it has no host, or one that cannot be", _ADDRESS_HINT)


def _near(host: str) -> bool:
    """Whether a host is this machine or one in its own network, as far as its name tells."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        name = host.removesuffix(".")
        if _NUMERIC.fullmatch(name):
            return False
        return name == "localhost" or "." not in name or name.endswith((*_NEAR, ".localhost"))
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_private or ip.is_loopback or ip.is_link_local


def _from_env(table: Table, env: Mapping[str, str], variable: str, written: str) -> str:
    named = env.get(variable, "").strip()
    if not named:
        return written
    try:
        return address(named)
    except UnitError as error:
        table.problems.append(env_problem(table, variable, error.what, error.hint))
        return written


def env_problem(table: Table, variable: str, what: str, hint: str) -> Problem:
    """A problem with an environment variable: no line of the file is to blame."""
    return Problem(file=table.source.file, line=None, key=variable, what=f"the environment's value {what}", hint=hint)


def _language(value: object) -> str:
    language = shapes.text(value)
    if not _LANGUAGE.fullmatch(language):
        raise UnitError(f"{shown(value)} is not the code of a language", 'write it like "en" or "zh-CN"')
    return language


def _reply(value: object) -> str:
    """Text that may be empty: then nobody answers."""
    return "" if value == "" else shapes.text(value)
