"""Tells programs and people what became of jobs, beside the work and never in its way.

Rules kept here:
- what is to be told stands in the ledger, written there with the move that it tells of (`ledger.news`); here it is only carried
  out, and struck once that is done. A kill in between tells it again;
- programs of one folder run one after the other, those of several side by side; one that fails is logged, and not run again;
- what happens within the digest's time is told to an address in one message, and nothing is sent when nothing has happened;
- an address that does not take a message delays no other one, and is tried again more and more rarely, and not for ever;
- whatever goes wrong here, no job suffers from it.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nemod import logs
from nemod.config.model import Config, EnginePolicy, Folder, Tell
from nemod.config.telling import address_text
from nemod.engines.base import EngineName
from nemod.herald import courier, errand, hooks
from nemod.herald.words import SHOWN, Happened, message
from nemod.job import JobId
from nemod.ledger.beside import HoldRow
from nemod.ledger.desk import Desk
from nemod.ledger.ledger import Ledger, LedgerError, engine_scope, folder_scope
from nemod.ledger.news import HOOK, News, Wish

log = logs.get(__name__)

#: Programs, and messages, that are under way at the same time.
HOOKS_MOST, MESSAGES_MOST = 4, 2
#: How often a program is begun for one event: it may be what ends the daemon.
TRIES_MOST = 3
#: An address that takes nothing is tried again after a minute, then after twice as long, at most an hour, so many times.
REST_FIRST_S, REST_MOST_S, SENDS_MOST = 60.0, 3600.0, 12
#: How often it is looked for holds that have become news by lasting.
LOOK_EVERY_S = 60.0
#: How long a stop waits for messages that are on their way.
FAREWELL_S = 2.0
#: How long a single run waits for what is still to be told.
LAST_S = 300.0

#: What a job is to a program: the fields of `nemod jobs show --json`; None when there is no such job.
Describe = Callable[[Ledger, JobId], Mapping[str, Any] | None]


@dataclass(slots=True, kw_only=True)
class _Address:
    """How it stands with an address: since when something waits for it, and how often in a row it has taken nothing."""

    since: float | None = None  # by the loop's clock, as all times here
    failures: int = 0
    not_before: float = 0.0


class Herald:
    """Carries out what the ledger says is to be told."""

    def __init__(
        self,
        desk: Desk,
        *,
        config: Callable[[], Config],
        describe: Describe,
        env: Mapping[str, str],
        free: Callable[[], None],
    ) -> None:
        """Nothing is told yet.

        Args:
            desk: of the ledger.
            config: as it is now.
            describe: what a program is told of a job.
            env: our environment, of which programs get a part.
            free: called when something has been told.
        """
        self._desk = desk
        self._config = config
        self._describe = describe
        self._env = env
        self._free = free
        self._wake = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by folder for programs, by channel for addresses
        self._addresses: dict[str, _Address] = {}
        self._last: float | None = None
        self._hurt_until = 0.0

    def poke(self) -> None:
        """A job may have ended, or the config may be another one."""
        self._wake.set()

    async def configure(self, *, look: bool = False) -> None:
        """Write down who wants to hear what, as the config has it now; `look`: and say which addresses mean nothing."""
        await self._desk(Ledger.keep_wishes, tuple(_wishes(self._config())), now=time.time())
        if look and (urls := self._config().notify.urls) and _MARK not in self._under_way:
            self._begin(_MARK, self._check(urls))
        self.poke()

    async def turn(self) -> None:
        """Tell what there is to tell, for ever."""
        while True:
            self._wake.clear()
            rest_s = self._hurt_until - asyncio.get_running_loop().time()
            try:
                if rest_s <= 0:
                    rest_s = await self._look()
            except LedgerError:
                raise
            except Exception:
                # The boundary: whoever wants to hear of jobs must not be why there are none.
                log.exception("herald.bug")
                rest_s = LOOK_EVERY_S
            if self._last is not None:
                self._free()
            with suppress(TimeoutError):  # wait_for would lose a cancellation that comes together with a poke
                async with asyncio.timeout(rest_s):
                    await self._wake.wait()

    async def through(self) -> bool:
        """Whether a single run has told what it could; from the first time that this is asked, nothing waits for more."""
        now = asyncio.get_running_loop().time()
        if self._last is None:
            self._last = now + LAST_S
            asyncio.get_running_loop().call_later(LAST_S, self._free)
            self.poke()
            return False
        if now >= self._last:
            return True
        hooks_due = await self._desk(Ledger.hooks_due)
        if self._under_way or hooks_due:
            return False
        # One that takes nothing is tried again by the next run.
        hearing = {channel_of(url) for url in self._config().notify.urls}
        hearing -= {channel for channel, address in self._addresses.items() if address.failures}
        return not any(one.channel in hearing for one in await self._desk(Ledger.addresses_due))

    async def close(self) -> None:
        """End what is under way; it is told again by the next start. A message that is nearly told should not be told twice."""
        messages = {task for key, task in self._under_way.items() if key.startswith(_MARK)}
        programs = set(self._under_way.values()) - messages
        for task in programs:
            task.cancel()
        if messages:
            await asyncio.wait(messages, timeout=FAREWELL_S)
        for task in messages:
            task.cancel()
        await asyncio.gather(*programs, *messages, return_exceptions=True)

    # -- what is to be done now -------------------------------------------------------------------------------------------

    async def _look(self) -> float:
        """Begin what can be begun; returns after how many seconds to look again."""
        folders = {folder.name: folder for folder in self._config().folders}
        for news in await self._desk(Ledger.hooks_due):
            busy = sum(not key.startswith(_MARK) for key in self._under_way)
            if news.folder in folders and news.folder not in self._under_way and busy < HOOKS_MOST:
                self._begin(news.folder, self._run(news, folders[news.folder]))
        return await self._look_at_addresses()

    async def _look_at_addresses(self) -> float:
        notify = self._config().notify
        now, wall = asyncio.get_running_loop().time(), time.time()
        waiting = {one.channel: one for one in await self._desk(Ledger.addresses_due)}
        rest_s = LOOK_EVERY_S
        for url in notify.urls:
            channel = channel_of(url)
            address = self._addresses.setdefault(channel, _Address())
            holds = await self._holds(channel)
            if _MARK + channel in self._under_way or not (channel in waiting or holds):
                continue
            if address.since is None:
                # What an earlier life has left is no younger for that.
                age_s = wall - waiting[channel].since if channel in waiting else 0.0
                address.since = now - min(max(age_s, 0.0), notify.digest_s)
            due = max(address.since + (0.0 if self._last is not None else notify.digest_s), address.not_before)
            if due > now:
                rest_s = min(rest_s, due - now)
            elif sum(key.startswith(_MARK) for key in self._under_way) < MESSAGES_MOST:
                address.since = None
                self._begin(_MARK + channel, self._send(url, channel, address, holds))
        return rest_s

    async def _holds(self, channel: str) -> tuple[HoldRow, ...]:
        config = self._config()
        if Tell.HELD not in config.notify.on:
            return ()
        scopes = set(_scopes(config))
        found = await self._desk(Ledger.lasting_holds, channel, now=time.time())
        return tuple(hold for hold in found if hold.scope in scopes)

    def _begin(self, key: str, telling: Coroutine[Any, Any, None]) -> None:
        task = self._under_way[key] = asyncio.create_task(telling, name=f"telling {key}")
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("herald.bug", exc_info=error)
            self._hurt_until = asyncio.get_running_loop().time() + LOOK_EVERY_S  # it is tried again, but not at once
        self.poke()
        self._free()

    # -- programs ---------------------------------------------------------------------------------------------------------

    async def _run(self, news: News, folder: Folder) -> None:
        argv = folder.on_done if news.event == "done" else folder.on_failed
        detail = await self._desk(self._describe, news.job)
        if detail is None or not argv:
            await self._desk(Ledger.told, [news.id])
            return
        words = {"job": news.job, "folder": news.folder, "on": news.event, "program": argv[0]}
        tries = await self._desk(Ledger.begin_telling, news.id)
        if tries > TRIES_MOST:
            log.error("hook.failed", **words, why=f"It was begun {TRIES_MOST} times, and nemod ended each time before it did.")
            await self._desk(Ledger.told, [news.id])
            return
        news = News(id=news.id, job=news.job, folder=news.folder, event=news.event, at=news.at, tries=tries)
        timeout_s = self._config().settings.hook_timeout_s
        began = time.monotonic()
        try:
            ended = await errand.run(
                argv,
                given=hooks.told(news, detail),
                timeout_s=timeout_s,
                env=hooks.environment(self._env, news, detail),
            )
        except (OSError, ValueError) as error:
            log.warning("hook.failed", **words, why=f"It could not be started: {error}.")
        else:
            took_s = round(time.monotonic() - began, 2)
            if ended.well:
                log.info("hook.ended", **words, took_s=took_s)
            else:
                log.warning("hook.failed", **words, why=hooks.why(ended, timeout_s), said=ended.last_words(), took_s=took_s)
        await self._desk(Ledger.told, [news.id])

    # -- addresses --------------------------------------------------------------------------------------------------------

    async def _check(self, urls: tuple[str, ...]) -> None:
        for number, (url, why) in enumerate(zip(urls, await courier.understood(urls), strict=True), 1):
            if why:
                log.warning(
                    "notify.faulty", to=address_text(url), number=number, why=f"It {why}.", hint="See: nemod notify test"
                )

    async def _send(self, url: str, channel: str, address: _Address, holds: tuple[HoldRow, ...]) -> None:
        told = await self._desk(Ledger.news_for, channel)
        counts = Counter(news.event for news in told)
        sent = await courier.send(url, message(counts, await self._first(told), holds))
        words = {"to": address_text(url), "number": self._number(url), "jobs": len(told), "held": len(holds)}
        if sent.taken:
            address.failures, address.not_before = 0, 0.0
            log.info("notify.sent", **words)
        else:
            address.failures += 1
            if address.failures < SENDS_MOST:
                rest_s = min(REST_FIRST_S * 2.0 ** (address.failures - 1), REST_MOST_S)
                address.not_before = asyncio.get_running_loop().time() + rest_s
                log.warning("notify.failed", **words, why=sent.why, until=time.time() + rest_s)
                return
            log.error("notify.given_up", **words, why=sent.why, hint="See: nemod notify test")
            address.failures, address.not_before = 0, 0.0
        await self._desk(Ledger.told, [news.id for news in told])
        await self._desk(Ledger.hold_told, channel, [hold.scope for hold in holds])

    async def _first(self, told: tuple[News, ...]) -> list[Happened]:
        found: list[Happened] = []
        shown: Counter[str] = Counter()
        for news in told:
            if shown[news.event] < SHOWN and (job := await self._desk(Ledger.job, news.job)) is not None:
                shown[news.event] += 1
                found.append(Happened(event=news.event, job=job))
        return found

    def _number(self, url: str) -> int:
        urls = self._config().notify.urls
        return urls.index(url) + 1 if url in urls else 0


#: Before a channel among what is under way; no folder's name begins so.
_MARK = "-"


def channel_of(url: str) -> str:
    """The name under which the ledger knows an address, which says nothing of it."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _wishes(config: Config) -> Iterator[Wish]:
    for folder in config.folders:
        for event, argv in (("done", folder.on_done), ("failed", folder.on_failed)):
            if argv:
                yield folder.name, event, HOOK
        if folder.notify:
            for tell in config.notify.on:
                if tell is not Tell.HELD:
                    yield from ((folder.name, tell.value, channel_of(url)) for url in config.notify.urls)


def _scopes(config: Config) -> Iterator[str]:
    """Whose holds are told of: folders that are, and the engines that these use."""
    for folder in config.folders:
        if folder.notify:
            yield folder_scope(folder.name)
            yield engine_scope(EngineName.LOCAL)
            if folder.engine is not EnginePolicy.LOCAL:
                yield engine_scope(EngineName.NEMO)
