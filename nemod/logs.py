"""Logging: one event word per thing, the same chain for our own events and for the libraries'.

Lines go to one stream: JSON, or for people when the stream is a terminal. Rules kept here:
- whoever logs does not think of secrets or odd file names: the chain redacts and escapes, at any depth;
- libraries speak from WARNING on (apscheduler tells every wake-up at INFO);
- times are ISO-8601 in UTC, keys carry their unit (`size_bytes`, `took_s`).

| event                | says                                                                 |
|----------------------|----------------------------------------------------------------------|
| `daemon.started`     | folders are checked, watching begins                                 |
| `daemon.recovered`   | jobs that a killed daemon held are back in the queue                 |
| `daemon.stopping`    | a signal asked us to end                                             |
| `daemon.stopped`     | everything is put down                                               |
| `ledger.full`        | its disk takes nothing more; everything waits until there is room    |
| `ledger.back`        | there is room again                                                  |
| `ledger.failed`      | the ledger cannot be written; the daemon ends                        |
| `config.problem`     | one fault of the config, with file, line and key                     |
| `config.reloaded`    | the config was read again                                            |
| `config.kept`        | it has problems now; the old one stays in force                      |
| `config.later`       | a changed setting that counts from the next start on                 |
| `request.answered`   | what a person asked for, and what came of it                         |
| `request.bug`        | an error of our own; it is struck, the daemon goes on                |
| `intake.watching`    | how an inbox is watched, and why so                                  |
| `intake.left_alone`  | something in an inbox that is no video of its own                    |
| `job.added`          | a file came to rest in an inbox                                      |
| `job.examined`       | what it needs: to be passed, re-wrapped or encoded                   |
| `job.instruction_ignored` | what a person wrote beside a file cannot be followed, and why        |
| `job.stays_here`     | the cloud cannot make it, so it is not asked, and why                |
| `job.waiting`        | a job goes on at `until`                                             |
| `job.replanned`      | its folder's policy or the account has changed, so others make it now |
| `job.refused`        | the judge refused an output; the next try follows                    |
| `job.unmeasured`     | an output is good, and how good could not be measured                |
| `job.attempt_failed` | an engine could not make an output; the next one tries               |
| `job.parked`         | a job rests until a person acts                                      |
| `job.paying`         | what the next message may cost, and what is left; nothing is paid yet |
| `job.paid`           | what it has cost                                                     |
| `job.falls_back`     | the cloud is held, and another engine takes the job                  |
| `job.bug`            | an error that nobody expected, with its traceback                    |
| `job.failed`         | a job is over, its source lies in the failed folder                  |
| `job.cancelled`      | a job is over without its file being touched                         |
| `job.original`       | an original could not be put away as asked, and why                  |
| `original.removed`   | the trash has kept an original as long as it should, or its disk needed the room |
| `original.stays`     | one that was due stays: it is another file now, or may not be removed |
| `job.delivered`      | the canonical line: bytes before and after, seconds                  |
| `cloud.session`      | a session was opened, or one is gone on with                         |
| `cloud.session_lost` | the cloud has forgotten a session in which nothing was paid          |
| `cloud.uploaded`     | the video lies in the session                                        |
| `cloud.too_large`    | it was too large for the cloud and is made smaller                   |
| `cloud.unsupported`  | the cloud does not take its kind; another one is made of it          |
| `cloud.asked`        | a message left, in its words                                         |
| `cloud.still_working` | the agent has been at it for so many minutes                         |
| `cloud.answered`     | the agent's words                                                    |
| `cloud.complained`   | an error inside the stream; the session's state decides              |
| `cloud.stream_lost`  | the stream broke or timed out; the state is looked at                |
| `cloud.edited`       | what changed in the timeline                                         |
| `cloud.unasked`      | tracks that nobody asked for are asked away                          |
| `cloud.unsent`       | a message never arrived, as the balance proves; it is sent again     |
| `cloud.render`       | a render was submitted under an id                                   |
| `cloud.render_refused` | it was not taken; once more with the timeline as it is now           |
| `cloud.render_failed` | a render failed; once more under a new id                            |
| `cloud.download_failed` | a result did not come whole; the other way is tried                  |
| `cloud.downloaded`   | a result lies here, not yet judged                                   |
| `health.unheard`     | `nemod health` cannot ask this daemon, and why                       |
| `engine.held`        | nothing new for an engine until then                                 |
| `engine.back`        | it can work again                                                    |
| `engine.bug`         | an error of its own when it was asked whether it can work            |
| `folder.held`        | the same for a folder                                                |
| `folder.away`        | an inbox cannot be read; its jobs wait                               |
| `folder.back`        | it can be read again                                                 |
| `output.owner`       | what was made could not be given to owner or group, told once, and why |
| `hook.ended`         | a folder's own program has done what it should                       |
| `hook.failed`        | one has not, and why; the job is as it was                           |
| `notify.faulty`      | an address to which nothing can be sent                              |
| `notify.sent`        | a message was taken, and of how much it told                         |
| `notify.failed`      | a message was not taken; it is sent again                            |
| `notify.given_up`    | it never was, and is sent no more                                    |
| `herald.bug`         | an error of our own where programs and people are told               |
| `delivery.swept`     | work folders that nobody owned were removed                          |
"""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from nemod.text import REDACTED, safe

