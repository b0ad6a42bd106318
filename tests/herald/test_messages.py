"""People hear of what happened: once, together, and whatever the service does; of nothing when nothing happened."""

import asyncio
import time
from dataclasses import replace

import pytest

from nemod.config.model import Tell
from nemod.herald import herald
from nemod.herald.herald import channel_of
from nemod.host.addresses import addresses
from tests.herald.conftest import House
from tests.ledger.values import NOW, WHY
from tests.support.ears import Ears


async def test_one_failure_is_one_message_and_nothing_more_follows(house: House, listener: Ears) -> None:
    """It names the file, the reason and what to do; pokes about nothing send nothing."""
    bench = house.place()
    made = await house.start(listener.url("s3cret"))
    made.poke()
    job = bench.failed("holiday.mov")
    made.poke()
    await house.until(lambda: house.told("notify.sent"))
    (said,) = listener.heard
    assert said["title"] == "nemod: holiday.mov failed"
    assert WHY.detail in said["message"]
    assert f"nemod jobs show {job}" in said["message"]
    await house.until(lambda: bench.ledger.addresses_due() == ())
    for _ in range(3):
        made.poke()
        await asyncio.sleep(0.1)
    assert listener.calls == 1
    assert "s3cret" not in house.log.getvalue()


async def test_two_hundred_failures_are_one_message(house: House, listener: Ears) -> None:
    """With the count and the first names; the digest's time begins with the first of them."""
    bench = house.place()
    made = await house.start(listener.url(), digest_s=3600)
    for number in range(200):
        bench.failed(f"{number}.mov")
        made.poke()
        await asyncio.sleep(0)
    assert listener.calls == 0
    house.config = replace(house.config, notify=replace(house.config.notify, digest_s=0.1))  # an hour later, or so it seems
    made.poke()
    await house.until(lambda: listener.heard)
    (said,) = listener.heard
    assert said["title"] == "nemod: 200 failed"
    assert "- 0.mov" in said["message"]
    assert "and 196 more" in said["message"]


async def test_a_service_that_refuses_or_hangs_delays_nobody_and_hears_later(
    house: House, listener: Ears, other: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that happened meanwhile is in the message that it takes in the end."""
    monkeypatch.setattr(herald, "REST_FIRST_S", 0.1)
    bench = house.place()
    made = await house.start(listener.url(), other.url())
    other.status = 500
    bench.failed("a.mov")
    made.poke()
    await house.until(lambda: house.told("notify.failed") and house.told("notify.sent"))
    assert house.told("notify.failed")[0]["why"] == "the service answered with status 500"
    other.status = None
    await house.until(lambda: any("does not answer" in line["why"] for line in house.told("notify.failed")))
    other.status = 200
    bench.failed("b.mov")
    made.poke()
    await house.until(lambda: len(listener.heard) == 2 and other.heard)
    assert [message["title"] for message in listener.heard] == ["nemod: a.mov failed", "nemod: b.mov failed"]
    assert "2 failed" in "".join(message["title"] for message in other.heard)


async def test_a_hold_is_told_once_and_what_no_folder_is_told_of_is_not(house: House, listener: Ears) -> None:
    """A folder that keeps to itself is in no message, by name or count; nor are events that nobody asked for."""
    bench, private = house.place(), house.place("private", notify=False)
    made = await house.start(listener.url(), on=(Tell.HELD, Tell.FAILED))
    private.failed("secret.mov")
    bench.running("waits.mov")
    bench.ledger.hold("engine:nemo", until=None, failure=WHY, now=NOW)
    bench.ledger.hold("folder:private", until=None, failure=WHY, now=NOW)
    bench.failed("known.mov")
    made.poke()
    await house.until(lambda: listener.heard)
    await house.until(lambda: house.told("notify.sent"))
    (said,) = listener.heard
    assert said["title"] == "nemod: 1 failed, 1 held"
    assert "secret" not in said["message"]
    assert "private" not in said["message"]
    channel = channel_of(listener.url())
    await house.until(lambda: "engine:nemo" not in {h.scope for h in bench.ledger.lasting_holds(channel, now=time.time())})


async def test_who_is_stopped_in_the_middle_tells_it_in_the_next_life(house: House, listener: Ears) -> None:
    """At once, since it has waited long enough."""
    bench = house.place()
    made = await house.start(listener.url(), digest_s=3600)
    bench.failed("before.mov")
    made.poke()
    await asyncio.sleep(0.2)
    await house.stop()
    assert listener.calls == 0
    bench.ledger.execute("UPDATE news SET at = at - 3600")
    await house.start(listener.url(), digest_s=3600)
    await house.until(lambda: listener.heard)


async def test_an_address_that_means_nothing_is_said_and_given_up_and_harms_nobody(
    house: House, listener: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one hears, no word of the faulty one is in the log, and the ledger keeps nothing for it."""
    monkeypatch.setattr(herald, "REST_FIRST_S", 0.05)
    monkeypatch.setattr(herald, "SENDS_MOST", 2)
    bench = house.place()
    made = await house.start("nfty://s3cret-topic", listener.url())
    findings = [(finding.ok, finding.found) async for finding in addresses(house.config)]
    assert findings[0] == (False, "nfty://[redacted] is no address that Apprise knows")
    assert findings[1] == (True, "json://[redacted], tried by: nemod notify test")
    await made.configure(look=True)
    bench.failed()
    made.poke()
    await house.until(lambda: listener.heard and house.told("notify.given_up") and house.told("notify.faulty"))
    await house.until(lambda: bench.ledger.addresses_due() == ())
    assert len(house.told("notify.failed")) == 1
    assert [line["number"] for line in house.told("notify.faulty")] == [1]
    assert "s3cret" not in house.log.getvalue()
    assert "no address that Apprise knows" in house.told("notify.failed")[0]["why"]


async def test_a_herald_that_is_poked_while_it_is_stopped_stops(house: House) -> None:
    """A poke in the very moment of the stop must not swallow it."""
    for _ in range(20):
        made = await house.start()
        await asyncio.sleep(0.01)
        made.poke()
        assert house.turning is not None
        house.turning.cancel()
        done, _still = await asyncio.wait([house.turning], timeout=30)
        assert done
