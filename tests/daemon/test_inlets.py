"""Inboxes that go away and come back while the config changes."""

import asyncio

from nemod.daemon.inlets import Inlets
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
