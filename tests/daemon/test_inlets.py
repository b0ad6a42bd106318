"""Inboxes that go away and come back while the config changes."""

import asyncio
import os

from nemod.daemon.inlets import GLANCE_S, Inlets
from nemod.daemon.timers import Timers
from nemod.ledger.ledger import Ledger, folder_scope
from tests.daemon.conftest import Works


async def test_what_held_a_folder_is_forgotten_with_its_old_words(works: Works) -> None:
    """An inbox that is back before its folder is in the config again is held by nobody, and its jobs go on."""
    inbox = works.folder.inbox
    inlets = Inlets(works.desk, Timers(), asyncio.get_running_loop(), arrived=lambda: None)
    away = inbox.rename(inbox.with_name("away"))
    await inlets.configure([works.folder], settle_s=0)
    assert [hold.scope for hold in await works.desk(Ledger.holds)] == [folder_scope(works.folder.name)]
    await inlets.configure([], settle_s=0)
    away.rename(inbox)
    await inlets.configure([works.folder], settle_s=0)
    assert await works.desk(Ledger.holds) == ()
    await inlets.close()


async def test_a_pipe_where_an_outbox_should_be_holds_nobody_for_ever(works: Works) -> None:
    """A pipe would keep whoever opens it until somebody writes into it; the inbox beside it is looked at nevertheless."""
    outbox = works.folder.outbox
    outbox.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(outbox)
    inlets = Inlets(works.desk, Timers(), asyncio.get_running_loop(), arrived=lambda: None)
    greeted = asyncio.create_task(inlets.configure([works.folder], settle_s=0))
    done, _ = await asyncio.wait([greeted], timeout=GLANCE_S / 2)
    os.close(os.open(outbox, os.O_RDWR))  # whoever still waits at the pipe is let go
    await greeted
    assert done, "somebody waited at the pipe"
    assert await works.desk(Ledger.holds) == ()
    await inlets.close()
