"""What is to be told is written with the move that it tells of, for whoever wished for it, and stays until it has been told."""

import pytest

from nemod.job import JobId, Move
from nemod.ledger.news import FORGOTTEN_S, HOOK, LASTING_S, Wish
from tests.ledger.conftest import Bench
from tests.ledger.values import NOW, WHY

ADDRESS = "0a1b2c3d"
EVERY: tuple[Wish, ...] = tuple(
    ("clips", event, channel) for event in ("done", "failed", "parked") for channel in (HOOK, ADDRESS)
)


def done(bench: Bench, name: str) -> JobId:
    """A job that went the whole way."""
    job = bench.delivered(name)
    bench.ledger.disposed(job, "archived", None)
    assert bench.ledger.move(job, Move.FINISH, now=NOW)
    return job


def due(bench: Bench) -> list[tuple[JobId, str]]:
    """What a folder's programs have to be told next."""
    return [(news.job, news.event) for news in bench.ledger.hooks_due()]


def waiting(bench: Bench) -> list[tuple[JobId, str]]:
    """What an address has to be told."""
    return [(news.job, news.event) for news in bench.ledger.news_for(ADDRESS)]


def test_each_end_is_news_for_who_wished_for_it(bench: Bench) -> None:
    """And a retry that ends once more is news once more; being claimed, or cancelled, is none."""
    bench.ledger.keep_wishes(EVERY, now=NOW)
    first, second = bench.failed("a.mov"), done(bench, "b.mov")
    assert waiting(bench) == [(first, "failed"), (second, "done")]
    assert bench.ledger.retry(first, folder=None, found=None, present=False, now=NOW)
    assert bench.ledger.move(first, Move.CLAIM, now=NOW)
    assert bench.ledger.move(first, Move.PARK, now=NOW, failure=WHY)
    assert bench.ledger.move(first, Move.CANCEL, now=NOW)
    assert waiting(bench) == [(first, "failed"), (second, "done"), (first, "parked")]
    (news, *_) = bench.ledger.addresses_due()
    assert (news.channel, news.count) == (ADDRESS, 3)


def test_what_ended_before_anybody_wished_for_it_is_no_news(bench: Bench) -> None:
    """Nor is what another folder, or another event, was wished for."""
    bench.failed("old.mov")
    bench.ledger.keep_wishes([("clips", "done", HOOK), ("others", "failed", HOOK)], now=NOW)
    bench.failed("new.mov")
    assert (due(bench), waiting(bench)) == ([], [])


def test_news_and_move_are_one_transaction(bench: Bench) -> None:
    """When the one is undone, so is the other."""
    bench.ledger.keep_wishes(EVERY, now=NOW)
    job = bench.running()

    def fail() -> None:
        with bench.ledger.transaction():
            assert bench.ledger.move(job, Move.PARK, now=NOW, failure=WHY)
            assert waiting(bench) == [(job, "parked")]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert waiting(bench) == []


def test_programs_hear_the_oldest_first_and_every_beginning_is_counted(bench: Bench) -> None:
    """What has been told is gone, and then the next one is due."""
    bench.ledger.keep_wishes(EVERY, now=NOW)
    first, second = done(bench, "a.mov"), done(bench, "b.mov")
    assert due(bench) == [(first, "done")]
    (news,) = bench.ledger.hooks_due()
    assert [bench.ledger.begin_telling(news.id) for _ in range(2)] == [1, 2]
    bench.ledger.told([news.id])
    assert bench.ledger.begin_telling(news.id) == 0
    assert due(bench) == [(second, "done")]
    assert len(waiting(bench)) == 2


def test_whom_nobody_wants_to_tell_any_more_is_not_told_and_forgotten_after_a_week(bench: Bench) -> None:
    """A config without the address for a day, or for a moment, loses nothing."""
    bench.ledger.keep_wishes(EVERY, now=NOW)
    job = bench.failed()
    bench.ledger.execute("UPDATE news SET at = ?", (NOW,))
    bench.ledger.keep_wishes([], now=NOW + FORGOTTEN_S - 1)
    assert (due(bench), waiting(bench), bench.ledger.addresses_due()) == ([], [], ())
    bench.ledger.keep_wishes(EVERY, now=NOW + FORGOTTEN_S + 1)
    assert waiting(bench) == [(job, "failed")]
    bench.ledger.keep_wishes([], now=NOW + FORGOTTEN_S + 1)
    bench.ledger.keep_wishes(EVERY, now=NOW + FORGOTTEN_S + 1)
    assert waiting(bench) == []


def test_a_hold_is_news_once_for_each_address_and_again_when_it_comes_again(bench: Bench) -> None:
    """An engine that waits for a person at once; what ends by itself only after a while."""

    def lasting(*, now: float, channel: str = ADDRESS) -> list[str]:
        return [hold.scope for hold in bench.ledger.lasting_holds(channel, now=now)]

    bench.ledger.hold("engine:nemo", until=None, failure=WHY, now=NOW)
    bench.ledger.hold("folder:clips", until=None, failure=WHY, now=NOW)
    bench.ledger.hold("engine:local", until=NOW + 30, failure=WHY, now=NOW)
    assert lasting(now=NOW) == ["engine:nemo"]
    later = NOW + LASTING_S
    assert lasting(now=later) == ["engine:nemo", "folder:clips"]
    bench.ledger.hold("engine:local", until=later + 30, failure=WHY, now=later)
    bench.ledger.hold_told(ADDRESS, ["engine:nemo", "folder:clips", "folder:gone"])
    assert lasting(now=later) == ["engine:local"]
    assert lasting(now=later, channel="another") == ["engine:local", "engine:nemo", "folder:clips"]
    bench.ledger.unhold("engine:nemo")
    bench.ledger.hold("engine:nemo", until=None, failure=WHY, now=later)
    assert lasting(now=later) == ["engine:local", "engine:nemo"]