Format = Literal["auto", "json", "console"]

_ROOT = "nemod"
#: structlog's own keys, gone before anything is rendered.
_INTERNAL = frozenset({"_record", "_from_structlog"})

#: Keys whose values are secrets, in any spelling of their words.
_SECRET_KEY = re.compile(
    r"(?:.*[_-])?(?:token|secret|password|passwd|api[_-]?key|authorization|cookie)|(?:x[_-])?client[_-]id", re.IGNORECASE
)
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A header or a JSON field inside a text: its name, a separator, quotes perhaps.
    (
        re.compile(
            r"((?:authorization|x-client-id|token|secret|api[_-]?key|password|cookie)"
            r"[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?(?!\[redacted)[^\s\"',;&}\]]+",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # A token is redacted whole, its telling prefix too.
    (re.compile(r"(?<![A-Za-z0-9])(?:nmv_usr_|clm_)[\w.~+/=-]*"), REDACTED),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    # Some addresses carry a password before the host.
    (re.compile(r"(?<=://)[^\s/?#@\"'<>]+@"), f"{REDACTED}@"),
)
#: An address, up to where one may end. Signed ones carry their signature behind the "?", which stays in one case: where to
#: register names an account, and opens nothing.
_ADDRESS = re.compile(r"(?<=[a-z0-9+.-]://)[^\s\"'<>]+", re.IGNORECASE)
_HARMLESS_QUERY = re.compile(r"bind=[\w-]+(?:[.,;)]|$)")


def setup(
    format: Format,  # noqa: A002 - the word of the config
    level: str,
    stream: TextIO | None = None,
    *,
    story: Callable[[Mapping[str, Any]], str] | None = None,
    untold: frozenset[str] = frozenset(),
) -> None:
    """Send all logging to a stream, in place of any earlier set-up.

    Args:
        format: "auto" means JSON unless the stream is a terminal.
        level: from which on our own events are told, e.g. "info".
        stream: standard error unless given; colours only on a terminal, and not with NO_COLOR.
        story: makes a line for people of an event; used in place of structlog's own console lines.
        untold: events that are left out of the story unless they are warnings.
    """
    out = sys.stderr if stream is None else stream
    terminal = out.isatty()
    renderer: Processor
    hidden: frozenset[str] = frozenset()
    if format == "json" or (format == "auto" and not terminal):
        # Plain ASCII: no locale and no terminal can break it.
        renderer = structlog.processors.JSONRenderer(ensure_ascii=True)
    elif story is not None:
        renderer = _told_by(story)
        hidden = untold
    else:
        colors = terminal and not os.environ.get("NO_COLOR")
        # Without its own tracebacks: the rich ones print local variables, secrets among them.
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        clean,
        _in_order,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    # structlog hands its events to logging as dicts; what is not told must not even become an empty line.
    handler.addFilter(lambda record: record.levelno > logging.INFO or _event_of(record) not in hidden)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # watchdog warns of its own bookkeeping, by Python's warnings at that; whether a watch is alive we ask ourselves.
    logging.captureWarnings(capture=True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    logging.getLogger("watchdog").setLevel(logging.CRITICAL)
    logging.getLogger(_ROOT).setLevel(level.upper())


def _event_of(record: logging.LogRecord) -> object:
    return record.msg.get("event") if isinstance(record.msg, dict) else None


def _told_by(story: Callable[[Mapping[str, Any]], str]) -> Processor:
    return lambda _logger, _method, event: story(event)


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """When, how grave and what first; the rest as the caller said it."""
    first = {key: event[key] for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


#: What `get` gives.
Logger = structlog.stdlib.BoundLogger


def get(name: str) -> Logger:
    """The logger of a module; the name is its `__name__`, and what is not ours tells warnings only."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


def clean(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact secrets and escape what a terminal should not see, in every value of an event."""
    return {_key(key): value if key in _INTERNAL else _named(key, value) for key, value in event.items()}


def redact(text: str) -> str:
    """A text without the secrets in it: tokens, authorization values, and what follows the "?" of an address.

    Its time grows with the text's length only, since the text may come from somebody who wants us to be busy.
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _ADDRESS.sub(_without_query, text)


def _without_query(found: re.Match[str]) -> str:
    place, mark, query = found[0].partition("?")
    return found[0] if not mark or _HARMLESS_QUERY.match(query) else f"{place}?{REDACTED}"


def _named(key: object, value: object) -> object:
    if isinstance(key, str) and _SECRET_KEY.fullmatch(key) and value is not None:
        return REDACTED
    # Tracebacks keep their lines; each of them may quote a file's name.
    if key in {"exception", "stack"} and isinstance(value, str):
        return "\n".join(_text(line) for line in value.split("\n"))
    return _value(value)


def _value(value: object) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str() | bytes() | os.PathLike():
            return _text(os.fsdecode(value))
        case dict():
            return {_key(key): _named(key, inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_value(inner) for inner in value]
        case BaseException():
            return _text(f"{type(value).__name__}: {value}")
        case _:
            return _text(repr(value))


def _key(key: object) -> str:
    return _text(str(key))


def _text(text: str) -> str:
    return safe(redact(text))
