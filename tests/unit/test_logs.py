"""Logging: one JSON object per line, libraries through the same chain, and never a secret or a control character."""

import io
import json
import logging
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from nemod import logs

SECRET = "s3cret"  # noqa: S105 - made up
TOKEN = "nmv_usr_Abc123-_x.y"  # noqa: S105 - made up


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging is the process's own; other tests find it as it was."""
    root, ours = logging.getLogger(), logging.getLogger("nemod")
    before = (root.handlers[:], root.level, ours.level)
    yield
    root.handlers[:], _, _ = before
    root.setLevel(before[1])
    ours.setLevel(before[2])
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    """What logging writes to: no terminal."""
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(message: str) -> None:
    raise RuntimeError(message)


def test_an_event_is_one_json_object(stream: io.StringIO) -> None:
    """Not a terminal, so JSON: the event word, its keys, the level, the logger and a time in UTC."""
    logs.setup("auto", "info", stream)
    logs.get("nemod.daemon.runner").info("job.delivered", job=7, took_s=1.5, target=Path("/a/ü 🎬.mp4"))
    (line,) = lines(stream)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "job.delivered",
        "job": 7,
        "took_s": 1.5,
        "target": "/a/ü 🎬.mp4",
        "level": "info",
        "logger": "nemod.daemon.runner",
    }
    assert stream.getvalue().isascii()


def test_the_level_holds_for_us_and_warning_for_libraries(stream: io.StringIO) -> None:
    """Our debug lines come when asked for; a library's wake-ups never do, its warnings always."""
    logs.setup("json", "debug", stream)
    logs.get("nemod.intake").debug("intake.watching")
    logging.getLogger("apscheduler.scheduler").info("Adding job")
    logging.getLogger("watchdog").warning("its own bookkeeping")
    logging.getLogger("httpx").warning("overflow of %s", "queue")
    assert [line["event"] for line in lines(stream)] == ["intake.watching", "overflow of queue"]
    logs.setup("json", "error", stream)
    logs.get("nemod.intake").warning("intake.watching")
    assert len(lines(stream)) == 2


def test_setting_up_again_replaces(stream: io.StringIO) -> None:
    """A reload does not double the lines."""
    logs.setup("json", "info", io.StringIO())
    logs.setup("json", "info", stream)
    logs.get("nemod.x").info("daemon.started")
    assert len(lines(stream)) == 1


def test_no_secret_survives_at_any_depth(stream: io.StringIO) -> None:
    """By its key, by its look, inside addresses, mappings, lists, objects and exceptions."""
    logs.setup("json", "info", stream)
    log = logs.get("nemod.x")
    log.info("a", token=SECRET, headers={"Authorization": "s3cret", "X-Client-Id": "s3cret"}, deep=[{"api_key": ("s3cret",)}])
    log.info("b %s", TOKEN, text=f"sent {TOKEN}, Bearer s3cret.s3cret== and clm_s3cret")
    log.info("c", url="https://user:s3cret@host/path/file.mp4?X-Sig=s3cret&b=s3cret#s3cret")
    log.info("d", dumped=repr({"authorization": "Basic s3cret", "x-client-id": "s3cret"}), raw='{"access_token": "s3cret"}')
    log.info("e", problem=ValueError("Authorization: Bearer s3cret"), odd=io.BytesIO, data=b"token=s3cret")
    logging.getLogger("httpx").warning("GET %s", "https://host/?token=s3cret")
    try:
        fail(f"refused {TOKEN} at https://host/a?sig=s3cret")
    except RuntimeError:
        log.exception("f")
        logging.getLogger("httpx").exception("g")
    written = stream.getvalue()
    assert "s3cret" not in written
    assert "nmv_usr_" not in written
    assert "Abc123" not in written
    assert "clm_" not in written
    assert "https://[redacted]@host/path/file.mp4?[redacted]" in written
    assert "refused [redacted] at https://host/a?[redacted]" in written


@pytest.mark.parametrize("kept", ["clip (2).mp4", "basic preset", "took 3 tokens", "what? yes.mov", "a=b", "claim_1"])
def test_ordinary_words_are_not_blanked(kept: str) -> None:
    """Redaction is for secrets; what a person needs to read stays."""
    assert logs.redact(kept) == kept


def test_a_missing_token_is_told_from_a_hidden_one(stream: io.StringIO) -> None:
    """None is no secret."""
    logs.setup("json", "info", stream)
    logs.get("nemod.x").info("a", token=None)
    assert lines(stream)[0]["token"] is None


def test_a_name_cannot_forge_a_line_or_move_the_cursor(stream: io.StringIO) -> None:
    """Control characters and stray bytes are written out in JSON and for people alike, in texts, keys and exceptions."""
    name = os.fsdecode(b"a\n{\x1b[2J\xff.mov")
    for format_ in ("json", "console"):
        logs.setup(format_, "info", stream)
        logs.get("nemod.x").info("job.added", name=name, names=[name], **{name: 1})
        logging.getLogger("lib").warning("odd: %s", name)
        try:
            fail(name)
        except RuntimeError:
            logs.get("nemod.x").exception("f")
    assert "\x1b" not in stream.getvalue()
    assert r"\x1b[2J\xff.mov" in stream.getvalue()
    assert "\na\n" not in stream.getvalue()
    stream.getvalue().encode()


@pytest.mark.parametrize(("no_color", "colours"), [("", 1), ("1", 0)])
def test_a_terminal_gets_lines_for_people(monkeypatch: pytest.MonkeyPatch, no_color: str, colours: int) -> None:
    """Automatic means readable on a terminal, in colours unless NO_COLOR is set."""
    monkeypatch.setenv("NO_COLOR", no_color)
    ours, theirs = pty.openpty()
    with open(theirs, "w", encoding="utf-8", closefd=True) as terminal:  # noqa: PTH123 - a descriptor, not a path
        logs.setup("auto", "info", terminal)
        logs.get("nemod.x").info("job.delivered", job=7)
        terminal.flush()
        seen = os.read(ours, 4096).decode()
    os.close(ours)
    assert "job.delivered" in seen
    assert not seen.startswith("{")
    assert bool(seen.count("\x1b[")) == bool(colours)


def test_every_event_word_of_the_table_is_one_word_with_a_dot() -> None:
    """The table in the module is what people search logs by."""
    words = [line.split("`")[1] for line in (logs.__doc__ or "").splitlines() if line.startswith("| `")]
    assert len(words) == len(set(words)) > 10
    assert all(len(word.split(".")) == 2 and word == word.lower() for word in words)
